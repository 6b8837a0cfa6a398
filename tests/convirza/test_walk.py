from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.models import Call, Page
from mediapipe.convirza.walk import SHORTEST_WINDOW, TooMany, Walked, Walker
from mediapipe.errors import Transient
from mediapipe.spans import Span

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = Span(START, START + timedelta(days=1))


def call(call_id: str, recording_id: str | None = "r") -> Call:
    return Call(call_id, START, recording_id, None, {})


@dataclass
class MovingList:
    """A calls list that changes before its requests, as ``changes`` says by the number of the request."""

    ids: list[str]
    size: int = 2
    changes: dict[int, list[Callable[[MovingList], None]]] = field(default_factory=dict)
    total: Callable[[MovingList, list[str]], int | None] = lambda self, page: len(self.ids)
    order: Callable[[list[str]], list[str]] = list
    offset_works: bool = True
    recordings: dict[str, str | None] = field(default_factory=dict)
    requests: int = 0
    asked: list[tuple[Span, int]] = field(default_factory=list)
    throughout: set[str] = field(default_factory=set)

    async def page(self, span: Span, offset: int) -> Page:
        self.requests += 1
        self.asked.append((span, offset))
        for change in self.changes.get(self.requests, ()):
            change(self)
        if offset == 0:
            self.throughout = set(self.ids)
        self.throughout &= set(self.ids)
        at = offset if self.offset_works else 0
        ids = self.order(self.ids)[at : at + self.size]
        return Page(tuple(call(i, self.recordings.get(i, "r")) for i in ids), self.total(self, ids))


def walk(
    moving: MovingList, *, attempts: int = 4, max_calls: int = 10_000, span: Span = DAY
) -> tuple[list[Call], Walked | TooMany]:
    given: list[Call] = []
    ends: list[Walked | TooMany] = []

    async def main() -> None:
        async for event in Walker(moving.page, max_calls, attempts).walk(span):
            assert not ends, "nothing comes after the end"
            if isinstance(event, tuple):
                given.extend(event)
            else:
                ends.append(event)

    anyio.run(main)
    assert len(ends) == 1
    return given, ends[0]


def names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


def insert(name: str, at: int = 0) -> Callable[[MovingList], None]:
    return lambda moving: moving.ids.insert(at, name)


def delete(name: str) -> Callable[[MovingList], None]:
    return lambda moving: moving.ids.remove(name)


def test_an_empty_window_is_settled_by_one_request() -> None:
    moving = MovingList([])
    assert walk(moving) == ([], Walked(True, 0, 1))
    assert moving.requests == 1


def test_a_window_on_one_page_is_settled_by_one_walk() -> None:
    moving = MovingList(names(2), size=200)
    given, end = walk(moving)
    assert [c.call_id for c in given] == names(2)
    assert end == Walked(True, 2, 1)
    assert [offset for _, offset in moving.asked] == [0, 2]


def test_several_pages_are_walked_twice_and_given_once() -> None:
    moving = MovingList(names(5))
    given, end = walk(moving)
    assert sorted(c.call_id for c in given) == names(5)
    assert end == Walked(True, 5, 2)
    assert [offset for _, offset in moving.asked] == [0, 2, 4, 5] * 2


def test_what_is_asked_is_wider_than_the_window() -> None:
    moving = MovingList([])
    walk(moving)
    asked = moving.asked[0][0]
    assert asked.start < DAY.start
    assert asked.end > DAY.end


def test_a_server_that_caps_its_pages_is_advanced_by_what_came() -> None:
    moving = MovingList(names(7), size=3)
    assert walk(moving)[1].settled  # type: ignore[union-attr]
    assert [offset for _, offset in moving.asked[:4]] == [0, 3, 6, 7]


def test_a_call_that_slips_in_front_mid_walk_is_given() -> None:
    moving = MovingList(names(4), changes={2: [insert("new")]})
    given, end = walk(moving)
    assert {c.call_id for c in given} == {*names(4), "new"}
    assert isinstance(end, Walked)
    assert end.settled


