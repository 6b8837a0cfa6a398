"""The rows of an import on their way to the line: read anew, within the hours and limits the user set.

A row that is held back for a limit is not claimed: it is reported as pending, and the next run takes it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

import anyio
import anyio.to_thread

from mediapipe.ledger.interface import Ledger, Scope, State, Want
from mediapipe.line import Entry
from mediapipe.manifest.calls import CallRow

PAGE = 32
FRESH = frozenset({State.NEW, State.FAILED, State.REJECTED})
"""States of rows of which no call was made: these are sent."""

Hours = tuple[int, int]
"""Two minutes of the day: from the first to the second, over midnight when that is the earlier one."""


def wait_for_hours(now: datetime, hours: Hours | None) -> float:
    """Return the seconds until uploads may begin: 0 within the hours. ``now`` is local time."""
    if hours is None:
        return 0.0
    start, end = hours
    at = now.hour * 60 + now.minute + now.second / 60
    inside = start <= at < end if start < end else at >= start or at < end
    return 0.0 if inside else ((start - at) % (24 * 60)) * 60


def hours_a_day(hours: Hours | None) -> float:
    """Return how many hours of a day these are."""
    return 24.0 if hours is None else (hours[1] - hours[0]) % (24 * 60) / 60


@dataclass(slots=True)
class Limits:
    """How much one run may send. ``ends`` is by the event loop's clock."""

    uploads: int | None = None
    ends: float | None = None
    budget: int | None = None
    """Uploads that the day still has."""
    hours: Hours | None = None
    local_now: Callable[[], datetime] = datetime.now

    def spent(self, begun: int) -> tuple[str, str] | None:
        """Return code and words of the limit that is reached after ``begun`` uploads, if one is."""
        if self.uploads is not None and begun >= self.uploads:
            return "max_items", f"this run sends {self.uploads:,} at the most (--max-items)"
        if self.budget is not None and begun >= self.budget:
            return "daily_budget", "the uploads of this day are used up (--daily-budget)"
        if self.ends is not None and anyio.current_time() >= self.ends:
            return "max_duration", "the time of this run is used up (--max-duration)"
        return None

    async def wait_for_hours(self) -> None:
        """Return when uploads may begin; a clock that is changed meanwhile is looked at again."""
        while seconds := wait_for_hours(self.local_now(), self.hours):
            left = seconds if self.ends is None else min(seconds, self.ends - anyio.current_time())
            if left <= 0:
                return
            await anyio.sleep(min(left, 60.0))


@dataclass(slots=True)
class Feed:
    """Hands rows to the line. May be asked for pages several times: it goes on where it stopped.

    ``hold`` gets the rows that are not handed over, with code and words; ``offered`` each that is.
    """

    rows: Generator[CallRow, None, None]
    ledger: Ledger
    scope: Scope
    limits: Limits
    hold: Callable[[CallRow, str, str], None]
    offered: Callable[[CallRow], None]
    refused: Callable[[CallRow, bool], bool]
    """Tells rows that are counted already and are passed over; it is told whether a row would be sent."""
    resend: Collection[str] = frozenset()
    """Keys of uncertain uploads that are to be sent again."""
    held: tuple[str, str] | None = None
    """Code and words of what keeps every row back that would be sent."""
    begun: int = 0
    _left: list[CallRow] = field(default_factory=list)

    async def pages(self, uploads: int | None = None) -> AsyncGenerator[Sequence[Entry[CallRow]], None]:
        """Yield the next rows; with ``uploads``, end behind so many that are to be sent."""
        stop = None if uploads is None else self.begun + uploads
        while page := self._left or await anyio.to_thread.run_sync(lambda: list(islice(self.rows, PAGE))):
            self._left = []
            states = await self.ledger.peek(self.scope, [row.external_id for row in page if row.has_key])
            entries: list[Entry[CallRow]] = []
            for at, row in enumerate(page):
                fresh = self._fresh(row, states.get(row.external_id, State.NEW))
                if stop is not None and self.begun >= stop and fresh:
                    self._left = page[at:]
                    break
                if self.refused(row, fresh):
                    continue
                if fresh:
                    if self.held is None:
                        await self.limits.wait_for_hours()
                    if spent := self.held or self.limits.spent(self.begun):
                        self.hold(row, *spent)
                        continue
                    self.begun += 1
                self.offered(row)
                entries.append(Entry(Want(row.external_id, at=row.at), row, source=row.recording))
            if entries:
                yield entries
            if self._left:
                return

    def _fresh(self, row: CallRow, state: State) -> bool:
        return state in FRESH or row.external_id in self.resend
