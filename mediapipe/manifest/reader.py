"""From a CSV file to rows, one at a time: the file may be as long as it likes.

Every row that has cells comes out, also one that cannot be used; blank lines are passed over. What makes
all that follows doubtful (a quote that is never closed) stops with ``UsageError``.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from mediapipe.errors import UsageError
from mediapipe.manifest.calls import CallReader, CallRow
from mediapipe.manifest.columns import KNOWN, Header, normalise, read_header
from mediapipe.manifest.dialect import Dialect, find_dialect
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.roots import Root

_LONGEST_LINE = 1 << 20
_MOST_LINES = 1_000
"""Lines of one row, which quotes may hold together. More is a missing quote."""


class Record(NamedTuple):
    """The cells of one row, or why it has none; ``line`` is where it begins, from 1."""

    line: int
    cells: Sequence[str]
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class CallManifest:
    """A call manifest whose header has been read. Rows are read anew by each call of :meth:`rows`."""

    path: Path
    dialect: Dialect
    header: Header

    @classmethod
    def open(cls, path: Path) -> CallManifest:
        """Find out how the file is written and read its header; raises ``UsageError``."""
        dialect = find_dialect(path, KNOWN)
        where = f"manifest {path}"
        with closing(_records(path, dialect)) as records:
            first = next(records, None)
        if first is None or first.problem is not None:
            why = f"line {first.line} {first.problem}" if first else "no line names the columns"
            raise UsageError(f"{where}: {why}")
        return cls(path, dialect, read_header(where, first.cells, first.line))

    def rows(self, root: Root) -> Generator[CallRow, None, None]:
        """Yield the rows, from 1. Raises ``UsageError`` where the file cannot be read on."""
        reader, names = CallReader(root), self.header.names
        with closing(_records(self.path, self.dialect)) as records:
            next(records)
            for number, record in enumerate(records, 1):
                wrong = record.problem or self._shape(record.cells)
                if wrong is not None:
                    yield CallRow(number, record.line, problems=(wrong,))
                else:
                    yield reader.read(number, record.line, names, record.cells)

    def _shape(self, cells: Sequence[str]) -> Problem | None:
        """Return what keeps cells from being laid under the columns."""
        if len(cells) != len(self.header.names):
            what = f"has {len(cells)} cells where the header has {len(self.header.names)}"
            hint = "a delimiter in a text needs quotes around it" if len(cells) > 1 else ""
            return Problem("ragged_row", what, hint=hint)
        if cells[0] == self.header.cells[0] and tuple(map(normalise, cells)) == self.header.names:
            return Problem("repeated_header", "is the header once more", hint="delete the line")
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the file and what was assumed of it, for reports."""
        return {
            "path": str(self.path),
            **self.dialect.as_json(),
            "columns": [name for name in self.header.names if name],
            "warnings": [{"code": one.code, "message": str(one)} for one in self.header.warnings],
        }


def _records(path: Path, dialect: Dialect) -> Generator[Record, None, None]:
    """Yield the records of a file from its header on, blank ones left out."""
    where = f"manifest {path}"
    try:
        # Undecodable bytes were found before; here they are marked and the row says so.
        with path.open(encoding=dialect.encoding, errors="replace", newline="") as file:
            lines = _Lines(file, where)
            for _ in range(dialect.skip):
                next(lines.read(), "")
            reader = csv.reader(lines.read(), delimiter=dialect.delimiter, strict=True)
            yield from _parsed(reader, lines)
    except OSError as error:
        raise UsageError(f"{where}: cannot be read: {error.strerror or error}") from None


def _parsed(reader: Iterator[list[str]], lines: _Lines) -> Iterator[Record]:
    while True:
        lines.start = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "expected after" not in str(error):
                raise lines.unclosed() from None
            hint = "write a quote inside quotes twice"
            yield Record(
                lines.start, (), Problem("bad_quotes", "has a text after a closing quote", hint=hint)
            )
            continue
        if any(cells) and not "".join(cells).isspace():
            yield Record(lines.start, cells)


class _Lines:
    """The lines of a file with their numbers, none without end; ``start`` is where the row in hand began."""

    def __init__(self, file: TextIO, where: str) -> None:
        self._file, self._where = file, where
        self.number, self.start = 0, 1

    def read(self) -> Iterator[str]:
        """Yield the lines that are left."""
        while line := self._file.readline(_LONGEST_LINE):
            self.number += 1
            if len(line) >= _LONGEST_LINE:
                what = f"line {self.number} is longer than {_LONGEST_LINE:,} characters"
                raise UsageError(f"{self._where}: {what}")
            if self.number - self.start >= _MOST_LINES:
                raise self.unclosed()
            yield line

    def unclosed(self) -> UsageError:
        """Return the error for a row without end: what follows it cannot be told apart."""
        return UsageError(
            f"{self._where}: the row that begins on line {self.start} does not end",
            hint="a quote in it is not closed",
        )
