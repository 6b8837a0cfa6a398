"""Which recordings a run works on: windows, margins, what is held back, and what was left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mediapipe.convirza.grants import Grants
from mediapipe.errors import ExitCode, Failed, PlatformDown, Rejected, Transient, UsageError
from mediapipe.items import Verdict
from mediapipe.jobs import archive_recordings
from mediapipe.jobs.archive_recordings import Ask
from mediapipe.ledger.interface import Claim, State, Want
from mediapipe.line import Entry
from mediapipe.listing import UNDATED, Listing, Piece, Recording, Request, resolve_span
from mediapipe.shards import Shard
from mediapipe.spans import Span
from tests.engine import ledger_in, states
from tests.platform import BEGIN, DAY, RULES, SCOPE, FakePlatform, MemoryStore, Ran, archived, services_of

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
NOON = timedelta(hours=12)
NOW = BEGIN + 3 * DAY
SETTLE = timedelta(minutes=15)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ── which span ──────────────────────────────────────────────────────────────────────────────────


def resolve(start: datetime | None, end: datetime | None, watermark: datetime | None = None) -> Request:
    return resolve_span(start, end, watermark=watermark, now=NOW, lookback=2 * DAY, settle=SETTLE)


def test_a_named_span_is_taken_as_it_is() -> None:
    assert resolve(BEGIN, BEGIN + DAY, BEGIN + 2 * DAY) == Request(Span(BEGIN, BEGIN + DAY), True, NOW)


@pytest.mark.parametrize("end", [None, NOW, NOW + DAY, NOW - MINUTE])
def test_the_end_is_cut_where_calls_may_still_change(end: datetime | None) -> None:
    assert resolve(BEGIN, end).span == Span(BEGIN, NOW - SETTLE)


def test_without_a_span_a_run_goes_on_from_the_watermark_less_the_lookback() -> None:
    request = resolve(None, None, BEGIN + DAY)
    assert request == Request(Span(BEGIN - DAY, NOW - SETTLE), False, NOW)


@pytest.mark.parametrize(
    ("start", "end", "watermark", "message"),
    [
        (None, BEGIN, BEGIN, "--to is given without --from"),
        (None, None, None, "no earlier run reached a watermark"),
        (BEGIN, BEGIN, None, "--to (2026-02-01) is not after --from (2026-02-01)"),
        (BEGIN + DAY, BEGIN, None, "is not after --from"),
        (NOW, None, None, "the span is empty: it begins at 2026-02-04 and may reach 2026-02-03T23:45:00Z"),
        (NOW - SETTLE, NOW, None, "the span is empty"),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(
    start: datetime | None, end: datetime | None, watermark: datetime | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(start, end, watermark)
    assert message in caught.value.message
    if watermark is None and start is None:
        assert "--from" in caught.value.hint


# ── windows, seen alone ─────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def listing(
    platform: Any, folder: Path, days: int = 2, *, exact: bool = True, **rules: Any
) -> AsyncIterator[Listing]:
    async with ledger_in(folder) as ledger:
        services = services_of(platform, platform, MemoryStore(), ledger, folder, **rules)
        yield Listing(
            api=platform,
            grants=Grants(platform.get_call, margin=60),
            ledger=ledger,
            scope=SCOPE,
            request=Request(Span(BEGIN, BEGIN + days * DAY), exact, NOW),
            rules=services.rules,
            run_id="run-1",
        )


async def handed(listing: Listing) -> list[Sequence[Entry[Recording]]]:
    return [page async for page in listing.pages()]


async def test_a_call_in_the_margin_of_two_windows_is_handed_over_once(tmp_path: Path) -> None:
    platform = FakePlatform()
    midnight = BEGIN + DAY
    offsets = {"before": -MINUTE, "at": 0 * MINUTE, "after": MINUTE, "far": NOON}
    for name, offset in offsets.items():
        platform.add(name, midnight + offset)
        platform.add(f"{name}-none", midnight + offset, None)
    async with listing(platform, tmp_path) as it:
        keys = Counter(entry.payload.call_id for page in await handed(it) for entry in page)
    assert keys == {name: 1 for offset in offsets for name in (offset, f"{offset}-none")}


async def test_a_call_outside_the_span_is_left_alone_though_the_margin_shows_it(tmp_path: Path) -> None:
    platform = FakePlatform()
    for name, moment in (
        ("too-early", BEGIN - MINUTE),
        ("first", BEGIN),
        ("last", BEGIN + 2 * DAY - MINUTE),
        ("at-the-end", BEGIN + 2 * DAY),
        ("too-late", BEGIN + 2 * DAY + MINUTE),
    ):
        platform.add(name, moment)
    async with listing(platform, tmp_path) as it:
        assert [e.payload.call_id for page in await handed(it) for e in page] == ["first", "last"]


@pytest.mark.parametrize("delay", [MINUTE, 4 * MINUTE, 9 * MINUTE, 20 * MINUTE, 3 * NOON])
@pytest.mark.parametrize("sign", [1, -1])
async def test_a_call_listed_by_another_time_than_its_start_is_handed_over_once(
    tmp_path: Path, delay: timedelta, sign: int
) -> None:
    """The platform may compare when a call ended, or was written down."""
    platform = FakePlatform()
    for minute in range(-30, 31, 3):
        started = BEGIN + 2 * DAY + minute * MINUTE
        platform.add(f"call {minute}", started, stamp=started + sign * delay)
    async with listing(platform, tmp_path, days=4) as it:
        keys = Counter(entry.payload.call_id for page in await handed(it) for entry in page)
    assert keys == dict.fromkeys(platform.calls, 1)


@pytest.mark.parametrize("busy", [0, 1])
async def test_split_windows_hand_every_call_over_once(tmp_path: Path, busy: int) -> None:
    platform = FakePlatform()
    for number in range(40):
        started = BEGIN + busy * DAY + NOON + number * 20 * timedelta(seconds=1)
        platform.add(f"b{number:02}", started, "1" if number % 3 else None)
    # One that is dated elsewhere, seen by the window before the busy one and by its first half.
    platform.add("odd", BEGIN - DAY, stamp=BEGIN + DAY)
    platform.add("undated", None, stamp=BEGIN + DAY)
    async with listing(platform, tmp_path, window_max_calls=5) as it:
        pages = await handed(it)
        keys = Counter(entry.payload.call_id for page in pages for entry in page)
        assert keys == dict.fromkeys(platform.calls, 1)
        assert it.findings.windows > 8
        assert it.findings.watermark is None  # nobody claimed, so nothing counts as walked… without an anchor


async def test_an_undated_call_has_the_same_key_and_time_on_every_run(tmp_path: Path) -> None:
    platform = FakePlatform()
    platform.add("7", None, stamp=BEGIN + NOON)
    for _ in range(2):
        async with listing(platform, tmp_path) as it:
            ((entry,),) = await handed(it)
        assert entry.want == Want("7-1", "7", UNDATED)


async def test_calls_without_a_recording_are_held_back_until_their_window_settled(tmp_path: Path) -> None:
    platform = FakePlatform()
    for number in range(8):
        platform.add(f"c{number}", BEGIN + NOON + number * MINUTE, "1" if number % 2 else None)

    def appear(start: datetime, end: datetime, offset: int) -> None:
        if len(platform.listed) == 4:  # during the second walk
            platform.calls["c0"].recording_id = "1"

    platform.on_page = appear
    async with listing(platform, tmp_path, days=1) as it:
        pages = await handed(it)
    keys = [[entry.want.key for entry in page] for page in pages]
    assert sorted(keys[-1]) == ["c2", "c4", "c6"]
    assert sorted(key for page in keys[:-1] for key in page) == ["c0-1", "c1-1", "c3-1", "c5-1", "c7-1"]


@pytest.mark.parametrize(
    "error", [Transient("busy"), Rejected("HTTP 400", code="http_400"), Failed("moved", code="redirected")]
)
async def test_a_window_that_cannot_be_listed_is_named_and_the_others_go_on(
    tmp_path: Path, error: Exception
) -> None:
    platform = FakePlatform()
    for day in range(3):
        platform.add(f"d{day}", BEGIN + day * DAY + NOON)

    def fail(start: datetime, end: datetime, offset: int) -> None:
        if start < BEGIN + DAY + NOON < end:
            raise error

    platform.on_page = fail
    async with listing(platform, tmp_path, days=3) as it:
        assert [e.want.key for page in await handed(it) for e in page] == ["d0-1", "d2-1"]
        (lost,) = it.findings.unsettled
    assert (lost["start"], lost["end"]) == ("2026-02-02", "2026-02-03")
    assert str(error) in lost["reason"]


async def test_windows_that_fail_one_after_another_mean_that_the_platform_is_down(tmp_path: Path) -> None:
    platform = FakePlatform()

    def fail(start: datetime, end: datetime, offset: int) -> None:
        raise Transient("busy")

    platform.on_page = fail
    async with listing(platform, tmp_path, days=5) as it:
        with pytest.raises(PlatformDown):
            await handed(it)
        assert len(it.findings.unsettled) == 3


# ── whole runs ──────────────────────────────────────────────────────────────────────────────────


class Archive:
    """A platform, a store and a ledger, and runs over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.platform, self.store = FakePlatform(), MemoryStore()
        self.runs = 0

    async def run(
        self,
        start: datetime | None = BEGIN,
        end: datetime | None = BEGIN + 3 * DAY,
        *,
        now: datetime = BEGIN + 4 * DAY,
        dry_run: bool = False,
        shard: Shard | None = None,
        piece: Piece | None = None,
        run_id: str = "",
        **more: Any,
    ) -> Ran:
        self.runs += 1
        async with ledger_in(self.folder, f"owner-{self.runs}") as ledger:
            services = services_of(self.platform, self.platform, self.store, ledger, self.folder, **more)
            ask = Ask(now, start, end, dry_run=dry_run, shard=shard, piece=piece)
            return await archived(services, ask, run_id or f"run-{self.runs}")

    async def nightly(self, now: datetime, **more: Any) -> Ran:
        return await self.run(None, None, now=now, **more)

    async def states(self) -> dict[str, State]:
        async with ledger_in(self.folder, "reader") as ledger:
            return await states(ledger, SCOPE)

    async def watermark(self) -> datetime | None:
        async with ledger_in(self.folder, "reader") as ledger:
            return await ledger.watermark(SCOPE)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


