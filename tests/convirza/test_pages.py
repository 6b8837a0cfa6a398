"""A list out of pages: whichever list it is, what is read is all of it, or there is a doubt."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.convirza import pages
from mediapipe.convirza.pages import Piece, Row, Whole, whole_list
from mediapipe.errors import Transient


def row(value: str) -> Row[str]:
    return Row(value, value)


def read_of(values: Sequence[str], cap: int, *, total: int | None = None, offset: bool = True):  # type: ignore[no-untyped-def]
    asked: list[tuple[int, int]] = []

    async def read(start: int, limit: int) -> Piece[str]:
        asked.append((start, limit))
        start = start if offset else 0
        return Piece([row(value) for value in values[start : start + min(cap, limit)]], total)

    return read, asked


def whole(values: Sequence[str], cap: int, limit: int = 5, **more: object) -> tuple[Whole[str], int]:
    read, asked = read_of(values, cap, **more)  # type: ignore[arg-type]
    return anyio.run(whole_list, read, limit), len(asked)


VALUES = [f"v{n}" for n in range(12)]


@given(st.integers(0, 12), st.integers(1, 8), st.booleans())
def test_all_of_a_quiet_list_is_read(count: int, cap: int, totalled: bool) -> None:
    got, _ = whole(VALUES[:count], cap, total=count if totalled else None)
    assert got == Whole(tuple(VALUES[:count]))


def test_a_list_on_one_page_is_walked_once_and_another_twice() -> None:
    assert whole(VALUES[:5], 5)[1] == 2
    assert whole(VALUES[:6], 5)[1] == 6


@given(st.integers(0, 12), st.integers(1, 8))
def test_where_the_offset_is_ignored_a_part_of_it_is_never_all(count: int, cap: int) -> None:
    """Unless the far side cuts its pages shorter than what is asked for, and says nothing of it."""
    got, _ = whole(VALUES[:count], cap, offset=False)
    complete = len(got.records) == count
    assert complete or got.doubt or cap <= 5
    counted, _ = whole(VALUES[:count], cap, offset=False, total=count)
    assert (len(counted.records) == count) == (not counted.doubt)


def test_a_page_that_is_the_last_is_not_asked_past() -> None:
    asked = []

    async def read(start: int, limit: int) -> Piece[str]:
        asked.append(start)
        return Piece([row("a"), row("b")], last=True)

    assert anyio.run(whole_list, read, 5) == Whole(("a", "b"))
    assert asked == [0]


def test_records_that_are_alike_are_counted_unless_they_are_unique() -> None:
    async def read(start: int, limit: int) -> Piece[str]:
        alike = [Row("a", "a", unique=False)] * 3 + [row("b"), row("b")]
        return Piece(alike[start:])

    assert anyio.run(whole_list, read, 5) == Whole(("a", "a", "a", "b"))


def test_a_list_that_grows_while_it_is_walked_ends_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_PAGES", 10)

    async def read(start: int, limit: int) -> Piece[str]:
        return Piece([row(str(start))])

    with pytest.raises(Transient) as caught:
        anyio.run(whole_list, read, 5)
    assert caught.value.code == "endless_list"
