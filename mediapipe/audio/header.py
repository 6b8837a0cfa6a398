"""What an audio file's header claims: a witness for sidecars, never a judge.

WAV and MPEG audio, the platform's formats, are read here without a library (a WAV header takes
some 10 µs); mutagen reads the rest. Bounds on every figure: an absurd header yields no figure.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import mutagen

from mediapipe.audio.magic import HEAD_BYTES, MP3, WAV, Format, after_id3, mpeg_frame, recognise

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
_STREAMED = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
"""Data sizes written by programs that did not know the length (a pipe, a crash)."""
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
    """Return what the header of a seekable file of ``size`` bytes claims, or None when it is no audio known."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = recognise(head)
    if found is None:
        return None
    if found is WAV:
        return _wav(head, after_id3(head), size)
    if found is MP3:
        return _mp3(file, head, size)
    return _other(file, found)


def _wav(head: bytes, at: int, size: int) -> Header:
    big = head[at : at + 4] == b"RIFX"
    order = ">" if big else "<"
    fmt, data, cursor = b"", -1, at + 12
    warnings = ["id3_before_riff"] if at else []
    while cursor + 8 <= len(head):
        name, length = head[cursor : cursor + 4], struct.unpack(order + "I", head[cursor + 4 : cursor + 8])[0]
        if name == b"fmt ":
            fmt = head[cursor + 8 : cursor + 8 + min(length, 64)]
        elif name == b"data":
            data = length
            break
        cursor += 8 + length + length % 2
    if len(fmt) < 16 or data < 0:
        return Header(WAV, readable=False, warnings=(*warnings, "header_unreadable"))
    tag, channels, rate, byte_rate = struct.unpack(order + "HHII", fmt[:12])
    if tag == 0xFFFE and len(fmt) >= 26:  # WAVE_FORMAT_EXTENSIBLE keeps the codec in its sub-format
        tag = struct.unpack(order + "H", fmt[24:26])[0]
    there = max(0, size - cursor - 8)
    streamed = data in _STREAMED or head[at : at + 4] in {b"RF64", b"BW64"}
    if streamed:
        warnings.append("size_unknown_in_header")
    usable = rate in _RATES and channels in _CHANNELS and byte_rate > 0
    if not usable:
        warnings.append("header_absurd")
    audio = there if streamed else min(data, there)
    return Header(
        WAV,
        _CODECS.get(tag, f"0x{tag:04x}"),
        rate if usable else None,
        channels if usable else None,
        _bounded(audio / byte_rate) if usable else None,
        complete=streamed or data <= there,
        readable=usable,
        warnings=tuple(warnings) + (() if streamed or data <= there else ("shorter_than_header",)),
    )


def _mp3(file: BinaryIO, head: bytes, size: int) -> Header:
    at = after_id3(head)
    if at >= len(head):  # cover art larger than the head: look behind it
        file.seek(at)
        head, base = file.read(HEAD_BYTES), at
    else:
        base = 0
    start = at - base
    while start < len(head) and head[start] == 0:
        start += 1
    frame = mpeg_frame(head[start : start + 4])
    if frame is None:
        return Header(MP3, "mp3", readable=False, warnings=("header_unreadable",))
    audio_bytes = size - base - start
    frames, promised = _xing(head[start : start + frame.size])
    seconds = frames * frame.samples / frame.sample_rate if frames else audio_bytes * 8 / frame.bitrate
    complete = promised is None or promised <= audio_bytes
    return Header(
        MP3,
        "mp3",
        frame.sample_rate,
        frame.channels,
        _bounded(seconds),
        complete=complete,
        warnings=() if complete else ("shorter_than_header",),
    )


def _xing(frame: bytes) -> tuple[int | None, int | None]:
    """Return (frames, bytes) of a Xing/Info header inside the first frame, None where not said."""
    at = max(frame.find(b"Xing", 0, 48), frame.find(b"Info", 0, 48))
    if at < 0 or len(frame) < at + 16:
        return None, None
    flags = struct.unpack(">I", frame[at + 4 : at + 8])[0]
    values = struct.unpack(">2I", frame[at + 8 : at + 16])
    if not flags & 1:
        return None, (values[0] if flags & 2 else None)
    return values[0] or None, (values[1] if flags & 2 else None)


def _other(file: BinaryIO, found: Format) -> Header:
    file.seek(0)
    try:
        tagged = mutagen.File(file)
    except (mutagen.MutagenError, ValueError, OSError, EOFError, struct.error, IndexError, MemoryError):
        tagged = None  # a header mutagen cannot read says nothing; the magic bytes still stand
    info = getattr(tagged, "info", None)
    if info is None:
        return Header(found, readable=False, warnings=("header_unreadable",))
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
