from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.limiter import REACH_S, limit, true_peak_db
from tests.audio.peaks import true_peak
from tests.audio.sources import tone, voice

RATES = [8_000, 16_000, 48_000]


def floats(signal: np.ndarray) -> np.ndarray:
    return np.atleast_2d(signal).astype(np.float32)


def bandlimited(count: int, seed: int, share: float = 0.85) -> np.ndarray:
    """Noise in bursts, up to a share of what the rate allows and softly ended: what a recording can hold."""
    chance = np.random.default_rng(seed)
    bursts = np.repeat(chance.exponential(size=count // 50 + 1), 50)[:count]
    spectrum = np.fft.rfft(chance.normal(size=count) * bursts)
    spectrum[int(len(spectrum) * share) :] = 0
    return np.fft.irfft(spectrum, count) * np.hanning(count) * chance.uniform(0.05, 1.5)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(100, 20_000), st.integers(1, 2), st.floats(-12, 0))
def test_no_peak_is_over_the_ceiling_and_no_sample_larger_than_it_was(
    seed: int, count: int, channels: int, ceiling: float
) -> None:
    signal = floats(np.stack([bandlimited(count, seed + n) for n in range(channels)]))
    out, taken = limit(signal, ceiling, 8000)
    assert out.shape == signal.shape
    assert true_peak(out) <= ceiling
    assert (np.abs(out) <= np.abs(signal)).all()
    assert (np.signbit(out) == np.signbit(signal)).all()
    assert taken >= 0
    assert (taken > 0) == (out is not signal)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5_000))
def test_what_stays_below_is_not_touched(seed: int, count: int) -> None:
    signal = floats(bandlimited(count, seed))
    signal *= np.float32(10 ** ((-2.2 - true_peak(signal)) / 20))
    out, taken = limit(signal, -2.0, 8000)
    assert out is signal
    assert taken == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3_000))
def test_even_what_no_recording_holds_has_no_sample_over_it(seed: int, count: int) -> None:
    signal = floats(np.random.default_rng(seed).choice([-4, -1, 0, 1, 4], count))
    out, _ = limit(signal, -2.0, 8000)
    assert np.abs(out).max() <= 10 ** (-2 / 20)
    assert true_peak_db(out) <= -1.5


@pytest.mark.parametrize("rate", RATES)
def test_a_peak_between_two_samples_is_seen(rate: int) -> None:
    # A quarter of the rate, off by an eighth of a turn: every sample is 3 dB under the peak.
    signal = floats(0.99 * np.sin(np.pi / 2 * np.arange(rate) + np.pi / 4))
    assert 20 * np.log10(np.abs(signal).max()) == pytest.approx(-3.1, abs=0.01)
    assert true_peak_db(signal[:, 100:-100]) == pytest.approx(-0.09, abs=0.4)  # its sudden ends overshoot
    out, taken = limit(signal, -2.0, rate)
    assert true_peak(out) <= -1.99
    assert taken == pytest.approx(1.91, abs=0.5)


@pytest.mark.parametrize("rate", RATES)
def test_the_gain_is_away_from_1_only_around_the_peak_and_moves_smoothly(rate: int) -> None:
    signal = floats(tone(1, 300, rate=rate, level=0.45))
    at, reach = rate // 2, round(REACH_S * rate)
    signal[0] += 0.9 * np.exp(-(((np.arange(rate) - at) / (rate * 0.0005)) ** 2))
    out, _ = limit(signal, -2.0, rate)
    changed = np.flatnonzero(out[0] != signal[0])
    near = 2 * reach + rate // 500  # the peak is as wide as that
    assert at - near <= changed.min() < changed.max() <= at + near
    heard = np.abs(signal[0]) > 0.1
    gain = np.ones(rate)
    gain[heard] = out[0, heard] / signal[0, heard]
    assert gain.max() <= 1
    places = np.flatnonzero(heard)
    steps = np.abs(np.diff(gain[places])) / np.diff(places)
    assert steps.max() < 4 / reach  # no step: it takes as long as the reach says


def test_channels_share_one_gain_so_that_nothing_moves_aside() -> None:
    loud, soft = voice(1.0)[0] * 6, voice(1.0, seed=5)[0] * 0.5
    out, _ = limit(floats(np.stack([loud, soft])), -2.0, 8000)
    heard = (np.abs(loud) > 0.02) & (np.abs(soft) > 0.02)
    np.testing.assert_allclose(out[0, heard] / loud[heard], out[1, heard] / soft[heard], rtol=1e-4)


def test_the_same_comes_out_every_time_and_in_a_block_of_any_length() -> None:
    signal = floats(voice(20.0)[0] * 5)  # more than two blocks
    one, other = limit(signal, -2.0, 8000), limit(signal.copy(), -2.0, 8000)
    assert one[0].tobytes() == other[0].tobytes()
    assert one[1] == other[1]
    # What lies far from an end hangs on nothing at that end.
    part, _ = limit(signal[:, 3_000:], -2.0, 8000)
    np.testing.assert_array_equal(part[:, 2_000:], one[0][:, 5_000:])


@pytest.mark.parametrize("signal", [[], [0.0], [4.0], [-4.0] * 7])
def test_next_to_nothing_is_limited_too(signal: list[float]) -> None:
    out, _ = limit(floats(signal), -2.0, 8000)
    assert out.shape == (1, len(signal))
    assert true_peak_db(out) <= -2.0


def test_the_measured_peak_agrees_with_another_way_to_find_it() -> None:
    for seed in range(5):
        signal = floats(bandlimited(4_000, seed))
        assert true_peak_db(signal) == pytest.approx(true_peak(signal), abs=0.02)
