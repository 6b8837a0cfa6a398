from __future__ import annotations

import numpy as np
import pytest

from mediapipe.audio.spectrum import FULL_SEGMENTS, Spectrum

RATE = 8000
SEGMENT = 800


def looked_at(signal: np.ndarray, rate: int = RATE, *, at_once: int = 80) -> Spectrum:
    segment = rate // 10
    shaped = np.atleast_2d(signal).astype(np.float32)
    shaped = shaped[:, : shaped.shape[1] // segment * segment].reshape(len(shaped), -1, segment)
    spectrum = Spectrum(rate, segment, full_scale=1.0)
    for at in range(0, shaped.shape[1], at_once):
        spectrum.feed(shaped[:, at : at + at_once])
    return spectrum


def sine(seconds: float, hertz: float, amplitude: float = 0.1, rate: int = RATE) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.1, round(seconds * rate))


def test_a_kilohertz_at_full_scale_is_3_lufs_down() -> None:
    assert looked_at(sine(5, 997, 1.0)).loudness() == pytest.approx(-3.01, abs=0.1)


def test_both_channels_count() -> None:
    one, two = sine(5, 997), np.stack([sine(5, 997), sine(5, 997)])
    alone, both = looked_at(one).loudness(), looked_at(two).loudness()
    assert alone is not None
    assert both == pytest.approx(alone + 3.01, abs=0.05)


@pytest.mark.parametrize("seconds", [30, 70, 200])
def test_a_part_of_the_time_gives_the_figures_of_the_whole(seconds: int) -> None:
    signal = noise(seconds) * (1.2 + np.sin(np.arange(seconds * RATE) * 9 / RATE))
    # Ten seconds by themselves are looked at whole.
    parts = [looked_at(signal[at : at + 10 * RATE]).loudness() for at in range(0, len(signal), 10 * RATE)]
    wanted = 10 * np.log10(np.mean([10 ** ((part or 0) / 10) for part in parts]))
    assert looked_at(signal).loudness() == pytest.approx(wanted, abs=0.3)


@pytest.mark.parametrize("at_once", [1, 4, 7, 80, 1000])
def test_a_long_recording_is_looked_at_to_its_end(at_once: int) -> None:
    quiet = sine(FULL_SEGMENTS / 10, 400, 0.001)
    spectrum = looked_at(np.concatenate([quiet, sine(60, 400, 0.5)]), at_once=max(at_once, 4))
    assert spectrum.loudness() == pytest.approx(looked_at(sine(20, 400, 0.5)).loudness(), abs=0.2)


@pytest.mark.parametrize(("rate", "cut"), [(8000, 3000), (16_000, 4000), (44_100, 4000), (48_000, 20_000)])
def test_the_bandwidth_is_where_the_sound_ends(rate: int, cut: int) -> None:
    lines = np.fft.rfft(noise(10, rate))
    lines[np.fft.rfftfreq(10 * rate, 1 / rate) > cut] = 0
    assert looked_at(np.fft.irfft(lines), rate).bandwidth() == pytest.approx(cut, rel=0.15)


def test_full_band_noise_reaches_the_top() -> None:
    assert looked_at(noise(5)).bandwidth() == RATE / 2


def test_tones_are_lines_and_noise_is_not() -> None:
    ringback = sine(10, 440) + sine(10, 480)
    assert looked_at(ringback).tone_ratio() > 0.99
    assert looked_at(sine(10, 50) + 0.01 * noise(10)).tone_ratio() > 0.9
    assert looked_at(noise(10)).tone_ratio() < 0.1


def test_silence_has_neither_bandwidth_nor_tone() -> None:
    spectrum = looked_at(np.zeros(5 * RATE))
    assert (spectrum.bandwidth(), spectrum.tone_ratio(), spectrum.loudness()) == (0.0, 0.0, None)


def test_an_offset_is_no_tone() -> None:
    assert looked_at(noise(10) + 0.5).tone_ratio() < 0.1
