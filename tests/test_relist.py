from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mediapipe.convirza.models import Call
from mediapipe.covering import Coverage
from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.relist import IMPORT, RELIST, Relist, mark, span_of
from mediapipe.shards import Shard

ACCOUNT = "host/account"
ARCHIVE = Scope("archive.run", ACCOUNT, "file:///archive")
OTHER = Scope("archive.run", "host/other", "file:///archive")
DAY = date(2026, 2, 14)
LATER = datetime.now(UTC) + timedelta(days=7)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="me")
    for number, scope in enumerate((ARCHIVE, OTHER)):
        await opened.begin(f"run-{number}", scope)
        await opened.cover(scope, span_of(date(2026, 2, 1)).start, span_of(date(2026, 3, 1)).start)
    yield opened
    await opened.aclose()


async def imported(ledger: Ledger, key: str, at: datetime, caller: str, state: State = State.DONE) -> None:
    scope = Scope(IMPORT, ACCOUNT, "v2")
    answers = await ledger.claim(
        scope, [Want(key, at=at)], run_id="i", lease=timedelta(seconds=60), takes=set(State)
    )
    assert isinstance(answers[0], Claim)
    await ledger.settle([Receipt(answers[0], state, detail={"caller": caller})], run_id="i")


def listed(at: datetime, caller: str, recording: str | None = "9") -> Call:
    return Call("77", at, recording, None, {"caller_id": caller})


AT = datetime(2026, 2, 14, 15, 0, 1, tzinfo=UTC)


async def test_only_covered_days_of_the_accounts_own_archives_are_marked(ledger: Ledger) -> None:
    marked = await mark(ledger, ACCOUNT, {DAY, date(2019, 1, 1), date(2026, 3, 1)}, LATER, "run")
    assert marked == {ARCHIVE.destination: 1}
    assert (await Relist.of(ledger, ARCHIVE)).marks == {DAY: LATER}
    assert (await Relist.of(ledger, OTHER)).marks == {}


async def test_a_mark_goes_when_every_call_was_seen_with_its_recording(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    await imported(ledger, "b", AT, "18015559999", State.UNCERTAIN)
    await imported(ledger, "c", AT, "18015558888", State.REJECTED)
    relist = await Relist.of(ledger, ARCHIVE)
    relist.saw(listed(AT, "8015551234"))
    relist.saw(listed(AT, "18015559999", None))
    await relist.clear(ledger, ARCHIVE, [DAY], "archive")
    assert (await Relist.of(ledger, ARCHIVE)).marks, "one has no recording yet"
    relist.saw(listed(AT + timedelta(seconds=1), "18015559999"))
    await relist.clear(ledger, ARCHIVE, [DAY], "archive")
    assert not (await Relist.of(ledger, ARCHIVE)).marks


async def test_a_mark_runs_out(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, datetime.now(UTC) - timedelta(seconds=1), "run")
    relist = await Relist.of(ledger, ARCHIVE)
    await relist.clear(ledger, ARCHIVE, [DAY], "archive")
    assert not (await Relist.of(ledger, ARCHIVE)).marks


async def test_a_day_that_is_marked_again_meanwhile_stays_marked(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    relist = await Relist.of(ledger, ARCHIVE)
    relist.saw(listed(AT, "18015551234"))
    again = LATER + timedelta(days=1)
    await mark(ledger, ACCOUNT, {DAY}, again, "run-2")
    await relist.clear(ledger, ARCHIVE, [DAY], "archive")
    assert (await Relist.of(ledger, ARCHIVE)).marks == {DAY: again}


async def test_a_cleared_day_can_be_marked_again(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, datetime.now(UTC) - timedelta(seconds=1), "run")
    await (await Relist.of(ledger, ARCHIVE)).clear(ledger, ARCHIVE, [DAY], "archive")
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run-2")
    assert (await Relist.of(ledger, ARCHIVE)).marks == {DAY: LATER}
    assert [scope for scope in await ledger.scopes() if scope.job == RELIST]


# ── with shards ─────────────────────────────────────────────────────────────────────────────────


async def through(ledger: Ledger, shard: Shard | None) -> None:
    """List the day as a shard does."""
    relist = await Relist.of(ledger, ARCHIVE, shard)
    relist.saw(listed(AT, "18015551234"))
    await relist.clear(ledger, ARCHIVE, list(relist.marks), "archive")


async def marks_of(ledger: Ledger, shard: Shard | None = None) -> dict[date, datetime]:
    return dict((await Relist.of(ledger, ARCHIVE, shard)).marks)


async def test_a_mark_goes_when_every_shard_has_listed_the_day(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    shards = Shard(1, 3).all()
    for shard in shards:
        assert await marks_of(ledger) == await marks_of(ledger, shard) == {DAY: LATER}
        await through(ledger, shard)
        assert await marks_of(ledger, shard) == {}, "it has done its part"
    assert await marks_of(ledger) == {}


async def test_a_mark_set_anew_has_to_be_listed_by_every_shard_again(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    first, second = Shard(1, 2).all()
    await through(ledger, first)
    again = LATER + timedelta(days=1)
    await mark(ledger, ACCOUNT, {DAY}, again, "run-2")
    await through(ledger, second)
    assert await marks_of(ledger) == await marks_of(ledger, first) == {DAY: again}
    await through(ledger, first)
    assert await marks_of(ledger) == {}


async def test_another_n_lists_the_day_from_the_start(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    await through(ledger, Shard(1, 3))
    await through(ledger, Shard(2, 3))
    first, second = Shard(1, 2).all()
    await through(ledger, first)
    assert await marks_of(ledger, second) == {DAY: LATER}
    await through(ledger, second)
    assert await marks_of(ledger, Shard(3, 3)) == {}


async def test_a_run_without_shards_clears_for_all(ledger: Ledger) -> None:
    await mark(ledger, ACCOUNT, {DAY}, LATER, "run")
    await imported(ledger, "a", AT, "18015551234")
    await through(ledger, Shard(1, 2))
    await through(ledger, None)
    assert await marks_of(ledger, Shard(2, 2)) == {}


async def test_a_day_that_one_shard_has_walked_is_marked_though_the_archive_has_not(ledger: Ledger) -> None:
    """Else its calls would be missed: when the other shards have walked the day too, it counts as covered."""
    far = date(2026, 4, 1)
    shard = Shard(2, 3)
    coverage = Coverage(ledger, ARCHIVE, shard)
    await coverage.sign("run")
    await coverage.cover(span_of(far).start, span_of(far).end)
    assert await mark(ledger, ACCOUNT, {far}, LATER, "run") == {ARCHIVE.destination: 1}
    assert await marks_of(ledger, shard) == {far: LATER}
