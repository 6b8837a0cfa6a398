"""One process of the crew: threads that each do one transfer at a time, without leaving their thread.

A thread has an event loop of its own in which every read and write blocks: nothing else has to go on there,
and the hop to another thread, that a loop shared by many needs for each of them, falls away.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn, cast

import anyio

from mediapipe.crew import Ready
from mediapipe.errors import Failed, MediapipeError
from mediapipe.frames import packed, read_frame
from mediapipe.nursery import tend
from mediapipe.redact import redact
from mediapipe.transfer import Tools, Transfer, transfer
from mediapipe.transfer_services import Setup, opened_transfers, shared_transfers

SWITCH_S = 0.0005
GC_THRESHOLD = 20_000
"""Objects made before the garbage collector looks at the young ones: a transfer leaves hardly any behind."""


def main() -> None:
    """Be a nursery started afresh: the socket's number is the argument."""
    tend(socket.socket(fileno=int(sys.argv[1])), open_shared)


def open_shared(told: object) -> Callable[[socket.socket], NoReturn]:
    """Open what all members share, and return what a member does: it works until its socket ends."""
    setup = cast(Setup, told)
    try:
        store, wire = shared_transfers(setup)
    except MediapipeError as error:
        _end(error)

    def serve(parent: socket.socket) -> NoReturn:
        # A thread that has read its bytes should not wait long for another that reckons.
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(GC_THRESHOLD)
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
        file = parent.makefile("rb")
        hearing, saying = threading.Lock(), threading.Lock()

        def hear() -> tuple[int, Transfer]:
            """Return the next task: a thread that is free waits for it, and wakes no other."""
            with hearing:
                try:
                    return read_frame(file)  # type: ignore[no-any-return]
                except (EOFError, OSError):
                    os._exit(0)

        def say(value: object) -> None:
            data = packed(value)
            with saying:
                parent.sendall(data)

        async def work() -> NoReturn:
            async with opened_transfers(setup, store, wire) as tools:
                await _work(tools, hear, say)

        for _ in range(setup.threads - 1):
            threading.Thread(target=_thread, args=(work,), daemon=True).start()
        say(Ready(os.getpid()))
        _thread(work)

    return serve


def _leave_with(parent: socket.socket) -> NoReturn:
    """End the process when its socket ends: what its threads have in hand is safe to be done again."""
    poll = select.poll()
    poll.register(parent, 0)  # for nothing but its end
    poll.poll()
    os._exit(0)


async def _work(
    tools: Tools, hear: Callable[[], tuple[int, Transfer]], say: Callable[[object], None]
) -> NoReturn:
    while True:
        number, wanted = hear()
        value: object
        try:
            value = await transfer(wanted, tools)
        except MediapipeError as error:
            value = error
        except Exception as error:
            value = Failed(redact(f"{error!r}"), code="unexpected_error")
        try:
            say((number, value))
        except OSError:
            raise
        except Exception as error:  # not to be pickled: nothing of it was sent
            say((number, Failed(redact(f"{error!r}"), code="unexpected_error")))


def _thread(work: Callable[[], Awaitable[NoReturn]]) -> NoReturn:
    """Work in a thread; a process that has lost one ends, since what it had in hand would never be told."""
    try:
        anyio.run(work)
    except BaseException as error:
        _end(error)


def _end(error: BaseException) -> NoReturn:
    """End the process; the parent sees it, and does again what was in hand."""
    if not isinstance(error, BrokenPipeError):  # the parent is gone: nobody listens
        with suppress(OSError):
            sys.stderr.write(f"a transfer process ended: {redact(repr(error))}\n")
            sys.stderr.flush()
    os._exit(1)
