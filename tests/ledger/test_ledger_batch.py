"""Batches against the real databases: sharing commits, surviving a poisoned operation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, text

from mediapipe.errors import LedgerUnavailable
from mediapipe.ledger import operations as ops
from mediapipe.ledger.batch import Executor
from mediapipe.ledger.interface import OPEN_STATES, Claim, Receipt, Scope, State, Want
from mediapipe.ledger.open import connect, open_ledger

pytest_plugins = ["tests.postgres.fixtures"]
pytestmark = pytest.mark.anyio

SCOPE = Scope("job", "host/account")
LEASE = timedelta(minutes=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_concurrent_work_shares_commits(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:

        async def work(number: int) -> None:
            for turn in range(4):
                wants = [Want(f"{number}-{turn}-{part}") for part in range(number % 5 + 1)]
                claims = await ledger.claim(SCOPE, wants, run_id="r", lease=LEASE, takes=OPEN_STATES)
                for claim in claims:
                    assert isinstance(claim, Claim)
                    await ledger.intend(claim)
                receipts = [Receipt(claim, State.DONE) for claim in claims if isinstance(claim, Claim)]
                assert await ledger.settle(receipts, run_id="r") == []

        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(work, number)
        assert (await ledger.counts(SCOPE))[State.DONE] == 4 * 8 * (1 + 2 + 3 + 4 + 5)
        operations, commits = ledger.commits
        assert commits * 4 < operations


async def test_the_same_key_asked_twice_at_once(ledger_dsn: str) -> None:
    """Two tasks of one owner: both get a claim, the later one stands."""
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        claims: list[Claim] = []

        async def work() -> None:
            (claim,) = await ledger.claim(SCOPE, [Want("a")], run_id="r", lease=LEASE, takes=OPEN_STATES)
            assert isinstance(claim, Claim)
            claims.append(claim)

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(work)
        assert sorted(claim.fence for claim in claims) == list(range(1, 11))
        lost = await ledger.renew(claims, LEASE)
        assert [claim for claim in claims if claim not in lost] == [max(claims, key=lambda c: c.fence)]


def _doing(statement: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute(text(statement)).rowcount


async def test_a_poisoned_operation_fails_alone(ledger_dsn: str) -> None:
    engine, secrets = connect(ledger_dsn)
    executor = Executor(engine, secrets)
    insert = "INSERT INTO ledger_facts VALUES (1, '{}', 'v')"
    poison = "INSERT INTO ledger_facts VALUES (1, 'nothing', NULL)"
    batch: list[ops.Operation] = [ops.Other(_doing(insert.format("a"))), ops.Other(_doing(poison))]
    batch.append(ops.Other(_doing(insert.format("b"))))

    def bug(connection: Connection) -> None:
        raise KeyError("a bug of one caller")

    answers = executor([*batch, ops.Other(bug)])
    assert [answers[0], answers[2]] == [1, 1]
    assert isinstance(answers[1], LedgerUnavailable)
    assert isinstance(answers[3], KeyError)
    with engine.connect() as connection:
        found = connection.scalars(text("SELECT name FROM ledger_facts ORDER BY name")).all()
    assert found == ["a", "b"]
    with pytest.raises(LedgerUnavailable):
        executor([ops.Other(_doing(poison))])
    engine.dispose()


async def test_crossing_claims_of_two_processes_do_not_deadlock(postgres_dsn: str) -> None:
    """Big batches over the same keys in opposite orders, on two connections."""
    keys = [str(number) for number in range(400)]
    async with (
        await open_ledger(postgres_dsn, owner="ann") as ann,
        await open_ledger(postgres_dsn, owner="bob") as bob,
    ):

        async def work(ledger: Any, order: list[str]) -> None:
            for _ in range(10):
                wants = [Want(key) for key in order]
                claims = await ledger.claim(SCOPE, wants, run_id="r", lease=timedelta(0), takes=OPEN_STATES)
                receipts = [Receipt(claim, State.FAILED) for claim in claims if isinstance(claim, Claim)]
                await ledger.settle(receipts, run_id="r")

        async with anyio.create_task_group() as group:
            group.start_soon(work, ann, keys)
            group.start_soon(work, bob, keys[::-1])
            group.start_soon(work, ann, keys[200:] + keys[:200])
            group.start_soon(work, bob, keys[::2])
