"""A heard file as one array of floats: its zero line put right, mixed, and resampled once.

A zero line that is off is often not off by the same everywhere: of 545 Italian stock prompts with up to 11 %
of it, half keep a twentieth of their power below 80 Hz when only their mean is taken away, the worst a third.
No telephone carries that, but it moves the level by up to 2 dB and hides the pauses, so it is taken away too.

Everything is reckoned in double precision, so that what rounds differently from one processor to another lies
far below the 16 bits that come out in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from mediapipe.audio.convert import mixed_down
from mediapipe.audio.probe import Heard

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

RUMBLE_S = 0.025
"""What a smooth mean over this long shows is rumble: 16 dB less of 20 Hz, 6 of 40, nothing from 80 on."""
_BLOCK = 65_536
_LAYOUTS = {1: "mono", 2: "stereo"}


def waveform(heard: Heard, sample_rate: int, channels: int, *, centred: bool = True) -> Floats:
    """Return the samples of shape (channels, n), full scale 1, at another rate.

    ``centred`` takes away where the zero line is off.
    Where the channels are not as many as asked for they are mixed into one, and that is repeated. The
    length is never longer than the source's; there is at least one sample.
    """
    before = heard.coding.sample_rate
    blocks = _blocks(heard, channels, centred)
    if before != sample_rate:
        blocks = _resampled(blocks, before, sample_rate)
    same = heard.coding.channels == channels
    out = np.zeros((channels if same else 1, max(1, heard.facts.samples * sample_rate // before)), np.float32)
    at = 0
    for block in blocks:
        ready = block[:, : out.shape[1] - at]
        out[:, at : at + ready.shape[1]] = ready
        at += ready.shape[1]
    if centred:
        out = _without_rumble(out, sample_rate)
    return np.repeat(out, channels, axis=0) if len(out) < channels else out


def _blocks(heard: Heard, channels: int, centred: bool) -> Iterator[Doubles]:
    """Yield blocks of floats, the mean of the whole recording taken away from each channel where asked."""
    quality = heard.facts.quality
    offsets = np.array([one.dc for one in quality.channels] if centred and quality else 0.0)
    for block in heard.blocks():
        floats = block / heard.coding.full_scale - offsets.reshape(-1, 1)
        same = len(floats) == channels
        yield np.asarray(floats if same else mixed_down(floats), np.float64)


def _without_rumble(signal: Floats, rate: int) -> Floats:
    """Return a signal without what a smooth running mean shows of it; nothing is shifted in time."""
    side = max(1, round(RUMBLE_S * rate / 2))
    weights = np.hanning(2 * side + 3)[1:-1]
    weights /= weights.sum()
    out, samples = np.empty_like(signal), signal.shape[1]
    for at in range(0, samples, _BLOCK):
        piece = signal[:, max(0, at - side) : at + _BLOCK + side].astype(np.float64)
        around = max(0, side - at), max(0, min(at + _BLOCK, samples) + side - samples)
        for channel, row in zip(out, np.pad(piece, ((0, 0), around)), strict=True):
            mean = np.convolve(row, weights, "valid")
            channel[at : at + len(mean)] = row[side : side + len(mean)] - mean
    return out


def _resampled(blocks: Iterator[Doubles], before: int, after: int) -> Iterator[Doubles]:
    """Yield what FFmpeg's resampler makes of the blocks, and of a little silence behind them.

    Without that it gives nothing at all for what is shorter than its filter.
    """
    first = next(blocks)
    channels, layout = len(first), _LAYOUTS[len(first)]
    resampler = av.AudioResampler(format="dbl", layout=layout, rate=after)
    for block in chain([first], blocks, [np.zeros((channels, before // 50))]):
        packed = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format="dbl", layout=layout)
        frame.sample_rate = before
        for ready in resampler.resample(frame):
            yield ready.to_ndarray().astype(np.float64, copy=False).reshape(-1, channels).T
