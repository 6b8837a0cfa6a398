"""What the spectrum of a recording says: loudness, bandwidth, and whether it is a tone instead of speech.

Of a long recording the spectrum is taken for a part of the time, evenly spread. The figures are averages,
an eighth of a call gives the same ones, and the transform is the dearest thing in the whole pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.loudness import SEGMENTS, Gate, k_weights

FULL_SEGMENTS = 600
"""The first minute has the spectrum of every segment; after it, one gating block of SPARSE has."""
SPARSE = 8
_CYCLE = SEGMENTS * SPARSE
_BANDWIDTH_SHARE = 1e-6
_LINES = 3
_LINE_WIDTH = 1


class Spectrum:
    """Takes segments of 100 ms of all channels. ``full_scale`` is the sample value of 0 dB."""

    def __init__(self, rate: int, segment: int, *, full_scale: float) -> None:
        self._rate, self._segment = rate, segment
        self._weights = k_weights(rate, segment) * 2.0 / (segment * full_scale) ** 2
        self._weights[0] *= 0.5  # the zero line has no mirror image, nor has the last of an even number
        if not segment % 2:
            self._weights[-1] *= 0.5
        self._total = np.zeros(max(1, segment // 2 - 1))
        """Power of the lines from the second on, to the last but one."""
        self._seen = 0
        self._gate = Gate()

    def feed(self, segments: NDArray[np.float32]) -> None:
        """Take the next segments, of shape (channels, segments, samples)."""
        count = segments.shape[1]
        full = min(count, max(0, FULL_SEGMENTS - self._seen))
        if full:
            lines = self._lines(segments[:, :full])
            self._gate.feed(self._powers(lines))
            self._add(lines, 1)
        start = full + -(self._seen + full - FULL_SEGMENTS) % _CYCLE
        self._seen += count
        # Blocks whole in what came: the last may lack the pause behind it.
        blocks = max(0, count - start + _CYCLE - SEGMENTS) // _CYCLE
        if blocks:
            at = start + np.arange(blocks)[:, None] * _CYCLE + np.arange(SEGMENTS)
            lines = self._lines(segments[:, at.ravel()])
            self._gate.feed_apart(self._powers(lines).reshape(blocks, SEGMENTS).mean(axis=1))
            self._add(lines, SEGMENTS)

    def _lines(self, segments: NDArray[np.float32]) -> NDArray[np.complex128]:
        return np.fft.rfft(segments.astype(np.float64), axis=-1)

    def _powers(self, lines: NDArray[np.complex128]) -> NDArray[np.float64]:
        powers: NDArray[np.float64] = (lines.real**2 + lines.imag**2).sum(axis=0) @ self._weights
        return powers

    def _add(self, lines: NDArray[np.complex128], step: int) -> None:
        """Add to the long-term spectrum; for an average, one segment in ``step`` is enough.

        A segment is cut out hard, which smears a strong line over the whole spectrum. A Hann window keeps it
        in its place, and applied to the lines that is a difference.
        """
        some = lines[:, ::step]
        smooth = 2 * some[..., 1:-1] - some[..., :-2] - some[..., 2:]
        self._total += (smooth.real**2 + smooth.imag**2).sum(axis=(0, 1)) * step

    def loudness(self) -> float | None:
        """Return the gated loudness in LUFS, None under 0.4 s and for silence."""
        return self._gate.loudness()

    def bandwidth(self) -> float:
        """Return the frequency in Hz above which hardly anything is left (60 dB under the whole)."""
        above = np.cumsum(self._total[::-1])[::-1]
        if not above[0]:
            return 0.0
        last = int(np.flatnonzero(above > _BANDWIDTH_SHARE * above[0])[-1]) + 1
        # The window leaves out the very last line.
        return self._rate / 2 if last == len(self._total) else last * self._rate / self._segment

    def tone_ratio(self) -> float:
        """Return the share of the power in the few strongest lines, an offset left out."""
        lines = self._total.copy()
        lines[0] = 0.0  # the window lets some of the offset in
        whole = float(lines.sum())
        if not whole:
            return 0.0
        found = 0.0
        for _ in range(_LINES):
            at = int(lines.argmax())
            near = slice(max(0, at - _LINE_WIDTH), at + _LINE_WIDTH + 1)
            found += float(lines[near].sum())
            lines[near] = 0.0
        return found / whole
