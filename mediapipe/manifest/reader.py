"""From a manifest to rows, one at a time: the file may be as long as it likes.

Every row that has cells comes out, also one that cannot be used; blank lines are passed over. What makes
all that follows doubtful (a quote that is never closed) stops with ``UsageError``.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mediapipe.errors import UsageError
from mediapipe.manifest.calls import CallReader, CallRow
from mediapipe.manifest.columns import Header, normalise, read_header, recognised
from mediapipe.manifest.dialect import Dialect, find_dialect
from mediapipe.manifest.jsonl import json_columns, json_records
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.records import Record, csv_records
from mediapipe.manifest.roots import Root
from mediapipe.manifest.source import Source

_DEFAULTS = ManifestOptions()
_TOTAL = re.compile(
    r"(?:grand |sub)?(?:totals?|sum|count|records|summe|gesamt|somme)\s*[:=]?\s*[0-9.,' ]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class CallManifest:
    """A call manifest whose header has been read. Rows are read anew by each call of :meth:`rows`.

    It may be CSV or JSON lines, packed with gzip or not; ``-`` is stdin, which is kept as long as this is.
    """

    source: Source
    dialect: Dialect
    header: Header
    options: ManifestOptions = _DEFAULTS

    @property
    def path(self) -> Path:
        """The file, or ``-``."""
        return self.source.path

    @classmethod
    def open(
        cls,
        path: Path,
        options: ManifestOptions = _DEFAULTS,
        stdin: BinaryIO | None = None,
        folder: Path | None = None,
    ) -> CallManifest:
        """Find out how the file is written and read its header; raises ``UsageError`` or ``DiskFull``.

        ``stdin`` is read instead of the process's own where the path is ``-``, and kept in ``folder``.
        """
        source = Source(path, stdin, folder)
        dialect = find_dialect(source, recognised(options), options)
        return cls(source, dialect, _read_header(source, dialect, options), options)

    def rows(
        self, root: Root, tz: str | None = None, marker_slot: int | None = None
    ) -> Generator[CallRow, None, None]:
        """Yield the rows, from 1. Raises ``UsageError`` where the file cannot be read on."""
        reader, names = CallReader(root, self.options, tz, marker_slot), self.header.names
        with closing(self.records()) as records:
            for number, (line, offset, cells, problem) in enumerate(records, 1):
                if problem is None:
                    yield reader.read(number, line, names, cells, offset)
                else:
                    yield CallRow(number, line, problems=(problem,), offset=offset, cells=cells)

    def records(self) -> Generator[Record, None, None]:
        """Yield what rows are made of: the cells of each, or why they cannot be laid under the columns."""
        names, cells = self.header.names, self.header.cells
        wide, id_at, first = len(names), names.index("external_id"), cells[0]
        with self.source.reading() as file:
            lines = Lines(file, self.dialect, self.source.where)
            if self.dialect.is_json:
                records = json_records(lines, cells, self.source.where)
            else:
                records = csv_records(lines, self.dialect)
                next(records)
            for record in records:
                found = record.cells
                if len(found) != wide or not found[id_at].strip() or found[0] == first:
                    yield self._shaped(record)
                else:
                    yield record

    def _shaped(self, record: Record) -> Record:
        """Return a record with what keeps its cells from being laid under the columns, if anything does."""
        cells, header = record.cells, self.header
        if record.problem is not None:
            return record
        begin = next((cell.strip() for cell in cells if cell.strip()), "")
        wrong = None
        if _TOTAL.fullmatch(begin) and (len(cells) != len(header.names) or not self._id(cells)):
            what = "is no call: it begins with a total"
            wrong = Problem("total_line", what, value=begin, hint="delete the line")
        elif len(cells) != len(header.names):
            what = f"has {len(cells)} cells where the header has {len(header.names)}"
            hint = "a delimiter in a text needs quotes around it" if len(cells) > 1 else ""
            wrong = Problem("ragged_row", what, hint=hint)
        elif list(map(normalise, cells)) == list(map(normalise, header.cells)):
            wrong = Problem("repeated_header", "is the header once more", hint="delete the line")
        return record if wrong is None else record._replace(problem=wrong)

    def _id(self, cells: Sequence[str]) -> str:
        return cells[self.header.names.index("external_id")].strip()

    def notes(self, root: Root) -> list[str]:
        """Say how the manifest is read, and what is odd about its header."""
        header = self.header
        odd = [f"manifest line {header.line}: column {warning}" for warning in header.warnings]
        return [f"manifest {self.path}: {self.dialect.why}; audio below {root.path}", *odd]

    def as_json(self) -> dict[str, Any]:
        """Return the file and what was assumed of it, for reports."""
        return {
            "path": str(self.path),
            **self.dialect.as_json(),
            "columns": [name for name in self.header.names if name],
            "warnings": [{"code": one.code, "message": str(one)} for one in self.header.warnings],
        }


def _read_header(source: Source, dialect: Dialect, options: ManifestOptions) -> Header:
    with source.reading() as file:
        lines = Lines(file, dialect, source.where)
        if dialect.is_json:
            return read_header(source.where, *json_columns(lines, source.where), options)
        first = next(csv_records(lines, dialect), None)
    if first is None or first.problem is not None:
        why = f"line {first.line} {first.problem}" if first else "no line names the columns"
        raise UsageError(f"{source.where}: {why}")
    return read_header(source.where, first.cells, first.line, options)
