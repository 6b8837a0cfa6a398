from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.encode import lame_quality, open_encoder
from mediapipe.audio.targets import Recipe
from tests.audio.test_decode import decoded, judged, tone


def encoded(recipe: Recipe, samples: np.ndarray, path: Path, *, block: int = 4000) -> Path:
    scale = 2.0**15 if samples.dtype == np.int16 else 1.0
    with path.open("w+b") as file:
        encoder = open_encoder(recipe, file)
        for at in range(0, samples.shape[1], block):
            encoder.write(samples[:, at : at + block], scale)
        encoder.close()
    return path


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("rate", [8000, 11_025, 44_100])
def test_sixteen_bits_come_back_as_they_went_in(tmp_path: Path, channels: int, rate: int) -> None:
    samples = tone(1, channels, rate)
    path = encoded(Recipe("wav", "pcm_s16le", rate, channels), samples, tmp_path / "a.wav")
    assert (decoded(path) == samples).all()
    assert (judged(path, rate, channels) == samples).all()


@pytest.mark.parametrize(("codec", "error"), [("pcm_s24le", 2**-23), ("pcm_f32le", 2**-24)])
def test_wide_samples_stay_wide(tmp_path: Path, codec: str, error: float) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (2, 8001))
    path = encoded(Recipe("wav", codec, 8000, 2), samples, tmp_path / "a.wav")
    scale = 2.0**31 if codec == "pcm_s24le" else 1.0
    assert np.abs(decoded(path) / scale - samples).max() <= error


def test_what_is_over_full_scale_does_not_wrap_around(tmp_path: Path) -> None:
    loud = np.array([[1.5, -1.5, 1.0, -1.0]])
    for codec, scale in (("pcm_s16le", 2.0**15), ("pcm_s24le", 2.0**31)):
        path = encoded(Recipe("wav", codec, 8000, 1), loud, tmp_path / f"{codec}.wav")
        assert np.sign(decoded(path)).tolist() == [[1, -1, 1, -1]]
        assert np.abs(decoded(path) / scale).min() > 0.999


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_an_mp3_is_as_long_as_what_went_in_and_in_step_with_it(
    tmp_path: Path, channels: int, rate: int
) -> None:
    """By two decoders; a shift by the encoder's delay would show in the difference."""
    samples = tone(1.37, channels, rate)
    path = encoded(Recipe("mp3", "mp3", rate, channels, 64), samples, tmp_path / "a.mp3")
    for found in (decoded(path, "mp3") * 2.0**15, judged(path, rate, channels)):
        assert found.shape == samples.shape
        error = (found.astype(float) - samples)[:, rate // 20 : -rate // 20]
        assert np.sqrt((error**2).mean()) < 0.05 * 9000


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3000), st.sampled_from([8000, 44_100]), st.integers(1, 1500))
def test_an_mp3_of_any_length_is_that_long(length: int, rate: int, block: int) -> None:
    samples = np.random.default_rng(length).integers(-9000, 9000, (1, length)).astype(np.int16)
    with TemporaryDirectory() as folder:
        path = encoded(Recipe("mp3", "mp3", rate, 1, 32), samples, Path(folder) / "a.mp3", block=block)
        assert decoded(path, "mp3").shape == (1, length)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for recipe in (Recipe("wav", "pcm_s16le", 8000, 2), Recipe("mp3", "mp3", 8000, 2, 32)):
        first, second = (encoded(recipe, tone(2, 2), tmp_path / name).read_bytes() for name in "ab")
        assert first == second


def test_an_mp3_keeps_the_rate_it_was_told_however_low_the_bitrate(tmp_path: Path) -> None:
    path = encoded(Recipe("mp3", "mp3", 44_100, 1, 32), tone(1, 1, 44_100), tmp_path / "a.mp3")
    assert judged(path, 44_100, 1).shape[1] == 44_100


def test_an_mp3_recipe_needs_a_bitrate() -> None:
    with pytest.raises(ValueError, match="bitrate"):
        open_encoder(Recipe("mp3", "mp3", 8000, 1), io.BytesIO())


@pytest.mark.parametrize(
    ("rate", "channels", "bitrate", "quality"),
    [
        (8000, 1, 64, 7),
        (8000, 1, 32, 7),
        (8000, 1, 24, 5),
        (8000, 2, 64, 7),
        (8000, 2, 32, 5),
        (44_100, 2, 128, 5),
    ],
)
def test_effort_goes_where_bits_are_few(rate: int, channels: int, bitrate: int, quality: int) -> None:
    assert lame_quality(Recipe("mp3", "mp3", rate, channels, bitrate)) == quality
