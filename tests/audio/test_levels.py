from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.facts import SILENT_DB, ChannelFigures
from mediapipe.audio.levels import CLIPS_KEPT, Levels

RATE, WINDOW = 8000, 160
FULL = 32_768.0


def measured(signal: np.ndarray, *, block: int = 8 * WINDOW, ceiling: float = 32_767.0) -> ChannelFigures:
    levels = Levels(RATE, window=WINDOW, full_scale=FULL, ceiling=ceiling)
    floats = signal.astype(np.float32)
    for at in range(0, len(floats), block):
        levels.feed(floats[at : at + block])
    return levels.figures()


def sine(seconds: float, amplitude: float, hertz: float = 400.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return amplitude * np.sin(2 * np.pi * hertz * t)


def test_a_sine_of_half_scale_is_6_db_down_at_its_peak_and_9_in_power() -> None:
    found = measured(sine(2, FULL / 2))
    assert found.peak_db == pytest.approx(-6.02, abs=0.01)
    assert found.rms_db == pytest.approx(-9.03, abs=0.01)
    assert found.active_db == pytest.approx(-9.03, abs=0.02)
    assert found.dc == pytest.approx(0, abs=1e-6)
    assert (found.silence_ratio, found.head_s, found.tail_s) == (0, 0, 0)


def test_nothing_is_as_silent_as_can_be() -> None:
    found = measured(np.zeros(RATE))
    assert (found.peak_db, found.rms_db, found.active_db) == (SILENT_DB, SILENT_DB, SILENT_DB)
    assert found.silence_ratio == 1
    assert (found.head_s, found.tail_s) == (1, 1)
    assert found.dead


def test_silence_at_both_ends_is_measured_to_a_window() -> None:
    signal = np.concatenate([np.zeros(RATE), sine(1, 8000), np.zeros(RATE // 2)])
    found = measured(signal)
    assert found.head_s == pytest.approx(1, abs=0.02)
    assert found.tail_s == pytest.approx(0.5, abs=0.02)
    assert found.silence_ratio == pytest.approx(0.6, abs=0.02)


def test_the_active_level_is_that_of_speech_alone_however_long_the_pauses() -> None:
    speech = sine(1, 8000)
    level = measured(speech).active_db
    for pause in (1, 10, 60):
        found = measured(np.concatenate([speech, np.zeros(pause * RATE), speech]))
        assert found.active_db == pytest.approx(level, abs=0.1)
        assert found.rms_db < level - 1


def test_noise_in_the_pauses_is_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 40, 20 * RATE)
    found = measured(np.concatenate([sine(2, 8000), noise]))
    assert found.active_db == pytest.approx(measured(sine(2, 8000)).active_db, abs=0.2)


@pytest.mark.parametrize(("offset", "wanted"), [(3600, 0.11), (-328, -0.01), (0, 0)])
def test_an_offset_of_the_zero_line_is_a_share_of_full_scale(offset: float, wanted: float) -> None:
    assert measured(sine(1, 4000) + offset).dc == pytest.approx(wanted, abs=2e-3)


def test_runs_at_full_scale_are_counted_and_placed() -> None:
    signal = np.zeros(RATE)
    signal[1000:1003] = 32_767
    signal[4000:4010] = -32_768
    signal[6000:6002] = 32_767  # two samples are a peak, not a clip
    found = measured(signal)
    assert found.clipped_runs == 2
    assert [(span.start_s, span.end_s) for span in found.clipped] == [(0.125, 0.125375), (0.5, 0.50125)]


def test_a_source_clips_where_its_code_ends_not_where_ours_does() -> None:
    signal = sine(1, 60_000).clip(-32_124, 32_124)
    assert measured(signal).clipped_runs == 0
    assert measured(signal, ceiling=32_124).clipped_runs == 800


def test_of_many_clips_all_are_counted_and_a_few_are_kept() -> None:
    found = measured(sine(10, 60_000).clip(-32_768, 32_767))
    assert found.clipped_runs == 8000
    assert len(found.clipped) == CLIPS_KEPT


def test_less_than_a_window_is_measured_too() -> None:
    found = measured(sine(0.01, FULL / 2))
    assert found.rms_db == pytest.approx(-9.03, abs=0.1)
    assert found.active_db == pytest.approx(-9.03, abs=0.1)


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40 * WINDOW),
    st.sampled_from([WINDOW, 3 * WINDOW, 8 * WINDOW, 100 * WINDOW]),
)
def test_figures_do_not_hang_on_how_the_samples_were_cut_into_blocks(
    seed: int, length: int, block: int
) -> None:
    signal = np.random.default_rng(seed).normal(0, 3000, length).round()
    one, other = measured(signal, block=10**6), measured(signal, block=block)
    for name in ("rms_db", "peak_db", "dc", "silence_ratio", "head_s", "tail_s", "active_db"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-4, abs=1e-4), name
