"""Which spans an archive has walked completely, also when several workers share the calls among them.

A window is walked for the whole archive when all N shards have walked it. Each shard keeps what it has
walked in a scope of its own, with N in its name, and what all N have walked is covered in the scope of
the archive: so its watermark waits for the slowest shard, a shard that never runs holds it, and shards of
another N begin anew instead of being mixed in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce

from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
from mediapipe.shards import Shard

Spans = Sequence[tuple[datetime, datetime]]
"""Half-open, merged and in order, as a ledger gives them."""

FOLD_SECONDS = 30.0
"""At most so often a working shard looks at what the others have walked; at its end it always does."""

NEAR = timedelta(hours=1)
"""Shards that run up to now end a little apart: so much is no reason to say that one is behind."""

_SHARD = re.compile(r"(.+) (\d+)/(\d+)")
_BEGAN = "began_at"
_SIGN = "shard"
_LEASE = timedelta(seconds=15)


def scope_of(scope: Scope, shard: Shard) -> Scope:
    """Return the scope in which a shard of an archive keeps what concerns itself alone."""
    return Scope(f"{scope.job} {shard}", scope.account, scope.destination)


def whole_of(scope: Scope) -> Scope:
    """Return the archive's scope for that of one of its shards; any other is returned as it is."""
    match = _SHARD.fullmatch(scope.job)
    return scope if match is None else Scope(match[1], scope.account, scope.destination)


def common(one: Spans, other: Spans) -> list[tuple[datetime, datetime]]:
    """Return what both cover."""
    both: list[tuple[datetime, datetime]] = []
    left, right = 0, 0
    while left < len(one) and right < len(other):
        start, end = max(one[left][0], other[right][0]), min(one[left][1], other[right][1])
        if start < end:
            both.append((start, end))
        if one[left][1] <= other[right][1]:
            left += 1
        else:
            right += 1
    return both


def length(spans: Spans) -> timedelta:
    """Return how much time spans cover together."""
    return sum((end - start for start, end in spans), timedelta())


class Coverage:
    """Covers spans of one archive, by all of its calls or by those of one shard.

    ``waits_for`` are the shards that had not walked all that this one has when it last looked.
    """

    def __init__(self, ledger: Ledger, scope: Scope, shard: Shard | None = None) -> None:
        self._ledger, self._scope = ledger, scope
        self._shard = shard if shard is not None and shard.count > 1 else None
        self._folded = time.monotonic()
        self.waits_for: tuple[Shard, ...] = ()

    async def begin(self, start: datetime) -> None:
        """Say where coverage without a gap starts, unless an earlier run has said so."""
        if self._shard is None:
            await self._ledger.anchor(self._scope, start)
            return
        own = scope_of(self._scope, self._shard)
        if await self._ledger.recall(own, _BEGAN) is None:
            await self._ledger.remember(own, _BEGAN, start.isoformat())

    async def sign(self, run_id: str) -> None:
        """Put this shard's scope among those of the ledger, where an import looks for what was walked."""
        if self._shard is None:
            return
        own = scope_of(self._scope, self._shard)
        answers = await self._ledger.claim(
            own, [Want(_SIGN)], run_id=run_id, lease=_LEASE, takes=frozenset({State.NEW})
        )
        receipts = [Receipt(one, State.DONE) for one in answers if isinstance(one, Claim)]
        if receipts:
            await self._ledger.settle(receipts, run_id=run_id)

    async def cover(self, start: datetime, end: datetime) -> datetime | None:
        """Record a span as walked; return the archive's watermark, which may be a little behind."""
        if self._shard is None:
            return await self._ledger.cover(self._scope, start, end)
        await self._ledger.cover(scope_of(self._scope, self._shard), start, end)
        if time.monotonic() - self._folded >= FOLD_SECONDS:
            return await self.fold()
        return await self._ledger.watermark(self._scope)

    async def fold(self) -> datetime | None:
        """Cover for the archive what all shards have walked by now; return its watermark.

        Whoever covers last sees what all others covered, so nothing is left to be folded later.
        """
        if self._shard is None:
            return await self._ledger.watermark(self._scope)
        shards = self._shard.all()
        theirs = [await self._ledger.coverage(scope_of(self._scope, one)) for one in shards]
        ours = theirs[self._shard.number - 1]
        self.waits_for = tuple(
            one
            for one, spans in zip(shards, theirs, strict=True)
            if length(ours) - length(common(ours, spans)) > NEAR
        )
        await self._anchor(shards)
        there = await self._ledger.coverage(self._scope)
        for span in reduce(common, theirs):
            if common([span], there) != [span]:
                await self._ledger.cover(self._scope, *span)
        self._folded = time.monotonic()
        return await self._ledger.watermark(self._scope)

    async def _anchor(self, shards: Sequence[Shard]) -> None:
        """Set the archive's anchor once all shards have begun: where the last of them did."""
        if await self._ledger.watermark(self._scope) is not None:
            return
        began = [await self._ledger.recall(scope_of(self._scope, one), _BEGAN) for one in shards]
        known = [datetime.fromisoformat(one) for one in began if one is not None]
        if len(known) == len(shards):
            await self._ledger.anchor(self._scope, max(known))
