"""``status``: what the ledger holds, read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mediapipe.covering import whole_of
from mediapipe.exclusive import SUFFIX
from mediapipe.ledger.interface import Ledger, Run, Scope, State


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """One job's standing with one account and destination; ``holders`` are the owners at work just now."""

    scope: Scope
    counts: Mapping[State, int]
    watermark: datetime | None
    coverage: Sequence[tuple[datetime, datetime]]
    holders: frozenset[str]


async def ledger_status(ledger: Ledger, runs: int = 10) -> tuple[list[ScopeStatus], list[Run]]:
    """Return the standing of every scope, and the latest runs, newest first."""
    scopes = [
        ScopeStatus(
            scope,
            await ledger.counts(scope),
            await ledger.watermark(scope),
            await ledger.coverage(scope),
            await ledger.holders(scope),
        )
        for scope in await ledger.scopes()
        if not scope.job.endswith(SUFFIX)  # they say who is at work, which the scope of the work says too
        and whole_of(scope) == scope  # what concerns one shard alone
    ]
    return scopes, list(await ledger.runs(runs))
