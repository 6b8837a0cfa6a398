"""A prompt manifest: rows of ``file, type, name`` and, where wanted, ``language`` and ``profile``.

Small compared with a call manifest, so it is read whole: whether two names collide is only known at its end.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import mediapipe.library.names as names
from mediapipe.errors import UsageError
from mediapipe.library.words import PromptType
from mediapipe.manifest.columns import ADDED, normalise
from mediapipe.manifest.dialect import Dialect, find_dialect
from mediapipe.manifest.jsonl import json_columns, json_records
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.problems import Problem, quoted
from mediapipe.manifest.records import Record, csv_records
from mediapipe.manifest.roots import Root
from mediapipe.manifest.source import Source

COLUMNS = ("file", "type", "name", "language", "profile")
NEEDED = ("file", "type", "name")
MOST_ROWS = 100_000
"""Rows of one manifest; no account has that many prompts, and it is held in memory."""

_DEFAULTS = ManifestOptions()


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One row, typed, with all that is wrong with it.

    ``row`` counts data rows from 1, ``line`` is the file's. ``path`` is the audio's real path, ``file`` as it
    stands in the cell; ``name`` is the platform's, ``base`` the same in every language. ``profile`` names a
    rendering profile, "" for the usual one. ``cells`` are as they stand.
    """

    row: int
    line: int
    file: str = ""
    path: str = ""
    type: PromptType | None = None
    name: str = ""
    base: str = ""
    language: str = ""
    profile: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    cells: Sequence[str] = field(default=(), repr=False)

    @property
    def key(self) -> str:
        """Type and name, which is what an item is called; where it is neither, the row's place."""
        return f"{self.type.value}/{self.name}" if self.type and self.name else f"row {self.row}"

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"row {self.row} (line {self.line})"


@dataclass(frozen=True, slots=True)
class PromptManifest:
    """A manifest that was read: its rows, and what is odd about the file as such."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[PromptRow, ...]
    why: str
    warnings: tuple[str, ...] = ()

    @property
    def faulty(self) -> tuple[PromptRow, ...]:
        """The rows that cannot be deployed as they stand."""
        return tuple(row for row in self.rows if row.problems)

    def notes(self, root: Root) -> list[str]:
        """Say how the manifest was read, and what is odd about it."""
        return [f"manifest {self.path}: {self.why}; audio below {root.path}", *self.warnings]


def read_prompts(
    path: Path,
    root: Root,
    *,
    pattern: str = "{name}-{language}",
    options: ManifestOptions = _DEFAULTS,
    stdin: BinaryIO | None = None,
) -> PromptManifest:
    """Read a manifest whole; raises ``UsageError`` for a file that no row could be read from.

    ``pattern`` says what a prompt with a language is called, see :func:`names.with_language`.
    """
    source = Source(path, stdin)
    dialect = find_dialect(source, frozenset((*COLUMNS, *ADDED)), options)
    header, line, records = _opened(source, dialect)
    columns, warnings = _columns(f"{source.where}, line {line}", header, strict=options.strict)
    rows: list[PromptRow] = []
    for number, record in enumerate(records, 1):
        if number > MOST_ROWS:
            raise UsageError(f"{source.where}: has more than {MOST_ROWS:,} rows")
        rows.append(_row(number, record, columns, root, pattern))
    return PromptManifest(path, header, tuple(_without_collisions(rows)), dialect.why, tuple(warnings))


def _opened(source: Source, dialect: Dialect) -> tuple[tuple[str, ...], int, list[Record]]:
    """Return header, its line, and all records."""
    cells: tuple[str, ...] = ()
    line = 0
    if dialect.is_json:
        with source.reading() as file:
            found, line = json_columns(Lines(file, dialect, source.where), source.where)
            cells = tuple(found)
    with source.reading() as file:
        lines = Lines(file, dialect, source.where)
        if dialect.is_json:
            return cells, line, list(json_records(lines, cells, source.where))
        records = csv_records(lines, dialect)
        first = next(records, None)
        if first is None or first.problem is not None:
            why = f"line {first.line} {first.problem}" if first else "no line names the columns"
            raise UsageError(f"{source.where}: {why}")
        return tuple(first.cells), first.line, list(records)


def _columns(where: str, header: Sequence[str], *, strict: bool) -> tuple[list[str], list[str]]:
    """Return the names of the columns in the file's order, and warnings; raises for a useless header."""
    plain = [normalise(cell) for cell in header]
    for name in plain:
        if name and plain.count(name) > 1:
            raise UsageError(f"{where}: more than one column {quoted(name)}")
    for needed in NEEDED:
        if needed not in plain:
            close = difflib.get_close_matches(needed, plain, n=1)
            similar = f", but {quoted(close[0])}" if close else ""
            raise UsageError(
                f"{where}: no column {needed}{similar}",
                hint=f"the columns are {', '.join(COLUMNS)}; {', '.join(NEEDED)} must be there",
            )
    odd = [name for name in plain if name and name not in COLUMNS and name not in ADDED]
    if odd and strict:
        raise UsageError(f"{where}: not known: {', '.join(map(quoted, odd))}")
    return plain, [f"manifest: column {quoted(name)} is not known and is passed over" for name in odd]


