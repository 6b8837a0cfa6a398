"""The same coded audio in a clean file: WAV with right sizes, MP3 with a right Xing header, and no more.

Bit for bit the same sound, or ``Rejected`` (``not_rewrappable``): what decoders skip, lose or drop in the
source, that and no more they skip or drop in what is written. Streaming; memory is a few megabytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Never, TypeAlias

from mediapipe.audio.frames import Run, two_in_a_row
from mediapipe.audio.mpeg import Mpeg, scan
from mediapipe.audio.riff import LONGEST_DATA, MPEG_LAYER_3, Riff, header_of, padding, walk
from mediapipe.audio.xing import DECODER_DELAY, NOT_GAPLESS, info_frame, music_crc
from mediapipe.errors import Failed, Rejected

_BLOCK = 1 << 20
_TWO_FRAMES = 8_192

Spans: TypeAlias = tuple[tuple[int, int], ...]


def rewrap(source: BinaryIO, size: int, container: str, out: BinaryIO) -> None:
    """Write the audio of a seekable WAV or MP3 file to ``out``, in a clean ``container``: ``wav`` or ``mp3``.

    Raises ``Rejected`` (``not_rewrappable``) where that would change the sound, before anything is written;
    ``Failed`` (``source_changed``) when the file is shorter than ``size``.
    """
    head, spans, tail = _parts(source, size, container)
    out.write(head)
    for block in _blocks(source, spans):
        out.write(block)
    out.write(tail)


def _parts(source: BinaryIO, size: int, container: str) -> tuple[bytes, Spans, bytes]:
    """Return what to write: a head, stretches of the source, a tail."""
    if container == "wav":
        return _wav(source, size)
    if container != "mp3":
        _refuse(f"{container} files are not made here")
    mpeg, spans = _mpeg(source, size)
    return _opening(mpeg, music_crc(_blocks(source, spans))), spans, b""


def _refuse(why: str) -> Never:
    raise Rejected(why, code="not_rewrappable", hint="it can be decoded and encoded anew")


def _blocks(source: BinaryIO, spans: Spans) -> Iterator[bytes]:
    for start, end in spans:
        source.seek(start)
        while start < end:
            block = source.read(min(_BLOCK, end - start))
            if not block:
                raise Failed("the file became shorter while it was read", code="source_changed")
            start += len(block)
            yield block


def _wav(source: BinaryIO, size: int) -> tuple[bytes, Spans, bytes]:
    """Return header, stretches of audio and padding of a clean WAV."""
    riff = walk(source, size)
    if riff is None or riff.fmt is None or riff.audio is None:
        _refuse("it is no WAV file with a format and audio in it")
    if riff.order != "<":
        _refuse("its samples have their bytes the other way round (RIFX)")
    if len(riff.data) > 1:
        _refuse("it has several data chunks, and readers differ in which of them they take for the sound")
    if "header_absurd" in riff.findings:
        _refuse(f"its header says {riff.fmt.channels:,} channels at {riff.fmt.sample_rate:,} Hz")
    if "padded_samples" in riff.findings:
        _refuse("its samples are padded to a wider format, and decoders go by the bits that count")
    length = riff.audio.there
    if riff.fmt.linear:
        length -= length % riff.fmt.block_align
    if length > LONGEST_DATA:
        _refuse("it is too long for a WAV file of 4 GiB")
    if {"longer_than_header", "second_data_chunk", "block_size_mismatch"} & set(riff.findings):
        _refuse("there may be more audio in it than its header says")
    head = header_of(riff.fmt, length, _samples(riff, length))
    return head, ((riff.audio.at, riff.audio.at + length),), padding(length)


def _samples(riff: Riff, length: int) -> int | None:
    """Return what a ``fact`` chunk is to say: what whole blocks hold, or what was said and may be true."""
    fmt, said = riff.fmt, None if riff.size_unknown or riff.truncated else riff.fact
    if fmt is None or not fmt.block_align or not fmt.samples_per_block:
        return said
    counted = length // fmt.block_align * fmt.samples_per_block
    return min(counted, 0xFFFFFFFF if said is None else said)


def _mpeg(source: BinaryIO, size: int) -> tuple[Mpeg, Spans]:
    """Return the frames of an MP3, or of a WAV that holds such, and the stretches of file they fill."""
    riff = walk(source, size)
    if riff is None:
        mpeg = scan(source, size)
    else:
        if riff.fmt is None or riff.fmt.tag != MPEG_LAYER_3 or len(riff.data) != 1:
            _refuse("it is a WAV file that does not hold MP3 audio")
        audio = riff.data[0]
        mpeg = scan(source, audio.at + audio.there, audio.at, bare=True)
    if mpeg is None:
        _refuse("no MP3 frames that follow one another are in it")
    if mpeg.run.mixed:
        _refuse("rate or channels change midway")
    if mpeg.run.spans is None:
        _refuse("there is garbage between its frames in more than 1,000 places")
    if not mpeg.samples:
        _refuse("its header makes decoders drop all of it")
    if not mpeg.ends.whole:
        _refuse("its header makes decoders drop samples in the middle")
    if not _opens(source, mpeg.run.spans):
        _refuse("its first two frames do not belong together, so that decoders would pass over the first")
    return mpeg, mpeg.run.spans


def _opens(source: BinaryIO, spans: Spans) -> bool:
    """Tell whether decoders will begin with the first frame: another one like it has to follow."""
    beginning = b""
    for block in _blocks(source, spans):
        beginning += block[:_TWO_FRAMES]
        if len(beginning) >= _TWO_FRAMES:
            break
    return two_in_a_row(io.BytesIO(beginning), len(beginning), 0) == 0


def _opening(mpeg: Mpeg, checksum: int) -> bytes:
    """Return the frame that says how long it all is. Gapless figures stay, and none come where none were."""
    run, ends, xing = mpeg.run, mpeg.ends, mpeg.xing
    delay = trailing = 0
    extension = NOT_GAPLESS
    if xing is not None and xing.gapless:
        extension, delay = xing.extension, xing.delay
        if ends.dropped:
            trailing = ends.dropped + DECODER_DELAY
        elif xing.frames == run.packets:
            trailing = min(xing.padding, DECODER_DELAY)

    def frame(toc: bytes) -> bytes:
        return info_frame(
            run.first,
            frames=run.count,
            size=run.length,
            variable=run.variable,
            delay=delay,
            padding=trailing,
            toc=toc,
            extension=extension,
            music_crc=checksum,
        )

    return frame(_toc(run, len(frame(b""))))


def _toc(run: Run, lead: int) -> bytes:
    """Return at which 256th of the file each hundredth of the time begins, behind ``lead`` bytes."""
    offsets = (run.marks[percent * run.count // 100 // run.mark_every] for percent in range(100))
    return bytes(min(255, (lead + offset) * 256 // (lead + run.length)) for offset in offsets)
