"""The outline of a waveform, to be drawn: lowest and highest sample of at most a thousand buckets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.facts import Envelope

BUCKETS = 1000


class Outline:
    """Takes samples in buckets of one length; when they grow too many, neighbours are merged.

    ``full_scale`` is the sample value that is drawn as 127.
    """

    def __init__(self, channels: int, rate: int, *, bucket: int, full_scale: float) -> None:
        self._rate, self._bucket, self._merged = rate, bucket, 1
        self._scale = 127 / full_scale
        self._low = np.empty((channels, 0), dtype=np.float32)
        self._high = np.empty((channels, 0), dtype=np.float32)
        self._odd: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def feed(self, signal: NDArray[np.float32]) -> None:
        """Take samples of shape (channels, n); all but the last call bring whole buckets."""
        whole = signal.shape[1] - signal.shape[1] % self._bucket
        pieces = []
        if whole:
            pieces.append(signal[:, :whole].reshape(len(signal), -1, self._bucket))
        if whole < signal.shape[1]:
            pieces.append(signal[:, None, whole:])
        for piece in pieces:
            self._append(piece.min(axis=2), piece.max(axis=2))

    def _append(self, low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
        if self._odd is not None:
            low = np.concatenate((self._odd[0], low), axis=1)
            high = np.concatenate((self._odd[1], high), axis=1)
            self._odd = None
        rest = low.shape[1] % self._merged
        if rest:
            self._odd = low[:, -rest:], high[:, -rest:]
            low, high = low[:, :-rest], high[:, :-rest]
        self._low = np.concatenate((self._low, _pooled(low, self._merged, np.minimum)), axis=1)
        self._high = np.concatenate((self._high, _pooled(high, self._merged, np.maximum)), axis=1)
        while self._low.shape[1] > BUCKETS:
            self._halve()

    def _halve(self) -> None:
        kept = self._low.shape[1] // 2 * 2
        odd = self._low[:, kept:], self._high[:, kept:]
        self._low = _pooled(self._low[:, :kept], 2, np.minimum)
        self._high = _pooled(self._high[:, :kept], 2, np.maximum)
        if odd[0].size:  # one bucket of the old width: it waits for its neighbour, spelled out again
            low, high = (np.repeat(side, self._merged, axis=1) for side in odd)
            before = self._odd or (low[:, :0], high[:, :0])
            self._odd = np.concatenate((low, before[0]), axis=1), np.concatenate((high, before[1]), axis=1)
        self._merged *= 2

    def envelope(self) -> Envelope:
        """Return the outline."""
        low, high = self._low, self._high
        if self._odd is not None:
            low = np.concatenate((low, self._odd[0].min(axis=1, keepdims=True)), axis=1)
            high = np.concatenate((high, self._odd[1].max(axis=1, keepdims=True)), axis=1)
        return Envelope(
            bucket_s=self._bucket * self._merged / self._rate,
            low=self._whole(low),
            high=self._whole(high),
        )

    def _whole(self, values: NDArray[np.float32]) -> tuple[tuple[int, ...], ...]:
        scaled = np.clip(np.rint(values * self._scale), -127, 127).astype(int)
        return tuple(tuple(row) for row in scaled.tolist())


def _pooled(values: NDArray[np.float32], size: int, how: np.ufunc) -> NDArray[np.float32]:
    if size == 1:
        return values
    pooled: NDArray[np.float32] = how.reduce(values.reshape(len(values), -1, size), axis=2)
    return pooled
