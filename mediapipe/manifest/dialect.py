"""How a manifest is written: its form, its encoding and what separates its columns. Found out, and said.

The encoding is decided on the whole file, so that one odd byte at its end does not surprise a run that
is half done. Nothing is guessed where it cannot be told: then it is an error that says what to save.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import ADDED, normalise
from mediapipe.manifest.encodings import decode_head, find_encoding, is_utf8
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.source import Source

DELIMITERS = ",;\t"
SPOKEN = {",": "comma", ";": "semicolon", "\t": "tab"}
HEAD = 65_536
_DEFAULTS = ManifestOptions()
_WORDS = {"tab": "\t", r"\t": "\t", "comma": ",", "semicolon": ";"}
_JSON_NAMES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_SEP = re.compile(r'"?sep=(.)"?[ ,;\t]*(?:\r\n|\r|\n)', re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dialect:
    """An encoding of Python's, the delimiter (empty: JSON lines), the lines before the header.

    ``why`` says in words how they were found. ``mark`` counts the bytes of a byte order mark. ``failed``
    tells that the file holds rows that failed before, its cells made harmless for spreadsheets.
    """

    encoding: str
    delimiter: str
    skip: int
    why: str
    mark: int = 0
    failed: bool = False

    @property
    def is_json(self) -> bool:
        """Tell whether each line is a JSON object."""
        return not self.delimiter

    def as_json(self) -> dict[str, Any]:
        """Return what was assumed, for reports."""
        form = "jsonl" if self.is_json else "csv"
        return {"form": form, "encoding": self.encoding, "delimiter": self.delimiter, "why": self.why}


def find_dialect(source: Source, known: Collection[str], options: ManifestOptions = _DEFAULTS) -> Dialect:
    """Return how a file is written; ``known`` are the column names its header may use.

    What the options say is not questioned, as long as the file can be read by it. Raises ``UsageError``
    for one that cannot, and for one that is no text.
    """
    with source.reading() as file:
        head = file.read(HEAD)
    ours = _is_ours(head)
    told = None if ours and is_utf8(source) else options.encoding
    encoding, mark, how = find_encoding(source, head, told)
    text = decode_head(encoding, head)
    if not text.strip():
        raise UsageError(f"{source.where}: is empty", hint="its first line names the columns")
    if source.packed:
        how = f"gzip of {how}"
    if _is_json(source, text):
        return Dialect(encoding, "", 0, f"{how}; one JSON object per line", mark)
    told = None if ours else options.delimiter
    delimiter, skip, words = _delimiter(source.where, text, known, told)
    failed = tuple(_first_record(text, skip, delimiter)[-2:]) == ADDED
    return Dialect(encoding, delimiter, skip, f"{how}; columns separated by {words}", mark, failed)


def _is_ours(head: bytes) -> bool:
    """Tell whether this program wrote the file: settings for another system's exports do not apply then."""
    return tuple(_first_record(head.decode("utf-8", "replace"), 0, ",")[-2:]) == ADDED


def _is_json(source: Source, text: str) -> bool:
    begin = text.lstrip()
    if re.match(r"\[\s*\{", begin):
        raise UsageError(
            f"{source.where}: is one JSON array", hint="write one object per line, without [ and ]"
        )
    return begin.startswith("{") or source.path.name.lower().endswith(_JSON_NAMES)


def _delimiter(where: str, text: str, known: Collection[str], told: str | None) -> tuple[str, int, str]:
    """Return the delimiter, the lines before the header, and words for it."""
    said = _SEP.match(text)
    skip = _comments(text, known, 1 if said else 0)
    if told is not None:
        mark = _WORDS.get(told.lower(), told)
        _check(mark, f"the setting manifest.delimiter is {told!r}", "use , ; | or tab")
        return mark, skip, f"{_spoken(mark)}, as told"
    if said:
        mark = said[1]
        _check(mark, f"{where}: its first line says sep={mark!r}", "use , ; or tab")
        return mark, skip, f"{_spoken(mark)}, as its first line says"
    found = max(DELIMITERS, key=lambda mark: _names(text, skip, mark, known))
    return found, skip, SPOKEN[found]


def _check(mark: str, said: str, hint: str) -> None:
    if len(mark) != 1 or mark in '"\r\n' or not (mark.isprintable() or mark == "\t"):
        raise UsageError(f"{said}, which cannot stand between columns", hint=hint)


def _spoken(mark: str) -> str:
    return SPOKEN.get(mark, repr(mark))


def _comments(text: str, known: Collection[str], skip: int) -> int:
    """Return how many lines stand before the header: ``skip``, and those that begin with ``#``.

    A header may begin with that too: it is told by the columns it names.
    """
    lines = list(io.StringIO(text, newline=""))
    while skip < len(lines):
        line = lines[skip].lstrip(' \t"')
        if line.startswith("#"):
            cells = [normalise(cell.strip('"# \r\n')) for cell in re.split(f"[{DELIMITERS}]", line)]
            if sum(cell in known for cell in cells) > 1:
                break
        elif line.strip(DELIMITERS + "\r\n"):
            break
        skip += 1
    return skip


def _names(text: str, skip: int, delimiter: str, known: Collection[str]) -> tuple[int, int]:
    """Return how many column names, and how many cells at all, a delimiter makes of the header."""
    cells = _first_record(text, skip, delimiter)
    return sum(normalise(cell) in known for cell in cells), len(cells)


def _first_record(text: str, skip: int, delimiter: str) -> list[str]:
    lines = iter(io.StringIO(text, newline=""))
    for _ in range(skip):
        next(lines, "")
    # Neither strict nor long enough for a cell that is too long, so no error can come of it here.
    rows = csv.reader(lines, delimiter=delimiter)
    return next((cells for cells in rows if any(cell.strip() for cell in cells)), [])
