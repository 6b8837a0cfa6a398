"""From JSON lines to the same records that CSV gives: one object per line, every value a text.

A number with a fraction or an exponent is refused but for a length of time: where an id was meant, its
zeros are lost already. Columns are the keys of all lines, in the order they first come.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from typing import Any

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import DURATION, normalise
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.records import Record, unreadable

MOST_COLUMNS = 200
_MOST_LAYOUTS = 1_000
_BLANK = " \t\r\n\ufeff"
_AS_TEXT = "write it as a text, in quotes"


class _Fraction(str):
    """A number that is no integer, as it was written."""

    __slots__ = ()


# Objects become tuples of pairs, which tells one key twice, and tells them from arrays.
_DECODER = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str, parse_float=_Fraction, parse_constant=_Fraction
)


def json_columns(lines: Lines, where: str) -> tuple[list[str], int]:
    """Return the keys of all objects, and the line of the first one. Spellings of one name count as one.

    Raises ``UsageError`` where no line is an object, and for more columns than anybody has.
    """
    spelled: dict[str, str] = {}
    seen: set[str] = set()
    first = 0
    for text in lines.read():
        pairs = _pairs(text)
        if isinstance(pairs, tuple):
            first = first or lines.number
            for key, _ in pairs:
                if key not in seen:
                    seen.add(key)
                    spelled.setdefault(normalise(key), key)
            if len(seen) > MOST_COLUMNS:
                problem = f"{where}: more than {MOST_COLUMNS} keys up to line {lines.number}"
                raise UsageError(problem, hint="each line is one call, and its keys are the columns")
        lines.let_go()
    if not first:
        raise UsageError(f"{where}: no line is a JSON object", hint="write one object per line")
    return list(spelled.values()), first


def json_records(lines: Lines, columns: Sequence[str], where: str) -> Iterator[Record]:
    """Yield a record for each line that is not blank, its cells under these columns."""
    layouts = _Layouts(columns)
    for text in lines.read():
        pairs = _pairs(text)
        if isinstance(pairs, Problem):
            yield unreadable(lines, pairs)
        elif pairs is not None:
            try:
                yield _record(lines, pairs, layouts)
            except KeyError:
                raise UsageError(f"{where}: line {lines.number} changed while it was read") from None
        lines.let_go()


def _pairs(text: str) -> Any:
    """Return the pairs of a line's object, None for a blank line, else a problem."""
    bare = text.strip(_BLANK)
    if not bare:
        return None
    try:
        value = _DECODER.decode(bare)
    except json.JSONDecodeError as error:
        return Problem("bad_json", f"is not JSON: {error.msg} at character {error.pos + 1}")
    except RecursionError:
        return Problem("bad_json", "is not JSON that can be read: too many brackets in brackets")
    if isinstance(value, tuple):
        return value
    return Problem("bad_json", "is no JSON object", hint="write one object per line")


class _Layouts(dict[tuple[str, ...], tuple[int, ...]]):
    """Under which columns the keys of an object go: worked out once for all that have the same keys."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.width = len(columns)
        self._places = {normalise(key): at for at, key in enumerate(columns)}

    def __missing__(self, keys: tuple[str, ...]) -> tuple[int, ...]:
        if len(self) >= _MOST_LAYOUTS:
            self.clear()
        self[keys] = found = tuple(self._places[normalise(key)] for key in keys)
        return found


def _record(lines: Lines, pairs: tuple[tuple[str, Any], ...], layouts: _Layouts) -> Record:
    keys, values = zip(*pairs, strict=True) if pairs else ((), ())
    layout = layouts[keys]
    if len(set(layout)) < len(layout):
        again = next(key for at, key in enumerate(keys) if layout[at] in layout[:at])
        hint = "upper and lower case, blanks and dashes make no difference"
        return unreadable(lines, Problem("duplicate_key", "is there twice", again, hint=hint))
    cells = [""] * layouts.width
    for at, key, value in zip(layout, keys, values, strict=True):
        text = value if type(value) is str else _text(value, key)
        if isinstance(text, Problem):
            return unreadable(lines, text)
        cells[at] = text
    return _whole(lines, cells)


def _text(value: Any, key: str) -> str | Problem:
    """Return a value that is no plain text as one, or what keeps it from being one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Fraction):
        if normalise(key) == DURATION:
            return str(value)
        return Problem("not_text", "is a number with a fraction or an exponent", key, str(value), _AS_TEXT)
    what = "is an object" if isinstance(value, tuple) else "is a list"
    return Problem("not_text", f"{what}, and a column holds one text", key, hint=_AS_TEXT)


def _whole(lines: Lines, cells: list[str]) -> Record:
    """Return a record, unless a text of it could not be written again as it is."""
    longest = csv.field_size_limit()
    written = lines.held[0]
    if len(written) > longest and any(len(cell) > longest for cell in cells):
        return unreadable(lines, Problem("too_long", f"has a text of more than {longest:,} characters"))
    if "\\u" in written and not _encodes("".join(cells)):
        return unreadable(lines, Problem("not_text", "has a text with half a character in it"))
    return Record(lines.start, lines.offset, cells)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