async def test_a_pending_call_is_archived_by_a_later_run_that_asks_for_it_by_id(archive: Archive) -> None:
    known = archive.platform.add("5", BEGIN + NOON, None)
    assert (await archive.run()).verdicts == {"5": Verdict.PENDING}
    again = await archive.nightly(BEGIN + 6 * DAY)
    assert again.verdicts == {"5": Verdict.PENDING}
    assert archive.platform.asked == ["5"]
    known.recording_id = "9"
    ran = await archive.nightly(BEGIN + 7 * DAY)
    assert ran.verdicts == {"5-9": Verdict.DONE}
    assert await archive.states() == {"5": State.CLOSED, "5-9": State.DONE}
    assert archive.store.recordings == {"5-9": known.body}
    assert set(archive.store.sidecars) == {"5-9"}
    # It is settled now: nobody asks again.
    archive.platform.asked.clear()
    assert (await archive.nightly(BEGIN + 8 * DAY)).verdicts == {}
    assert archive.platform.asked == []


async def test_a_call_past_the_waiting_age_is_absent_until_it_is_listed_with_a_recording(
    archive: Archive,
) -> None:
    known = archive.platform.add("5", BEGIN + NOON, None)
    await archive.run()
    late = await archive.nightly(BEGIN + 12 * DAY)
    assert (late["5"].verdict, late["5"].reason) == (Verdict.ABSENT, "no_recording")
    archive.platform.asked.clear()
    known.recording_id = "9"
    assert (await archive.nightly(BEGIN + 13 * DAY)).verdicts == {}
    assert archive.platform.asked == []
    assert (await archive.run(now=BEGIN + 14 * DAY)).verdicts == {"5-9": Verdict.DONE}
    assert await archive.states() == {"5": State.CLOSED, "5-9": State.DONE}


