"""Lines for tests of the engine: sources in memory, a real ledger in a file, and everything noted down."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Item, Scope, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.ledger.sql import SqlLedger
from mediapipe.line import Batch, Entry, Finished, Job, Line, Stage

SCOPE = Scope("test.job", "host/account", "file:///somewhere")
TAKES = frozenset(State) - {State.DONE}

Work = Callable[[Job[Any]], Any]


@asynccontextmanager
async def ledger_in(folder: Path, owner: str = "ann") -> AsyncIterator[SqlLedger]:
    """Open the ledger of a folder as one owner."""
    async with await open_ledger(str(folder / "ledger.db"), owner=owner) as ledger:
        yield ledger


def entries(*keys: str, batch: Batch | None = None) -> list[Entry[Any]]:
    """Return one entry per key; its payload is the key."""
    return [Entry(Want(key, subject=key), key, batch) for key in keys]


def numbered(count: int) -> list[str]:
    return [f"key-{number:04}" for number in range(count)]


async def done(job: Job[Any]) -> Finished:
    return Finished(Outcome(job.claim.key, Verdict.DONE, attempts=job.claim.attempts))


def source_of(
    pages: Iterable[Sequence[Entry[Any]]],
) -> Callable[[], AsyncGenerator[Sequence[Entry[Any]], None]]:
    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        for page in pages:
            yield page

    return source


def line(
    pages: Iterable[Sequence[Entry[Any]]] | Callable[[], AsyncGenerator[Sequence[Entry[Any]], None]],
    *works: Work,
    workers: int = 2,
    run_id: str = "run-1",
    takes: Collection[State] = TAKES,
    lease: timedelta = timedelta(seconds=60),
    intend: bool = True,
) -> Line[Any]:
    """Return a line over pages (or a ready source) with a stage for each of ``works``."""
    return Line(
        scope=SCOPE,
        run_id=run_id,
        source=pages if callable(pages) else source_of(list(pages)),
        stages=[Stage(f"stage-{number}", work, workers) for number, work in enumerate(works or (done,))],
        takes=takes,
        lease=lease,
        intend=intend,
    )


@dataclass
class Sunk:
    """A sink that keeps everything."""

    outcomes: list[Outcome] = field(default_factory=list)

    def __call__(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    @property
    def keys(self) -> list[str]:
        """The keys, in order, as often as they came."""
        return sorted(outcome.key for outcome in self.outcomes)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdicts by key; fails when a key came twice."""
        assert len(set(self.keys)) == len(self.keys), f"more than one outcome: {self.keys}"
        return {outcome.key: outcome.verdict for outcome in self.outcomes}

    def __getitem__(self, key: str) -> Outcome:
        (outcome,) = (outcome for outcome in self.outcomes if outcome.key == key)
        return outcome


async def rows(ledger: SqlLedger, scope: Scope = SCOPE) -> dict[str, Item]:
    """Return every row by key."""
    return {item.key: item async for page in ledger.items(scope, states=tuple(State)) for item in page}


async def states(ledger: SqlLedger, scope: Scope = SCOPE) -> dict[str, State]:
    """Return every state by key."""
    return {key: item.state for key, item in (await rows(ledger, scope)).items()}
