"""Transfers in worker processes: one event loop cannot keep two cores busy with the bytes of recordings.

Each member is a process of its own with a few threads, and each thread works on one recording at a time from
its URL to the store. Tasks and results are small and go over a socket. A run with little to do does it in
this process and starts no other.

A member that dies is replaced, and takes what it had in hand along; that is safe to do again and is given to
another, once. Who is told to ask less often says so at once: the pause is this process's, and holds for all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import anyio

from mediapipe.errors import Failed, MediapipeError, Throttled, Transient
from mediapipe.frames import Frames, packed
from mediapipe.nursery import Nursery
from mediapipe.pacing import ByteBudget, Pacer, RetryPolicy
from mediapipe.transfer import Kept, NeedsGrant, Transfer

log = logging.getLogger(__name__)

ALONE_FIRST = 8
"""So many transfers make members worth starting; until then all is done here."""
READY_S = 10.0
"""How long transfers wait for members that were started."""
MOST_TRIES = 2
MOST_STARTS = 4
"""Members started for each that there is to be: what kills them all is not to be met for ever."""
_PIECE = 1 << 18

Result = Kept | NeedsGrant


@dataclass(frozen=True, slots=True)
class Ready:
    """A member's first word."""

    pid: int


class HeldBack(MediapipeError):
    """The far side asked for fewer requests, and that is for all processes to know."""

    code = "throttled"

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TellingPacer(Pacer):
    """A member's pacer: it has one thing in hand, and hands on what it is told to wait for."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Raise :class:`HeldBack` for a ``Throttled``, which nobody here repeats."""
        try:
            yield
        except Throttled as error:
            raise HeldBack(error.message, retry_after=error.retry_after) from None


@dataclass(slots=True)
class _Waiting:
    """Who waits for a result, and what came: a value, an error, or nothing when the member died."""

    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = field(default_factory=lambda: _Lost.DIED)


class _Lost(Enum):
    """Why a task has no result: it was never handed over, or the process died on it."""

    UNSENT = 1
    DIED = 2


class _Member:
    """One process, as the parent sees it. All of it runs in the parent's event loop and never blocks that."""

    def __init__(
        self, own: socket.socket, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]
    ) -> None:
        """Take a socket to it; ``changed`` is called when it is ready, and when it has died."""
        self._socket, self._loop, self._tell = own, loop, changed
        self._waiting: dict[int, _Waiting] = {}
        self._frames, self._unsent = Frames(), bytearray()
        self.pid, self.dead = 0, False
        own.setblocking(False)
        loop.add_reader(own, self._read)

    @property
    def works(self) -> bool:
        """Tell whether it is there to be given something."""
        return self.pid > 0 and not self.dead

    @property
    def load(self) -> int:
        """How many transfers it has in hand."""
        return len(self._waiting)

    async def work(self, number: int, task: Transfer) -> Any:
        """Return what became of a task, an error too, or how it was lost."""
        if self.dead:
            return _Lost.UNSENT
        waiting = self._waiting[number] = _Waiting()
        try:
            self._write(packed((number, task)))
            await waiting.done.wait()
            return waiting.value
        finally:
            self._waiting.pop(number, None)

    def _write(self, data: bytes) -> None:
        """Send what goes at once, and the rest when there is room."""
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                return  # its end comes to the reader, who tells everybody that waits
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._socket, self._flush)

    def _flush(self) -> None:
        try:
            del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for value in self._frames.feed(data):
                self._take(value)
        except Exception:  # somebody waits for each of the others, and would for ever
            log.exception("what a transfer process said could not be read")
            data = b""
        if not data:
            log.warning("a transfer process ended; the %d it had in hand are done again", self.load)
            self.stop()
            self._tell()

    def _take(self, value: Any) -> None:
        if isinstance(value, Ready):
            self.pid = value.pid
            self._tell()
            return
        number, result = value
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.value = result
            waiting.done.set()

    def stop(self) -> None:
        """Let go of it: it ends when its socket does. Who waits is told that it died."""
        if self.dead:
            return
        self.dead = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for waiting in self._waiting.values():
            waiting.done.set()


