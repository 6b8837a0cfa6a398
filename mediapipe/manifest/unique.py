"""Which row had a text first, in a small and steady memory: 30 to 60 bytes a row."""

from __future__ import annotations

from array import array

_SMALLEST = 1 << 10
_64_BITS, _32_BITS = (1 << 64) - 1, (1 << 32) - 1


class FirstRows:
    """Remembers for each text the row it first came in.

    A text is kept as 96 bits of Python's keyed hash: that of the text, and half of that of one character
    more. Among a thousand million texts two share them with a chance of one in 10^11, so a match needs no
    second look. An open hash table in plain arrays, two thirds full at most.
    """

    def __init__(self) -> None:
        self._count = 0
        self._make(_SMALLEST)

    def _make(self, size: int) -> None:
        self._mask = size - 1
        self._rows = array("I", bytes(4 * size))
        self._low = array("Q", bytes(8 * size))
        self._high = array("I", bytes(4 * size))
        self._marks = array("I", bytes(4 * size))

    def first(self, text: str, row: int) -> int | None:
        """Return the earlier row of this text, or None and remember ``row`` (from 1) for it."""
        earlier = self.first_marked(text, row, 0)
        return earlier[0] if earlier else None

    def first_marked(self, text: str, row: int, mark: int) -> tuple[int, int] | None:
        """Return row and mark that came with this text, or None and remember these (32 bits) for it."""
        low, high = hash(text) & _64_BITS, hash(text + "\0") & _32_BITS
        rows, mask, at = self._rows, self._mask, low & self._mask
        while rows[at]:
            if self._low[at] == low and self._high[at] == high:
                return rows[at], self._marks[at]
            at = at + 1 & mask
        rows[at], self._low[at], self._high[at], self._marks[at] = row, low, high, mark
        self._count += 1
        if 3 * self._count > 2 * (self._mask + 1):
            self._grow()
        return None

    def _grow(self) -> None:
        old = zip(self._rows, self._low, self._high, self._marks, strict=True)
        self._make(2 * (self._mask + 1))
        rows, lows, highs, marks, mask = self._rows, self._low, self._high, self._marks, self._mask
        for row, low, high, mark in old:
            if row:
                at = low & mask
                while rows[at]:  # no two of them are equal
                    at = at + 1 & mask
                rows[at], lows[at], highs[at], marks[at] = row, low, high, mark
