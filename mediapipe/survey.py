"""Looking at many items at once without changing anything: bounded, in order, no ledger.

For jobs that only look: they need no claims and no receipts, and whoever reads their result wants it in the
order of the source::

    source ─pages─► feed ─┬─ to be looked at ──► look ─┐
                          └─ known already ────────────┴─► in the source's order ─► sink

* At most ``WINDOW`` items are between source and sink. One that takes its time holds those behind it back,
  up to that many; then the feed waits.
* What a look raises is that one item's outcome; ``Fatal`` stops everything, as does one of the sink.
* The first SIGINT or SIGTERM finishes the looks that have begun and drops the rest; the second stops at once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from mediapipe.errors import Fatal
from mediapipe.items import Outcome
from mediapipe.line import Ending, Finished
from mediapipe.running import Drain, attempt, deciding

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 512


@dataclass(frozen=True, slots=True)
class Looked(Generic[R]):
    """What a look gave: the item's outcome and, when it came that far, what else was found."""

    outcome: Outcome
    found: R | None = None


Source: TypeAlias = Callable[[], AsyncGenerator[Sequence[T | Looked[R]], None]]
"""Pages of items; one whose outcome is known without a look is a :class:`Looked` already."""


@dataclass(frozen=True, slots=True)
class Survey(Generic[T, R]):
    """A job as data.

    ``look`` is called for each item, ``workers`` of them at a time. ``about`` returns an outcome that says
    which item it is; it is filled in when a look raises. ``sink`` gets what is ready, in order, each once.
    """

    name: str
    source: Source[T, R]
    look: Callable[[T], Awaitable[Looked[R]]]
    about: Callable[[T], Outcome]
    sink: Callable[[Sequence[Looked[R]]], None]
    workers: int


async def survey(job: Survey[T, R], *, signals: bool = False) -> Ending:
    """Look at every item; see the module's rules. ``signals`` listens for them (main thread only)."""
    return await _Run(job).work(signals=signals)


@dataclass(slots=True)
class _Place(Generic[T, R]):
    """An item's place in the order, empty until it was looked at."""

    item: T
    looked: Looked[R] | None = None


@dataclass(slots=True)
class _Run(Generic[T, R]):
    job: Survey[T, R]
    order: deque[_Place[T, R] | Looked[R]] = field(default_factory=deque)
    room: anyio.Event = field(default_factory=anyio.Event)
    drain: Drain = field(default_factory=Drain)

    async def work(self, *, signals: bool) -> Ending:
        fatal: Fatal | None = None
        try:
            async with anyio.create_task_group() as group:
                if signals:
                    group.start_soon(self.drain.listen, group.cancel_scope, name="signals")
                async with anyio.create_task_group() as line:
                    send, receive = anyio.create_memory_object_stream[_Place[T, R]](self.job.workers)
                    line.start_soon(self._feed, send, name="feed")
                    with receive:
                        for number in range(self.job.workers):
                            line.start_soon(self._worker, receive.clone(), name=f"look-{number}")
                group.cancel_scope.cancel()  # the signals have nothing left to stop
            self._drop_unseen()
        except* Fatal as errors:
            fatal = deciding(errors)
        return Ending(interrupted=self.drain.begun, fatal=fatal)

    async def _feed(self, send: MemoryObjectSendStream[_Place[T, R]]) -> None:
        with send, self.drain.feeding:
            async with aclosing(self.job.source()) as pages:
                async for page in pages:
                    for item in page:
                        await self._enter(item, send)
                    self._pass_on()

    async def _enter(self, item: T | Looked[R], send: MemoryObjectSendStream[_Place[T, R]]) -> None:
        while len(self.order) >= WINDOW:
            self._pass_on()
            if len(self.order) >= WINDOW:
                self.room = anyio.Event()
                await self.room.wait()
        if isinstance(item, Looked):
            self.order.append(item)
        else:
            place: _Place[T, R] = _Place(item)
            self.order.append(place)
            await send.send(place)

    async def _worker(self, receive: MemoryObjectReceiveStream[_Place[T, R]]) -> None:
        with receive:
            async for place in receive:
                if self.drain.begun:
                    continue  # dropped at the end
                result = await self._look(place.item)
                place.looked = Looked(result.outcome) if isinstance(result, Finished) else result
                self._pass_on()

    async def _look(self, item: T) -> Looked[R] | Finished:
        return await attempt(self.job.name, self.job.about(item), lambda: self.job.look(item))

    def _pass_on(self) -> None:
        """Give the sink everything up to the first item that is still being looked at."""
        ready: list[Looked[R]] = []
        while self.order:
            first = self.order[0]
            looked = first if isinstance(first, Looked) else first.looked
            if looked is None:
                break
            ready.append(looked)
            self.order.popleft()
        if ready:
            self.job.sink(ready)
        if len(self.order) < WINDOW:
            self.room.set()

    def _drop_unseen(self) -> None:
        """After a stop: pass on what was looked at behind an item that was not."""
        seen = [one for one in self.order if isinstance(one, Looked) or one.looked is not None]
        dropped = len(self.order) - len(seen)
        self.order = deque(seen)
        self._pass_on()
        if dropped:
            log.warning("%s: %d items in hand were not looked at to the end", self.job.name, dropped)
