"""Judges of rendered prompts that share nothing with the engine: a true peak, a speech level by the book."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mono = npt.NDArray[np.float64]


def true_peak(signal: npt.NDArray[np.generic], times: int = 8) -> float:
    """Return the highest peak in dB, interpolated by a Fourier transform of the whole in silence."""
    signal = np.atleast_2d(signal).astype(np.float64)
    count = 2 ** int(signal.shape[1] + 512).bit_length()  # an odd length would take many times as long
    spectrum = np.fft.rfft(np.pad(signal, ((0, 0), (0, count - signal.shape[1]))), axis=1)
    spectrum[:, -1] *= 0.5
    fine = np.fft.irfft(spectrum, count * times, axis=1) * times
    return float(20 * np.log10(max(np.abs(fine).max(), 1e-9)))


def p56(signal: Mono, rate: int) -> float:
    """Return the active speech level of ITU-T P.56, method B, in dB relative to full scale."""
    decay = np.exp(-1 / (0.03 * rate))
    hold = round(0.2 * rate)
    once = twice = 0.0
    envelope = np.empty(len(signal))
    for at, value in enumerate(np.abs(signal).tolist()):
        once = decay * once + (1 - decay) * value
        twice = decay * twice + (1 - decay) * once
        envelope[at] = twice
    energy = float(np.sum(signal**2))
    before = None
    for power in range(-15, 0):
        threshold = 2.0**power
        over = np.flatnonzero(envelope >= threshold)
        if not over.size:
            break
        # Active is what lies over the threshold, and a fifth of a second after it.
        gaps = np.diff(np.append(over, len(signal)))
        active = int(np.minimum(gaps, hold).sum())
        level, floor = 10 * np.log10(energy / active), 20 * np.log10(threshold)
        if level - floor <= 15.9:
            if before is None:
                return float(level)
            share = (before[0] - before[1] - 15.9) / ((before[0] - before[1]) - (level - floor))
            return float(before[0] + share * (level - before[0]))
        before = (level, floor)
    return float(before[0]) if before else -120.0