def test_a_call_that_is_skipped_because_one_in_front_vanished_is_given() -> None:
    moving = MovingList(names(5), changes={2: [delete("c0")]})
    given, end = walk(moving)
    assert {c.call_id for c in given} == set(names(5))
    assert isinstance(end, Walked)
    assert end.settled


def test_a_recording_that_appears_between_walks_is_given_again_with_it() -> None:
    moving = MovingList(names(4), recordings={"c1": None})
    moving.changes[4] = [lambda m: m.recordings.update(c1="late")]
    given, _ = walk(moving)
    assert [c.recording_id for c in given if c.call_id == "c1"] == [None, "late"]


def test_a_recording_that_vanishes_or_stays_away_is_not_given_again() -> None:
    moving = MovingList(names(4), recordings={"c1": None})
    moving.changes[4] = [lambda m: m.recordings.update(c2=None)]
    given, _ = walk(moving)
    assert sorted(c.call_id for c in given) == names(4)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("honest", [True, False])
def test_a_server_that_ignores_the_offset_is_never_called_settled(size: int, honest: bool) -> None:
    moving = MovingList(names(6), size=size, offset_works=False)
    if not honest:
        moving.total = lambda *_: None
    given, end = walk(moving)
    assert isinstance(end, Walked)
    assert not end.settled
    assert len(given) == size
    assert end.reason
    assert moving.requests <= 8


def test_a_total_that_keeps_moving_is_never_called_settled() -> None:
    ticks = count(5)
    moving = MovingList(names(5), total=lambda *_: next(ticks))
    end = walk(moving)[1]
    assert isinstance(end, Walked)
    assert not end.settled
    assert end.walks == 4
    assert "moved" in end.reason


def test_a_total_above_what_comes_is_never_called_settled() -> None:
    end = walk(MovingList(names(5), total=lambda *_: 6))[1]
    assert isinstance(end, Walked)
    assert not end.settled
    assert "6" in end.reason


def test_a_total_of_nought_on_the_empty_last_page_is_not_a_move() -> None:
    """``COUNT(*) OVER ()`` says 0 where there is no row to say it."""
    moving = MovingList(names(5), total=lambda self, page: len(self.ids) if page else 0)
    end = walk(moving)[1]
    assert end == Walked(True, 5, 2)


def test_without_a_total_two_equal_walks_settle() -> None:
    given, end = walk(MovingList(names(5), total=lambda *_: None))
    assert len(given) == 5
    assert end == Walked(True, 5, 2)


def test_a_window_with_too_many_calls_is_split_and_nothing_is_given() -> None:
    moving = MovingList(names(5))
    assert walk(moving, max_calls=4) == ([], TooMany(5))
    assert moving.requests == 1
    assert isinstance(walk(MovingList(names(5)), max_calls=5)[1], Walked)


def test_a_shortest_window_is_walked_whatever_it_holds() -> None:
    end = walk(MovingList(names(5)), max_calls=1, span=Span(START, START + SHORTEST_WINDOW))[1]
    assert end == Walked(True, 5, 2)


def test_no_generator_is_left_to_the_collector_after_a_split() -> None:
    left: list[object] = []

    async def main() -> None:
        sys.set_asyncgen_hooks(finalizer=left.append)
        async for _ in Walker(MovingList(names(5)).page, 4, 4).walk(DAY):
            pass

    anyio.run(main)
    assert left == []


def test_a_fault_of_the_list_passes_through() -> None:
    async def broken(span: Span, offset: int) -> Page:
        raise Transient("down")

    async def main() -> None:
        async for _ in Walker(broken, 10, 4).walk(DAY):
            pass

    with pytest.raises(Transient):
        anyio.run(main)


def test_an_order_that_never_holds_still_settles_when_all_were_seen() -> None:
    chance = random.Random(3)
    moving = MovingList(names(6), size=5, order=lambda ids: chance.sample(ids, len(ids)))
    given, end = walk(moving, attempts=30)
    assert isinstance(end, Walked)
    assert end.settled
    assert {c.call_id for c in given} == set(names(6))


