"""One import per account and ledger at a time: a claim that is held as long as it works.

Two imports of one manifest at once would not send a row twice, but what each of them knows of uncertain
uploads would be half of the truth.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from mediapipe.errors import UsageError
from mediapipe.ledger.interface import Claim, Held, Ledger, Scope, State, Want

LOCK = "calls.import.lock"
LEASE = timedelta(seconds=60)
"""As long as the leases of the line, whose heartbeat keeps this one too."""


class ImportRunning(UsageError):
    """Another import of this account works with this ledger."""

    code = "import_running"
    hint = "wait for it, or for a minute if it died on another machine"


async def still_ours(ledger: Ledger, lock: Claim) -> None:
    """Prolong a lock between two lines, whose heartbeats do it otherwise; raises :class:`ImportRunning`."""
    if await ledger.renew([lock], LEASE):
        raise ImportRunning("another import has taken over what this one had to itself")


@asynccontextmanager
async def import_lock(
    ledger: Ledger, scope: Scope, run_id: str, release_dead: Callable[[Scope], Awaitable[int]]
) -> AsyncGenerator[Claim, None]:
    """Hold the lock of an import's scope; ``release_dead`` frees what dead runs of this machine hold."""
    lock = Scope(LOCK, scope.account, scope.destination)
    await release_dead(lock)
    answers = await ledger.claim(lock, [Want("import")], run_id=run_id, lease=LEASE, takes=frozenset(State))
    answer = answers[0]
    if not isinstance(answer, Claim):
        who = answer.owner if isinstance(answer, Held) else "somebody"
        raise ImportRunning(f"another import is at work for this account and ledger ({who})")
    try:
        yield answer
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(10):
            await ledger.release(lock, ledger.owner)