async def test_a_call_that_is_gone_says_so_and_nothing_is_removed(archive: Archive) -> None:
    archive.platform.add("5", BEGIN + NOON, None)
    archive.platform.add("6", BEGIN + NOON)
    await archive.run()
    archive.platform.calls.clear()
    ran = await archive.nightly(BEGIN + 6 * DAY)
    assert (ran["5"].verdict, ran["5"].reason) == (Verdict.PENDING, "call_not_found")
    later = await archive.nightly(BEGIN + 12 * DAY)
    assert (later["5"].verdict, later["5"].reason) == (Verdict.ABSENT, "call_not_found")
    assert set(archive.store.recordings) == {"6-1"}


async def test_a_call_that_cannot_be_asked_for_has_failed_and_stays_open(archive: Archive) -> None:
    archive.platform.add("5", BEGIN + NOON, None)
    await archive.run()

    def busy(call_id: str) -> None:
        raise Transient("busy")

    archive.platform.on_get = busy
    ran = await archive.nightly(BEGIN + 6 * DAY)
    assert (ran["5"].verdict, ran["5"].reason) == (Verdict.FAILED, "not_reached")
    assert ran.result.exit_code is ExitCode.ITEMS
    archive.platform.on_get = None
    assert (await archive.nightly(BEGIN + 7 * DAY)).verdicts == {"5": Verdict.PENDING}


