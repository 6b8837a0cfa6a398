"""Gated loudness of ITU-R BS.1770-4, from power spectra instead of a filter.

The K-weighting only scales each frequency, so by Parseval the weighted power of a segment is its power
spectrum times the squared response of the filter. That needs one FFT a segment, which also serves the other
spectral figures. Segments are 100 ms long, gating blocks four of them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_OFFSET = -0.691
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_STEP = 0.1
_LOWEST = -80.0
_BINS = 1000
"""Block loudnesses are kept as a histogram from -80 to +20 LUFS, so memory does not grow with the length."""

SEGMENTS = 4
"""Segments of a gating block."""

Floats = NDArray[np.float64]


@lru_cache(maxsize=16)
def k_weights(rate: int, size: int) -> Floats:
    """Return the K-weighting's power response at the bins of a real FFT of ``size`` samples at ``rate`` Hz.

    The two filters are the analogue prototypes behind the standard's 48 kHz coefficients, transformed to the
    rate at hand, as is usual for other rates. Kept: copy it before changing it.
    """
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = _shelf(rate, z) * _high_pass(rate, z)
    weights: Floats = response.real**2 + response.imag**2
    return weights


def _shelf(rate: int, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    frequency, gain, quality = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = np.tan(np.pi * min(frequency, 0.49 * rate) / rate)
    high = 10 ** (gain / 20)
    band = high**0.4996667741545416
    numerator = (high + band * k / quality + k * k) + 2 * (k * k - high) * z
    numerator = numerator + (high - band * k / quality + k * k) * z * z
    return numerator / _denominator(k, quality, z)  # type: ignore[no-any-return]


def _high_pass(rate: int, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    frequency, quality = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * frequency / rate)
    # The standard's numerator is 1, -2, 1 over the denominator as it is normalised there.
    return (1 - 2 * z + z * z) * (1 + k / quality + k * k) / _denominator(k, quality, z)  # type: ignore[no-any-return]


def _denominator(k: float, quality: float, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return (1 + k / quality + k * k) + 2 * (k * k - 1) * z + (1 - k / quality + k * k) * z * z


class Gate:
    """Takes the weighted power of segments, in order, and tells the gated loudness at the end."""

    def __init__(self) -> None:
        self._powers = np.zeros(_BINS)
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._last = np.empty(0)

    def feed(self, powers: Floats) -> None:
        """Take the mean weighted power (full scale is 1) of the next segments, summed over channels."""
        joined = np.concatenate((self._last, powers))
        self._last = joined[-(SEGMENTS - 1) :]
        if len(joined) < SEGMENTS:
            return
        sums = np.cumsum(np.concatenate(([0.0], joined)))
        self.feed_apart(np.maximum(sums[SEGMENTS:] - sums[:-SEGMENTS], 0.0) / SEGMENTS)

    def feed_apart(self, blocks: Floats) -> None:
        """Take the mean weighted power of whole gating blocks that do not follow on each other."""
        loudness = _OFFSET + 10 * np.log10(np.maximum(blocks, 1e-12))
        heard = loudness >= _ABSOLUTE_GATE
        bins = np.minimum(((loudness[heard] - _LOWEST) / _STEP).astype(np.int64), _BINS - 1)
        self._powers += np.bincount(bins, blocks[heard], _BINS)
        self._counts += np.bincount(bins, minlength=_BINS)

    def loudness(self) -> float | None:
        """Return the integrated loudness in LUFS, None when no block was loud enough to count."""
        count = int(self._counts.sum())
        if not count:
            return None
        ungated = float(self._powers.sum()) / count
        threshold = _OFFSET + 10 * np.log10(ungated) + _RELATIVE_GATE
        first = max(0, int((threshold - _LOWEST) / _STEP))
        count = int(self._counts[first:].sum())
        return float(_OFFSET + 10 * np.log10(self._powers[first:].sum() / count))
