from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.probe import Heard, hear
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.waveform import waveform
from tests.audio.sources import honest, prompts, tone, voice


def heard(folder: Path, sound: np.ndarray, rate: int = 8000, keep: int = 10**8) -> Heard:
    path = folder / "a.wav"
    path.write_bytes(honest(sound, rate))
    return hear(ProbeRequest(path), keep)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_a_tone_keeps_level_time_and_length_at_another_rate(tmp_path: Path, rate: int) -> None:
    source = heard(tmp_path, tone(1, 400, rate=rate, level=0.3), rate)
    for after in (8_000, 16_000):
        (out,) = waveform(source, after, 1)
        assert len(out) == rate * after // rate
        wanted = tone(1, 400, rate=after, level=0.3)[0]
        inside = slice(after // 20, -after // 20)
        assert np.abs(out[inside] - wanted[inside]).max() < 0.01


def test_what_the_new_rate_cannot_carry_is_gone_and_not_folded_down(tmp_path: Path) -> None:
    source = heard(tmp_path, tone(1, 6_000, rate=48_000), 48_000)
    assert np.abs(waveform(source, 8_000, 1)[0, 400:-400]).max() < 0.003


@pytest.mark.parametrize("offset", [-0.11, 0.3])
def test_the_zero_line_is_put_right(tmp_path: Path, offset: float) -> None:
    source = heard(tmp_path, voice(2.0, widest=0.9) + offset)
    out = waveform(source, 8_000, 1)
    assert abs(out.mean()) < 1e-3
    assert np.abs(out - waveform(source, 8_000, 1, centred=False) + offset).max() < 0.05
    assert waveform(source, 8_000, 1, centred=False).mean() == pytest.approx(offset, abs=1e-3)


def test_the_rumble_of_real_prompts_goes_and_their_voice_stays() -> None:
    before, after = [], []
    for path in prompts("italian", "alaw", 8_000)[::40]:
        source = hear(ProbeRequest(path), 10**8)
        plain, centred = (waveform(source, 8_000, 1, centred=way)[0].astype(float) for way in (False, True))
        bands = np.fft.rfftfreq(len(plain), 1 / 8000)
        one, other = (np.abs(np.fft.rfft(signal)) ** 2 for signal in (plain - plain.mean(), centred))
        before.append(one[bands < 20].sum() / one.sum())
        after.append(other[bands < 20].sum() / other.sum())
        speech = bands > 100
        assert 10 * np.log10(other[speech].sum() / one[speech].sum()) == pytest.approx(0, abs=0.2), path
    assert np.median(before) > 0.01
    assert max(after) < 0.01


def test_channels_are_mixed_repeated_or_kept(tmp_path: Path) -> None:
    left, right = voice(1.0)[0], voice(1.0, seed=2)[0]
    both = heard(tmp_path, np.stack([left, right]))
    np.testing.assert_allclose(waveform(both, 8000, 2, centred=False), [left, right], atol=1e-4)
    np.testing.assert_allclose(waveform(both, 8000, 1, centred=False)[0], (left + right) / 2, atol=1e-4)
    one = heard(tmp_path, left[None, :])
    np.testing.assert_allclose(waveform(one, 8000, 2, centred=False), [left, left], atol=1e-4)
    many = heard(tmp_path, np.stack([left] * 6 + [right] * 2))
    np.testing.assert_allclose(
        waveform(many, 8000, 2, centred=False)[1], left * 0.75 + right * 0.25, atol=1e-4
    )


@pytest.mark.parametrize("count", [1, 2, 7, 100])
@pytest.mark.parametrize("rate", [4_000, 8_000, 96_000])
def test_next_to_nothing_has_a_waveform_too(tmp_path: Path, count: int, rate: int) -> None:
    source = heard(tmp_path, np.full((1, count), 0.5), rate)
    assert waveform(source, 8_000, 1).shape == (1, max(1, count * 8_000 // rate))


def test_a_file_too_long_to_be_kept_is_decoded_again_and_the_same(tmp_path: Path) -> None:
    sound = voice(3.0, 44_100)
    kept = waveform(heard(tmp_path, sound, 44_100), 8000, 1)
    again = waveform(heard(tmp_path, sound, 44_100, keep=0), 8000, 1)
    assert kept.tobytes() == again.tobytes()