async def test_a_changed_recording_id_is_another_recording(archive: Archive) -> None:
    known = archive.platform.add("5", BEGIN + NOON, "8")
    await archive.run()
    known.recording_id = "9"
    assert (await archive.run()).verdicts == {"5-9": Verdict.DONE}
    assert set(archive.store.recordings) == {"5-8", "5-9"}
    assert await archive.states() == {"5-8": State.DONE, "5-9": State.DONE}


async def test_an_open_item_whose_recording_changed_is_closed_by_the_new_one(archive: Archive) -> None:
    known = archive.platform.add("5", BEGIN + NOON, "8")
    archive.platform.expired = 1_000_000
    ran = await archive.run()
    assert (ran["5-8"].verdict, ran["5-8"].reason) == (Verdict.FAILED, "url_expired")
    archive.platform.expired = 0
    known.recording_id = "9"
    assert (await archive.nightly(BEGIN + 6 * DAY)).verdicts == {"5-9": Verdict.DONE}
    assert await archive.states() == {"5-8": State.CLOSED, "5-9": State.DONE}


async def test_a_recording_that_changes_between_list_and_fetch_is_left_to_the_next_run(
    archive: Archive,
) -> None:
    known = archive.platform.add("5", BEGIN + NOON, "8")
    archive.platform.expired = 1

    def change(call_id: str) -> None:
        known.recording_id = "9"

    archive.platform.on_get = change
    ran = await archive.run()
    assert (ran["5-8"].verdict, ran["5-8"].reason) == (Verdict.FAILED, "recording_changed")
    assert (await archive.nightly(BEGIN + 6 * DAY)).verdicts == {"5-9": Verdict.DONE}


