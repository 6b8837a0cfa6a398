from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.facts import SILENT_DB, Quality
from mediapipe.audio.quality import Meter

RATE = 8000


def measured(signal: np.ndarray, *, rate: int = RATE, segments: int = 80, envelope: bool = False) -> Quality:
    shaped = np.atleast_2d(signal)
    integers = shaped.dtype == np.int16
    meter = Meter(
        rate,
        len(shaped),
        full_scale=32_768.0 if integers else 1.0,
        ceiling=32_767.0 if integers else 1.0,
        envelope=envelope,
    )
    for at in range(0, shaped.shape[1], step := segments * meter.segment):
        meter.feed(shaped[:, at : at + step])
    return meter.quality()


def noise(seconds: float, seed: int = 1, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))


def test_the_same_signal_twice_is_told_from_stereo() -> None:
    one, other = noise(3, 1), noise(3, 2)
    twice = measured(np.stack([one, one]))
    assert (twice.side_db, twice.correlation) == (SILENT_DB, pytest.approx(1))
    apart = measured(np.stack([one, other]))
    assert apart.side_db == pytest.approx(0, abs=0.2)
    assert apart.correlation == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("difference_db", [-20, -40, -60, -80, -100])
def test_a_small_difference_is_measured_though_it_nearly_cancels(difference_db: int) -> None:
    one, other = noise(3, 1), noise(3, 2)
    found = measured(np.stack([one, one + other * 10 ** (difference_db / 20)]))
    assert found.side_db == pytest.approx(difference_db - 3, abs=1.5)


def test_a_channel_upside_down_is_found() -> None:
    one = noise(3)
    found = measured(np.stack([one, -one]))
    assert found.correlation == pytest.approx(-1)
    assert found.side_db == pytest.approx(3, abs=0.1)


def test_a_dead_channel_is_dead_and_correlates_with_nothing() -> None:
    found = measured(np.stack([noise(3), np.zeros(3 * RATE)]))
    assert [one.dead for one in found.channels] == [False, True]
    assert found.correlation == 0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_stereo_figures_are_for_two_channels(channels: int) -> None:
    found = measured(np.stack([noise(1, seed) for seed in range(channels)]))
    assert (found.side_db, found.correlation) == (None, None)
    assert len(found.channels) == channels


def test_silence_of_two_channels_divides_by_nothing() -> None:
    found = measured(np.zeros((2, RATE)))
    assert (found.side_db, found.correlation, found.loudness_lufs) == (SILENT_DB, 0.0, None)


def test_integers_and_floats_measure_the_same() -> None:
    whole = (noise(3) * 32_768).round().astype(np.int16)
    one, other = measured(whole), measured(whole / 32_768.0)
    assert one.loudness_lufs == pytest.approx(other.loudness_lufs, abs=0.01)
    assert one.channels[0].rms_db == pytest.approx(other.channels[0].rms_db, abs=0.001)


def test_an_envelope_is_drawn_when_it_is_asked_for() -> None:
    assert measured(noise(1)).envelope is None
    drawn = measured(noise(1), envelope=True).envelope
    assert drawn is not None
    assert len(drawn.high[0]) == 50


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([4000, 8000, 11_025, 22_050, 44_100, 192_000]),
    st.integers(1, 3),
    st.integers(1, 30_000),
    st.integers(1, 40),
)
def test_any_rate_length_and_cut_is_measured(rate: int, channels: int, length: int, segments: int) -> None:
    signal = np.random.default_rng(length).uniform(-1, 1, (channels, length)).astype(np.float32)
    found = measured(signal, rate=rate, segments=segments, envelope=True)
    assert all(one.peak_db <= 0.01 for one in found.channels)
    assert 0 <= found.tone_ratio <= 1
    assert 0 <= found.bandwidth_hz <= rate / 2
    assert found.as_json()["channels"]
