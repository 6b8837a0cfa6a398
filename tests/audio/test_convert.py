from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mediapipe.audio.convert import Resampler, mixed_down, to_float, to_int16

INT16 = arrays.arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(1, 50)))


@given(INT16)
def test_sixteen_bits_survive_any_wider_form(block: np.ndarray) -> None:
    assert to_int16(block, 2.0**15) is block
    assert (to_int16(block.astype(np.float32) / 2**15, 1.0) == block).all()
    assert (to_int16(block.astype(np.int32) << 16, 2.0**31) == block).all()
    assert (to_int16(to_float(block, 2.0**15), 1.0) == block).all()


def test_what_is_over_full_scale_is_held_there() -> None:
    loud = np.array([[-9.0, -1.0, 1.0, 9.0]])
    assert to_int16(loud, 1.0).tolist() == [[-32_768, -32_768, 32_767, 32_767]]


def test_values_between_are_rounded() -> None:
    assert to_int16(np.array([[0.6, -0.6, 1.4]]) / 2**15, 1.0).tolist() == [[1, -1, 1]]


@given(INT16)
def test_a_mix_is_the_mean_and_never_clips(block: np.ndarray) -> None:
    mixed = mixed_down(block)
    assert mixed.dtype == block.dtype
    assert mixed.shape == (1, block.shape[1])
    assert (np.abs(mixed - block.mean(axis=0)) <= 0.5).all()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(48_000, 8000), (44_100, 8000), (6000, 8000), (8000, 16_000)])
def test_a_resampled_tone_keeps_its_length_and_its_level(channels: int, before: int, after: int) -> None:
    seconds = 2
    t = np.arange(before * seconds) / before
    tone = (10_000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    block = np.stack([tone, -tone])[:channels]
    resampler = Resampler(channels, before, after)
    pieces = [
        piece for at in range(0, block.shape[1], 5000) for piece in resampler.feed(block[:, at : at + 5000])
    ]
    out = np.concatenate([*pieces, *resampler.rest()], axis=1)
    assert out.shape[0] == channels
    assert out.shape[1] == pytest.approx(after * seconds, abs=2)
    middle = out[:, after // 2 : -after // 2].astype(float)
    assert np.sqrt((middle**2).mean()) == pytest.approx(10_000 / np.sqrt(2), rel=0.01)
    again = 10_000 * np.sin(2 * np.pi * 440 * np.arange(out.shape[1]) / after)
    assert np.abs(out[0] - again)[after // 2 : -after // 2].max() < 150  # in step: nothing was shifted