async def test_a_call_that_only_the_next_night_lists_is_not_missed(archive: Archive) -> None:
    """It began before the watermark and was written down behind it."""
    now = BEGIN + DAY + SETTLE
    archive.platform.add("5", BEGIN + DAY - MINUTE, stamp=BEGIN + DAY + 10 * MINUTE)
    assert (await archive.run(BEGIN, BEGIN + DAY, now=now)).verdicts == {}
    assert (await archive.nightly(now + DAY)).verdicts == {"5-1": Verdict.DONE}


async def test_days_ahead_of_the_platforms_clock_are_archived_but_never_covered(archive: Archive) -> None:
    """Our clock is two days ahead, once: what is still to happen must not count as walked."""
    archive.platform.add("d0", BEGIN + NOON)
    archive.platform.clock_skew = -2 * DAY.total_seconds()
    ran = await archive.run()
    assert ran.result.exit_code is ExitCode.UNPROVEN
    assert await archive.watermark() == BEGIN + 2 * DAY
    assert {"platform's clock" in window["reason"] for window in ran.result.findings.unsettled} == {True}
    assert set(archive.store.recordings) == {"d0-1"}


async def test_an_unsettled_window_stops_the_watermark_and_no_more(archive: Archive) -> None:
    for day in range(3):
        archive.platform.add(f"d{day}", BEGIN + day * DAY + NOON)

    def drift(start: datetime, end: datetime, offset: int) -> None:
        if start < BEGIN + DAY + NOON < end:  # every page shows a new call, and the one before is gone
            number = len(archive.platform.listed)
            archive.platform.calls.pop(f"x{number - 1}", None)
            archive.platform.add(f"x{number}", BEGIN + DAY + NOON + number * MINUTE, None)

    for number in range(4):
        archive.platform.add(f"y{number}", BEGIN + DAY + NOON, None)
    archive.platform.on_page = drift
    ran = await archive.run()
    assert ran.result.exit_code is ExitCode.UNPROVEN
    assert [window["start"] for window in ran.result.findings.unsettled] == ["2026-02-02"]
    assert await archive.watermark() == BEGIN + DAY
    assert set(archive.store.recordings) == {"d0-1", "d1-1", "d2-1"}
    # The next run begins there, and the watermark then passes what was covered already.
    archive.platform.on_page = None
    await archive.nightly(BEGIN + 4 * DAY)
    assert await archive.watermark() == BEGIN + 4 * DAY - SETTLE


async def test_a_failed_item_does_not_hold_the_watermark(archive: Archive) -> None:
    archive.platform.add("5", BEGIN + NOON)
    archive.platform.expired = 1_000_000
    ran = await archive.run()
    assert ran.verdicts == {"5-1": Verdict.FAILED}
    assert ran.result.findings.watermark == await archive.watermark() == BEGIN + 3 * DAY


async def test_a_backfill_of_older_days_does_not_move_the_watermark(archive: Archive) -> None:
    await archive.run()
    archive.platform.add("5", BEGIN - 20 * DAY + NOON)
    back = await archive.run(BEGIN - 21 * DAY, BEGIN - 19 * DAY)
    assert back.verdicts == {"5-1": Verdict.DONE}
    assert await archive.watermark() == back.result.findings.watermark == BEGIN + 3 * DAY
    ahead = await archive.run(BEGIN + 5 * DAY, BEGIN + 6 * DAY, now=BEGIN + 9 * DAY)
    assert await archive.watermark() == ahead.result.findings.watermark == BEGIN + 3 * DAY


async def test_a_named_span_asks_again_only_for_what_was_open_inside_it(archive: Archive) -> None:
    for day in range(3):
        archive.platform.add(f"d{day}", BEGIN + day * DAY + NOON, None)
    await archive.run()
    archive.platform.calls.clear()  # not listed any more, so each would have to be asked for
    ran = await archive.run(BEGIN + DAY, BEGIN + 2 * DAY)
    assert set(ran.verdicts) == {"d1"}
    assert archive.platform.asked == ["d1"]
    archive.platform.asked.clear()
    assert set((await archive.nightly(BEGIN + 4 * DAY)).verdicts) == {"d0", "d1", "d2"}


