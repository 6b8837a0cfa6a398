"""The engine against a real ledger: one outcome per item, receipts first, nothing lost however it ends."""

from __future__ import annotations

import errno
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.errors import (
    CredentialsError,
    DiskFull,
    ExitCode,
    Failed,
    LedgerUnavailable,
    PlatformDown,
    Rejected,
    Transient,
)
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Claim, Held, Receipt, State, Want
from mediapipe.ledger.sql import SqlLedger
from mediapipe.line import Batch, Entry, Finished, Job
from mediapipe.pipeline import rehearse, run
from tests.engine import SCOPE, TAKES, Sunk, done, entries, ledger_in, line, numbered, rows, source_of, states

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def settle(ledger: SqlLedger, key: str, state: State, run_id: str = "run-0", **more: Any) -> None:
    """Bring an item into a state, as an earlier run would have."""
    (claim,) = await ledger.claim(
        SCOPE, [Want(key, key)], run_id=run_id, lease=timedelta(minutes=1), takes=frozenset(State)
    )
    assert isinstance(claim, Claim)
    assert await ledger.settle([Receipt(claim, state, **more)], run_id=run_id) == []


async def take(ledger: SqlLedger, *keys: str, lease: float = 60.0, intend: bool = True) -> list[Any]:
    """Claim as another run would."""
    wants = [Want(key, key) for key in keys]
    return list(
        await ledger.claim(
            SCOPE, wants, run_id="other", lease=timedelta(seconds=lease), takes=TAKES, intend=intend
        )
    )


# ── outcomes ────────────────────────────────────────────────────────────────────────────────────


async def test_every_item_gets_exactly_one_outcome(tmp_path: Path) -> None:
    keys = numbered(700)
    pages = [entries(*keys[at : at + 90]) for at in range(0, len(keys), 90)]
    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        ending = await run(line(pages, workers=7), ledger, sunk)
        assert sunk.verdicts == dict.fromkeys(keys, Verdict.DONE)
        assert await states(ledger) == dict.fromkeys(keys, State.DONE)
        assert await ledger.holders(SCOPE) == frozenset()
    assert (ending.interrupted, ending.fatal) == (False, None)


async def test_an_empty_source_ends_by_itself(tmp_path: Path) -> None:
    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        assert await run(line([[], []]), ledger, sunk) == await run(line([]), ledger, sunk)
    assert sunk.outcomes == []


