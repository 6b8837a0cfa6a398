"""The lines of a manifest, with their numbers and where their bytes begin; none is without end."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import repeat
from typing import BinaryIO

from mediapipe.errors import UsageError
from mediapipe.manifest.dialect import Dialect

LONGEST_LINE = 1 << 20
MOST_LINES = 1_000
"""Lines of one row, which quotes may hold together. More is a missing quote."""

_CHUNK = 1 << 16
_ONE_BYTE = ("cp125", "iso8859-", "ascii")


class Lines:
    """Lines one after the other; ``number`` is that of the last one read, from 1.

    ``held`` are those of the row in hand, which begins on line ``start`` with byte ``offset``. Bytes that
    the encoding does not know are marked.
    """

    def __init__(self, file: BinaryIO, dialect: Dialect, where: str) -> None:
        self._file, self._where = file, where
        self._decoder = codecs.getincrementaldecoder(dialect.encoding)("replace")
        self._encoding = dialect.encoding
        self.number, self.start = 0, 1
        self.offset = self._end = dialect.mark
        self.held: list[str] = []

    def read(self) -> Iterator[str]:
        """Yield the lines, each with its end. Called once."""
        held = self.held
        for lines in self._chunks():
            for line, size in zip(lines, _sizes(lines, self._encoding), strict=True):
                self.number += 1
                self._end += size
                held.append(line)
                if len(line) > LONGEST_LINE:
                    raise self._too_long(self.number)
                if len(held) > MOST_LINES:
                    raise self.unclosed()
                yield line

    def let_go(self) -> None:
        """Finish the row in hand: the next line begins another one."""
        self.start = self.number + 1
        self.offset = self._end
        self.held.clear()

    def _chunks(self) -> Iterator[list[str]]:
        """Yield the lines of some bytes at a time."""
        rest, more = "", True
        while more:
            data = self._file.read(_CHUNK)
            more = bool(data)
            text = rest + self._decoder.decode(data, final=not more)
            # As csv wants them: ends are \n, \r and \r\n, and stay as they are.
            lines, rest = list(io.StringIO(text, newline="")), ""
            if more and lines and not lines[-1].endswith("\n"):
                rest = lines.pop()  # may go on in the next chunk, be it with the \n of \r\n
            if len(rest) > LONGEST_LINE:
                raise self._too_long(self.number + len(lines) + 1)
            yield lines

    def _too_long(self, number: int) -> UsageError:
        return UsageError(f"{self._where}: line {number} is longer than {LONGEST_LINE:,} characters")

    def unclosed(self) -> UsageError:
        """Return the error for a row without end: what follows it cannot be told apart."""
        return UsageError(
            f"{self._where}: the row that begins on line {self.start} does not end",
            hint=f"a quote in it is not closed; it begins with byte {self.offset}",
        )


def _sizes(lines: list[str], encoding: str) -> Iterator[int]:
    """Return how many bytes each line had.

    Exact, because a file in another encoding than these was found to be wholly in it.
    """
    if encoding.startswith(_ONE_BYTE):
        return map(len, lines)
    if encoding.startswith("utf-8"):
        return map(len, map(str.encode, lines))
    # With a mark at the file's beginning the order of bytes does not change their number.
    plain = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)
    return map(len, map(str.encode, lines, repeat(plain), repeat("replace")))
