"""What an audio file's header claims: a witness for sidecars, never a judge.

WAV and MPEG audio, the platform's formats, are read without a library (a WAV header takes some 20 µs);
mutagen reads the rest. Bounds on every figure: an absurd header yields no figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import mutagen
import mutagen.aac

from mediapipe.audio.magic import (
    AAC,
    AMR,
    HEAD_BYTES,
    MP3,
    WAV,
    WEBM,
    Format,
    after_id3,
    mpeg_frame,
    recognise,
)
from mediapipe.audio.riff import LINEAR, walk
from mediapipe.audio.xing import XING_ROOM, read_xing

_CODECS = {
    0x0001: "pcm",
    0x0002: "adpcm_ms",
    0x0003: "float",
    0x0006: "alaw",
    0x0007: "mulaw",
    0x0011: "adpcm_ima",
    0x0031: "gsm",
    0x0045: "g726",
    0x0050: "mp2",
    0x0055: "mp3",
    0x0064: "g726",
    0x028F: "g722",
}
_RATES = range(1_000, 384_001)
_CHANNELS = range(1, 65)
_NO_READER = {WEBM, AMR}
_MOST_TAGS = 8
_ENOUGH = 16_384
"""Bytes of audio behind a tag that are enough to see what it is."""
LONGEST_S = 48 * 3600.0


@dataclass(frozen=True, slots=True)
class Header:
    """What a header claims: rate in Hz, duration in seconds; None where it says nothing usable.

    ``warnings`` are stable codes of what does not fit. ``complete`` is False when the header promises
    more audio bytes than the file has.
    """

    format: Format
    codec: str = ""
    sample_rate: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    complete: bool = True
    readable: bool = True
    warnings: tuple[str, ...] = field(default=())

    def media(self) -> dict[str, object]:
        """Return the figures for a sidecar."""
        return {
            "format": self.format.extension,
            "content_type": self.format.content_type,
            "codec": self.codec or None,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "duration_s": None if self.duration_s is None else round(self.duration_s, 3),
        }


def read_header(file: BinaryIO, size: int) -> Header | None:
    """Return what the header of a seekable file of ``size`` bytes claims; None when it is no audio known."""
    head, base = _read(file, 0, HEAD_BYTES), 0
    for _ in range(_MOST_TAGS):
        at = after_id3(head)
        if not at or at + _ENOUGH <= len(head) or base + at >= size:
            break
        base += at  # cover art that fills the head: look behind it
        head = _read(file, base, HEAD_BYTES)
    found = recognise(head)
    if found is None:
        return None if head or not base else _unreadable(MP3)
    start = base + after_id3(head)
    if found is WAV:
        return _wav(file, start, size)
    if found is MP3:
        return _mp3(file, start, size)
    return _other(file, found)


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _unreadable(found: Format, *warnings: str) -> Header:
    return Header(
        found, "mp3" if found is MP3 else "", readable=False, warnings=(*warnings, "header_unreadable")
    )


def _wav(file: BinaryIO, at: int, size: int) -> Header:
    riff = walk(file, size)
    warnings = ["id3_before_riff"] if at else []
    if riff is None or riff.fmt is None or not riff.data:
        return _unreadable(WAV, *warnings)
    fmt, data = riff.fmt, riff.data[0]
    # Decoders go by the block, and so do we: the byte rate is often left wrong.
    speed = fmt.sample_rate * fmt.block_align if fmt.tag in LINEAR and fmt.block_align else fmt.byte_rate
    usable = fmt.sample_rate in _RATES and fmt.channels in _CHANNELS and speed > 0
    complete = data.promised <= data.there
    if not data.promised:
        warnings.append("size_unknown_in_header")
    if not usable:
        warnings.append("header_absurd")
    if not complete:
        warnings.append("shorter_than_header")
    return Header(
        WAV,
        _CODECS.get(fmt.tag, f"0x{fmt.tag:04x}"),
        fmt.sample_rate if usable else None,
        fmt.channels if usable else None,
        _bounded(data.there / speed) if usable else None,
        complete=complete,
        readable=usable,
        warnings=tuple(warnings),
    )


def _mp3(file: BinaryIO, at: int, size: int) -> Header:
    head = _read(file, at, HEAD_BYTES)
    start = len(head) - len(head.lstrip(b"\0"))
    frame = mpeg_frame(head[start : start + 4])
    if frame is None:
        return _unreadable(MP3)
    audio_bytes = size - at - start
    xing = read_xing(head[start : start + XING_ROOM])
    frames = xing.frames if xing else 0
    seconds = frames * frame.samples / frame.sample_rate if frames else audio_bytes * 8 / frame.bitrate
    complete = xing is None or xing.size <= audio_bytes
    return Header(
        MP3,
        "mp3",
        frame.sample_rate,
        frame.channels,
        _bounded(seconds),
        complete=complete,
        warnings=() if complete else ("shorter_than_header",),
    )


def _other(file: BinaryIO, found: Format) -> Header:
    if found in _NO_READER:
        return Header(found, warnings=("header_not_read",))
    file.seek(0)
    try:
        # mutagen knows ADTS by the file's name only, and a spool has none.
        tagged = mutagen.aac.AAC(file) if found is AAC else mutagen.File(file)  # type: ignore[no-untyped-call]
    except Exception:  # what it raises on damage is not documented: a header it cannot read says nothing
        tagged = None
    info = getattr(tagged, "info", None)
    if info is None:
        return _unreadable(found)
    rate, channels = getattr(info, "sample_rate", None), getattr(info, "channels", None)
    return Header(
        found,
        str(getattr(info, "codec", "") or ""),
        rate if rate in _RATES else None,
        channels if channels in _CHANNELS else None,
        _bounded(getattr(info, "length", None)),
    )


def _bounded(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_S else None
