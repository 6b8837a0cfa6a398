"""The figures of quality, measured in the one pass that decodes a recording; memory does not grow with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.facts import SILENT_DB, Quality
from mediapipe.audio.levels import Levels
from mediapipe.audio.outline import Outline
from mediapipe.audio.spectrum import Spectrum

WINDOWS = 5
"""Windows of 20 ms in a segment of 100 ms."""


class Meter:
    """Measures one recording.

    ``full_scale`` is the sample value of 0 dB, ``ceiling`` the one at which the source clips. All blocks but
    the last hold a whole number of segments (``segment`` samples).
    """

    def __init__(
        self, rate: int, channels: int, *, full_scale: float, ceiling: float, envelope: bool = False
    ) -> None:
        window = max(1, rate // (10 * WINDOWS))
        self.segment = WINDOWS * window
        self._levels = [
            Levels(rate, window=window, full_scale=full_scale, ceiling=ceiling) for _ in range(channels)
        ]
        self._cross = self._apart = 0.0
        self._spectrum = Spectrum(rate, self.segment, full_scale=full_scale)
        self._outline = Outline(channels, rate, bucket=window, full_scale=full_scale) if envelope else None

    def feed(self, block: NDArray[np.generic]) -> None:
        """Take the next samples, of shape (channels, n) and any numeric type."""
        if not block.shape[1]:
            return
        floats = np.ascontiguousarray(block, dtype=np.float32)
        for levels, signal in zip(self._levels, floats, strict=True):
            levels.feed(signal)
        if len(floats) == 2:
            self._compare(floats[0], floats[1])
        whole = floats.shape[1] - floats.shape[1] % self.segment
        if whole:
            self._spectrum.feed(floats[:, :whole].reshape(len(floats), -1, self.segment))
        if self._outline is not None:
            self._outline.feed(floats)

    def _compare(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> None:
        cross = float(left @ right)
        self._cross += cross
        powers = float(left @ left) + float(right @ right)
        apart = powers - 2 * cross
        if apart < 1e-3 * powers:  # what nearly cancels must be subtracted first, or only rounding is left
            difference = left - right
            apart = float(difference @ difference)
        self._apart += apart

    def quality(self) -> Quality:
        """Return the figures of all that was fed."""
        side_db, correlation = self._stereo() if len(self._levels) == 2 else (None, None)
        return Quality(
            channels=tuple(levels.figures() for levels in self._levels),
            loudness_lufs=self._spectrum.loudness(),
            bandwidth_hz=self._spectrum.bandwidth(),
            tone_ratio=self._spectrum.tone_ratio(),
            side_db=side_db,
            correlation=correlation,
            envelope=self._outline.envelope() if self._outline is not None else None,
        )

    def _stereo(self) -> tuple[float, float]:
        left, right = (levels.power for levels in self._levels)
        both, product = left + right, (left * right) ** 0.5
        side = max(self._apart / both, 10 ** (SILENT_DB / 10)) if both else 0.0
        side_db = 10 * float(np.log10(side)) if side else SILENT_DB
        return side_db, max(-1.0, min(1.0, self._cross / product)) if product else 0.0
