"""What every ledger promises: keys, scopes, items, runs and facts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

import pytest

from mediapipe.errors import LedgerUnavailable, Rejected
from mediapipe.ledger.interface import (
    OPEN_STATES,
    Claim,
    Held,
    Receipt,
    Scope,
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


@pytest.mark.parametrize(
    "key", ["ünï-çødé", "電話 №1", "a|b'c\"d\\e%s:x", "🎧" * 50, " ", "", "\x01\x7f\u2028", "x" * 2000]
)
async def test_any_text_is_a_key(ledger_dsn: str, key: str) -> None:
    scope = Scope(f"j{key}"[:100], f"a{key}"[:100], key)
    async with await open_ledger(ledger_dsn, owner=f"o{key}") as ledger:
        await ledger.begin(f"r{key}", scope)
        wants = [Want(key, key)]
        (claim,) = await ledger.claim(scope, wants, run_id=f"r{key}", lease=LONG, takes=OPEN_STATES)
        assert isinstance(claim, Claim)
        receipt = Receipt(claim, State.DONE, key, key, {key: key, "nul": "\0", "half": "\ud800"})
        assert await ledger.settle([receipt], run_id=f"r{key}") == []
        (answer,) = await ask(ledger, key, scope=scope)
        assert answer == Settled(key, State.DONE, f"r{key}", key, receipt.detail or {})
        assert await ledger.scopes() == [scope]


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 2001])
async def test_a_key_no_database_can_hold_is_rejected_alone(ledger_dsn: str, key: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        with pytest.raises(Rejected) as caught:
            await ask(ledger, "fine", key)
        assert caught.value.code == "bad_key"
        assert await listed(ledger) == []


async def test_a_message_may_quote_anything(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        claim = await won(ledger, "a")
        assert await ledger.settle([Receipt(claim, State.FAILED, "r\0", "\ud800\0x")], run_id="r") == []
        (item,) = await listed(ledger)
        assert (item.reason, item.message) == ("r\ufffd", "?\ufffdx")


async def test_destinations_are_separate(ledger_dsn: str) -> None:
    other = Scope(SCOPE.job, SCOPE.account, "file:///elsewhere")
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        claim = await won(ledger, "a")
        await ledger.settle([Receipt(claim, State.DONE)], run_id="run-1")
        await ledger.remember(SCOPE, "proven", "yes")
        await ledger.anchor(SCOPE, NOON)
        (answer,) = await ask(ledger, "a", scope=other)
        assert isinstance(answer, Claim)
        assert answer.before is State.NEW
        assert (await ledger.counts(other))[State.DONE] == 0
        assert await ledger.recall(other, "proven") is None
        assert await ledger.watermark(other) is None
        assert await ledger.scopes() == sorted([SCOPE, other], key=str)


async def test_peek_changes_nothing(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        assert await ann.peek(SCOPE, ["a"]) == {}
        claim = await won(ann, "a")
        await won(ann, "b")
        await ann.settle([Receipt(claim, State.DONE)], run_id="run-1")
        before = await listed(ann)
        keys = ["a", "b", "a", "unseen", *(str(number) for number in range(2000))]
        assert await bob.peek(SCOPE, keys) == {"a": State.DONE, "b": State.NEW}
        assert await bob.peek(SCOPE, []) == {}
        assert await listed(ann) == before


async def test_an_unknown_scope_is_empty(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        assert await listed(ledger) == []
        assert set((await ledger.counts(SCOPE)).values()) == {0}
        assert await ledger.holders(SCOPE) == frozenset()
        assert await ledger.release(SCOPE, "bob") == 0
        assert await ledger.coverage(SCOPE) == []
        assert await ledger.scopes() == await ledger.runs() == []


async def test_items_by_state_run_and_time(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        hours: Sequence[int | None] = [0, 1, 2, 3, None]
        wants = [
            Want(f"k{number}", at=None if hour is None else NOON + timedelta(hours=hour))
            for number, hour in enumerate(hours)
        ]
        await ledger.claim(SCOPE, wants, run_id="old", lease=LONG, takes=OPEN_STATES)
        claim = await won(ledger, "k2", run="new")
        await ledger.settle([Receipt(claim, State.FAILED)], run_id="new")

        async def keys(states: Collection[State] = tuple(State), **bounds: object) -> str:
            return " ".join(item.key[1:] for item in await listed(ledger, states, **bounds))

        assert await keys() == "0 1 2 3 4"
        assert await keys([State.FAILED]) == "2"
        assert await keys([]) == ""
        assert await keys(not_run="new") == "0 1 3 4"
        assert await keys(start=NOON + timedelta(hours=1)) == "1 2 3"
        assert await keys(end=NOON + timedelta(hours=1)) == "0"
        assert await keys(start=NOON, end=NOON + timedelta(hours=3), not_run="new") == "0 1"
        counts = await ledger.counts(SCOPE)
        assert (counts[State.NEW], counts[State.FAILED], sum(counts.values())) == (4, 1, 5)


async def test_items_come_once_while_rows_change(ledger_dsn: str) -> None:
    """A caller settles what it is shown, and others add and settle meanwhile."""
    async with two(ledger_dsn) as (ann, bob):
        keys = [f"{number:05}" for number in range(1, 1300)]
        await ask(ann, *keys)
        await ann.release(SCOPE, "ann")
        seen: list[str] = []
        async for page in ann.items(SCOPE, states=[State.NEW, State.FAILED]):
            assert len(page) <= 500
            seen += [item.key for item in page]
            claims = await ask(ann, *(item.key for item in page), run="run-2")
            receipts = [Receipt(claim, State.FAILED) for claim in claims if isinstance(claim, Claim)]
            await ann.settle(receipts, run_id="run-2")
            await ask(bob, f"{page[0].key}-behind", "00000")
        assert len(seen) == len(set(seen))
        assert seen == sorted(seen)
        assert set(keys) <= set(seen)


async def test_runs(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        for number in range(5):
            await (ann, bob)[number % 2].begin(f"run-{number}", SCOPE)
        await ann.begin("run-0", SCOPE)
        await ann.end("run-2", exit_code=3, counts={"done": 4, "failed": 1}, size=2**40)
        await ann.end("never begun", exit_code=0, counts={}, size=0)
        runs = await bob.runs(3)
        assert [run.run_id for run in runs] == ["run-4", "run-3", "run-2"]
        assert [run.owner for run in runs] == ["ann", "bob", "ann"]
        assert (runs[0].finished, runs[0].exit_code, runs[0].scope) == (None, None, SCOPE)
        ended = runs[2]
        assert (ended.exit_code, ended.counts, ended.bytes) == (3, {"done": 4, "failed": 1}, 2**40)
        assert ended.finished is not None
        assert ended.finished >= ended.started
        assert len(await bob.runs()) == 5
        assert await bob.scopes() == [SCOPE]


async def test_facts(ledger_dsn: str) -> None:
    async with two(ledger_dsn) as (ann, bob):
        await ann.remember(SCOPE, "proven", "1")
        await bob.remember(SCOPE, "proven", "2")
        await bob.remember(SCOPE, "other", "")
        assert await ann.recall(SCOPE, "proven") == "2"
        assert await ann.recall(SCOPE, "other") == ""
        assert await ann.recall(SCOPE, "unknown") is None


async def test_everything_is_there_after_opening_again(ledger_dsn: str) -> None:
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        claim = await won(ledger, "a")
        await ledger.anchor(SCOPE, NOON)
        await ledger.cover(SCOPE, NOON, NOON + timedelta(hours=1))
    async with await open_ledger(ledger_dsn, owner="bob") as ledger:
        (answer,) = await ask(ledger, "a")
        assert isinstance(answer, Held)
        assert await ledger.watermark(SCOPE) == NOON + timedelta(hours=1)
    async with await open_ledger(ledger_dsn, owner="ann") as ledger:
        await ledger.intend(claim)


async def test_closing(ledger_dsn: str) -> None:
    ledger = await open_ledger(ledger_dsn, owner="ann")
    await ledger.remember(SCOPE, "a", "b")
    await ledger.aclose()
    await ledger.aclose()
    with pytest.raises(LedgerUnavailable):
        await ledger.remember(SCOPE, "a", "c")
    with pytest.raises(LedgerUnavailable):
        await ledger.counts(SCOPE)
