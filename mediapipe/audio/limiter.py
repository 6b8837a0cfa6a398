"""A true-peak limiter: no peak over the ceiling, between samples either; what stays below is not touched.

Peaks are looked for on a grid eight times as fine: four times, which is usual, reads a sound near half the
rate up to 0.6 dB too low. Where one is over, the gain goes down before it and comes back after it along a
smooth curve, the same way in both directions. All channels share one gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.facts import decibels

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

REACH_S = 0.01
"""The gain is held this long around a peak, and takes as long to get there: longer than a voice's period."""

_FINE = 8
_SIDE = 32
"""Samples on either side that an interpolated one is made of."""
_BLOCK = 65_536
_ROUNDS = 6
_BELOW = 10 ** (-0.01 / 20)
"""Aimed at so far below the ceiling that rounding does not lead over it."""


def true_peak_db(signal: Floats) -> float:
    """Return the highest peak of a signal of shape (channels, n) in dB, between samples too."""
    largest = max((float(one.max()) for _, one in _envelope(signal)), default=0.0)
    return decibels(largest)


def limit(signal: Floats, ceiling_db: float, rate: int) -> tuple[Floats, float]:
    """Return a signal of shape (channels, n) without peaks over the ceiling, and the most dB taken away.

    A signal that has none comes back as it is. No sample ever becomes larger.
    """
    ceiling = 10 ** (ceiling_db / 20)
    reach = max(1, round(REACH_S * rate))
    out, taken_db = signal, 0.0
    # A gain that moves shifts the peaks between samples a little: what is over by a hair takes another round.
    for _ in range(_ROUNDS):
        places, needed = _over(out, ceiling)
        if not places.size:
            break
        if out is signal:
            out = signal.copy()
        lowest = 1.0
        for at, gain in _curves(places, needed, reach, out.shape[1]):
            out[:, at : at + len(gain)] *= gain.astype(np.float32)
            lowest = min(lowest, float(gain.min()))
        taken_db -= decibels(lowest)
    return out, taken_db


def _over(signal: Floats, ceiling: float) -> tuple[NDArray[np.int64], Doubles]:
    """Return where the peaks are over the ceiling, and the gain that each needs."""
    places, needed = [np.empty(0, np.int64)], [np.empty(0)]
    for at, envelope in _envelope(signal):
        found = np.flatnonzero(envelope > ceiling)
        places.append(found + at)
        needed.append(ceiling * _BELOW / envelope[found])
    return np.concatenate(places), np.concatenate(needed)


def _curves(
    places: NDArray[np.int64], needed: Doubles, reach: int, samples: int
) -> Iterator[tuple[int, Doubles]]:
    """Yield blocks of gain with their first sample; in those left out it is 1.

    A mean of minima: each is at most what is needed within reach, so their weighted mean is too.
    """
    weights = np.hanning(2 * reach + 3)[1:-1]
    weights /= weights.sum()
    for at in range(0, samples, _BLOCK):
        count, start = min(_BLOCK, samples - at), at - 2 * reach
        first, last = np.searchsorted(places, (start, at + count + 2 * reach))
        if first == last:
            continue
        wanted = np.ones(count + 4 * reach)
        wanted[places[first:last] - start] = needed[first:last]
        held = _minimum(wanted, 2 * reach + 1)
        yield at, np.minimum(np.convolve(held, weights, "valid"), 1.0)


def _minimum(values: Doubles, width: int) -> Doubles:
    """Return the least of each ``width`` values that follow on each other, by doubling."""
    done, out = 1, values
    while done < width:
        step = min(done, width - done)
        out = np.minimum(out[step:], out[:-step])
        done += step
    return out


def _envelope(signal: Floats) -> Iterator[tuple[int, Doubles]]:
    """Yield, block by block with its first sample, the largest value around each sample, over all channels.

    "Around" is up to the neighbours on the finer grid; the last block goes on into the silence behind it.
    """
    filters, side = _filters(), _SIDE
    samples = signal.shape[1]
    for at in range(0, samples, _BLOCK):
        count = min(_BLOCK, samples - at)
        found = np.zeros(count)
        piece = signal[:, max(0, at - side) : at + count + side].astype(np.float64)
        around = max(0, side - at), max(0, at + count + side - samples)
        for channel in np.pad(piece, ((0, 0), around)):
            np.maximum(found, np.abs(channel[side : side + count]), out=found)
            for taps in filters:
                # Each between two samples, the first of them before the block's own first.
                between = np.abs(np.convolve(channel, taps, "valid"))
                np.maximum(found, between[1 : count + 1], out=found)
                np.maximum(found, between[:count], out=found)
        yield at, found


@lru_cache(maxsize=1)
def _filters() -> tuple[Doubles, ...]:
    """Return what makes each of the samples in between: a sinc under a Kaiser window."""
    at = np.arange(-_SIDE + 1, _SIDE + 1)
    made = []
    for step in range(1, _FINE):
        away = at - step / _FINE
        taps = np.sinc(away) * np.i0(6.0 * np.sqrt(np.maximum(0.0, 1 - (away / _SIDE) ** 2))) / np.i0(6.0)
        made.append(np.ascontiguousarray(taps[::-1] / taps.sum()))
    return tuple(made)
