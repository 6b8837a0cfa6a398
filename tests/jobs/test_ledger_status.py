"""``status``: what the ledger holds, whatever state its runs are in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio

from mediapipe.jobs.ledger_status import ledger_status
from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
from mediapipe.ledger.open import open_ledger

T = TypeVar("T")
ONE = Scope("archive.run", "host/default", "file:///one")
TWO = Scope("archive.run", "host/default", "file:///two")
DAY = datetime(2026, 2, 1, tzinfo=UTC)
LEASE = timedelta(minutes=1)


def with_ledger(folder: Path, work: Callable[[Ledger], Awaitable[T]]) -> T:
    async def main() -> T:
        ledger = await open_ledger(str(folder / "ledger.db"), owner="me")
        try:
            return await work(ledger)
        finally:
            await ledger.aclose()

    return anyio.run(main)


def test_an_empty_ledger_holds_nothing(tmp_path: Path) -> None:
    assert with_ledger(tmp_path, ledger_status) == ([], [])


def test_each_destination_has_its_own_standing(tmp_path: Path) -> None:
    async def work(ledger: Ledger) -> None:
        await ledger.begin("r1", ONE)
        await ledger.anchor(ONE, DAY)
        wants = [Want(str(number)) for number in range(3)]
        claims = await ledger.claim(ONE, wants, run_id="r1", lease=LEASE, takes=(), intend=True)
        first, second, _ = [claim for claim in claims if isinstance(claim, Claim)]
        await ledger.settle([Receipt(first, State.DONE), Receipt(second, State.PENDING)], run_id="r1")
        await ledger.cover(ONE, DAY, DAY + timedelta(days=1))
        await ledger.begin("r2", TWO)
        await ledger.end("r2", exit_code=3, counts={"failed": 1}, size=5)

        scopes, runs = await ledger_status(ledger)
        one, two = sorted(scopes, key=lambda status: status.scope.destination)
        assert {state: number for state, number in one.counts.items() if number} == {
            State.DONE: 1,
            State.PENDING: 1,
            State.INTENDED: 1,
        }
        assert one.watermark == DAY + timedelta(days=1)
        assert list(one.coverage) == [(DAY, DAY + timedelta(days=1))]
        assert one.holders == {"me"}, "a run at work must be seen"
        assert (two.scope, two.watermark, list(two.coverage), two.holders) == (TWO, None, [], frozenset())
        assert {run.run_id: run.exit_code for run in runs} == {"r1": None, "r2": 3}

    with_ledger(tmp_path, work)


def test_only_the_latest_runs_are_shown_newest_first(tmp_path: Path) -> None:
    async def work(ledger: Ledger) -> None:
        for number in range(12):
            await ledger.begin(f"run-{number:02}", ONE)
        _, runs = await ledger_status(ledger)
        assert [run.run_id for run in runs] == [f"run-{number:02}" for number in range(11, 1, -1)]
        _, runs = await ledger_status(ledger, runs=2)
        assert len(runs) == 2

    with_ledger(tmp_path, work)