def _row(number: int, record: Record, columns: Sequence[str], root: Root, pattern: str) -> PromptRow:
    if record.problem is not None:
        return PromptRow(number, record.line, problems=(record.problem,), cells=record.cells)
    if len(record.cells) != len(columns):
        what = f"has {len(record.cells)} cells where the header has {len(columns)}"
        problem = Problem("ragged_row", what, hint="a delimiter in a text needs quotes around it")
        return PromptRow(number, record.line, problems=(problem,), cells=record.cells)
    cells = {name: cell.strip() for name, cell in zip(columns, record.cells, strict=True) if name}
    exact = record.cells[columns.index("file")]
    if exact != cells["file"] and isinstance(root.find(exact, "file"), str):
        cells["file"] = exact  # its name has those blanks
    return _typed(number, record, cells, root, pattern)


def _typed(number: int, record: Record, cells: Mapping[str, str], root: Root, pattern: str) -> PromptRow:
    problems: list[Problem] = []
    path = _path(cells["file"], root, problems)
    kind = _type(cells["type"], problems)
    language = _language(cells.get("language", ""), problems)
    given = cells["name"]
    base = names.normalise(given)
    name = names.with_language(base, language, pattern) if base else ""
    if not names.collision_key(base):
        problems.append(Problem("missing_value", "a prompt needs a name", "name", given or None))
    elif len(name) > names.LONGEST:
        what = f"is {len(name)} characters long, {names.LONGEST} are taken"
        problems.append(Problem("name_too_long", what, "name", given))
    elif not names.whole(name, base, language):
        what = f"makes the name {quoted(name)}: what follows its dot is taken for an audio extension"
        problems.append(Problem("bad_language", what, "language", language, f"the pattern is {pattern}"))
    notes = [f"is called {quoted(name)} on the platform, not {quoted(given)}"] if name != given else []
    return PromptRow(
        number,
        record.line,
        cells["file"],
        path,
        kind,
        name,
        names.split_language(base, language)[0] if language else base,
        language,
        cells.get("profile", ""),
        tuple(problems),
        tuple(notes) if base else (),
        record.cells,
    )


def _path(cell: str, root: Root, problems: list[Problem]) -> str:
    if not cell:
        problems.append(Problem("missing_value", "a prompt needs its audio", "file"))
        return ""
    found = root.find(cell, "file")
    if isinstance(found, Problem):
        problems.append(found)
        return ""
    return found


def _type(cell: str, problems: list[Problem]) -> PromptType | None:
    words = [one.value for one in PromptType]
    try:
        return PromptType(cell.lower())
    except ValueError:
        close = difflib.get_close_matches(cell.lower(), words, n=1)
        hint = f"did you mean {close[0]}?" if close else f"write {', '.join(words[:-1])} or {words[-1]}"
        what = "is no type of prompt" if cell else "a prompt needs its type"
        problems.append(Problem("bad_type" if cell else "missing_value", what, "type", cell or None, hint))
        return None


def _language(cell: str, problems: list[Problem]) -> str:
    if not cell:
        return ""
    language = names.read_language(cell)
    if language is None:
        hint = "write a tag such as en, es-MX or zh-Hant"
        problems.append(Problem("bad_language", "is no language tag", "language", cell, hint))
    return language or ""


def _without_collisions(rows: Sequence[PromptRow]) -> Iterator[PromptRow]:
    """Yield the rows; all of those that share a name say so, since nobody can tell which was meant."""
    sharing: dict[tuple[str, str], list[PromptRow]] = {}
    for row in rows:
        if row.type and row.name:
            sharing.setdefault((row.type.value, names.collision_key(row.name)), []).append(row)
    for row in rows:
        same = sharing.get((row.type.value, names.collision_key(row.name)), []) if row.type else []
        if len(same) < 2:
            yield row
            continue
        first = [one for one in same[:4] if one is not row][:3]
        places = ", ".join(f"{one.place} {quoted(one.name)}" for one in first)
        more = f" and {len(same) - 4} more" if len(same) > 4 else ""
        what = f"could be taken for {places}{more}"
        hint = "names of one type must differ in more than case, width, Unicode form or extension"
        problem = Problem("name_collision", what, "name", row.name, hint)
        yield replace(row, problems=(*row.problems, problem))
