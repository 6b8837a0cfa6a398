"""The edges of a prompt, the owner of pydub: silence cut off with pads kept, and short fades.

pydub counts in milliseconds. A rate without whole samples in one is given to it as the next lower that has
them: a millisecond of 44.1 kHz is 44 samples here, which is 0.2 % off and moves no edge by an audible time.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    # It looks for programs that are not needed here, and reads a deprecated module: no news for anybody.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.silence import detect_leading_silence

Whole = NDArray[np.int16]

CHUNK_MS = 10
"""Silence is told from sound by pieces of this length."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Where a prompt begins and ends, in samples."""

    start: int
    stop: int


def find_edges(samples: Whole, rate: int, *, silence_db: float, head_ms: int, tail_ms: int) -> Edges:
    """Return what is to be kept of samples of shape (channels, n): all sound, and the pads around it.

    ``silence_db`` is relative to full scale. Where nothing is sound, everything is kept.
    """
    count, per_ms = samples.shape[1], rate // 1000
    head = detect_leading_silence(_segment(samples, rate), silence_db, CHUNK_MS)
    if head * per_ms >= count:
        return Edges(0, count)
    # Turned round, so that the last piece is whole: what fills one up would count as silence.
    tail = detect_leading_silence(_segment(samples[:, ::-1], rate), silence_db, CHUNK_MS)
    start = max(0, head - head_ms) * per_ms
    stop = count - max(0, tail - tail_ms) * per_ms
    return Edges(start, max(stop, start + 1))


def faded(samples: Whole, rate: int, *, fade_in_ms: int, fade_out_ms: int) -> Whole:
    """Return samples of shape (channels, n) that come from nothing and go to nothing; as long as before.

    Neither fade takes more than a quarter of it, so that of something very short a middle is left.
    """
    most = samples.shape[1] // (rate // 1000) // 4
    begun = _faded_in(samples, rate, min(fade_in_ms, most))
    # Backwards, so that it ends with the last sample and not with what fills up the millisecond behind it.
    return _faded_in(begun[:, ::-1], rate, min(fade_out_ms, most))[:, ::-1]


def _faded_in(samples: Whole, rate: int, length_ms: int) -> Whole:
    if not length_ms:
        return samples
    channels, count = len(samples), length_ms * (rate // 1000)
    # Only what is to be faded: pydub copies what it is given, several times.
    data = _segment(samples[:, :count], rate).fade_in(length_ms).raw_data
    done = samples.copy()
    done[:, :count] = np.frombuffer(data, "<i2").reshape(-1, channels).T
    return done


def _segment(samples: Whole, rate: int) -> AudioSegment:
    """Hand samples to pydub, filled up to a whole millisecond: it would make up or drop what is over."""
    per_ms = rate // 1000
    filled = np.pad(samples, ((0, 0), (0, -samples.shape[1] % per_ms)))
    data = filled.T.astype("<i2", order="C").tobytes()
    return AudioSegment(data, sample_width=2, frame_rate=per_ms * 1000, channels=len(samples))
