"""The contract of the ledger: intent → effect → receipt, with claims that carry a lease and a fence.

The hard parts, which every implementation keeps and the contract suite checks:

* **Durable before it returns.** When ``claim``, ``intend``, ``settle`` or ``cover`` return, the change
  survives ``kill -9`` and power loss. Concurrent calls share one commit (group commit), so durability
  does not cost a disk flush per item.
* **One owner at a time.** ``claim`` hands an item to at most one owner until the lease runs out. Each
  successful claim gets a higher ``fence``; every later write names owner and fence in its WHERE clause,
  and raises :class:`ClaimLost` when another owner has taken the item since. A late writer changes
  nothing.
* **Leases are measured by the ledger's own clock** (the database server's), never by a client's.
* **Settled is settled.** ``claim`` answers :class:`Settled` for a state the caller does not ``take``; the
  row does not change.
* **Keys name the whole effect**: :class:`Scope` holds job, account (API host + account name) and
  destination, so a second destination is another scope.
* **No secret is ever stored**: callers put no URL grants into ``detail``; implementations do not check.
* **Errors**: :class:`LedgerUnavailable` for anything the database says; :class:`ClaimLost`.
* Any method may be cancelled; a cancelled write may or may not have happened, and asking again is safe.

Times are timezone-aware UTC datetimes with at least millisecond precision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from mediapipe.errors import Failed


class State(StrEnum):
    """Where an item stands, across runs."""

    NEW = "new"
    """Claimed, nothing done yet."""
    INTENDED = "intended"
    """The effect may have begun: after a crash, ask the far side."""
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    UNCERTAIN = "uncertain"
    PENDING = "pending"
    ABSENT = "absent"
    CLOSED = "closed"
    """Replaced by another item, such as ``<call_id>`` by ``<call_id>-<recording_id>``."""


OPEN_STATES = frozenset({State.NEW, State.INTENDED, State.FAILED, State.PENDING})
"""States that a later run looks at again by itself."""


class ClaimLost(Failed):
    """Another worker took the item over; this one's late write changed nothing."""

    code = "claim_lost"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a ledger key is relative to: ``account`` is ``<API host>/<account name>``."""

    job: str
    account: str
    destination: str = ""

    def __str__(self) -> str:
        return "|".join((self.job, self.account, self.destination))


@dataclass(frozen=True, slots=True)
class Want:
    """An item somebody wants to work on.

    ``subject`` groups keys that speak of one thing (a call's id); ``at`` is when that thing happened.
    """

    key: str
    subject: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one item, until the lease runs out or someone takes it over.

    ``before`` is the state found (NEW for a first sight): INTENDED means an earlier attempt may have had
    its effect. ``attempts`` counts claims including this one; ``detail`` is what was last recorded.
    """

    scope: Scope
    key: str
    owner: str
    fence: int
    attempts: int
    before: State
    subject: str = ""
    at: datetime | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """The item stands in a state the caller does not take. ``run_id`` is the last run that wrote it."""

    key: str
    state: State
    run_id: str
    reason: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """Another living owner works on the item; ask again in ``seconds``."""

    key: str
    owner: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a claimed item.

    ``closes`` are keys of the same scope that this receipt replaces: rows that exist go to CLOSED.
    ``detail`` replaces the recorded detail when not None.
    """

    claim: Claim
    state: State
    reason: str = ""
    message: str = ""
    detail: Mapping[str, str] | None = None
    closes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One row as ``items`` reports it."""

    key: str
    subject: str
    at: datetime | None
    state: State
    reason: str
    message: str
    attempts: int
    run_id: str
    first_seen: datetime
    updated: datetime
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One run as ``runs`` reports it; ``finished`` is None while it works or when it died."""

    run_id: str
    scope: Scope
    owner: str
    started: datetime
    finished: datetime | None = None
    exit_code: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0


class Ledger(Protocol):
    """The durable memory of all runs. See the module's rules."""

    @property
    def owner(self) -> str:
        """The owner that this ledger was opened for: every claim made through it is this owner's."""
        ...

    async def begin(self, run_id: str, scope: Scope) -> None:
        """Record that a run started. The owner is the one the ledger was opened with."""
        ...

    async def end(self, run_id: str, *, exit_code: int, counts: Mapping[str, int], size: int) -> None:
        """Record how a run ended; ``size`` in bytes moved."""
        ...

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
        """Claim many items in one transaction; one answer per want, in order.

        An unseen item is created in NEW and claimed. An item in one of ``takes`` (NEW is always taken) is
        claimed unless its lease is alive under another owner. With ``intend`` the state goes to INTENDED
        in the same commit. A key that appears twice in ``wants`` gets the same claim twice.
        """
        ...

    async def peek(self, scope: Scope, keys: Sequence[str]) -> Mapping[str, State]:
        """Return the states of those of ``keys`` that are known; claims nothing, writes nothing."""
        ...

    async def intend(self, claim: Claim, detail: Mapping[str, str] | None = None) -> None:
        """Make durable that the effect is about to begin. Raises :class:`ClaimLost`."""
        ...

    async def settle(self, receipts: Sequence[Receipt], *, run_id: str) -> list[Receipt]:
        """Record what became of items and let go of their claims; one transaction.

        Returns the receipts that were refused because the claim was lost (empty when all went well).
        """
        ...

    async def renew(self, claims: Sequence[Claim], lease: timedelta) -> list[Claim]:
        """Prolong leases; return the claims that were lost meanwhile."""
        ...

    async def holders(self, scope: Scope) -> frozenset[str]:
        """Return the owners whose leases in this scope are alive."""
        ...

    async def release(self, scope: Scope, owner: str) -> int:
        """End every lease that ``owner``, known to be dead, holds; return how many."""
        ...

    def items(
        self,
        scope: Scope,
        *,
        states: Collection[State],
        not_run: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[Sequence[Item]]:
        """Yield items in these states, in pages, ordered by key.

        ``not_run`` leaves out those that this run touched; ``start``/``end`` bound ``at`` (start inclusive,
        end exclusive; an item without ``at`` is left out when either is given). Rows may change between
        pages; none is yielded twice.
        """
        ...

    async def counts(self, scope: Scope) -> Mapping[State, int]:
        """Return how many items stand in each state."""
        ...

    async def scopes(self) -> Sequence[Scope]:
        """Return every scope that has items or runs."""
        ...

    async def runs(self, limit: int = 20) -> Sequence[Run]:
        """Return the latest runs, newest first."""
        ...

    async def anchor(self, scope: Scope, at: datetime) -> datetime:
        """Set where contiguous coverage starts, unless it was set before; return the one in force."""
        ...

    async def cover(self, scope: Scope, start: datetime, end: datetime) -> datetime | None:
        """Record [start, end) as completely walked and settled; return the watermark.

        Overlapping and touching spans merge.
        """
        ...

    async def coverage(self, scope: Scope) -> Sequence[tuple[datetime, datetime]]:
        """Return the covered spans, merged and in order."""
        ...

    async def watermark(self, scope: Scope) -> datetime | None:
        """Return the end of the contiguous coverage from the anchor.

        That is the anchor itself when the span it starts is not covered, None without an anchor.
        """
        ...

    async def remember(self, scope: Scope, name: str, value: str) -> None:
        """Keep a fact about the scope, such as when its destination was proven."""
        ...

    async def recall(self, scope: Scope, name: str) -> str | None:
        """Return a fact kept by :meth:`remember`."""
        ...

    async def aclose(self) -> None:
        """Finish writing and close; idempotent."""
        ...
