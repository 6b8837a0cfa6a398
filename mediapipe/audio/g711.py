"""Mu-law of ITU-T G.711: what telephone lines make of 16-bit samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio import riff

MULAW_TAG = 7
RATE = 8_000

_BIAS = 132
_MOST = 32_635


def to_mulaw(samples: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return the mu-law code of each 16-bit sample."""
    wide = samples.astype(np.int32)
    size = np.minimum(np.abs(wide), _MOST) + _BIAS
    # The segment is where the highest bit stands: exact, as floats hold whole numbers of this size.
    segment = np.frexp(size.astype(np.float64))[1] - 8
    step = (size >> (segment + 3)) & 0x0F
    code = (segment << 4) | step | np.where(wide < 0, 0x80, 0)
    coded: NDArray[np.uint8] = (~code & 0xFF).astype(np.uint8)
    return coded


def mulaw_wav(samples: NDArray[np.int16]) -> bytes:
    """Return mono samples at 8 kHz as a mu-law WAV file."""
    data = to_mulaw(samples).tobytes()
    form = riff.Fmt(MULAW_TAG, 1, RATE, RATE, 1, 8, 8, 0, b"")
    return riff.header_of(form, len(data), len(data)) + data + riff.padding(len(data))