async def test_an_outcome_is_counted_only_when_its_receipt_is_durable(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def sink(outcome: Outcome) -> None:
        # Another connection sees only what was committed.
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            (state,) = connection.execute(
                "SELECT state FROM ledger_items WHERE key = ?", (outcome.key,)
            ).fetchone()
        connection.close()
        seen[outcome.key] = state

    async with ledger_in(tmp_path) as ledger:
        await run(line([entries(*numbered(20))]), ledger, sink)
    assert seen == dict.fromkeys(numbered(20), "done")


async def test_a_stage_sees_its_item_intended_already(tmp_path: Path) -> None:
    seen: list[State] = []

    async with ledger_in(tmp_path) as ledger:

        async def look(job: Job[Any]) -> Finished:
            seen.append((await ledger.peek(SCOPE, [job.claim.key]))[job.claim.key])
            return await done(job)

        await run(line([entries("a")], look), ledger, Sunk())
        await run(line([entries("b")], look, intend=False), ledger, Sunk())
    assert seen == [State.INTENDED, State.NEW]


@pytest.mark.parametrize(
    ("error", "verdict", "reason", "state"),
    [
        (Failed("no", code="no_luck"), Verdict.FAILED, "no_luck", State.FAILED),
        (Rejected("never", code="too_long"), Verdict.REJECTED, "too_long", State.REJECTED),
        (Transient("busy", code="http_503"), Verdict.FAILED, "http_503", State.FAILED),
        (ZeroDivisionError("oops"), Verdict.FAILED, "unexpected_error", State.FAILED),
        (OSError(errno.EIO, "bad disk"), Verdict.FAILED, "unexpected_error", State.FAILED),
        (TimeoutError(), Verdict.FAILED, "unexpected_error", State.FAILED),
    ],
)
async def test_an_error_is_that_items_outcome_and_its_siblings_go_on(
    tmp_path: Path, error: Exception, verdict: Verdict, reason: str, state: State
) -> None:
    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "b":
            raise error
        return await done(job)

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        ending = await run(line([entries("a", "b", "c")], work), ledger, sunk)
        assert await states(ledger) == {"a": State.DONE, "b": state, "c": State.DONE}
        assert (await rows(ledger))["b"].reason == reason
    assert ending.fatal is None
    assert sunk.verdicts == {"a": Verdict.DONE, "b": verdict, "c": Verdict.DONE}
    assert sunk["b"].reason == reason


async def test_an_unexpected_error_shows_no_secret(tmp_path: Path) -> None:
    async def work(job: Job[Any]) -> Finished:
        raise ValueError("no such thing: https://host/x?secret=abcdef&access=ghijkl")

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        await run(line([entries("a")], work), ledger, sunk)
        row = (await rows(ledger))["a"]
    for text in (sunk["a"].message, row.message):
        assert "ValueError" in text
        assert "abcdef" not in text
        assert "ghijkl" not in text


async def test_what_a_stage_says_is_remembered(tmp_path: Path) -> None:
    async def work(job: Job[Any]) -> Finished:
        outcome = Outcome(job.claim.key, Verdict.DONE, source="k", sha256="ff", bytes=7)
        return Finished(outcome, {"source": "k", "sha256": "ff", "bytes": "7"})

    again = Sunk()
    async with ledger_in(tmp_path) as ledger:
        await run(line([entries("a")], work), ledger, Sunk())
        await run(line([entries("a")], work, run_id="run-2"), ledger, again)
    assert again["a"] == Outcome("a", Verdict.SKIPPED, source="k", sha256="ff", bytes=7)


async def test_only_a_done_item_closes_what_it_replaces(tmp_path: Path) -> None:
    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "2-9":
            raise Failed("not today")
        return await done(job)

    async with ledger_in(tmp_path) as ledger:
        for key in ("1", "2"):
            await settle(ledger, key, State.PENDING)
        replacing = [Entry(Want(f"{key}-9", key), key, None, (key,)) for key in ("1", "2")]
        await run(line([replacing], work), ledger, Sunk())
        found = await states(ledger)
    assert found == {"1": State.CLOSED, "1-9": State.DONE, "2": State.PENDING, "2-9": State.FAILED}


async def test_items_go_down_all_stages_in_order(tmp_path: Path) -> None:
    trail: dict[str, list[str]] = {}

    async def first(job: Job[Any]) -> Any:
        trail[job.claim.key] = [job.payload]
        if job.claim.key == "c":
            return Finished(Outcome("c", Verdict.REJECTED, "short_cut"))
        return job.payload + "1"

    async def second(job: Job[Any]) -> Any:
        trail[job.claim.key].append(job.payload)
        return job.payload + "2"

    async def third(job: Job[Any]) -> Any:
        trail[job.claim.key].append(job.payload)
        return await done(job)

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        await run(line([entries("a", "b", "c")], first, second, third), ledger, sunk)
    assert trail == {"a": ["a", "a1", "a12"], "b": ["b", "b1", "b12"], "c": ["c"]}
    assert sunk.verdicts == {"a": Verdict.DONE, "b": Verdict.DONE, "c": Verdict.REJECTED}


async def test_a_slow_stage_holds_the_source_back(tmp_path: Path) -> None:
    workers, page, handed, most = 3, 10, 0, 0
    sunk = Sunk()

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        nonlocal handed, most
        keys = numbered(400)
        for at in range(0, len(keys), page):
            handed += page
            most = max(most, handed - len(sunk.outcomes))
            yield entries(*keys[at : at + page])

    async def slow(job: Job[Any]) -> Finished:
        await anyio.sleep(0.001)
        return await done(job)

    async with ledger_in(tmp_path) as ledger:
        await run(line(source, slow, workers=workers), ledger, sunk)
    assert len(sunk.verdicts) == 400
    # One page being offered, one in the stream's buffer and the hands, and receipts on their way.
    assert most <= 4 * page


# ── fatal ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_fatal_error_stops_the_run_and_is_reported(tmp_path: Path) -> None:
    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "key-0003":
            raise PlatformDown("gone")
        await anyio.sleep(30)
        return await done(job)

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        with anyio.fail_after(10):
            ending = await run(line([entries(*numbered(40))], work, workers=4), ledger, sunk)
        found = await states(ledger)
        assert await ledger.holders(SCOPE) == frozenset()
    assert isinstance(ending.fatal, PlatformDown)
    assert sunk.outcomes == []
    # What was begun may have had its effect; the rest has its former state back.
    assert [key for key, state in found.items() if state is State.INTENDED] == numbered(4)
    assert {found[key] for key in numbered(40)[4:]} == {State.NEW}


async def test_a_fatal_error_of_the_only_worker_is_reported_while_the_source_waits_for_it(
    tmp_path: Path,
) -> None:
    async def work(job: Job[Any]) -> Finished:
        await anyio.sleep(0.02)
        raise PlatformDown("gone")

    async with ledger_in(tmp_path) as ledger:
        pages = [entries(*numbered(40)), entries("z")]
        ending = await run(line(pages, work, workers=1), ledger, Sunk())
    assert isinstance(ending.fatal, PlatformDown)


async def test_credentials_win_over_other_fatal_errors(tmp_path: Path) -> None:
    together = anyio.Event()

    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "b":
            together.set()
        await together.wait()
        raise {"a": PlatformDown("down"), "b": CredentialsError("refused")}[job.claim.key]

    async with ledger_in(tmp_path) as ledger:
        ending = await run(line([entries("a", "b")], work), ledger, Sunk())
    assert isinstance(ending.fatal, CredentialsError)
    assert ending.fatal.exit_code is ExitCode.CREDENTIALS


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_no_room_left_is_fatal(tmp_path: Path, number: int) -> None:
    async def work(job: Job[Any]) -> Finished:
        raise OSError(number, "no room")

    async with ledger_in(tmp_path) as ledger:
        ending = await run(line([entries("a")], work), ledger, Sunk())
    assert isinstance(ending.fatal, DiskFull)
    assert "stage-0" in ending.fatal.message


async def test_what_was_finished_when_a_fatal_error_came_keeps_its_receipt(tmp_path: Path) -> None:
    """An effect that took place is never left in doubt because a sibling stopped the run."""

    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "c":
            raise PlatformDown("down")
        return await done(job)

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        ending = await run(line([entries("a", "b", "c")], work, workers=1), ledger, sunk)
        found = await states(ledger)
    assert isinstance(ending.fatal, PlatformDown)
    assert found == {"a": State.DONE, "b": State.DONE, "c": State.INTENDED}
    assert sunk.verdicts == {"a": Verdict.DONE, "b": Verdict.DONE}


async def test_a_fatal_error_of_the_source_is_reported(tmp_path: Path) -> None:
    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a")
        raise PlatformDown("list gone")

    async with ledger_in(tmp_path) as ledger:
        ending = await run(line(source), ledger, Sunk())
    assert isinstance(ending.fatal, PlatformDown)


class Broken:
    """A ledger that fails from some write on, seen by the engine as any other."""

    def __init__(self, ledger: SqlLedger, *, settles: int) -> None:
        self._ledger, self._left = ledger, settles

    async def settle(self, receipts: Sequence[Receipt], *, run_id: str) -> list[Receipt]:
        self._left -= 1
        if self._left < 0:
            raise LedgerUnavailable("disk gone")
        return await self._ledger.settle(receipts, run_id=run_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_nothing_is_counted_that_the_ledger_did_not_take(tmp_path: Path) -> None:
    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        broken: Any = Broken(ledger, settles=0)
        ending = await run(line([entries("a", "b")]), broken, sunk)
        found = await states(ledger)
    assert isinstance(ending.fatal, LedgerUnavailable)
    assert sunk.outcomes == []
    assert set(found.values()) == {State.INTENDED}


# ── what stands in the ledger already ───────────────────────────────────────────────────────────


async def test_a_settled_item_is_skipped_with_what_is_known_of_it(tmp_path: Path) -> None:
    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        await settle(ledger, "a", State.DONE, detail={"source": "x.wav", "sha256": "ab", "bytes": "12"})
        await settle(ledger, "b", State.REJECTED, reason="too_long")
        await settle(ledger, "c", State.CLOSED)
        await settle(ledger, "d", State.UNCERTAIN, reason="lost_answer")
        ending = await run(line([entries("a", "b", "c", "d", "e")], takes={State.FAILED}), ledger, sunk)
    assert ending.fatal is None
    assert sunk["a"] == Outcome("a", Verdict.SKIPPED, source="x.wav", sha256="ab", bytes=12)
    assert (sunk["b"].verdict, sunk["b"].reason) == (Verdict.REJECTED, "too_long")
    assert sunk["c"].verdict is Verdict.SKIPPED
    assert (sunk["d"].verdict, sunk["d"].reason) == (Verdict.UNCERTAIN, "lost_answer")
    assert sunk["e"].verdict is Verdict.DONE


async def test_an_open_intent_that_is_not_taken_counts_as_uncertain(tmp_path: Path) -> None:
    sunk, seen = Sunk(), Sunk()
    async with ledger_in(tmp_path, "bob") as bob:
        await take(bob, "a")
        await bob.release(SCOPE, "bob")
    async with ledger_in(tmp_path) as ledger:
        only_failed = line([entries("a", "b")], takes={State.FAILED})
        assert (await rehearse(only_failed, ledger, seen)).fatal is None
        assert (await run(only_failed, ledger, sunk)).fatal is None
    assert sunk.verdicts == {"a": Verdict.UNCERTAIN, "b": Verdict.DONE}
    assert seen.verdicts == {"a": Verdict.UNCERTAIN, "b": Verdict.PENDING}


@pytest.mark.parametrize("verdict", [Verdict.DONE, Verdict.FAILED, Verdict.PENDING, Verdict.ABSENT])
async def test_an_item_that_comes_twice_is_worked_on_and_counted_once(
    tmp_path: Path, verdict: Verdict
) -> None:
    worked: list[str] = []
    settled = anyio.Event()

    async def work(job: Job[Any]) -> Finished:
        worked.append(job.claim.key)
        return Finished(Outcome(job.claim.key, verdict))

    class Watching(Sunk):
        def __call__(self, outcome: Outcome) -> None:
            super().__call__(outcome)
            settled.set()

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", "a")  # in one page
        yield entries("a")  # while it is in hand, or just behind it
        await settled.wait()
        yield entries("a", "b")  # when it is settled

    sunk = Watching()
    async with ledger_in(tmp_path) as ledger:
        await run(line(source, work), ledger, sunk)
    assert sunk.verdicts == {"a": verdict, "b": verdict}
    assert worked == ["a", "b"]


# ── held by another run ─────────────────────────────────────────────────────────────────────────


async def test_an_item_held_elsewhere_is_taken_when_that_lease_has_run_out(tmp_path: Path) -> None:
    sunk, covered = Sunk(), []

    async def complete() -> None:
        covered.append(sunk.keys)

    batch = Batch(complete)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", "b", batch=batch)
        await batch.seal()

    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:
        await take(bob, "a", lease=0.3)
        with anyio.fail_after(10):
            await run(line(source), ledger, sunk)
    assert sunk.verdicts == {"a": Verdict.DONE, "b": Verdict.DONE}
    assert covered == [["a", "b"]]


async def test_an_item_that_the_other_run_finished_meanwhile_is_skipped(tmp_path: Path) -> None:
    sunk, covered = Sunk(), []

    async def complete() -> None:
        covered.append(True)

    batch = Batch(complete)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", batch=batch)
        await batch.seal()

    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:
        (claim,) = await take(bob, "a", lease=0.5)

        async def finish() -> None:
            await anyio.sleep(0.2)
            assert covered == []
            assert (
                await bob.settle([Receipt(claim, State.DONE, detail={"sha256": "ab"})], run_id="other") == []
            )

        async with anyio.create_task_group() as group:
            group.start_soon(finish)
            await run(line(source), ledger, sunk)
    assert (sunk["a"].verdict, sunk["a"].sha256) == (Verdict.SKIPPED, "ab")
    assert covered == [True]


async def test_an_item_that_stays_held_is_pending_and_its_batch_stays_open(tmp_path: Path) -> None:
    sunk, covered = Sunk(), []

    async def complete() -> None:
        covered.append(True)

    batch = Batch(complete)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", "b", batch=batch)
        await batch.seal()

    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:
        (claim,) = await take(bob, "a", lease=0.3)

        async def keep() -> None:
            while True:
                assert await bob.renew([claim], timedelta(seconds=0.5)) == []
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(keep)
            await run(line(source, lease=timedelta(seconds=1)), ledger, sunk)
            group.cancel_scope.cancel()
        assert (await states(ledger))["a"] is State.INTENDED
        assert await bob.settle([Receipt(claim, State.DONE)], run_id="other") == []
    assert (sunk["a"].verdict, sunk["a"].reason) == (Verdict.PENDING, "held_elsewhere")
    assert "bob" in sunk["a"].message
    assert sunk["b"].verdict is Verdict.DONE
    assert covered == []


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_held_item_that_comes_twice_is_counted_once_and_completes_its_batch(
    tmp_path: Path, renewed: bool
) -> None:
    """A listing hands over what its window held, and then again what stands open in the ledger."""
    sunk, covered = Sunk(), []

    async def complete() -> None:
        covered.append(True)

    batch = Batch(complete)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", batch=batch)
        await batch.seal()
        yield entries("a")
        yield entries(*numbered(300))  # more than one page when asked again
        yield entries("a", *numbered(300))

    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:
        (claim, *_) = await take(bob, "a", *numbered(300), lease=0.4)

        async def keep() -> None:
            while renewed:
                assert await bob.renew([claim], timedelta(seconds=1)) == []
                await anyio.sleep(0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(keep)
            await run(line(source, lease=timedelta(seconds=1)), ledger, sunk)
            group.cancel_scope.cancel()
    assert len(sunk.verdicts) == 301
    assert sunk["a"].verdict is (Verdict.PENDING if renewed else Verdict.DONE)
    assert covered == ([] if renewed else [True])


async def test_the_heartbeat_keeps_a_long_stage_its_lease(tmp_path: Path) -> None:
    answers: list[Any] = []
    sunk = Sunk()

    async def slow(job: Job[Any]) -> Finished:
        await anyio.sleep(2.0)
        return await done(job)

    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:

        async def covet() -> None:
            await anyio.sleep(0.2)
            for _ in range(8):
                answers.extend(await take(bob, "a", lease=60))
                await anyio.sleep(0.2)

        async with anyio.create_task_group() as group:
            group.start_soon(covet)
            await run(line([entries("a")], slow, lease=timedelta(seconds=0.6)), ledger, sunk)
        assert await states(ledger) == {"a": State.DONE}
    assert len(answers) == 8
    assert all(isinstance(answer, Held) and answer.owner == "ann" for answer in answers)
    assert sunk.verdicts == {"a": Verdict.DONE}


async def test_a_receipt_that_comes_too_late_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with ledger_in(tmp_path, "bob") as bob, ledger_in(tmp_path) as ledger:

        async def stolen(job: Job[Any]) -> Finished:
            await bob.release(SCOPE, "ann")  # as if this run were dead
            (claim,) = await take(bob, "a")
            assert await bob.settle([Receipt(claim, State.FAILED, "by_bob")], run_id="other") == []
            return await done(job)

        await run(line([entries("a")], stolen), ledger, Sunk())
        row = (await rows(ledger))["a"]
    assert (row.state, row.reason) == (State.FAILED, "by_bob")
    assert "taken over by another run" in caplog.text


# ── batches ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_batch_is_complete_only_when_sealed_and_all_settled(tmp_path: Path) -> None:
    sunk = Sunk()
    when: dict[str, list[str]] = {}

    def batch(name: str) -> Batch:
        async def complete() -> None:
            assert name not in when
            when[name] = [key for key in sunk.keys if key.startswith(name)]

        return Batch(complete)

    a, b, never, empty = batch("a"), batch("b"), batch("never"), batch("empty")

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a1", "a2", batch=a)
        yield entries("never1", batch=never)
        yield entries("b1", batch=b)
        yield entries("a3", batch=a)
        await a.seal()
        await empty.seal()
        await anyio.sleep(0.1)  # b's only item is settled by now; more may come
        assert "b" not in when
        yield entries("b2", batch=b)
        await b.seal()

    async def uneven(job: Job[Any]) -> Finished:
        await anyio.sleep(0.2 if job.claim.key == "a1" else 0)
        if job.claim.key == "a2":
            raise Failed("a failed item is settled too")
        return await done(job)

    async with ledger_in(tmp_path) as ledger:
        await settle(ledger, "a3", State.DONE)
        await run(line(source, uneven), ledger, sunk)
    assert {name: sorted(keys) for name, keys in when.items()} == {
        "a": ["a1", "a2", "a3"],
        "b": ["b1", "b2"],
        "empty": [],
    }


async def test_a_batch_that_cannot_be_recorded_stops_the_run(tmp_path: Path) -> None:
    async def complete() -> None:
        raise LedgerUnavailable("no cover")

    batch = Batch(complete)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a", batch=batch)
        await batch.seal()

    async with ledger_in(tmp_path) as ledger:
        ending = await run(line(source), ledger, Sunk())
    assert isinstance(ending.fatal, LedgerUnavailable)


# ── cancellation ────────────────────────────────────────────────────────────────────────────────


async def test_cancellation_from_outside_is_raised_again_after_the_cleanup(tmp_path: Path) -> None:
    sunk, begun, reached_end = Sunk(), anyio.Event(), False

    async def work(job: Job[Any]) -> Finished:
        if job.claim.key == "a":
            return await done(job)
        begun.set()
        await anyio.sleep(30)
        return await done(job)

    async with ledger_in(tmp_path) as ledger:
        await settle(ledger, "d", State.FAILED)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def stop() -> None:
                    await begun.wait()
                    scope.cancel()

                group.start_soon(stop)
                await run(line([entries("a", "b", "c", "d")], work, workers=1), ledger, sunk)
                reached_end = True
        assert scope.cancelled_caught
        assert not reached_end
        assert await ledger.holders(SCOPE) == frozenset()
        assert await states(ledger) == {
            "a": State.DONE, "b": State.INTENDED, "c": State.NEW, "d": State.FAILED,
        }  # fmt: skip
        # The next run claims at once, as anybody.
        async with ledger_in(tmp_path, "bob") as bob:
            assert all(isinstance(answer, Claim) for answer in await take(bob, "b", "c", "d"))
    assert sunk.verdicts == {"a": Verdict.DONE}


# ── rehearsal ───────────────────────────────────────────────────────────────────────────────────


def contents(folder: Path) -> dict[str, list[Any]]:
    """Return every row of every table."""
    connection = sqlite3.connect(folder / "ledger.db")
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables}  # noqa: S608
    connection.close()
    return found


@pytest.mark.parametrize("known", [False, True])
async def test_a_rehearsal_writes_nothing(tmp_path: Path, known: bool) -> None:
    async with ledger_in(tmp_path) as ledger:
        if known:
            for state in State:
                await settle(ledger, state.value, state, reason="why")
        before = contents(tmp_path)
        sunk = Sunk()
        keys = [state.value for state in State]
        ending = await rehearse(line([entries(*keys), entries("fresh")]), ledger, sunk)
        assert ending.fatal is None
        assert contents(tmp_path) == before
        assert not known or sunk["done"].verdict is Verdict.SKIPPED
        assert sunk["fresh"].reason == "dry_run"
        assert sunk["failed"].verdict is Verdict.PENDING
        assert len(sunk.verdicts) == len(keys) + 1


async def test_a_rehearsal_counts_what_comes_twice_once(tmp_path: Path) -> None:
    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        await settle(ledger, "a", State.FAILED)
        await rehearse(line([entries("a", "b"), entries("a"), entries("b", "b")]), ledger, sunk)
    assert sunk.keys == ["a", "b"]


async def test_a_rehearsal_reports_a_fatal_error(tmp_path: Path) -> None:
    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        yield entries("a")
        raise CredentialsError("refused")

    sunk = Sunk()
    async with ledger_in(tmp_path) as ledger:
        ending = await rehearse(line(source), ledger, sunk)
    assert isinstance(ending.fatal, CredentialsError)
    assert sunk.keys == ["a"]


async def test_the_source_is_closed_however_it_ends(tmp_path: Path) -> None:
    closed = []

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        try:
            yield entries("a")
            yield entries("b")
        finally:
            closed.append(True)

    async def refuse(job: Job[Any]) -> Finished:
        raise PlatformDown("down")

    async with ledger_in(tmp_path) as ledger:
        await run(line(source), ledger, Sunk())
        await run(line(source, refuse, run_id="run-2", takes=frozenset(State)), ledger, Sunk())
        await rehearse(line(source), ledger, Sunk())
    assert closed == [True, True, True]
    assert source_of([]) is not None


# ── signals ─────────────────────────────────────────────────────────────────────────────────────


class Child:
    """A run in a process of its own; see ``tests/draining.py``."""

    def __init__(self, folder: Path, *args: str) -> None:
        command = [sys.executable, "-m", "tests.draining", str(folder), *args]
        root = Path(__file__).resolve().parents[1]
        self.process = subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: list[dict[str, Any]] = []

    def hear(self, word: str, times: int = 1) -> None:
        """Wait until it has said something so many times."""
        assert self.process.stdout is not None
        while sum(word in line for line in self.said) < times:
            heard = self.process.stdout.readline()
            assert heard, f"it ended: {self.said}"
            self.said.append(json.loads(heard))

    def warned(self, text: str) -> None:
        """Wait until it has logged a warning."""
        assert self.process.stderr is not None
        while text not in (heard := self.process.stderr.readline()):
            assert heard, "it ended without a word"

    def ended(self) -> dict[str, Any]:
        """Wait for its end; return its last words."""
        try:
            out, err = self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        self.said += [json.loads(line) for line in out.splitlines()]
        assert self.process.returncode == 0, err
        return self.said[-1]

    @property
    def begun(self) -> list[str]:
        return sorted(line["begun"] for line in self.said if "begun" in line)


FORMER = {"key-0030": State.FAILED, "key-0031": State.PENDING, "key-0032": State.INTENDED}


async def prepare(folder: Path) -> None:
    """Leave some items in the states that earlier runs left them in."""
    async with ledger_in(folder) as ledger:
        for key, state in FORMER.items():
            await settle(ledger, key, state)


async def former(folder: Path) -> dict[str, State]:
    """Return the states after the run; fails when anything is still held."""
    async with ledger_in(folder) as ledger:
        assert await ledger.holders(SCOPE) == frozenset()
        found = await states(ledger)
        answers = await take(ledger, *(key for key, state in found.items() if state is not State.DONE))
        assert all(isinstance(answer, Claim) for answer in answers)
        return found


async def test_the_first_signal_finishes_what_is_in_hand_and_gives_the_rest_back(tmp_path: Path) -> None:
    await prepare(tmp_path)
    child = Child(tmp_path, "0.4")
    child.hear("begun", 2)
    child.process.send_signal(signal.SIGTERM)
    last = child.ended()
    found = await former(tmp_path)
    assert last == {"interrupted": True, "fatal": "None", "outcomes": child.begun}
    assert 2 <= len(child.begun) < 40
    expected = dict.fromkeys(numbered(40), State.NEW) | FORMER | dict.fromkeys(child.begun, State.DONE)
    assert found == expected


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_the_second_signal_stops_at_once_and_forgets_no_intent(
    tmp_path: Path, second: signal.Signals
) -> None:
    await prepare(tmp_path)
    child = Child(tmp_path, "60")
    child.hear("begun", 2)
    child.process.send_signal(signal.SIGINT)
    child.warned("once more stops at once")
    child.process.send_signal(second)
    started = time.monotonic()
    child.hear("interrupted")
    assert time.monotonic() - started < 1.0
    last = child.ended()
    assert last == {"interrupted": True, "fatal": "None", "outcomes": []}
    assert len(child.begun) == 2
    expected = dict.fromkeys(numbered(40), State.NEW) | FORMER | dict.fromkeys(child.begun, State.INTENDED)
    assert await former(tmp_path) == expected


async def test_a_signal_during_a_claim_leaves_no_claim_behind(tmp_path: Path) -> None:
    await prepare(tmp_path)
    child = Child(tmp_path, "0.1", "slow_claim")
    child.hear("claimed")
    child.process.send_signal(signal.SIGTERM)
    last = child.ended()
    assert last["interrupted"]
    assert child.begun == numbered(2)
    expected = dict.fromkeys(numbered(40), State.NEW) | FORMER | dict.fromkeys(child.begun, State.DONE)
    assert await former(tmp_path) == expected
