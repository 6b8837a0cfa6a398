"""One run of a kind per account and ledger at a time: a claim that is held as long as it works."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from mediapipe.errors import UsageError
from mediapipe.ledger.interface import Claim, Held, Ledger, Scope, State, Want

LEASE = timedelta(seconds=60)
"""As long as the leases of the line, whose heartbeat keeps this one too."""

SUFFIX = ".lock"
"""Ends the name of the scope such a claim stands in."""

_RELEASE_S = 10


class AlreadyRunning(UsageError):
    """Another run of this kind works for the same account with this ledger."""

    code = "already_running"
    hint = "wait for it, or for a minute if it died on another machine"


async def still_ours(ledger: Ledger, lock: Claim) -> None:
    """Prolong a lock between two lines, whose heartbeats do it otherwise; raises :class:`AlreadyRunning`."""
    if await ledger.renew([lock], LEASE):
        kind = lock.key
        raise AlreadyRunning(
            f"another {kind} has taken over what this one had to itself", code=f"{kind}_running"
        )


@asynccontextmanager
async def alone(
    kind: str,
    ledger: Ledger,
    scope: Scope,
    run_id: str,
    release_dead: Callable[[Scope], Awaitable[int]],
) -> AsyncGenerator[Claim, None]:
    """Be the only ``kind`` of run of a scope; raises :class:`AlreadyRunning`, its code ``<kind>_running``.

    ``release_dead`` frees what dead runs of this machine hold.
    """
    place = Scope(f"{scope.job}{SUFFIX}", scope.account, scope.destination)
    await release_dead(place)
    answers = await ledger.claim(place, [Want(kind)], run_id=run_id, lease=LEASE, takes=frozenset(State))
    answer = answers[0]
    if not isinstance(answer, Claim):
        who = answer.owner if isinstance(answer, Held) else "somebody"
        problem = f"another {kind} is at work for this account and ledger ({who})"
        raise AlreadyRunning(problem, code=f"{kind}_running")
    try:
        yield answer
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_RELEASE_S):
            await ledger.release(place, ledger.owner)