def test_a_deleted_call_does_not_stand_for_one_that_was_never_seen() -> None:
    orders = [
        ["c0", "c1", "c2", "gone", "c3"],  # first walk: 5 calls, c3 is not reached …
        ["c3", "c0", "c1", "c2", "gone"],
        ["c3", "gone", "c0", "c1", "c2"],
        ["c0", "c1", "c2", "c3"],  # … then one vanishes, and c3 hides in both later walks
        ["c3", "c2", "c0", "c1"],
        ["c0", "c1", "c2", "c3"],
        ["c3", "c2", "c0", "c1"],
    ]
    turns = iter(orders * 4)
    moving = MovingList([*names(4), "gone"], order=lambda ids: [i for i in next(turns) if i in ids], size=3)
    moving.changes[4] = [delete("gone")]
    given, end = walk(moving, attempts=3)
    assert isinstance(end, Walked)
    assert not end.settled or "c3" in {c.call_id for c in given}


changes = st.dictionaries(
    st.integers(1, 14),
    st.lists(st.tuples(st.sampled_from(["in", "in", "out"]), st.integers(0, 9)), max_size=2),
)


@settings(deadline=None)
@given(
    size=st.integers(1, 4),
    start=st.integers(0, 8),
    schedule=changes,
    shuffle=st.none() | st.integers(0, 10**6),
    totals=st.sampled_from(["true", "none", "nought at the end"]),
    may_vanish=st.booleans(),
)
def test_settled_is_only_said_when_every_call_of_the_last_walk_was_given(
    size: int,
    start: int,
    schedule: dict[int, list[tuple[str, int]]],
    shuffle: int | None,
    totals: str,
    may_vanish: bool,
) -> None:
    """Calls come at any place and (in another life) vanish; the order is fixed or never holds still."""
    fresh = count(100)
    chance = random.Random(shuffle)

    def change(kind: str, at: int) -> Callable[[MovingList], None]:
        def apply(moving: MovingList) -> None:
            if kind == "in":
                moving.ids.insert(at, f"c{next(fresh)}")
            elif may_vanish and moving.ids:
                moving.ids.pop(at % len(moving.ids))

        return apply

    # One kind of change between two requests: a call that vanishes just as another comes leaves no trace.
    plan = {
        number: [change(kind, at) for kind, at in steps if kind == steps[0][0]]
        for number, steps in schedule.items()
    }
    tell: Callable[[MovingList, list[str]], int | None] = lambda m, page: len(m.ids)  # noqa: E731
    if totals == "none":
        tell = lambda *_: None  # noqa: E731
    elif totals != "true":
        tell = lambda m, page: len(m.ids) if page else 0  # noqa: E731
    moving = MovingList(names(start), size, plan, tell)
    if shuffle is not None:
        moving.order = lambda ids: chance.sample(ids, len(ids))
    given, end = walk(moving, attempts=6)
    assert isinstance(end, Walked)
    got = {c.call_id for c in given}
    if end.settled:
        assert moving.throughout <= got
    else:
        assert end.reason
    if shuffle is None and not schedule:
        assert end.settled
        assert got == set(names(start))


@pytest.mark.parametrize("total", [3, None])
def test_a_record_that_cannot_be_read_keeps_its_window_open_and_costs_no_other(total: int | None) -> None:
    async def page(span: Span, offset: int) -> Page:
        return Page((), total) if offset else Page((call("a"), call("b")), total, received=3, unreadable=1)

    given: list[object] = []

    async def main() -> None:
        given.extend([event async for event in Walker(page, 100, 2).walk(DAY)])

    anyio.run(main)
    assert given[0] == (call("a"), call("b"))
    end = given[-1]
    assert isinstance(end, Walked)
    assert not end.settled
    assert "1 records of the list" in end.reason
