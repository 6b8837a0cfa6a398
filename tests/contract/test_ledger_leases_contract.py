"""What every ledger promises: one owner at a time, and late writers refused."""

from __future__ import annotations

import random
from datetime import timedelta

import anyio
import pytest

from mediapipe.ledger.interface import (
    Claim,
    ClaimLost,
    Held,
    Ledger,
    Receipt,
    State,
)
from mediapipe.ledger.open import open_ledger
from tests.contract.ledger_kit import LONG, SCOPE, SHORT, ask, listed, two, won

pytest_plugins = ["tests.postgres.fixtures"]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_only_one_owner_at_a_time(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claim = await won(ann, "a")
        (answer,) = await ask(bob, "a")
        assert isinstance(answer, Held)
        assert (answer.key, answer.owner) == ("a", "ann")
        assert 0 < answer.seconds <= LONG.total_seconds()
        assert await bob.holders(SCOPE) == {"ann"}
        # Its owner may ask again; the claim of before is then an old one.
        again = await won(ann, "a")
        assert again.fence > claim.fence
        with pytest.raises(ClaimLost):
            await ann.intend(claim)
        await ann.intend(again)


@pytest.mark.parametrize("tasks", [24])
async def test_claims_are_exclusive_among_many_tasks(ledger_dsn: str, tasks: int) -> None:
    keys = [f"key-{number:03}" for number in range(150)]
    winners: dict[str, list[str]] = {key: [] for key in keys}

    async def work(ledger: Ledger, mine: list[str]) -> None:
        random.shuffle(mine)
        for first in range(0, len(mine), 11):
            for answer in await ask(ledger, *mine[first : first + 11], takes={State.FAILED}):
                if isinstance(answer, Claim):
                    winners[answer.key].append(answer.owner)

    async with two(ledger_dsn) as (ann, bob), anyio.create_task_group() as group:
        for number in range(tasks):
            group.start_soon(work, (ann, bob)[number % 2], list(keys))
    for key, owners in winners.items():
        # Asked again by the same owner it is claimed again; never by both.
        assert len(set(owners)) == 1, (key, owners)


async def test_a_lease_that_ran_out_is_taken_over(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        late = await won(ann, "a", lease=SHORT)
        await ann.intend(late)
        await anyio.sleep(SHORT.total_seconds() * 2)
        assert await bob.holders(SCOPE) == frozenset()
        (claim,) = await ask(bob, "a")
        assert isinstance(claim, Claim)
        assert (claim.fence, claim.before, claim.owner) == (late.fence + 1, State.INTENDED, "bob")
        # The late writer changes nothing.
        before = await listed(bob)
        with pytest.raises(ClaimLost):
            await ann.intend(late, {"late": "yes"})
        receipt = Receipt(late, State.DONE, closes=["b"])
        assert await ann.settle([receipt], run_id="run-9") == [receipt]
        assert await ann.renew([late], LONG) == [late]
        assert await listed(bob) == before
        assert await bob.settle([Receipt(claim, State.DONE)], run_id="run-2") == []


async def test_a_lease_that_ran_out_untaken_is_still_its_owners(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ann:
        claim = await won(ann, "a", lease=timedelta(0))
        await ann.intend(claim)
        assert await ann.settle([Receipt(claim, State.DONE)], run_id="run-1") == []


async def test_renew_prolongs(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claims = [await won(ann, key, lease=timedelta(0)) for key in "abc"]
        taken = await won(bob, "b")
        assert await ann.renew(claims, LONG) == [claims[1]]
        answers = await ask(bob, "a", "b", "c")
        assert [type(answer) for answer in answers] == [Held, Claim, Held]
        assert await ann.renew([], LONG) == []
        assert taken.fence == 2


async def test_renewing_what_was_settled_does_not_hold_it(ledger_dsn: str) -> None:
    """A heartbeat may come a moment after the receipt; it neither fails nor locks the item."""
    async with two(ledger_dsn) as (ann, bob):
        claim = await won(ann, "a")
        await ann.settle([Receipt(claim, State.FAILED)], run_id="run-1")
        assert await ann.renew([claim], LONG) == []
        assert await ann.holders(SCOPE) == frozenset()
        assert isinstance((await ask(bob, "a"))[0], Claim)


async def test_a_receipt_counts_once_and_may_be_handed_in_again(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ann:
        claim = await won(ann, "a")
        done = Receipt(claim, State.DONE)
        assert await ann.settle([done], run_id="run-1") == []
        assert await ann.settle([done], run_id="run-1") == []
        failed = Receipt(claim, State.FAILED)
        assert await ann.settle([failed], run_id="run-1") == [failed]
        with pytest.raises(ClaimLost):
            await ann.intend(claim)
        assert [item.state for item in await listed(ann)] == [State.DONE]


async def test_release_ends_a_dead_owners_leases(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claims = [await won(ann, key) for key in "abc"]
        mine = await won(bob, "d")
        await ann.settle([Receipt(claims[0], State.DONE)], run_id="run-1")
        assert await bob.holders(SCOPE) == {"ann", "bob"}
        assert await bob.release(SCOPE, "ann") == 2
        assert await bob.release(SCOPE, "ann") == 0
        assert await bob.holders(SCOPE) == {"bob"}
        # Were it alive after all, it would be refused.
        receipt = Receipt(claims[1], State.DONE)
        assert await ann.settle([receipt], run_id="run-1") == [receipt]
        assert await ann.renew(claims[1:], LONG) == claims[1:]
        (claim,) = await ask(bob, "b")
        assert isinstance(claim, Claim)
        assert claim.fence == claims[1].fence + 1
        await bob.intend(mine)


async def test_settle_reports_exactly_the_lost_ones(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        claims = [await won(ann, str(number), lease=timedelta(0)) for number in range(6)]
        await ask(bob, "1", "4")
        receipts = [Receipt(claim, State.DONE) for claim in claims]
        assert await ann.settle(receipts, run_id="run-1") == [receipts[1], receipts[4]]
        assert (await ann.counts(SCOPE))[State.DONE] == 4
        assert await ann.settle([], run_id="run-1") == []


async def test_a_cancelled_write_may_be_asked_again(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        for number in range(20):
            with anyio.move_on_after(0.001 * (number % 4)):
                await won(ledger, "a")
        claim = await won(ledger, "a")
        for number in range(10):
            with anyio.move_on_after(0.001 * (number % 4)):
                await ledger.settle([Receipt(claim, State.DONE)], run_id="run-1")
        assert await ledger.settle([Receipt(claim, State.DONE)], run_id="run-1") == []
        assert [item.state for item in await listed(ledger)] == [State.DONE]
