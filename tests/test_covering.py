"""What all shards of an archive have walked, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.covering import FOLD_SECONDS, Coverage, common, length, scope_of, whole_of
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.ledger.open import open_ledger
from mediapipe.shards import Shard

pytest_plugins = ["tests.postgres.fixtures"]
pytestmark = pytest.mark.anyio

ARCHIVE = Scope("archive.run", "host/account", "s3://bucket/a b 1/2")
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ONE, TWO, THREE = Shard(1, 3).all()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def ledger(ledger_dsn: str) -> AsyncIterator[Ledger]:
    opened = await open_ledger(ledger_dsn, owner="me")
    yield opened
    await opened.aclose()


def spans(*days: tuple[int, int]) -> list[tuple[datetime, datetime]]:
    return [(BEGIN + start * DAY, BEGIN + end * DAY) for start, end in days]


async def walk(ledger: Ledger, shard: Shard | None, start: int, end: int) -> datetime | None:
    coverage = Coverage(ledger, ARCHIVE, shard)
    await coverage.begin(BEGIN + start * DAY)
    for day in range(start, end):
        await coverage.cover(BEGIN + day * DAY, BEGIN + (day + 1) * DAY)
    return await coverage.fold()


# ── pure ────────────────────────────────────────────────────────────────────────────────────


def test_a_shards_scope_leads_back_to_its_archive() -> None:
    assert whole_of(scope_of(ARCHIVE, TWO)) == ARCHIVE
    assert whole_of(ARCHIVE) == ARCHIVE
    assert scope_of(ARCHIVE, Shard(2, 3)) != scope_of(ARCHIVE, Shard(2, 4))


days = st.sets(st.integers(0, 30)).map(
    lambda found: [pair for day in sorted(found) for pair in spans((day, day + 1))]
)


def merged(found: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for start, end in found:
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return joined


@given(days, days)
def test_common_is_what_both_have(one: list, other: list) -> None:
    assert merged(common(merged(one), merged(other))) == merged(sorted(set(one) & set(other)))


def test_length_counts_no_gap() -> None:
    assert length(spans((0, 2), (5, 6))) == 3 * DAY
    assert length([]) == timedelta()


# ── with a ledger ───────────────────────────────────────────────────────────────────────────


async def test_without_shards_everything_is_covered_at_once(ledger: Ledger) -> None:
    assert await walk(ledger, None, 0, 3) == BEGIN + 3 * DAY
    assert await walk(ledger, Shard(1, 1), 3, 4) == BEGIN + 4 * DAY
    assert list(await ledger.coverage(ARCHIVE)) == spans((0, 4))


async def test_the_archive_is_covered_when_all_shards_have_walked(ledger: Ledger) -> None:
    assert await walk(ledger, ONE, 0, 5) is None
    assert await walk(ledger, THREE, 0, 4) is None
    assert await ledger.coverage(ARCHIVE) == []
    assert await walk(ledger, TWO, 0, 3) == BEGIN + 3 * DAY
    assert list(await ledger.coverage(ARCHIVE)) == spans((0, 3))
    assert await walk(ledger, TWO, 3, 9) == BEGIN + 4 * DAY


async def test_a_gap_of_one_shard_holds_the_watermark_and_nothing_behind_it_is_lost(ledger: Ledger) -> None:
    await walk(ledger, ONE, 0, 6)
    await walk(ledger, TWO, 0, 6)
    await walk(ledger, THREE, 0, 2)
    assert await walk(ledger, THREE, 3, 6) == BEGIN + 2 * DAY
    assert list(await ledger.coverage(ARCHIVE)) == spans((0, 2), (3, 6))
    assert await walk(ledger, THREE, 2, 3) == BEGIN + 6 * DAY


async def test_an_unwalked_start_is_never_skipped(ledger: Ledger) -> None:
    """All begin at day 0; one cannot walk it: the watermark must not begin behind it."""
    await walk(ledger, ONE, 0, 4)
    await walk(ledger, TWO, 0, 4)
    coverage = Coverage(ledger, ARCHIVE, THREE)
    await coverage.begin(BEGIN)
    await coverage.cover(BEGIN + DAY, BEGIN + 4 * DAY)
    assert await coverage.fold() == BEGIN


async def test_shards_whose_starts_differ_by_seconds_still_move_the_watermark(ledger: Ledger) -> None:
    for shard in (ONE, TWO, THREE):
        late = BEGIN + timedelta(seconds=shard.number)
        coverage = Coverage(ledger, ARCHIVE, shard)
        await coverage.begin(late)
        await coverage.cover(late, BEGIN + DAY)
        await coverage.fold()
    assert await ledger.watermark(ARCHIVE) == BEGIN + DAY


async def test_another_n_begins_anew_and_keeps_what_was_covered(ledger: Ledger) -> None:
    for shard in (ONE, TWO):
        await walk(ledger, shard, 0, 3)
    for shard in Shard(1, 2).all():
        assert await ledger.coverage(ARCHIVE) == []
        mark = await walk(ledger, shard, 0, 2)
    assert mark == BEGIN + 2 * DAY
    # Two of three had walked the third day, but the halves have not.
    assert list(await ledger.coverage(ARCHIVE)) == spans((0, 2))
    assert await walk(ledger, THREE, 0, 3) == BEGIN + 3 * DAY


async def test_who_is_behind_is_named_and_a_few_seconds_are_not_behind(ledger: Ledger) -> None:
    await walk(ledger, ONE, 0, 3)
    coverage = Coverage(ledger, ARCHIVE, THREE)
    await coverage.begin(BEGIN)
    await coverage.cover(BEGIN, BEGIN + 3 * DAY + timedelta(seconds=40))
    await coverage.fold()
    assert coverage.waits_for == (TWO,)


async def test_a_long_run_looks_at_the_others_meanwhile(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await walk(ledger, ONE, 0, 3)
    await walk(ledger, TWO, 0, 3)
    coverage = Coverage(ledger, ARCHIVE, THREE)
    await coverage.begin(BEGIN)
    assert await coverage.cover(BEGIN, BEGIN + DAY) is None
    monkeypatch.setattr("mediapipe.covering.FOLD_SECONDS", 0.0)
    assert await coverage.cover(BEGIN + DAY, BEGIN + 2 * DAY) == BEGIN + 2 * DAY
    assert FOLD_SECONDS > 1


async def test_only_a_shard_that_signed_is_among_the_scopes(ledger: Ledger) -> None:
    for _ in range(2):
        await Coverage(ledger, ARCHIVE, TWO).sign("run")
        await Coverage(ledger, ARCHIVE, None).sign("run")
    assert list(await ledger.scopes()) == [scope_of(ARCHIVE, TWO)]
    assert not await ledger.holders(scope_of(ARCHIVE, TWO))


async def test_shards_that_end_together_leave_nothing_to_fold(ledger_dsn: str, tmp_path: Path) -> None:
    """Whoever covers last sees what the others covered, whatever the order of the steps between them."""

    async def one(shard: Shard) -> None:
        own = await open_ledger(ledger_dsn, owner=f"owner-{shard.number}")
        try:
            await walk(own, shard, 0, 4)
        finally:
            await own.aclose()

    async with anyio.create_task_group() as group:
        for shard in Shard(1, 4).all():
            group.start_soon(one, shard)
    reader = await open_ledger(ledger_dsn, owner="reader")
    assert await reader.watermark(ARCHIVE) == BEGIN + 4 * DAY
    await reader.aclose()
