"""Transfers in worker processes: one event loop cannot keep two cores busy with the bytes of recordings.

Each member is a process of its own with a few threads, and each thread works on one recording at a time from
its URL to the store. Tasks and results are small and go through pipes. The first transfers of a run are done
in this process: a run with little to do starts no other, and nobody waits for the members to be ready.

A member that dies takes what it had in hand along; that is safe to do again and is given to another, once.
"""

from __future__ import annotations

import logging
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

import anyio
import anyio.lowlevel

from mediapipe.errors import Failed, MediapipeError, Throttled, Transient
from mediapipe.pacing import Pacer
from mediapipe.transfer import Kept, NeedsGrant, Transfer

log = logging.getLogger(__name__)

ALONE_FIRST = 64
"""Transfers done here before members are started: that is about the time that they take to start."""
MOST_TRIES = 2
MODULE = "mediapipe.crew_member"
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


@dataclass(slots=True)
class _Waiting:
    """Who waits for a result, and what came: a value, an error, or None when the member died."""

    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None


class _Member:
    """One process, as the parent sees it."""

    def __init__(self, setup: object, token: Any) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this very program
            [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._loop = token.native_token  # a thread that waits for the loop could wait for ever
        self._waiting: dict[int, _Waiting] = {}
        self._lock = threading.Lock()
        self.ready = self.dead = False
        self._write(setup)
        self._reader = threading.Thread(target=self._read, name="crew-reader", daemon=True)
        self._reader.start()

    @property
    def load(self) -> int:
        """How many transfers it has in hand."""
        return len(self._waiting)

    async def work(self, number: int, task: Transfer) -> Any:
        """Return what became of a task, None when the process died on it."""
        waiting = self._waiting[number] = _Waiting()
        try:
            try:
                self._write((number, task))
            except (OSError, ValueError):
                self.dead = True
                return None
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
        except (EOFError, OSError, RuntimeError, pickle.UnpicklingError):
            pass
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
        if self.dead:
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
        self.dead, self.ready = True, False
        for waiting in self._waiting.values():
            waiting.done.set()

    def stop(self) -> None:
        """End the process: at once, since what it has in hand is safe to be done again."""
        self.dead = True
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class Crew:
    """Does transfers, here and in ``processes`` members.

    ``alone`` does one here; ``setup`` is all that a member needs to know, and goes to it through a pipe.
    """

    setup: object
    processes: int
    alone: Callable[[Transfer], Awaitable[Result]]
    pacer: Pacer
    _members: list[_Member] = field(default_factory=list)
    _begun: int = 0
    _lost: int = 0

    async def transfer(self, task: Transfer) -> Result:
        """Keep one recording; raises as :func:`mediapipe.transfer.transfer` does."""
        self._begun += 1
        number = self._begun
        if self._begun == ALONE_FIRST and self.processes > 1:
            self._start()
        for _ in range(MOST_TRIES):
            member = self._free()
            if member is None:
                return await self.alone(task)
            value = await self._paced(member, number, task)
            if value is not None:
                if isinstance(value, MediapipeError):
                    raise value
                return value  # type: ignore[no-any-return]
            self._lost += 1
            log.warning("a transfer process died; what it had in hand is done again")
        raise Failed("the process that transferred it died, twice", code="transfer_died")

    async def _paced(self, member: _Member, number: int, task: Transfer) -> Any:
        """Hand a task on in its turn; what a member had to wait for teaches everybody."""
        try:
            async with self.pacer.turn():
                value = await member.work(number, task)
                if isinstance(value, Throttled | Transient):
                    raise value
                return value
        except (Throttled, Transient) as error:
            return error

    def _start(self) -> None:
        token = anyio.lowlevel.current_token()
        self._members = [_Member(self.setup, token) for _ in range(self.processes)]

    def _free(self) -> _Member | None:
        ready = [one for one in self._members if one.ready and not one.dead]
        return min(ready, key=lambda one: one.load) if ready else None

    def close(self) -> None:
        """End all members."""
        for member in self._members:
            member.stop()
        self._members.clear()


def processes_of(wanted: int) -> int:
    """Return how many members there are to be: ``wanted``, or one for each core."""
    return wanted or len(os.sched_getaffinity(0))