async def test_what_another_run_holds_is_asked_for_once_and_its_window_is_covered(archive: Archive) -> None:
    archive.platform.add("5", BEGIN + NOON)
    async with ledger_in(archive.folder, "bob") as bob:
        (claim,) = await bob.claim(
            SCOPE,
            [Want("5-1", "5", BEGIN + NOON)],
            run_id="other",
            lease=timedelta(seconds=0.4),
            takes=frozenset(State),
            intend=True,
        )
        assert isinstance(claim, Claim)
        ran = await archive.run()
    assert ran.verdicts == {"5-1": Verdict.DONE}
    assert await archive.watermark() == BEGIN + 3 * DAY


async def test_a_dry_run_counts_each_call_once_and_writes_nothing(archive: Archive) -> None:
    archive.platform.add("5", BEGIN + NOON, None)
    archive.platform.add("6", BEGIN + NOON)
    await archive.run(BEGIN, BEGIN + DAY)
    archive.platform.add("7", BEGIN + DAY + NOON)
    before = await archive.states(), await archive.watermark(), dict(archive.store.objects)
    dry = await archive.run(dry_run=True)
    assert dry.verdicts == {"5": Verdict.PENDING, "6-1": Verdict.SKIPPED, "7-1": Verdict.PENDING}
    assert (await archive.states(), await archive.watermark(), archive.store.objects) == before


def test_the_rules_of_these_tests_are_a_users() -> None:
    assert RULES.window == DAY
    assert BEGIN.tzinfo is UTC


# ── shared out ──────────────────────────────────────────────────────────────────────────────────


def calls_of_three_days(it: Archive) -> set[str]:
    """Put a call every two hours into three days; every fifth has no recording. Returns their keys."""
    for number in range(36):
        it.platform.add(f"c{number}", BEGIN + number * 2 * 60 * MINUTE, None if number % 5 == 4 else "1")
    return {f"c{n}" if n % 5 == 4 else f"c{n}-1" for n in range(36)}


