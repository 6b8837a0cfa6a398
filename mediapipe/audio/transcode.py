"""Decoded samples into one file, or into parts: mixed where asked, resampled at most once, encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from mediapipe.audio.convert import Resampler, mixed_down, to_int16
from mediapipe.audio.decode import Coding
from mediapipe.audio.encode import open_encoder
from mediapipe.audio.targets import Recipe

Samples = NDArray[Any]


def transcode(blocks: Iterable[Samples], coding: Coding, recipe: Recipe, path: Path) -> None:
    """Write blocks of shape (channels, n), coded as ``coding`` says, to a new file as the recipe says."""
    with path.open("w+b") as file:
        _encode(blocks, coding, recipe, file)


def transcode_parts(
    blocks: Iterable[Samples], coding: Coding, recipe: Recipe, paths: Iterable[Path], samples: int
) -> list[Path]:
    """Write files of ``samples`` source samples each, the last maybe shorter; return those needed."""
    written: list[Path] = []
    rest = _Rest(iter(blocks))
    names = iter(paths)
    while rest.more():
        path = next(names)
        transcode(rest.take(samples), coding, recipe, path)
        written.append(path)
    return written


class _Rest:
    """Blocks that are taken apart at places of their own."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._left: Samples | None = None

    def more(self) -> bool:
        """Tell whether any sample is left."""
        while self._left is None or not self._left.shape[1]:
            self._left = next(self._blocks, None)
            if self._left is None:
                return False
        return True

    def take(self, samples: int) -> Iterator[Samples]:
        """Yield the next ``samples`` samples, fewer at the end."""
        while samples and self.more() and self._left is not None:
            piece, self._left = self._left[:, :samples], self._left[:, samples:]
            samples -= piece.shape[1]
            yield piece


def _encode(blocks: Iterable[Samples], coding: Coding, recipe: Recipe, file: BinaryIO) -> None:
    encoder = open_encoder(recipe, file)
    if coding.channels != recipe.channels:
        blocks = map(mixed_down, blocks)
    if coding.sample_rate == recipe.sample_rate:
        for block in blocks:
            encoder.write(block, coding.full_scale)
    else:
        for resampled in _resampled(blocks, coding, recipe):
            encoder.write(resampled, 2.0**15)
    encoder.close()


def _resampled(blocks: Iterable[Samples], coding: Coding, recipe: Recipe) -> Iterator[Samples]:
    resampler = Resampler(recipe.channels, coding.sample_rate, recipe.sample_rate)
    for block in blocks:
        yield from resampler.feed(to_int16(block, coding.full_scale))
    yield from resampler.rest()
