"""How a manifest is written: its encoding and what separates its columns. Found out, and said.

The encoding is decided on the whole file, so that one odd byte at its end does not surprise a run that
is half done. Nothing is guessed where it cannot be told: then it is an error that says what to save.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import normalise

DELIMITERS = ",;\t"
SPOKEN = {",": "comma", ";": "semicolon", "\t": "tab"}
HEAD = 65_536
_CHUNK = 1 << 20
_SAVE = "save it as CSV UTF-8"

# The longer mark first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 by its mark"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32 by its mark"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32 by its mark"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16 by its mark"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16 by its mark"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook"),
    (b"\x1f\x8b", "is compressed"),
    (b"%PDF", "is a PDF"),
    (b"SQLite format 3", "is a database"),
)
_SEP = re.compile(r'"?sep=(.)"?[ ,;\t]*(?:\r\n|\r|\n)', re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dialect:
    """An encoding of Python's, the delimiter, and the lines before the header (1 with ``sep=``).

    ``why`` says in words how both were found. Bytes that the encoding does not know become U+FFFD.
    """

    encoding: str
    delimiter: str
    skip: int
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return what was assumed, for reports."""
        return {"encoding": self.encoding, "delimiter": self.delimiter, "why": self.why}


def find_dialect(path: Path, known: Collection[str]) -> Dialect:
    """Return how a file is written; ``known`` are the column names its header may use.

    Raises ``UsageError`` for a file that cannot be read or is no text.
    """
    try:
        if not path.is_file():
            raise UsageError(f"manifest {path}: {'is not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            encoding, how = _encoding(path, file)
            file.seek(0)
            head = file.read(HEAD)
    except OSError as error:
        raise UsageError(f"manifest {path}: cannot be read: {error.strerror or error}") from None
    # A character cut in two at the end of the head is not damage.
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    if not text.strip():
        raise UsageError(f"manifest {path}: is empty", hint="its first line names the columns")
    delimiter, skip, told = _delimiter(path, text, known)
    return Dialect(encoding, delimiter, skip, f"{how}; columns separated by {told}")


def _encoding(path: Path, file: BinaryIO) -> tuple[str, str]:
    head = file.read(HEAD)
    for magic, what in _OTHER_FILES:
        if head.startswith(magic):
            raise UsageError(f"manifest {path}: {what}, not CSV text", hint=_SAVE)
    for mark, encoding, how in _MARKS:
        if head.startswith(mark):
            if (bad := _first_bad(file, encoding.removesuffix("-sig"))) is not None:
                name = how.partition(" ")[0]
                raise UsageError(f"manifest {path}: its mark says {name}, but byte {bad} is not", hint=_SAVE)
            return encoding, how
    if head.count(b"\0") > len(head) // 5:
        raise UsageError(f"manifest {path}: looks like UTF-16 without its mark, or like no text", hint=_SAVE)
    bad = _first_bad(file, "utf-8")
    if bad is None:
        return "utf-8", "UTF-8"
    return "cp1252", f"Windows-1252, because byte {bad} is no UTF-8"


def _first_bad(file: BinaryIO, encoding: str) -> int | None:
    """Return the offset of the first byte that the encoding does not know, from reading all of them."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    at = 0
    while chunk := file.read(_CHUNK):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return at - held + error.start
        at += len(chunk)
    held = len(decoder.getstate()[0])
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return at - held
    return None


def _delimiter(path: Path, text: str, known: Collection[str]) -> tuple[str, int, str]:
    """Return the delimiter, the lines before the header, and words for it."""
    if told := _SEP.match(text):
        mark = told[1]
        if mark in '"\r\n' or not (mark.isprintable() or mark == "\t"):
            raise UsageError(f"manifest {path}: its first line says sep={mark!r}", hint="use , ; or tab")
        return mark, 1, f"{SPOKEN.get(mark, repr(mark))}, as its first line says"
    found = max(DELIMITERS, key=lambda mark: _names(text, mark, known))
    return found, 0, SPOKEN[found]


def _names(text: str, delimiter: str, known: Collection[str]) -> tuple[int, int]:
    """Return how many column names, and how many cells at all, a delimiter makes of the first record."""
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if any(cell.strip() for cell in cells):
                return sum(normalise(cell) in known for cell in cells), len(cells)
    except csv.Error:  # a head that does not parse is the reader's to complain of
        pass
    return 0, 0
