"""The ledger in an SQL database: one implementation for SQLite and PostgreSQL.

SQLAlchemy Core, driven synchronously in worker threads. Writes go through one :class:`GroupCommit`,
so concurrent callers share transactions; reads run beside them, each in a short transaction of its
own. Open one with :func:`mediapipe.ledger.open.open_ledger`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from sqlalchemy import Connection, Engine

from mediapipe.errors import LedgerUnavailable
from mediapipe.ledger import operations as ops
from mediapipe.ledger import reads, walked, writes
from mediapipe.ledger.batch import Executor
from mediapipe.ledger.border import translating
from mediapipe.ledger.commit import GroupCommit
from mediapipe.ledger.interface import (
    Claim,
    ClaimLost,
    Held,
    Item,
    Receipt,
    Run,
    Scope,
    Settled,
    State,
    Want,
)
from mediapipe.ledger.values import (
    checked_key,
    clean_text,
    from_micros,
    from_micros_or_none,
    load_detail,
    span_micros,
    to_micros,
    to_micros_or_none,
)

T = TypeVar("T")

_READERS = 4


class SqlLedger:
    """Implements :class:`mediapipe.ledger.interface.Ledger`; see there for what each method promises.

    ``owner`` names this process among all that use the ledger; claims are made in its name.
    ``secrets`` are kept out of error messages. The ledger disposes of ``engine`` when closed.
    """

    def __init__(self, engine: Engine, owner: str, secrets: tuple[str, ...] = ()) -> None:
        self.owner = owner
        self._engine = engine
        self._secrets = secrets
        self._writer: GroupCommit[ops.Operation, Any] = GroupCommit(Executor(engine, secrets))
        self._readers = anyio.CapacityLimiter(_READERS)
        self._numbers: dict[Scope, int] = {}
        self._closed = False

    @property
    def commits(self) -> tuple[int, int]:
        """How many write operations were carried by how many transactions so far."""
        return self._writer.operations, self._writer.commits

    async def begin(self, run_id: str, scope: Scope) -> None:
        """Record that a run started."""
        number = await self._ensured(scope)
        await self._change(lambda connection: writes.begin_run(connection, number, run_id, self.owner))

    async def end(self, run_id: str, *, exit_code: int, counts: Mapping[str, int], size: int) -> None:
        """Record how a run ended."""
        await self._change(lambda connection: writes.end_run(connection, run_id, exit_code, counts, size))

    async def claim(
        self,
        scope: Scope,
        wants: Sequence[Want],
        *,
        run_id: str,
        lease: timedelta,
        takes: Collection[State],
        intend: bool = False,
    ) -> list[Claim | Settled | Held]:
        """Claim many items in one transaction; one answer per want, in order."""
        if not wants:
            return []
        number = await self._ensured(scope)
        rows = ops.claim_rows(number, wants, owner=self.owner, run_id=run_id, lease=span_micros(lease))
        won, kept = await self._write(ops.ClaimItems(rows, frozenset(takes), intend))
        answers: dict[str, Claim | Settled | Held] = {
            key: self._claim(scope, row) for key, row in won.items()
        }
        answers.update((key, _kept(row, takes)) for key, row in kept.items())
        return [answers[want.key] for want in wants]

    async def peek(self, scope: Scope, keys: Sequence[str]) -> Mapping[str, State]:
        """Return the states of those of ``keys`` that are known; claims nothing, writes nothing."""
        wanted = [checked_key(key) for key in dict.fromkeys(keys)]
        none: dict[str, State] = {}
        return await self._read(scope, lambda conn, number: reads.states(conn, number, wanted), none)

    async def intend(self, claim: Claim, detail: Mapping[str, str] | None = None) -> None:
        """Make durable that the effect is about to begin. Raises :class:`ClaimLost`."""
        row = ops.intend_row(await self._ensured(claim.scope), claim, detail)
        if not await self._write(ops.IntendItem([row])):
            raise ClaimLost(f"{claim.key} was taken over by another worker")

    async def settle(self, receipts: Sequence[Receipt], *, run_id: str) -> list[Receipt]:
        """Record what became of items and let go of their claims; return the receipts refused."""
        if not receipts:
            return []
        rows: list[ops.Row] = []
        closes: list[list[ops.Row]] = []
        for receipt in receipts:
            number = await self._ensured(receipt.claim.scope)
            rows.append(ops.settle_row(number, receipt, run_id))
            closes.append(ops.close_rows(number, receipt, run_id))
        stood = await self._write(ops.SettleItems(rows, closes))
        return [receipt for position, receipt in enumerate(receipts) if position not in stood]

    async def renew(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """Prolong leases; return the claims that were lost meanwhile."""
        if not claims:
            return []
        span = span_micros(lease)
        rows = [ops.renew_row(await self._ensured(claim.scope), claim, span) for claim in claims]
        stood = await self._write(ops.RenewClaims(rows))
        return [claim for position, claim in enumerate(claims) if position not in stood]

    async def holders(self, scope: Scope) -> frozenset[str]:
        """Return the owners whose leases in this scope are alive."""
        return await self._read(scope, reads.holders, frozenset())

    async def release(self, scope: Scope, owner: str) -> int:
        """End every lease that ``owner``, known to be dead, holds; return how many."""
        number = await self._ensured(scope)
        return int(await self._change(lambda connection: writes.release(connection, number, owner)))

    async def items(
        self,
        scope: Scope,
        *,
        states: Collection[State],
        not_run: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[Sequence[Item]]:
        """Yield items in these states, in pages, ordered by key."""
        bounds = to_micros_or_none(start), to_micros_or_none(end)
        selection = reads.Selection(frozenset(states), not_run, *bounds)
        after: str | None = None
        while True:
            found = await self._page(scope, selection, after)
            if found:
                yield found
            if len(found) < reads.PAGE:
                return
            after = found[-1].key

    async def counts(self, scope: Scope) -> Mapping[State, int]:
        """Return how many items stand in each state; 0 for a state without items."""
        none: dict[State, int] = {}
        return dict.fromkeys(State, 0) | await self._read(scope, reads.counts, none)

    async def scopes(self) -> Sequence[Scope]:
        """Return every scope that has items or runs."""
        return await self._ask(reads.all_scopes)

    async def runs(self, limit: int = 20) -> Sequence[Run]:
        """Return the latest runs, newest first."""
        return await self._ask(lambda connection: reads.latest_runs(connection, limit))

    async def anchor(self, scope: Scope, at: datetime) -> datetime:
        """Set where contiguous coverage starts, unless it was set before; return the one in force."""
        micros = to_micros(at)
        number = await self._ensured(scope)
        return from_micros(await self._change(lambda connection: walked.anchor(connection, number, micros)))

    async def cover(self, scope: Scope, start: datetime, end: datetime) -> datetime | None:
        """Record [start, end) as completely walked and settled; return the watermark."""
        first, last = to_micros(start), to_micros(end)
        number = await self._ensured(scope)
        mark = await self._change(lambda connection: walked.cover(connection, number, first, last))
        return from_micros_or_none(mark)

    async def coverage(self, scope: Scope) -> Sequence[tuple[datetime, datetime]]:
        """Return the covered spans, merged and in order."""
        none: list[tuple[int, int]] = []
        spans = await self._read(scope, walked.spans, none)
        return [(from_micros(start), from_micros(end)) for start, end in spans]

    async def watermark(self, scope: Scope) -> datetime | None:
        """Return the end of the contiguous coverage from the anchor."""
        return from_micros_or_none(await self._read(scope, walked.watermark, None))

    async def remember(self, scope: Scope, name: str, value: str) -> None:
        """Keep a fact about the scope."""
        name, value = checked_key(name), clean_text(value)
        number = await self._ensured(scope)
        await self._change(lambda connection: writes.remember(connection, number, name, value))

    async def recall(self, scope: Scope, name: str) -> str | None:
        """Return a fact kept by :meth:`remember`."""
        return await self._read(scope, lambda connection, number: reads.fact(connection, number, name), None)

    async def aclose(self) -> None:
        """Finish writing and close; idempotent."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._writer.drain()
            await to_thread.run_sync(self._engine.dispose, limiter=self._readers)

    async def __aenter__(self) -> SqlLedger:
        """Return the ledger itself; it is open already."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close."""
        await self.aclose()

    def _claim(self, scope: Scope, row: Any) -> Claim:
        return Claim(
            scope=scope,
            key=row.key,
            owner=self.owner,
            fence=row.fence,
            attempts=row.attempts,
            before=State(row.found),
            subject=row.subject,
            at=from_micros_or_none(row.at),
            detail=load_detail(row.detail),
        )

    async def _page(self, scope: Scope, selection: reads.Selection, after: str | None) -> list[Item]:
        return await self._read(
            scope, lambda connection, number: reads.page(connection, number, selection, after), []
        )

    async def _ensured(self, scope: Scope) -> int:
        """Return the number of a scope, written before when it is new."""
        number = self._numbers.get(scope)
        if number is None:
            for part in (scope.job, scope.account, scope.destination):
                checked_key(part)
            number = int(await self._change(lambda connection: writes.ensure_scope(connection, scope)))
            # Only now: a number from a transaction that failed would be wrong.
            self._numbers[scope] = number
        return number

    async def _write(self, operation: ops.Operation) -> Any:
        self._check_open()
        return await self._writer.submit(operation)

    async def _change(self, run: Callable[[Connection], Any]) -> Any:
        return await self._write(ops.Other(run))

    async def _read(self, scope: Scope, query: Callable[[Connection, int], T], unseen: T) -> T:
        """Return what ``query`` says about a scope, ``unseen`` while the ledger knows none such."""

        def run(connection: Connection) -> T:
            number = self._numbers.get(scope) or reads.scope_id(connection, scope)
            return unseen if number is None else query(connection, number)

        return await self._ask(run)

    async def _ask(self, query: Callable[[Connection], T]) -> T:
        """Run a read in a transaction of its own."""
        self._check_open()

        def run() -> T:
            with translating(self._secrets), self._engine.begin() as connection:
                return query(connection)

        return await to_thread.run_sync(run, limiter=self._readers)

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerUnavailable("the ledger was closed already", code="ledger_closed")


def _kept(row: Any, takes: Collection[State]) -> Settled | Held:
    """Return why an item was not claimed."""
    state = State(row.state)
    if state in takes or state is State.NEW:
        return Held(row.key, row.owner, max(row.wait, 0) / 1_000_000)
    return Settled(row.key, state, row.run_id, row.reason, load_detail(row.detail))
