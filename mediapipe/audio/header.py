"""What an audio file's header claims: a witness for sidecars, never a judge.

WAV and MPEG audio, the platform's formats, are read here without a library (a WAV header takes
some 10 µs); mutagen reads the rest. Bounds on every figure: an absurd header yields no figure.
"""

from __future__ import annotations

import struct
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
_LINEAR = {0x0001, 0x0003, 0x0006, 0x0007}
"""Codecs of which every sample has the same bytes."""
_UNKNOWN_FROM = 0x7FFF0000
"""Programs that do not know the length (a pipe, a crash) write 0 or something near 2 or 4 GiB."""
_NO_READER = {WEBM, AMR}
_MOST_CHUNKS = 1_000
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


@dataclass(slots=True)
class _Chunks:
    """What the chunks of a WAV say: its format, and where its audio begins and how long it is said to be."""

    fmt: bytes = b""
    data_at: int = -1
    data: int = 0
    ds64: int = 0

    @property
    def found(self) -> bool:
        return len(self.fmt) >= 16 and self.data_at >= 0


def _chunks(file: BinaryIO, at: int, order: str, size: int) -> _Chunks:
    chunks, cursor = _Chunks(), at + 12
    for _ in range(_MOST_CHUNKS):
        header = _read(file, cursor, 8)
        if len(header) < 8:
            break
        name, length = header[:4], struct.unpack(order + "I", header[4:])[0]
        cursor += 8
        if name == b"fmt ":
            chunks.fmt = _read(file, cursor, min(length, 64))
        elif name == b"ds64" and len(sizes := _read(file, cursor, min(length, 16))) == 16:
            chunks.ds64 = struct.unpack(order + "8xQ", sizes)[0]
        elif name == b"data" and chunks.data_at < 0:
            chunks.data_at, chunks.data = cursor, length
        if chunks.found or cursor + length > size:
            break
        cursor += length + length % 2
    return chunks


def _wav(file: BinaryIO, at: int, size: int) -> Header:
    magic = _read(file, at, 4)
    order = ">" if magic == b"RIFX" else "<"
    chunks = _chunks(file, at, order, size)
    warnings = ["id3_before_riff"] if at else []
    if not chunks.found:
        return _unreadable(WAV, *warnings)
    fmt = chunks.fmt
    tag, channels, rate, byte_rate, block = struct.unpack(order + "HHIIH", fmt[:14])
    if tag == 0xFFFE and len(fmt) >= 28:  # WAVE_FORMAT_EXTENSIBLE keeps the codec in its sub-format
        tag = struct.unpack(order + "I", fmt[24:28])[0] & 0xFFFF
    if tag in _LINEAR and block:  # decoders go by the block, and so do we: the byte rate is often left wrong
        byte_rate = rate * block
    there, promised = max(0, size - chunks.data_at), chunks.data
    wide = magic in {b"RF64", b"BW64"} and promised == 0xFFFFFFFF and 0 < chunks.ds64 < 1 << 63
    if wide:
        promised = chunks.ds64
    streamed = promised == 0 or (promised >= _UNKNOWN_FROM and promised > there and not wide)
    if streamed:
        warnings.append("size_unknown_in_header")
    usable = rate in _RATES and channels in _CHANNELS and byte_rate > 0
    if not usable:
        warnings.append("header_absurd")
    complete = streamed or promised <= there
    if not complete:
        warnings.append("shorter_than_header")
    audio = there if streamed else min(promised, there)
    return Header(
        WAV,
        _CODECS.get(tag, f"0x{tag:04x}"),
        rate if usable else None,
        channels if usable else None,
        _bounded(audio / byte_rate) if usable else None,
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
