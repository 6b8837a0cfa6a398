"""A whole list out of its pages where paging is not documented: all of it, or it is said that it may not be.

Advance by what was received, stop at an empty page or at one that brings nothing new (the offset is ignored),
and walk again until two walks agree: what comes or goes meanwhile shifts the pages. A list on one page is a
snapshot, and one walk is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mediapipe.errors import Transient

WALKS = 5
MOST_PAGES = 2_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """One record of a page. Not ``unique``: others may be just like it, and are records of their own."""

    key: Hashable
    value: T
    unique: bool = True


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """One page; ``total`` is what the list is said to hold. ``last``: there is no asking for another."""

    rows: Sequence[Row[T]]
    total: int | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Whole(Generic[T]):
    """What was read. ``doubt`` says in words why it may not be all; empty: it is."""

    records: tuple[T, ...]
    doubt: str = ""


ReadPiece = Callable[[int, int], Awaitable[Piece[T]]]
"""``(offset, limit) → page``."""


@dataclass(slots=True)
class _Walk(Generic[T]):
    """What one pass over the pages saw."""

    rows: list[Row[T]] = field(default_factory=list)
    keys: set[Hashable] = field(default_factory=set)
    total: int = 0
    pages: int = 0
    stuck: bool = False
    """A page as long as was asked for came again: the offset is ignored."""

    def add(self, piece: Piece[T], limit: int) -> bool:
        """Take a page in; False when it is the last."""
        self.total = max(self.total, piece.total or 0)
        before = set(self.keys)
        if not piece.rows:
            return False
        if all(row.key in before for row in piece.rows):
            self.stuck = len(piece.rows) == limit
            return False
        self.pages += 1
        for row in piece.rows:
            if not (row.unique and row.key in self.keys):
                self.rows.append(row)
                self.keys.add(row.key)
        return not piece.last

    @property
    def counted(self) -> Counter[Hashable]:
        """How often each record is there."""
        return Counter(row.key for row in self.rows)


async def whole_list(read: ReadPiece[T], limit: int) -> Whole[T]:
    """Read all of a list, ``limit`` records a page (one more is asked for to tell whether that is heeded).

    Raises what ``read`` raises, and ``Transient`` (``endless_list``).
    """
    before: _Walk[T] | None = None
    doubt = ""
    for _ in range(WALKS):
        this = await _walked(read, limit)
        doubt = await _doubt(this, before, read, limit)
        if not doubt:
            return Whole(_values(this))
        before = this
    return Whole(_values(this), doubt)


def _values(walk: _Walk[T]) -> tuple[T, ...]:
    return tuple(row.value for row in walk.rows)


async def _walked(read: ReadPiece[T], limit: int) -> _Walk[T]:
    walk: _Walk[T] = _Walk()
    offset = 0
    for _ in range(MOST_PAGES):
        piece = await read(offset, limit)
        if not walk.add(piece, limit):
            return walk
        offset += len(piece.rows)
    raise Transient(f"a list has no end after {MOST_PAGES} pages", code="endless_list")


async def _doubt(this: _Walk[T], before: _Walk[T] | None, read: ReadPiece[T], limit: int) -> str:
    if this.total > len(this.rows):
        return f"the platform says {this.total:,} records and shows {len(this.rows):,}"
    if this.stuck and this.total < len(this.rows) and len((await read(0, limit + 1)).rows) > limit:
        return f"the platform shows {len(this.rows):,} records and ignores the offset of a further page"
    if this.pages > 1 and (before is None or before.counted != this.counted):
        return "two walks over the list did not find the same records"
    return ""
