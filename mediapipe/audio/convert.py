"""Samples from one form into another: number format, channels, rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

Samples = NDArray[Any]
_LAYOUTS = {1: "mono", 2: "stereo"}


def to_int16(block: Samples, full_scale: float) -> NDArray[np.int16]:
    """Return samples of any form as 16-bit integers, rounded, and held at full scale where they go over."""
    if block.dtype == np.int16:
        return block
    # Single precision holds 16 bits with room to spare, and is twice as fast.
    form = np.float32 if block.dtype == np.float32 else np.float64
    scaled = block * form(32_768.0 / full_scale)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32_768, 32_767, out=scaled)
    return scaled.astype(np.int16)


def to_float(block: Samples, full_scale: float) -> NDArray[np.float32]:
    """Return samples of any form as floats of which full scale is 1."""
    return block.astype(np.float32) / np.float32(full_scale)


def mixed_down(block: Samples) -> Samples:
    """Return one channel: the mean of all, which cannot clip."""
    mean = block.mean(axis=0, keepdims=True)
    mixed: Samples = (np.rint(mean) if block.dtype.kind == "i" else mean).astype(block.dtype)
    return mixed


class Resampler:
    """Changes the rate of 16-bit samples of one or two channels; FFmpeg's resampler, used once."""

    def __init__(self, channels: int, before: int, after: int) -> None:
        self._channels, self._before = channels, before
        self._layout = _LAYOUTS[channels]
        self._resampler = av.AudioResampler(format="s16", layout=self._layout, rate=after)

    def feed(self, block: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
        """Take samples of shape (channels, n); yield what is ready."""
        packed = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="s16", layout=self._layout)
        frame.sample_rate = self._before
        yield from self._out(frame)

    def rest(self) -> Iterator[NDArray[np.int16]]:
        """Yield what the filter still holds."""
        yield from self._out(None)

    def _out(self, frame: AudioFrame | None) -> Iterator[NDArray[np.int16]]:
        for ready in self._resampler.resample(frame):
            yield ready.to_ndarray().astype(np.int16, copy=False).reshape(-1, self._channels).T
