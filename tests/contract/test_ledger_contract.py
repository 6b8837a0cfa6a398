"""What every ledger promises, asked of SQLite and of a real PostgreSQL: claims and receipts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mediapipe.ledger.interface import (
    OPEN_STATES,
    Claim,
    Receipt,
    Settled,
    State,
    Want,
)
from mediapipe.ledger.open import open_ledger
from tests.contract.ledger_kit import LONG, NOON, SCOPE, ask, listed, two, won

pytest_plugins = ["tests.postgres.fixtures"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_first_claim_creates_the_item(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        wants = [Want("1-2", "1", NOON), Want("3")]
        first, second = await ledger.claim(SCOPE, wants, run_id="r", lease=LONG, takes=OPEN_STATES)
        assert first == Claim(SCOPE, "1-2", "ann", 1, 1, State.NEW, "1", NOON, {})
        assert second == Claim(SCOPE, "3", "ann", 1, 1, State.NEW)
        (item, _) = await listed(ledger)
        assert (item.key, item.state, item.attempts, item.run_id) == ("1-2", State.NEW, 1, "r")
        assert item.updated - item.first_seen < timedelta(seconds=1)
        assert abs(item.first_seen - datetime.now(UTC)) < timedelta(minutes=1)
        assert await ledger.claim(SCOPE, [], run_id="r", lease=LONG, takes=()) == []


async def test_claim_intend_settle(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claim = await won(ann, "a")
        await ann.intend(claim, {"fence": "1"})
        assert (await bob.counts(SCOPE))[State.INTENDED] == 1
        receipt = Receipt(claim, State.DONE, "stored", "all well", {"sha256": "ab"})
        assert await ann.settle([receipt], run_id="run-1") == []
        assert await ask(bob, "a", run="run-2") == [
            Settled("a", State.DONE, "run-1", "stored", {"sha256": "ab"})
        ]
        (item,) = await listed(bob)
        assert (item.reason, item.message, item.run_id) == ("stored", "all well", "run-1")


async def test_intend_with_the_claim_is_one_commit(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        (claim,) = await ask(ann, "a", intend=True)
        assert isinstance(claim, Claim)
        assert claim.before is State.NEW
        assert [item.state for item in await listed(bob)] == [State.INTENDED]
        await ann.release(SCOPE, "ann")
        (again,) = await ask(bob, "a", intend=True)
        assert isinstance(again, Claim)
        assert (again.before, again.attempts, again.fence) == (State.INTENDED, 2, 2)


async def test_a_claim_without_intent_keeps_the_state(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claim = await won(ann, "a")
        await ann.settle([Receipt(claim, State.FAILED, "http_500")], run_id="run-1")
        again = await won(bob, "a", run="run-2")
        assert (again.before, again.attempts) == (State.FAILED, 2)
        (item,) = await listed(ann)
        assert (item.state, item.run_id) == (State.FAILED, "run-2")


async def test_detail_stays_until_it_is_replaced(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        claim = await won(ledger, "a")
        await ledger.intend(claim, {"a": "1"})
        await ledger.intend(claim)
        await ledger.settle([Receipt(claim, State.FAILED)], run_id="run-1")
        again = await won(ledger, "a")
        assert again.detail == {"a": "1"}
        await ledger.settle([Receipt(again, State.FAILED, detail={})], run_id="run-1")
        assert (await won(ledger, "a")).detail == {}


async def test_subject_and_time_are_kept_and_corrected(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        await ledger.claim(SCOPE, [Want("a", "s", NOON)], run_id="r", lease=LONG, takes=OPEN_STATES)
        claim = await won(ledger, "a")
        assert (claim.subject, claim.at) == ("s", NOON)
        tokyo = NOON.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=1001)
        (claim,) = await ledger.claim(SCOPE, [Want("a", "t", tokyo)], run_id="r", lease=LONG, takes=())
        assert isinstance(claim, Claim)
        assert (claim.subject, claim.at) == ("t", tokyo)
        with pytest.raises(ValueError, match="timezone"):
            await ledger.claim(
                SCOPE,
                [Want("b", at=NOON.replace(tzinfo=None))],
                run_id="r",
                lease=LONG,
                takes=(),
            )


async def test_a_key_twice_is_one_claim(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        first, other, again = await ask(ledger, "a", "b", "a")
        assert first == again != other
        assert isinstance(first, Claim)
        assert (first.fence, first.attempts) == (1, 1)


async def test_settled_is_settled(ledger_dsn: str) -> None:
    """What the caller does not take is answered, not changed; what it takes is claimed."""
    async with two(ledger_dsn) as (ann, bob):
        for state in State:
            claim = await won(ann, state.value)
            await ann.settle([Receipt(claim, state)], run_id="run-1")
        before = await listed(bob)
        for state in set(State) - {State.NEW}:
            (answer,) = await ask(bob, state.value, takes=set(State) - {state}, run="run-2")
            assert answer == Settled(state.value, state, "run-1")
        assert await listed(bob) == before
        for state in State:
            (answer,) = await ask(bob, state.value, takes={state} - {State.NEW}, run="run-2")
            assert isinstance(answer, Claim)
            assert (answer.before, answer.fence) == (state, 2)


async def test_closes_replaces_what_exists(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        old = await won(ann, "7")
        await ann.settle([Receipt(old, State.PENDING, detail={"seen": "yes"})], run_id="run-1")
        held = await won(bob, "8")
        claim = await won(ann, "7-1", run="run-2")
        receipt = Receipt(claim, State.DONE, closes=["7", "8", "never seen", "7-1"])
        assert await ann.settle([receipt], run_id="run-2") == []
        found = {item.key: item for item in await listed(ann)}
        assert {key: item.state for key, item in found.items()} == {
            "7": State.CLOSED,
            "8": State.CLOSED,
            "7-1": State.DONE,
        }
        assert (found["7"].run_id, found["7"].detail) == ("run-2", {"seen": "yes"})
        # Whoever worked on what was replaced comes too late.
        late = Receipt(held, State.ABSENT)
        assert await bob.settle([late], run_id="run-3") == [late]
        assert await bob.renew([held], LONG) == [held]
        assert isinstance((await ask(bob, "7"))[0], Settled)


async def test_ten_thousand_wants(ledger_dsn: str) -> None:
    keys = [f"{number}" for number in range(10_000)]
    async with two(ledger_dsn) as (ann, bob):
        claims = await ask(ann, *keys)
        assert [claim.key for claim in claims] == keys
        assert all(isinstance(claim, Claim) for claim in claims)
        receipts = [Receipt(claim, State.DONE) for claim in claims if isinstance(claim, Claim)]
        assert await ann.settle(receipts, run_id="run-1") == []
        assert all(isinstance(answer, Settled) for answer in await ask(bob, *keys))
        assert (await bob.counts(SCOPE))[State.DONE] == 10_000
        assert [item.key for item in await listed(bob)] == sorted(keys)
