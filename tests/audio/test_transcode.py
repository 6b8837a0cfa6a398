from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.decode import Coding
from mediapipe.audio.targets import Recipe
from mediapipe.audio.transcode import transcode, transcode_parts
from tests.audio.test_decode import decoded, tone


def coding(rate: int = 8000, channels: int = 1) -> Coding:
    return Coding("pcm_s16le", rate, channels, "", 16, 2.0**15, 32_767)


def blocks(samples: np.ndarray, size: int = 1000) -> Iterator[np.ndarray]:
    return (samples[:, at : at + size] for at in range(0, samples.shape[1], size))


def test_samples_pass_untouched_when_only_the_container_changes(tmp_path: Path) -> None:
    samples = tone(2, 2)
    transcode(blocks(samples), coding(8000, 2), Recipe("wav", "pcm_s16le", 8000, 2), tmp_path / "a.wav")
    assert (decoded(tmp_path / "a.wav") == samples).all()


def test_parties_are_mixed_only_when_the_recipe_has_one_channel(tmp_path: Path) -> None:
    left, right = tone(2)[0], np.zeros(16_000, np.int16)
    both = np.stack([left, right])
    transcode(blocks(both), coding(8000, 2), Recipe("wav", "pcm_s16le", 8000, 1), tmp_path / "a.wav")
    assert np.abs(decoded(tmp_path / "a.wav")[0] - left / 2).max() <= 1


@pytest.mark.parametrize("rate", [6000, 44_100, 96_000])
def test_a_rate_is_changed_once_and_the_length_stays(tmp_path: Path, rate: int) -> None:
    recipe = Recipe("mp3", "mp3", 48_000, 1, 64)
    transcode(blocks(tone(3, 1, rate)), coding(rate), recipe, tmp_path / "a.mp3")
    assert decoded(tmp_path / "a.mp3", "mp3").shape[1] == pytest.approx(3 * 48_000, abs=48)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5000), st.integers(1, 2000), st.integers(1, 30))
def test_parts_hold_every_sample_once_and_in_order(length: int, size: int, parts: int) -> None:
    samples, part = np.arange(length, dtype=np.int16)[None, :], -(-length // parts)
    recipe = Recipe("wav", "pcm_s16le", 8000, 1)
    with TemporaryDirectory() as folder:
        names = (Path(folder) / f"a.{number}.wav" for number in count(1))
        made = transcode_parts(blocks(samples, size), coding(), recipe, names, part)
        pieces = [decoded(path) for path in made]
    assert [piece.shape[1] for piece in pieces[:-1]] == [part] * (len(pieces) - 1)
    assert (np.concatenate(pieces, axis=1) == samples).all()
