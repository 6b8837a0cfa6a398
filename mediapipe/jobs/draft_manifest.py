"""``calls template --from-dir``: a manifest drafted from the names of audio files.

A file whose name does not say what it should is left out and named; nothing is made up for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mediapipe.audiofiles import audio_files
from mediapipe.errors import UsageError
from mediapipe.manifest.columns import API_FIELDS, DURATION, RECORDINGS, normalise, read_header
from mediapipe.manifest.pattern import NamePattern
from mediapipe.manifest.problems import quoted
from mediapipe.manifest.unique import FirstRows
from mediapipe.manifest.written import csv_text

PAGE = 1_000
"""Rows that are printed at a time."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for; ``constants`` are cells that all rows have, ``every`` takes any suffix."""

    folder: Path
    pattern: NamePattern
    constants: Mapping[str, str] = field(default_factory=dict)
    every: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns of the draft."""
        named = self.pattern.columns | self.constants.keys() | {"external_id"}
        return [RECORDINGS[0], *(name for name in (*API_FIELDS, DURATION) if name in named)]


@dataclass(slots=True)
class Drafted:
    """How many files became rows, and how many did not."""

    rows: int = 0
    left_out: int = 0


def read_constants(words: Sequence[str], pattern: NamePattern) -> dict[str, str]:
    """Return the cells of ``--set column=value``; raises ``UsageError``."""
    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        column = normalise(name)
        if not mark or column not in (*API_FIELDS, DURATION) or column == "external_id":
            problem = f"--set {quoted(word)}: not a column that all rows can share"
            raise UsageError(problem, hint="such as --set group_id=12345")
        if column in found or column in pattern.columns:
            raise UsageError(f"--set {quoted(word)}: the column is filled already")
        found[column] = value
    return found


def draft(ask: Ask, emit: Callable[[str], object], complain: Callable[[str], None]) -> Drafted:
    """Print a row for each file, sorted by their paths; ``complain`` gets a line for each that has none.

    ``emit`` gets CSV without the end of its last line. Raises ``UsageError`` where there is no file at all.
    """
    if not ask.folder.is_dir():
        raise UsageError(
            f"--from-dir {ask.folder}: {'is no folder' if ask.folder.exists() else 'no such folder'}"
        )
    drafted = Drafted()
    rows = _rows(ask, drafted, complain)
    first = next(rows, None)
    if first is None and not drafted.left_out:
        raise UsageError(f"--from-dir {ask.folder}: no audio file below it", hint="--all takes every file")
    emit(csv_text([ask.columns]))
    for warning in read_header("", ask.columns, 1).warnings:
        complain(f"column {warning}")
    page = [] if first is None else [first]
    while page := page + list(islice(rows, PAGE - len(page))):
        emit(csv_text(page))
        page = []
    return drafted


def _rows(ask: Ask, drafted: Drafted, complain: Callable[[str], None]) -> Iterator[list[str]]:
    columns, seen = ask.columns, FirstRows()
    for path, wrong in audio_files(ask.folder, every=ask.every):
        cells: dict[str, str] = {}
        if not wrong:
            try:
                cells = ask.pattern.read(os.path.splitext(path)[0])
            except ValueError as error:
                wrong = str(error)
        external_id = cells.get("external_id") or path
        if not wrong and (earlier := seen.first(external_id, drafted.rows + 1)):
            wrong = f"its external_id {quoted(external_id)} is that of row {earlier}"
        if wrong:
            drafted.left_out += 1
            complain(f"{quoted(path, 1_000)}: {wrong}")
            continue
        drafted.rows += 1
        row = {**ask.constants, **cells, "external_id": external_id, RECORDINGS[0]: path}
        yield [row[name] for name in columns]
