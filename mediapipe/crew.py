"""Transfers in worker processes: one event loop cannot keep two cores busy with the bytes of recordings.

Each member is a process of its own with a few threads, and each thread works on one recording at a time from
its URL to the store. Tasks and results are small and go through pipes. The first transfers of a run are done
in this process: a run with little to do starts no other, and nobody waits for the members to be ready.

A member that dies takes what it had in hand along; that is safe to do again and is given to another, once.
Who is told to ask less often says so at once: the pause is this process's, and holds for all members.
"""

from __future__ import annotations

import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any

import anyio
import anyio.lowlevel

from mediapipe.errors import Failed, MediapipeError, Throttled, Transient
from mediapipe.pacing import ByteBudget, Pacer, RetryPolicy
from mediapipe.transfer import Kept, NeedsGrant, Transfer

log = logging.getLogger(__name__)

ALONE_FIRST = 64
"""Transfers done here before members are started: that is about the time that they take to start."""
MOST_TRIES = 2
# The current folder is no place to import from, as it is for ``-m``; and the package may not be installed.
_ROOT = str(Path(__file__).parent.parent)
_START = "import sys; sys.path.append(sys.argv.pop(1)); from mediapipe.crew_member import main; main()"
_LENGTH = struct.Struct(">I")

Result = Kept | NeedsGrant


def write_frame(file: IO[bytes], value: object) -> None:
    """Write one value to a pipe."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def read_frame(file: IO[bytes]) -> Any:
    """Read one value from a pipe of our own; raises ``EOFError`` at its end."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(head)
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301  # written by the process at the other end of our own pipe


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
    """One process, as the parent sees it."""

    def __init__(self, setup: object, token: Any) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this very program
            [sys.executable, "-P", "-c", _START, _ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # what a terminal sends to the run is the run's to hear
        )
        self._loop = token.native_token  # a thread that waits for the loop could wait for ever
        self._waiting: dict[int, _Waiting] = {}
        self._lock = threading.Lock()
        self.ready = self.dead = self._stopped = False
        try:
            self._write(setup)
        except OSError:
            self.stop()
            raise
        self._reader = threading.Thread(target=self._read, name="crew-reader", daemon=True)
        self._reader.start()

    @property
    def works(self) -> bool:
        """Tell whether it is there to be given something."""
        return self.ready and not self.dead and self._process.poll() is None

    @property
    def load(self) -> int:
        """How many transfers it has in hand."""
        return len(self._waiting)

    async def work(self, number: int, task: Transfer) -> Any:
        """Return what became of a task, an error too, or how it was lost."""
        waiting = self._waiting[number] = _Waiting()
        try:
            try:
                self._write((number, task))
            except (OSError, ValueError):
                self.dead = True  # who waits for it already is told by the reader
                return _Lost.UNSENT
            await waiting.done.wait()
            return waiting.value
        finally:
            self._waiting.pop(number, None)

    def _write(self, value: object) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise ValueError("the process has no stdin")
        with self._lock:
            write_frame(stdin, value)

    def _read(self) -> None:
        """Take results until the process ends; runs in a thread of its own."""
        try:
            if self._process.stdout is None:
                return
            while True:
                frame = read_frame(self._process.stdout)
                self._loop.call_soon_threadsafe(self._take, frame)
        except (EOFError, OSError, RuntimeError):
            pass
        except Exception:  # somebody waits for each of the others, and would for ever
            log.exception("what a transfer process said could not be read")
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
        if self._stopped:
            return  # told to stop, by a loop that waits for nobody any more
        with suppress(RuntimeError):  # the event loop is gone, and so is everybody who could wait
            self._loop.call_soon_threadsafe(self._died)

    def _take(self, frame: Any) -> None:
        if frame is None:
            self.ready = True
            return
        number, value = frame
        waiting = self._waiting.get(number)
        if waiting is not None:
            waiting.value = value
            waiting.done.set()

    def _died(self) -> None:
        log.warning("a transfer process ended; the %d it had in hand are done again", self.load)
        self.dead, self.ready = True, False
        self._process.kill()
        for waiting in self._waiting.values():
            waiting.done.set()

    def stop(self) -> None:
        """End the process: at once, since what it has in hand is safe to be done again."""
        self.dead = self._stopped = True
        self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()


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

    ``alone`` does one here; ``setup`` is all that a member needs to know, and goes to it through a pipe.
    What members spool comes out of the run's ``budget``, ``least`` bytes for each recording.
    """

    setup: object
    processes: int
    alone: Callable[[Transfer], Awaitable[Result]]
    pacer: Pacer
    retry: RetryPolicy
    budget: ByteBudget
    least: int
    _members: list[_Member] = field(default_factory=list)
    _begun: int = 0

    async def transfer(self, task: Transfer) -> Result:
        """Keep one recording; raises as :func:`mediapipe.transfer.transfer` does."""
        self._begun += 1
        number = self._begun
        if self._begun == ALONE_FIRST and self.processes > 1:
            self._start()
        value = await self.retry.run(lambda: self._handed(number, task))
        if value is None:
            return await self.alone(task)
        if isinstance(value, MediapipeError):
            raise value
        return value  # type: ignore[no-any-return]

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
        token = anyio.lowlevel.current_token()
        for _ in range(self.processes):
            try:
                self._members.append(_Member(self.setup, token))
            except OSError as error:
                log.warning("a transfer process could not be started: %s", error)

    def _free(self) -> _Member | None:
        ready = [one for one in self._members if one.works]
        return min(ready, key=lambda one: one.load) if ready else None

    def close(self) -> None:
        """End all members."""
        for member in self._members:
            member.stop()
        self._members.clear()


def processes_of(wanted: int) -> int:
    """Return how many members there are to be: ``wanted``, or one for each core."""
    return wanted or len(os.sched_getaffinity(0))
