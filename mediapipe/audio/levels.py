"""Levels of one channel, measured block by block: peak, power, pauses, clipping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.facts import SILENT_DB, ChannelFigures, Span, decibels

SILENCE_DB = -50.0
"""A 20 ms window under this level counts as silence."""

ACTIVE_MARGIN_DB = 15.9
"""Windows so far under the level of speech are pauses (the margin of ITU-T P.56)."""

CLIP_RUN = 3
CLIPS_KEPT = 8
_STEP_DB = 0.25
_BINS = int((12 - SILENT_DB) / _STEP_DB)
_FLOOR = 10 ** (SILENT_DB / 10)

Floats = NDArray[np.float32]


class Levels:
    """The running figures of one channel; levels of windows are kept as a histogram, not one by one.

    ``full_scale`` is the sample value of 0 dB, ``ceiling`` the one at which the source clips; ``window`` is
    20 ms in samples.
    """

    def __init__(self, rate: int, *, window: int, full_scale: float, ceiling: float) -> None:
        self.power = 0.0
        """Sum of squared samples."""
        self._rate, self._window, self._scale, self._ceiling = rate, window, full_scale, ceiling
        self._samples = 0
        self._sum = 0.0
        self._peak = 0.0
        self._clipped_runs = 0
        self._clipped: list[Span] = []
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._powers = np.zeros(_BINS)
        self._windows = 0
        self._first_sound: int | None = None
        self._last_sound = -1

    def feed(self, signal: Floats) -> None:
        """Take the next samples; all but the last call bring whole windows."""
        self.power += float(signal @ signal)
        self._sum += float(signal.sum())
        peak = max(float(signal.max()), -float(signal.min()))
        self._peak = max(self._peak, peak)
        if peak >= self._ceiling:
            self._count_clipping(signal)
        whole = len(signal) - len(signal) % self._window
        if whole:
            self._take_windows(signal[:whole].reshape(-1, self._window))
        elif not self._windows:  # shorter than one window, and all there is
            self._take_windows(signal[None, :])
        self._samples += len(signal)

    def _take_windows(self, windows: Floats) -> None:
        powers = np.einsum("ij,ij->i", windows, windows).astype(np.float64)
        powers /= windows.shape[1] * self._scale**2
        levels = 10 * np.log10(np.maximum(powers, _FLOOR))
        bins = np.minimum(((levels - SILENT_DB) / _STEP_DB).astype(np.int64), _BINS - 1)
        self._counts += np.bincount(bins, minlength=_BINS)
        self._powers += np.bincount(bins, powers, _BINS)
        sounding = levels >= SILENCE_DB
        if sounding.any():
            if self._first_sound is None:
                self._first_sound = self._windows + int(sounding.argmax())
            self._last_sound = self._windows + len(levels) - 1 - int(sounding[::-1].argmax())
        self._windows += len(levels)

    def _count_clipping(self, signal: Floats) -> None:
        """Count runs at full scale. One that lies across two blocks may be counted as two, or missed."""
        full = np.concatenate(([False], np.abs(signal) >= self._ceiling, [False]))
        edges = np.flatnonzero(full[1:] != full[:-1])
        starts, ends = edges[::2], edges[1::2]
        runs = np.flatnonzero(ends - starts >= CLIP_RUN)
        self._clipped_runs += len(runs)
        for run in runs[: CLIPS_KEPT - len(self._clipped)]:
            at = (self._samples + int(starts[run])) / self._rate
            self._clipped.append(Span(at, (self._samples + int(ends[run])) / self._rate))

    def figures(self) -> ChannelFigures:
        """Return what was measured so far."""
        count = max(1, self._samples)
        seconds = self._samples / self._rate
        window_s = self._window / self._rate
        silent = self._first_sound is None
        silent_windows = int(self._counts[: int((SILENCE_DB - SILENT_DB) / _STEP_DB)].sum())
        return ChannelFigures(
            rms_db=decibels((self.power / count) ** 0.5 / self._scale),
            peak_db=decibels(self._peak / self._scale),
            dc=self._sum / count / self._scale,
            clipped_runs=self._clipped_runs,
            clipped=tuple(self._clipped),
            silence_ratio=silent_windows / max(1, self._windows),
            head_s=seconds if silent else min(seconds, (self._first_sound or 0) * window_s),
            tail_s=seconds if silent else max(0.0, seconds - (self._last_sound + 1) * window_s),
            active_db=self._active_db(),
        )

    def _active_db(self) -> float:
        """Return the level of what is not pause: mean power over a threshold that hangs on that very mean."""
        first, level = 0, SILENT_DB
        for _ in range(20):
            count = int(self._counts[first:].sum())
            if not count:
                return level
            level = max(SILENT_DB, 10 * np.log10(max(self._powers[first:].sum() / count, _FLOOR)))
            following = max(0, int((level - ACTIVE_MARGIN_DB - SILENT_DB) / _STEP_DB))
            if following <= first:
                break
            first = following
        return float(level)
