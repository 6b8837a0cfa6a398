"""One process of the crew: threads that each do one transfer at a time, without leaving their thread.

A thread has an event loop of its own in which every read and write blocks: nothing else has to go on there,
and the hop to another thread, that a loop shared by many needs for each of them, falls away.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import IO, NoReturn

import anyio

from mediapipe.crew import read_frame, write_frame
from mediapipe.errors import Failed, MediapipeError
from mediapipe.redact import redact
from mediapipe.transfer import Tools, Transfer, transfer
from mediapipe.transfer_services import Setup, opened_transfers, shared_transfers

SWITCH_S = 0.0005

Tasks = queue.SimpleQueue[tuple[int, Transfer] | None]


def main() -> None:
    """Work until stdin ends, which it does with the parent."""
    # The first signal drains the run; a terminal sends it to the whole group, and what is in hand must end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the results
    # A thread that has read its bytes should not wait long for another that reckons.
    sys.setswitchinterval(SWITCH_S)
    setup: Setup = read_frame(sys.stdin.buffer)
    tasks: Tasks = queue.SimpleQueue()
    lock = threading.Lock()
    try:
        store, wire = shared_transfers(setup)
    except MediapipeError as error:
        _end(error)
    for _ in range(setup.threads):

        async def serve() -> None:
            async with opened_transfers(setup, store, wire) as tools:
                await _serve(tools, tasks, out, lock)

        threading.Thread(target=_work, args=(serve,), daemon=True).start()
    with lock:
        write_frame(out, None)
    try:
        while True:
            tasks.put(read_frame(sys.stdin.buffer))
    except EOFError:
        os._exit(0)


async def _serve(tools: Tools, tasks: Tasks, out: IO[bytes], lock: threading.Lock) -> None:
    while (task := tasks.get()) is not None:
        number, wanted = task
        value: object
        try:
            value = await transfer(wanted, tools)
        except MediapipeError as error:
            value = error
        except Exception as error:
            value = Failed(redact(f"{error!r}"), code="unexpected_error")
        with lock:
            try:
                write_frame(out, (number, value))
            except OSError:
                raise
            except Exception as error:  # not to be pickled: nothing of it was written
                write_frame(out, (number, Failed(redact(f"{error!r}"), code="unexpected_error")))


def _work(serve: Callable[[], Awaitable[None]]) -> None:
    """Work in a thread; without it the process would take tasks that nobody does, so it ends, too."""
    try:
        anyio.run(serve)
    except BaseException as error:
        _end(error)


def _end(error: BaseException) -> NoReturn:
    """End the process; the parent sees it, and does again what was in hand."""
    if not isinstance(error, BrokenPipeError):  # the parent is gone: nobody listens
        with suppress(OSError):
            sys.stderr.write(f"a transfer process ended: {redact(repr(error))}\n")
            sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
