from __future__ import annotations

import numpy as np
import pytest

from mediapipe.audio.loudness import Gate, k_weights


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_the_weighting_is_flat_at_a_kilohertz_and_cuts_the_bass(rate: int) -> None:
    weights = 10 * np.log10(np.maximum(k_weights(rate, rate), 1e-12))  # one bin is one hertz
    assert weights[1000] == pytest.approx(0.691, abs=0.15)
    assert weights[0] < -60
    assert weights[38] == pytest.approx(-6, abs=0.3)
    assert weights[100] == pytest.approx(-1.1, abs=0.3)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_weighting_lifts_the_treble_by_4_db(rate: int) -> None:
    weights = 10 * np.log10(k_weights(rate, rate)[1:])
    # As in every implementation, the high pass of other rates than 48 kHz adds a tenth.
    assert weights[int(rate * 0.45)] == pytest.approx(4, abs=0.15)


def test_the_response_is_that_of_the_standard_s_own_coefficients_at_48_khz() -> None:
    z = np.exp(-2j * np.pi * np.arange(24_001) / 48_000)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    wanted = np.abs(shelf * high_pass) ** 2
    assert k_weights(48_000, 48_000) == pytest.approx(wanted, rel=1e-4, abs=1e-9)


def gated(*powers: float) -> float | None:
    gate = Gate()
    gate.feed(np.array(powers))
    return gate.loudness()


def test_less_than_a_block_has_no_loudness() -> None:
    assert gated() is None
    assert gated(1, 1, 1) is None
    assert gated(1, 1, 1, 1) == pytest.approx(-0.691, abs=0.05)


def test_silence_has_no_loudness() -> None:
    assert gated(*[0.0] * 100) is None
    assert gated(*[1e-8] * 100) is None


def test_pauses_do_not_make_speech_quieter() -> None:
    speech = [0.01] * 40
    alone = gated(*speech)
    assert alone == pytest.approx(-20.691, abs=0.05)
    assert gated(*speech, *[1e-6] * 400) == pytest.approx(alone, abs=0.3)


def test_segments_may_come_in_any_portions() -> None:
    powers = np.random.default_rng(3).uniform(1e-6, 0.1, 200)
    whole, pieces = Gate(), Gate()
    whole.feed(powers)
    for at in range(0, 200, 7):
        pieces.feed(powers[at : at + 7])
    assert pieces.loudness() == pytest.approx(whole.loudness(), abs=1e-9)


def test_blocks_that_stand_apart_count_like_others() -> None:
    gate = Gate()
    gate.feed_apart(np.array([0.01, 0.01, 1e-6]))
    assert gate.loudness() == pytest.approx(-20.691, abs=0.05)
