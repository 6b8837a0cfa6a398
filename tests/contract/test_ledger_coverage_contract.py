"""Coverage, anchor and watermark against a naive model: a set of hours."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mediapipe.ledger.interface import Scope
from mediapipe.ledger.open import open_ledger

pytest_plugins = ["tests.postgres.fixtures"]

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = itertools.count()

hours = st.integers(min_value=0, max_value=30)
spans = st.lists(st.tuples(hours, st.integers(min_value=0, max_value=8)), max_size=12)


def at(hour: int) -> datetime:
    return ORIGIN + timedelta(hours=hour)


def model_watermark(covered: set[int], anchor: int | None) -> int | None:
    if anchor is None:
        return None
    mark = anchor
    while mark in covered:
        mark += 1
    return mark


def model_spans(covered: set[int]) -> list[tuple[datetime, datetime]]:
    found: list[tuple[datetime, datetime]] = []
    for hour in sorted(covered):
        if hour - 1 not in covered:
            end = model_watermark(covered, hour)
            assert end is not None
            found.append((at(hour), at(end)))
    return found


@given(spans=spans, anchor=st.none() | hours, when=st.integers(min_value=0, max_value=12))
@example(spans=[(0, 2), (4, 2), (2, 2)], anchor=1, when=0)
@example(spans=[(5, 3)], anchor=8, when=3)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_coverage_is_a_set_of_hours(
    ledger_dsn: str, spans: list[tuple[int, int]], anchor: int | None, when: int
) -> None:
    async def run() -> None:
        # A scope of its own per example: one ledger serves them all.
        scope = Scope(f"job-{next(_numbers)}", "account")
        covered: set[int] = set()
        known: int | None = None
        async with await open_ledger(ledger_dsn, owner="ann") as ledger:
            assert await ledger.watermark(scope) is None
            for number, (start, length) in enumerate(spans):
                if number == when and anchor is not None:
                    known = anchor
                    assert await ledger.anchor(scope, at(anchor)) == at(anchor)
                    assert await ledger.anchor(scope, at(anchor + 1)) == at(anchor)
                covered |= set(range(start, start + length))
                mark = model_watermark(covered, known)
                answer = await ledger.cover(scope, at(start), at(start + length))
                assert answer == (None if mark is None else at(mark))
                assert await ledger.watermark(scope) == answer
            assert await ledger.coverage(scope) == model_spans(covered)

    anyio.run(run)


def test_spans_that_miss_by_a_microsecond_leave_a_gap(ledger_dsn: str) -> None:
    async def run() -> None:
        scope = Scope("job", "account")
        step = timedelta(microseconds=1)
        async with await open_ledger(ledger_dsn, owner="ann") as ledger:
            await ledger.anchor(scope, at(0))
            await ledger.cover(scope, at(1) + step, at(2))
            assert await ledger.cover(scope, at(0), at(1)) == at(1)
            assert await ledger.cover(scope, at(1), at(1) + step) == at(2)
            assert await ledger.coverage(scope) == [(at(0), at(2))]

    anyio.run(run)


@pytest.mark.parametrize("tasks", [12])
def test_covering_at_once_loses_nothing(ledger_dsn: str, tasks: int) -> None:
    """Two owners cover neighbouring hours at the same time."""

    async def run() -> None:
        scope = Scope("job", "account")
        async with (
            await open_ledger(ledger_dsn, owner="ann") as ann,
            await open_ledger(ledger_dsn, owner="bob") as bob,
        ):
            await ann.anchor(scope, at(0))
            async with anyio.create_task_group() as group:
                for number in range(tasks):
                    group.start_soon((ann, bob)[number % 2].cover, scope, at(number), at(number + 1))
            assert await ann.coverage(scope) == [(at(0), at(tasks))]
            assert await bob.watermark(scope) == at(tasks)

    anyio.run(run)
