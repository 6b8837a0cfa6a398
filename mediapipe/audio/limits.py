"""How many bytes audio takes, and what still fits under a limit. Pure arithmetic.

Sizes are bytes and never too low; bitrates are kbit/s of all channels together. Compressing keeps a
margin of 3 % and 64 KiB, since what an encoder writes is known only afterwards.
"""

from __future__ import annotations

import math

TAG_BYTES = 8_192
"""What a rendered file may carry beside its audio: header, tags, seek table. Tags take up to 6.2 kB."""
WAV_MOST = 2**32 - 1
"""RIFF counts its bytes in 32 bits: no WAV is larger, whatever the limit."""
MOST_PARTS = 1_000
"""More parts than this are no split that anybody wants."""

_KEPT_SHARE = 0.97
_KEPT_BYTES = 65_536
# LAME writes up to three frames more than the sound fills, libavformat one with the Xing header on top.
_EXTRA_FRAMES = 5

MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Hz that MPEG audio has, all versions."""
_MPEG_25 = (8, 16, 24, 32, 40, 48, 56, 64)  # the standard goes on; LAME lowers more than 64 silently
_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def mp3_rate(sample_rate: int) -> int:
    """Return the Hz to encode at: the same where mp3 has it, else the nearest above, 48000 at most."""
    return next((rate for rate in MP3_RATES if rate >= sample_rate), MP3_RATES[-1])


def mp3_bitrates(sample_rate: int) -> tuple[int, ...]:
    """Return the bitrates that mp3 has at a rate of ``MP3_RATES``, lowest first."""
    if sample_rate < 16_000:
        return _MPEG_25
    return _MPEG_2 if sample_rate < 32_000 else _MPEG_1


def highest_bitrate(sample_rate: int, seconds: float, limit: int) -> int | None:
    """Return the highest mp3 bitrate with which the audio surely fits, or None when none does."""
    fitting = (k for k in mp3_bitrates(sample_rate) if limit_for_mp3(seconds, k) <= limit)
    return max(fitting, default=None)


def limit_for_mp3(seconds: float, bitrate: int) -> int:
    """Return the lowest limit under which mp3 of this bitrate surely fits, its margin included."""
    return math.ceil((seconds * bitrate * 125 + TAG_BYTES + _KEPT_BYTES) / _KEPT_SHARE)


def seconds_of_mp3(bitrate: int, limit: int) -> float:
    """Return how long mp3 of this bitrate may be to surely fit; 0 when the limit is too low for any."""
    return max(0.0, (limit * _KEPT_SHARE - _KEPT_BYTES - TAG_BYTES) / (bitrate * 125))


def mp3_bytes(seconds: float, sample_rate: int, bitrate: int) -> int:
    """Return what mp3 will take at the most, encoded with a constant bitrate."""
    samples = 1_152 if sample_rate >= 32_000 else 576
    frames = math.ceil(seconds * sample_rate / samples) + _EXTRA_FRAMES
    return math.ceil(frames * samples * bitrate * 125 / sample_rate) + TAG_BYTES


def wav_bytes(samples: int, channels: int, width: int) -> int:
    """Return what PCM takes as WAV at the most; ``samples`` per channel, ``width`` in bytes."""
    return samples * channels * width + TAG_BYTES


def samples_of_wav(channels: int, width: int, limit: int) -> int:
    """Return how many samples per channel fit into a WAV under the limit and under RIFF's own."""
    return max(0, (min(limit, WAV_MOST) - TAG_BYTES) // (channels * width))


def parts_of(samples: int, most: int) -> tuple[int, int] | None:
    """Cut ``samples`` into as few parts of at most ``most`` as there can be, all about equally long.

    Returns the number of parts and the samples of each but the last, which is no longer than those;
    None when that would be more than ``MOST_PARTS``.
    """
    if samples <= 0 or most <= 0 or samples > most * MOST_PARTS:
        return None
    parts = -(-samples // most)
    return parts, -(-samples // parts)
