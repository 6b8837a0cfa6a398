"""Short words for the ledger's contract suites."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from mediapipe.ledger.interface import (
    OPEN_STATES,
    Claim,
    Held,
    Item,
    Ledger,
    Scope,
    Settled,
    State,
    Want,
)
from mediapipe.ledger.open import open_ledger
from mediapipe.ledger.sql import SqlLedger

SCOPE = Scope("archive", "platform-api.convirza.com/default", "s3://bucket/prefix")
LONG = timedelta(minutes=5)
SHORT = timedelta(milliseconds=40)
NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)


@asynccontextmanager
async def two(dsn: str) -> AsyncIterator[tuple[SqlLedger, SqlLedger]]:
    """Open the same ledger as two owners."""
    async with await open_ledger(dsn, owner="ann") as ann, await open_ledger(dsn, owner="bob") as bob:
        yield ann, bob


async def ask(
    ledger: Ledger,
    *keys: str,
    takes: Collection[State] = OPEN_STATES,
    lease: timedelta = LONG,
    run: str = "run-1",
    intend: bool = False,
    scope: Scope = SCOPE,
) -> list[Claim | Settled | Held]:
    wants = [Want(key) for key in keys]
    return await ledger.claim(scope, wants, run_id=run, lease=lease, takes=takes, intend=intend)


async def won(ledger: Ledger, key: str, *, lease: timedelta = LONG, run: str = "run-1") -> Claim:
    (answer,) = await ask(ledger, key, lease=lease, run=run)
    assert isinstance(answer, Claim)
    return answer


async def listed(ledger: Ledger, states: Collection[State] = tuple(State), **bounds: object) -> list[Item]:
    found: list[Item] = []
    async for page in ledger.items(SCOPE, states=states, **bounds):  # type: ignore[arg-type]
        found += page
    return found