async def test_shards_share_the_calls_and_move_the_watermark_together(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    keys = calls_of_three_days(it)
    found: list[str] = []
    for shard in Shard(1, 3).all():
        ran = await it.run(shard=shard)
        found += ran.verdicts
        assert all(shard.owns(key.split("-")[0]) for key in ran.verdicts)
        assert ran.result.exit_code is ExitCode.OK
        # The same again changes nothing: the others are waited for.
        again = await it.run(shard=shard)
        assert set(again.verdicts.values()) <= {Verdict.SKIPPED, Verdict.PENDING, Verdict.ABSENT}
        whole = BEGIN + 3 * DAY if shard.number == 3 else None
        assert ran.result.findings.watermark == again.result.findings.watermark == whole
    assert sorted(found) == sorted(keys), "each call is some shard's, and only one's"
    assert set((await it.run()).verdicts.values()) <= {Verdict.SKIPPED, Verdict.PENDING, Verdict.ABSENT}


async def test_a_shard_asks_again_only_for_its_own_of_what_was_left_open(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    calls_of_three_days(it)
    await it.run(start=BEGIN, end=BEGIN + 3 * DAY)
    left = {call.call_id for call in it.platform.calls.values() if call.recording_id is None}
    for call_id in left:
        it.platform.calls[call_id].recording_id = "2"
    late = BEGIN + 30 * DAY
    taken: set[str] = set()
    for shard in Shard(1, 3).all():
        it.platform.asked.clear()
        ran = await it.nightly(late, shard=shard)
        own = {call_id for call_id in left if shard.owns(call_id)}
        assert {outcome.key for outcome in ran.outcomes} == {f"{call_id}-2" for call_id in own}
        assert set(it.platform.asked) == own
        taken |= own
    assert taken == left


async def test_a_window_lost_to_one_shard_holds_the_watermark_before_it(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    calls_of_three_days(it)
    first, second = Shard(1, 2).all()
    await it.run(shard=first)

    def fail(start: datetime, end: datetime, offset: int) -> None:
        if start < BEGIN + DAY + NOON < end:
            raise Transient("busy")

    it.platform.on_page = fail
    lost = await it.run(shard=second)
    assert lost.result.exit_code is ExitCode.UNPROVEN
    assert lost.result.findings.watermark == BEGIN + DAY
    assert lost.result.findings.waits_for == ()
    it.platform.on_page = None
    assert (await it.run(shard=second)).result.findings.watermark == BEGIN + 3 * DAY


def piece(start: int, end: int, *, rest: bool = False, now: datetime = BEGIN + 4 * DAY) -> Piece:
    """Return days of a run of three, or what comes after them."""
    whole = Span(BEGIN, BEGIN + 3 * DAY)
    span = whole if rest else Span(BEGIN + start * DAY, BEGIN + end * DAY)
    return Piece(Request(span, False, now), whole, "family", rest)


async def test_pieces_of_a_run_find_what_one_run_finds(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    keys = calls_of_three_days(it)
    # Listed by another time than its start, on the other side of a seam between two pieces.
    it.platform.add("late", BEGIN + DAY + 40 * MINUTE, stamp=BEGIN + DAY - 40 * MINUTE)
    found: dict[str, Verdict] = {}
    for number, part in enumerate((piece(0, 1), piece(1, 3), piece(0, 0, rest=True))):
        ran = await it.run(piece=part, run_id=f"family.{number}")
        for key, verdict in ran.verdicts.items():
            assert found.setdefault(key, verdict) == verdict, (
                "what a neighbour did counts as done in this run"
            )
    assert set(found) == keys | {"late-1"}
    assert set(found.values()) == {Verdict.DONE, Verdict.PENDING}


async def test_what_a_lost_worker_has_done_counts_as_done_in_the_run(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    calls_of_three_days(it)
    first = await it.run(piece=piece(0, 3), run_id="family.0-lost")
    again = await it.run(piece=piece(0, 3), run_id="family.0-again")
    assert again.verdicts == first.verdicts
    assert again["c0-1"].bytes == first["c0-1"].bytes > 0
    assert again.result.tally.bytes == first.result.tally.bytes
    another = await it.run(run_id="other")
    assert another["c0-1"].verdict is Verdict.SKIPPED


async def test_the_rest_of_a_run_leaves_alone_what_its_pieces_left_open(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    it.platform.add("old", BEGIN - 9 * DAY, None)
    await it.run(BEGIN - 10 * DAY, BEGIN - 8 * DAY, now=BEGIN)
    calls_of_three_days(it)
    await it.run(piece=piece(0, 3), run_id="family.0")
    it.platform.asked.clear()
    rest = await it.run(piece=piece(0, 0, rest=True), run_id="family.1")
    assert it.platform.asked == ["old"]
    assert list(rest.verdicts) == ["old"]


async def test_a_run_that_is_told_to_stop_begins_nothing_more_and_says_what_is_left(tmp_path: Path) -> None:
    it = Archive(tmp_path)
    calls_of_three_days(it)
    sunk: list[str] = []
    async with ledger_in(tmp_path, "owner") as ledger:
        services = services_of(it.platform, it.platform, it.store, ledger, tmp_path)
        ask = Ask(BEGIN + 4 * DAY, BEGIN, BEGIN + 3 * DAY)
        result = await archive_recordings.archive(
            services, ask, run_id="r", sink=lambda one: sunk.append(one.key), stop=lambda: len(sunk) > 3
        )
    assert result.exit_code is ExitCode.INTERRUPTED
    assert result.findings.unsettled[-1]["reason"] == "not walked: the run was stopped"
    assert 3 < len(sunk) < 36
