from __future__ import annotations

import numpy as np
import pytest

from mediapipe.audio.pace import LEAST_S, pace
from mediapipe.audio.takes import active_db, measured
from tests.audio.sources import silence, tone, voice


def syllables(a_second: float, seconds: float = 4.0, rate: int = 8000) -> np.ndarray:
    """A buzz of 120 Hz that swells and fades away so many times a second."""
    time = np.arange(round(seconds * rate)) / rate
    buzz = np.sum([np.sin(2 * np.pi * 120 * n * time) / n for n in range(1, 12)], axis=0)
    return (0.1 * buzz * np.sin(np.pi * a_second * time) ** 2)[None, :].astype(np.float32)


def paced(signal: np.ndarray, rate: int = 8000) -> float | None:
    signal = signal.astype(np.float32)
    return pace(signal, rate, active_db(measured(signal, rate)))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 48_000])
@pytest.mark.parametrize("a_second", [2.0, 3.5, 5.0, 6.5])
def test_swells_are_counted_as_often_as_they_come(a_second: float, rate: int) -> None:
    found = paced(syllables(a_second, rate=rate), rate)
    assert found == pytest.approx(a_second, rel=0.25)


def test_who_speaks_faster_has_the_higher_pace_whatever_the_level_and_the_pauses() -> None:
    slow, fast = syllables(3.0), syllables(5.0)
    assert (paced(fast) or 0) > 1.4 * (paced(slow) or 99)
    assert paced(fast * 0.1) == pytest.approx(paced(fast))
    with_pause = np.hstack([fast, silence(4), fast])
    assert paced(with_pause) == pytest.approx(paced(fast), rel=0.1)


def test_a_voice_has_about_the_pace_of_its_syllables() -> None:
    # Each lasts 0.14 to 0.3 s and begins before the one before it has ended.
    assert paced(voice(10.0)) == pytest.approx(4.5, abs=1.5)


def test_a_steady_tone_has_one_peak_and_too_little_has_no_pace() -> None:
    assert (paced(tone(4, 400)) or 9) < 0.5
    for seconds in (0.0001, 0.05, LEAST_S - 0.05):
        assert paced(tone(seconds, 400)) is None
    assert paced(silence(3)) is None
    assert paced(np.hstack([silence(3), tone(0.3, 400), silence(3)])) is None
