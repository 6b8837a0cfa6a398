"""From the lines of a CSV file to records: the cells of each row that has any, or why it has none."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mediapipe.manifest.dialect import Dialect
from mediapipe.manifest.formulas import restore
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.problems import Problem

_SHOWN = 4_096
"""Characters that are kept of a row whose cells cannot be told apart."""


class Record(NamedTuple):
    """The cells of one row, where it begins (``line`` from 1, ``offset`` in bytes), or why it cannot be read.

    A row with a ``problem`` has its text as it stands for its only cell.
    """

    line: int
    offset: int
    cells: Sequence[str]
    problem: Problem | None = None


def unreadable(lines: Lines, problem: Problem) -> Record:
    """Return the row in hand as one that cannot be read."""
    text = "".join(lines.held).strip()
    kept = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return Record(lines.start, lines.offset, (kept,), problem)


def csv_records(lines: Lines, dialect: Dialect) -> Iterator[Record]:
    """Yield the records of a file from its header on, blank ones left out."""
    texts = lines.read()
    for _ in range(dialect.skip):
        next(texts, "")
        lines.let_go()
    rows: Iterator[list[str]] = csv.reader(texts, delimiter=dialect.delimiter, strict=True)
    if dialect.failed:
        rows = map(_restored, rows)
    while True:
        try:
            for cells in rows:
                if cells and (cells[0].strip() or "".join(cells).strip()):
                    yield Record(lines.start, lines.offset, cells)
                lines.let_go()
            return
        except csv.Error as error:
            if "expected after" not in str(error):
                raise lines.unclosed() from None
        hint = "write a quote inside quotes twice"
        yield unreadable(lines, Problem("bad_quotes", "has a text after a closing quote", hint=hint))
        lines.let_go()


def _restored(cells: list[str]) -> list[str]:
    return [restore(cell) for cell in cells]
