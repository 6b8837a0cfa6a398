"""What uploaded bytes are: WAV or MP3 by their first bytes, how long they play and on how many channels."""

from __future__ import annotations

import io
import wave
from typing import NamedTuple

_KBITS_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


class Sound(NamedTuple):
    """A file's container (``wav`` or ``mp3``), playing time in seconds and number of channels."""

    container: str
    seconds: float
    channels: int


class Frame(NamedTuple):
    """One MPEG layer III frame's facts."""

    size: int
    seconds: float
    channels: int


def sniff(data: bytes) -> Sound | None:
    """Return what the bytes are, or None when they are neither WAV nor MP3."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _wav(data)
    return _mp3(data)


def _wav(data: bytes) -> Sound:
    try:
        with wave.open(io.BytesIO(data)) as file:
            return Sound("wav", round(file.getnframes() / file.getframerate(), 2), file.getnchannels())
    except (wave.Error, EOFError, ZeroDivisionError):
        return Sound("wav", 0.0, 1)  # a WAV of a codec the standard library does not read


def _mp3(data: bytes) -> Sound | None:
    at = 0
    if data[:3] == b"ID3" and len(data) >= 10:
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    first = frame_at(data, at)
    if first is None:
        return None
    seconds = 0.0
    while (frame := frame_at(data, at)) is not None:
        seconds += frame.seconds
        at += frame.size
    return Sound("mp3", round(seconds, 2), first.channels)


def frame_at(data: bytes, at: int) -> Frame | None:
    """Return the MPEG layer III frame that begins at ``at``, or None when none does."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, data[at + 1] >> 1 & 3
    bitrate, rate = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or layer != 1 or not 0 < bitrate < 15 or rate == 3:
        return None
    hertz = _RATES[version][rate]
    kbits = (_KBITS_V1 if version == 3 else _KBITS_V2)[bitrate]
    samples = 1152 if version == 3 else 576
    size = samples // 8 * kbits * 1000 // hertz + (data[at + 2] >> 1 & 1)
    return Frame(size, samples / hertz, 1 if data[at + 3] >> 6 == 3 else 2)
