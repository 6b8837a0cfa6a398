"""How fast somebody speaks: peaks of the speech's envelope a second, about the syllables.

It is no count of syllables and is not to be read as one: it tells the prompts of a set from each other, where
one voice speaks in one language.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.levels import ACTIVE_MARGIN_DB, SILENCE_DB

Floats = NDArray[np.float32]

HOPS_PER_S = 100
LEAST_S = 0.5
"""Less speech than this has no pace."""
DIP_DB = 2.0
"""Two peaks with a shallower valley between them are one."""
_SMOOTH_HOPS = 11
"""What the envelope is smoothed over: 110 ms keep syllables apart and the pitch out."""


def pace(signal: Floats, rate: int, active_db: float) -> float | None:
    """Return the peaks a second of active speech, None where there is too little of it.

    ``signal`` has shape (channels, n), full scale 1; ``active_db`` is its level of speech.
    """
    hop = max(1, rate // HOPS_PER_S)
    hops = signal.shape[1] // hop
    if hops < LEAST_S * HOPS_PER_S or active_db < SILENCE_DB:
        return None
    windows = signal[:, : hops * hop].mean(axis=0).reshape(hops, hop)
    power = np.einsum("ij,ij->i", windows, windows).astype(np.float64) / hop
    weights = np.hanning(_SMOOTH_HOPS + 2)[1:-1]
    smooth = np.convolve(power, weights / weights.sum(), "same")
    levels = 10 * np.log10(np.maximum(smooth, 1e-12))
    threshold = active_db - ACTIVE_MARGIN_DB
    active_s = float((levels > threshold).sum()) / HOPS_PER_S
    return _peaks(levels.tolist(), threshold) / active_s if active_s >= LEAST_S else None


def _peaks(levels: list[float], threshold: float) -> int:
    """Count the peaks over the threshold that stand out on both sides."""
    count = 0
    top, valley, rising = -np.inf, np.inf, True
    for level in levels:
        if rising:
            top = max(top, level)
            if level < top - DIP_DB:
                count += top > threshold
                valley, rising = level, False
        else:
            valley = min(valley, level)
            if level > valley + DIP_DB:
                top, rising = level, True
    return count + bool(rising and top > threshold)