class _Struggled(Transient):
    """A member gave up on a passing fault: fewer at once, but no pause for everybody.

    The pause is the platform's; a store that said "slow down" was waited for by the member.
    """

    def __init__(self, value: Transient) -> None:
        super().__init__(value.message)
        self.value = value


@dataclass(slots=True)
class Crew:
    """Does transfers, here and in ``processes`` members.

    ``alone`` does one here; ``setup`` is all that a member needs to know, and goes to it over a socket.
    What members spool comes out of the run's ``budget``, ``least`` bytes for each recording. They are forked
    by what ``nursery`` returns, which ends with the crew.
    """

    setup: object
    processes: int
    alone: Callable[[Transfer], Awaitable[Result]]
    pacer: Pacer
    retry: RetryPolicy
    budget: ByteBudget
    least: int
    nursery: Callable[[], Nursery]
    _nursery: Nursery | None = None
    _members: list[_Member] = field(default_factory=list)
    _begun: int = 0
    _starts: int = 0
    _ready: anyio.Event = field(default_factory=anyio.Event)

    async def transfer(self, task: Transfer) -> Result:
        """Keep one recording; raises as :func:`mediapipe.transfer.transfer` does."""
        self._begun += 1
        number = self._begun
        self.expect(number)
        if self._members and not self._ready.is_set():
            with anyio.move_on_after(READY_S):
                await self._ready.wait()
            self._ready.set()
        value = await self.retry.run(lambda: self._handed(number, task))
        if value is None:
            return await self.alone(task)
        if isinstance(value, MediapipeError):
            raise value
        return value  # type: ignore[no-any-return]

    def expect(self, count: int) -> None:
        """Be told of so many transfers: members may be ready by the time that they begin."""
        if count >= ALONE_FIRST and self.processes > 1 and not self._starts:
            for _ in range(self.processes):
                self._start()

    async def _handed(self, number: int, task: Transfer) -> Any:
        """Return what a member made of a task, errors too; None when there is none to give it to.

        Raises ``Throttled``, which is for this process to wait for and try again.
        """
        died = 0
        while self._free() is not None and died < MOST_TRIES:
            value = await self._paced(number, task)
            if not isinstance(value, _Lost):
                return value
            died += value is _Lost.DIED
        if died < MOST_TRIES:
            return None
        return Failed("the process that transferred it died, twice", code="transfer_died")

    async def _paced(self, number: int, task: Transfer) -> Any:
        """Hand a task on in its turn; what a member met teaches everybody.

        Raises ``Throttled``, after a pause was set for everybody, for what the platform said to a member.
        """
        try:
            size = max(self.least, task.claimed_bytes or 0)
            async with self.budget.reserve(size), self.pacer.turn():
                member = self._free()
                value = _Lost.UNSENT if member is None else await member.work(number, task)
                if isinstance(value, HeldBack):
                    raise Throttled(value.message, retry_after=value.retry_after)
                if isinstance(value, Transient):
                    raise _Struggled(value)
                return value
        except _Struggled as error:
            return error.value

    def _start(self) -> None:
        """Have one more member; without it the others and this process go on."""
        if self._starts >= MOST_STARTS * self.processes:
            return
        self._starts += 1
        try:
            if self._nursery is None:
                self._nursery = self.nursery()
            own = self._nursery.member(self.setup)
            self._members.append(_Member(own, asyncio.get_running_loop(), self._changed))
        except OSError as error:
            self._starts = MOST_STARTS * self.processes
            log.warning("a transfer process could not be started: %s", error)

    def _changed(self) -> None:
        """Let transfers begin once a member is ready, and replace who died at work.

        What could not start would not start again.
        """
        dead = [one for one in self._members if one.dead]
        if len(dead) == len(self._members) or any(one.works for one in self._members):
            self._ready.set()
        self._members = [one for one in self._members if not one.dead]
        if any(one.pid for one in dead):
            self._start()

    def _free(self) -> _Member | None:
        ready = [one for one in self._members if one.works]
        return min(ready, key=lambda one: one.load) if ready else None

    def close(self) -> None:
        """End all members."""
        for member in self._members:
            member.stop()
        self._members.clear()
        if self._nursery is not None:
            self._nursery.close()


def processes_of(wanted: int) -> int:
    """Return how many members there are to be: ``wanted``, or one for each core."""
    return wanted or len(os.sched_getaffinity(0))
