from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.rendering import RenderingProfile, parse_rendering_profile
from mediapipe.audio.takes import CLOSE_DB, Aim, Takes, active_db, aim_of, measured, unmet
from tests.audio.peaks import p56, true_peak
from tests.audio.sources import silence, tone, voice

TELEPHONE = RenderingProfile()


def floats(signal: np.ndarray) -> np.ndarray:
    return np.atleast_2d(signal).astype(np.float32)


def aim(level: float = -22.0) -> Aim:
    return Aim(level, by_loudness=False)


def profile(text: str) -> RenderingProfile:
    return parse_rendering_profile(text, "here")


def best(signal: np.ndarray, text: str = "") -> tuple[Takes, float]:
    given = profile(text)
    takes = Takes(floats(signal), given, aim(given.level.active_db))
    return takes, given.level.active_db - active_db(measured(floats(signal), given.output.sample_rate))


@settings(deadline=None, max_examples=25)
@given(st.floats(-50, 0), st.integers(1, 30), st.floats(0.02, 3.0))
def test_speech_of_any_level_and_length_is_brought_to_its_level(
    before: float, seed: int, seconds: float
) -> None:
    signal = voice(4.0, seed=seed)[:, 800 : 800 + round(seconds * 8000)]
    signal = signal * 10 ** ((before - active_db(measured(floats(signal), 8000))) / 20)
    takes, first = best(signal)
    take = takes.best(first)
    assert take.signal.shape == signal.shape
    if unmet(take, aim(), TELEPHONE.level):
        assert {one.code for one in unmet(take, aim(), TELEPHONE.level)} == {"over_limited"}
        assert np.abs(signal).max() > 10 ** ((before + 20) / 20)  # one bang, and next to nothing around it
    else:
        assert active_db(measured(take.signal, 8000)) == pytest.approx(-22, abs=1)
        assert true_peak(take.signal) <= -2.0


def test_what_needs_no_limiting_is_one_gain_and_its_fades() -> None:
    signal = floats(voice(3.0))
    takes, first = best(signal)
    take = takes.best(first)
    assert take.limited_db == 0
    scaled = signal * np.float32(10 ** (take.gain_db / 20))
    inside = slice(100, -100)
    assert np.abs(take.signal[:, inside] - scaled[:, inside]).max() <= 0.51 / 32_768


def test_the_level_agrees_with_that_of_the_book() -> None:
    for seed in range(1, 6):
        take = (made := best(voice(6.0, seed=seed)))[0].best(made[1])
        # The book counts pauses of up to a fifth of a second as speech, so it reads a little lower.
        assert p56(take.signal[0].astype(float), 8000) == pytest.approx(-22.7, abs=0.8)


def test_peaks_are_limited_and_what_that_takes_is_given_back() -> None:
    takes, first = best(voice(3.0), "[level]\nactive_db = -14")
    take = takes.best(first)
    assert 1 < take.limited_db <= 6.1
    assert active_db(take.quality) == pytest.approx(-14, abs=CLOSE_DB + 0.1)
    assert take.gain_db > first
    assert true_peak(take.signal) <= -2.0


def test_what_needs_more_limiting_than_is_allowed_is_said_so() -> None:
    bang = voice(3.0).copy()
    bang[0, 9_000:9_004] += 3.0 * np.array([1, -1, 1, -1])
    takes, first = best(bang)
    take = takes.best(first)
    assert take.limited_db <= 6.3
    (found,) = unmet(take, aim(), TELEPHONE.level)
    assert (found.code, found.level) == ("over_limited", "block")
    assert "over 6" in found.message
    more = profile("[level]\nmax_limiting_db = 24").level
    takes = Takes(floats(bang), RenderingProfile(level=more), aim())
    assert unmet(takes.best(first), aim(), more) == []


def test_a_take_off_its_level_or_over_its_peak_is_never_passed() -> None:
    takes, first = best(voice(3.0))
    for off in (-1.1, 1.1):
        found = unmet(takes.take(first + off, -2.05), aim(), TELEPHONE.level)
        assert [one.code for one in found] == ["off_target"]
        assert "1.1 dB off" in found[0].message
    assert unmet(takes.take(first + 0.9, -2.05), aim(), TELEPHONE.level) == []
    loud = takes.take(first, 0.0)
    lower = profile("[level]\ntrue_peak_db = -12").level
    assert [one.code for one in unmet(loud, aim(), lower)] == ["true_peak"]


@pytest.mark.parametrize("bitrate", [16, 32, 64])
def test_an_mp3_is_measured_as_it_is_decoded(bitrate: int) -> None:
    text = f"[output]\ncontainer = 'mp3'\nbitrate = {bitrate}\n[level]\nactive_db = -16"
    takes, first = best(voice(3.0), text)
    take = takes.best(first)
    assert take.facts.codec == "mp3"
    assert active_db(take.quality) == pytest.approx(-16, abs=0.3)
    assert true_peak(take.signal) <= -2.0


def test_loudness_is_aimed_at_where_there_is_enough_of_it() -> None:
    level = profile("[level]\nloudness_lufs = -19").level
    quality = measured(floats(voice(3.0)), 8000)
    assert aim_of(level, 3.0, quality) == Aim(-19.0, by_loudness=True)
    assert aim_of(level, 2.9, quality) == aim()
    assert aim_of(TELEPHONE.level, 3.0, quality) == aim()
    assert aim_of(level, 3.0, measured(floats(silence(3)), 8000)) == aim()


@pytest.mark.parametrize(
    "signal", [tone(0.1, 1000), np.ones((1, 1)) * 0.5, np.ones((1, 9)) * 3, tone(0.3, 3000)]
)
def test_what_is_shorter_than_a_window_of_loudness_is_levelled_too(signal: np.ndarray) -> None:
    takes, first = best(signal, "[trim]\nfade_in_ms = 0\nfade_out_ms = 0")
    take = takes.best(first)
    assert unmet(take, aim(), TELEPHONE.level) == []
    assert active_db(take.quality) == pytest.approx(-22, abs=0.3)


def test_the_same_comes_out_every_time() -> None:
    takes, first = best(voice(3.0), "[level]\nactive_db = -13")
    again, _ = best(voice(3.0).copy(), "[level]\nactive_db = -13")
    assert takes.best(first).data == again.best(first).data
