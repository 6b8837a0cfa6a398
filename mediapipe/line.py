"""The engine's words: what a job hands to the pipeline, and what comes back. No concurrency here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from mediapipe.errors import Fatal
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Claim, Scope, Settled, State, Want

T = TypeVar("T")

STATES: Mapping[Verdict, State] = {
    Verdict.DONE: State.DONE,
    Verdict.SKIPPED: State.DONE,
    Verdict.REJECTED: State.REJECTED,
    Verdict.FAILED: State.FAILED,
    Verdict.UNCERTAIN: State.UNCERTAIN,
    Verdict.PENDING: State.PENDING,
    Verdict.ABSENT: State.ABSENT,
}


class Batch:
    """Items that belong together, such as the calls of one window: tells when the last one is settled.

    The source opens it, the feed counts entries in, and the source seals it once it has handed over
    everything. A batch that is never sealed never completes.
    """

    def __init__(self, on_complete: Callable[[], Awaitable[None]]) -> None:
        self._on_complete = on_complete
        self._open = 0
        self._sealed = False

    def enter(self) -> None:
        """Count one more item in."""
        self._open += 1

    async def leave(self) -> None:
        """Count one item as settled."""
        self._open -= 1
        await self._look()

    async def seal(self) -> None:
        """Say that no more items will come."""
        self._sealed = True
        await self._look()

    async def _look(self) -> None:
        if self._sealed and self._open == 0:
            await self._on_complete()


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One item from a source: what to claim, what the stages need, and the batch it counts in.

    ``closes`` are ledger keys that its receipt replaces; ``source`` names where the item comes from, for
    outcomes that do not say it better.
    """

    want: Want
    payload: T
    batch: Batch | None = None
    closes: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """An entry on its way down the line, with the claim that covers it."""

    entry: Entry[T]
    claim: Claim
    payload: T


@dataclass(frozen=True, slots=True)
class Finished:
    """A stage's last word on an item: its outcome, and what the ledger should remember of it.

    ``fatal`` stops the run once the receipt is durable.
    """

    outcome: Outcome
    detail: Mapping[str, str] | None = None
    fatal: Fatal | None = None


@dataclass(frozen=True, slots=True)
class Stage(Generic[T]):
    """``work`` returns the payload for the next stage, or :class:`Finished`. The last stage must finish."""

    name: str
    work: Callable[[Job[T]], Awaitable[T | Finished]]
    workers: int


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """A job as data. ``takes`` are the ledger states that may be worked on (again).

    ``linger`` is for how many seconds receipts wait for others to share a transaction with; what a crash
    leaves without one is looked at again. ``settled`` says what becomes of an entry that the ledger has
    settled already, where that needs a look; ``guards`` are claims of other scopes to be kept alive as well:
    losing one stops the run.
    """

    scope: Scope
    run_id: str
    source: Callable[[], AsyncGenerator[Sequence[Entry[T]], None]]
    stages: Sequence[Stage[T]]
    takes: Collection[State]
    lease: timedelta = timedelta(seconds=60)
    intend: bool = False
    linger: float = 0.0
    settled: Callable[[Entry[T], Settled], Awaitable[Outcome]] | None = None
    guards: Sequence[Claim] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: by itself, by a signal, or by an error that stopped everything."""

    interrupted: bool = False
    fatal: Fatal | None = None


Sink = Callable[[Outcome], None]
"""Called once per item, after its receipt is durable."""
