"""What every engine does the same way: one item's attempt, the signals that stop a run, which error decides.

No concurrency of its own: :mod:`mediapipe.pipeline` and :mod:`mediapipe.survey` bring the task groups.
"""

from __future__ import annotations

import errno
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio

from mediapipe.errors import DiskFull, Fatal, ItemError, Rejected, Transient
from mediapipe.items import Outcome, Verdict
from mediapipe.line import Finished
from mediapipe.redact import redact

log = logging.getLogger(__name__)

R = TypeVar("R")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


async def attempt(where: str, item: Outcome, work: Callable[[], Awaitable[R]]) -> R | Finished:
    """Do the work on one item; everything but ``Fatal`` becomes that item's outcome.

    ``item`` is what its outcome is to say besides: key, row, source, attempts.
    """
    try:
        return await work()
    except Fatal:
        raise
    except (ItemError, Transient) as error:
        verdict = Verdict.REJECTED if isinstance(error, Rejected) else Verdict.FAILED
        return Finished(replace(item, verdict=verdict, reason=error.code, message=str(error)))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise DiskFull(f"{where}: {error.strerror}") from error
        log.exception("%s: unexpected error on %s", where, item.key)
        message = redact(f"{error!r}")
        return Finished(replace(item, verdict=Verdict.FAILED, reason="unexpected_error", message=message))


@dataclass(slots=True)
class Drain:
    """What SIGINT and SIGTERM do: the first ends the feeding, the second everything."""

    feeding: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    begun: bool = False

    async def listen(self, everything: anyio.CancelScope) -> None:
        """Wait for the signals and act on them (main thread only)."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with _restored(before), anyio.open_signal_receiver(*before) as caught:
            async for number in caught:
                name = signal.Signals(number).name
                if self.begun:
                    log.warning("%s again: stopping at once", name)
                    everything.cancel()
                    return
                log.warning("%s: finishing what is under way; once more stops at once", name)
                self.begun = True
                self.feeding.cancel()


@contextmanager
def _restored(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Put signal handlers back: the event loop leaves the system's default, which kills without a word."""
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def deciding(errors: BaseExceptionGroup[Fatal]) -> Fatal:
    """Return the error that decides the exit code: credentials win over all."""
    found: list[Fatal] = []

    def collect(group: BaseExceptionGroup[Fatal]) -> None:
        for error in group.exceptions:
            if isinstance(error, BaseExceptionGroup):
                collect(error)
            else:
                found.append(error)

    collect(errors)
    return max(found, key=lambda error: (error.exit_code == 4, error.exit_code))
