"""What an MP3 really is: its frames, tags and garbage, and what its header says wrong of them.

Samples are counted as FFmpeg 5, 8 and 9 decode them, gapless tags honoured, without decoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mediapipe.audio.frames import Run, run_from, two_in_a_row
from mediapipe.audio.magic import MpegFrame, after_id3, mpeg_frame
from mediapipe.audio.xing import DECODER_DELAY, XING_ROOM, Vbri, Xing, read_vbri, read_xing

_MOST_TAGS = 8_192


@dataclass(frozen=True, slots=True)
class Ends:
    """Samples that decoders take off at both ends; ``whole`` is False when they take some off in between."""

    skipped: int = 0
    dropped: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Mpeg:
    """An MPEG layer III stream. Positions and sizes in bytes.

    ``frame`` is what the first frame's header says, ``lead`` the size of the Xing or VBRI frame that opens
    the file and is no audio. ``tags`` names the tags at the end. ``overhead`` counts all that is no frame,
    ``junk`` what of that is no tag either. ``findings`` are stable codes.
    """

    run: Run
    frame: MpegFrame
    lead: int
    xing: Xing | None
    vbri: Vbri | None
    ends: Ends
    tags: tuple[str, ...]
    overhead: int
    junk: int
    findings: tuple[str, ...]

    @property
    def samples(self) -> int:
        """Samples per channel that a decoder gives, where delay and padding do not meet in one frame."""
        return max(0, self.run.count * self.frame.samples - self.ends.skipped - self.ends.dropped)

    @property
    def bitrate(self) -> int:
        """Bits a second, the average of all frames."""
        return round(self.run.length * 8 * self.frame.sample_rate / (self.run.count * self.frame.samples))

    @property
    def needs(self) -> tuple[str, ...]:
        """What a rewrap would repair."""
        return tuple(code for code in self.findings if code not in {"concatenated", "mixed_frames"})


def behind_id3(file: BinaryIO, size: int) -> int:
    """Return where a file begins behind its ID3v2 tags, whatever their size."""
    at = 0
    for _ in range(_MOST_TAGS):
        step = after_id3(_read(file, at, 10))
        if not step or at + step >= size:
            break
        at += step
    return at


def scan(file: BinaryIO, size: int, start: int = 0, *, bare: bool = False) -> Mpeg | None:
    """Walk over the layer III frames of a seekable file between ``start`` and ``size``.

    None when decoders find none, or no two that follow one another. ``bare`` is for frames inside a WAV:
    there nothing in front of them is skipped, and a Xing frame counts as audio.
    """
    at = start if bare else start or behind_id3(file, size)
    head = b"" if bare else _read(file, at, XING_ROOM)
    xing, vbri = read_xing(head), read_vbri(head)
    opening, lead = mpeg_frame(head[:4]), 0
    if opening and ((xing and (xing.frames or xing.size)) or (vbri and (vbri.frames or vbri.size))):
        lead = opening.size
    begin = at + lead if bare else two_in_a_row(file, size, at + lead)
    if begin is None:
        return None
    run = run_from(file, size, begin)
    frame = mpeg_frame(run.first)
    if frame is None or run.first[1] >> 1 & 3 != 1:
        return None
    tags, tag_bytes = _tags_between(file, run.end, size)
    overhead = size - start - run.length - lead
    junk = overhead - tag_bytes - (at - start)
    return Mpeg(
        run,
        frame,
        lead,
        xing,
        vbri,
        _ends(xing, frame.samples, run, size - at - 4),
        tags,
        overhead,
        junk,
        tuple(_findings(xing, vbri, run, junk, size - at)),
    )


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _ends(xing: Xing | None, samples: int, run: Run, behind: int) -> Ends:
    """Return what FFmpeg takes off, going by LAME's delay and padding and by the frames that are promised.

    It does not believe that number when the file goes on by a sixteenth ``behind`` what is promised.
    """
    if xing is None or not xing.gapless:
        return Ends()
    skipped, lost = xing.delay + DECODER_DELAY, set(run.lost or ())
    outgrown = 0 < xing.size < behind and behind - xing.size > xing.size >> 4
    promised = 0 if outgrown else xing.frames
    cutoff = promised * samples - xing.padding + DECODER_DELAY
    dropped = {
        number: min((number + 1) * samples - cutoff, samples)
        for number in range(max(0, (cutoff - 1) // samples), min(promised, run.packets))
        if number not in lost
    }
    total = rest = sum(dropped.values())
    number = run.packets
    whole = run.lost is not None and 0 not in lost
    while rest and whole:
        number -= 1
        if number not in lost:
            whole = dropped.get(number) == min(rest, samples)
            rest -= min(rest, samples)
    return Ends(skipped, total, whole)


def _findings(xing: Xing | None, vbri: Vbri | None, run: Run, junk: int, there: int) -> Iterator[str]:
    """Say what does not fit, by stable codes; ``there`` are the bytes behind the tags in front."""
    promised = xing.frames if xing and xing.frames else vbri.frames if vbri else 0
    if run.variable and not promised:
        yield "vbr_without_xing"
    if promised and abs(promised - run.count) > max(1, run.count // 100):
        yield "header_duration"
    if run.inner:
        yield "concatenated"
    if xing and (xing.size > there or (run.cut and not xing.size and xing.frames >= run.count)):
        yield "shorter_than_header"
    if junk:
        yield "garbage"
    if run.mixed:
        yield "mixed_frames"


def _tags_between(file: BinaryIO, start: int, end: int) -> tuple[tuple[str, ...], int]:
    """Return the tags that a file carries at its end, outermost last, and the bytes they take."""
    names, whole = [], end - start
    for _ in range(_MOST_TAGS):
        tail = _read(file, max(start, end - 128), min(128, end - start))
        name, length = _last_tag(tail)
        if not 0 < length <= end - start:
            break
        names.append(name)
        end -= length
    ahead = after_id3(_read(file, start, 10))
    if 0 < ahead <= end - start:
        names.append("id3v2")
        start += ahead
    return tuple(reversed(names)), whole - (end - start)


def _last_tag(tail: bytes) -> tuple[str, int]:
    """Return name and length of the tag that ends with these 128 bytes, and 0 when none does."""
    if tail[-128:-125] == b"TAG" and len(tail) == 128:
        return "id3v1", 128
    if tail[-32:-24] == b"APETAGEX":
        size, _, flags = struct.unpack("<III", tail[-20:-8])
        return "ape", size + (32 if flags >> 31 else 0)
    if tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        return "lyrics3", int(tail[-15:-9]) + 15
    if tail[-10:-7] == b"3DI":
        return "id3v2", after_id3(b"ID3" + tail[-7:]) + 10
    return "", 0
