"""Progress bars on stderr: items and bytes done, rate, time left, failures so far.

Nothing is drawn when stderr is no terminal or the user asked for quiet. :func:`write_line` prints a line
above the bars without tearing them; the log uses it.
"""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from tqdm import tqdm

from mediapipe.items import Outcome, Verdict

# tqdm's own lock is shared between processes and needs a semaphore of the system; nobody else draws here.
tqdm.set_lock(threading.RLock())

REDRAW_SECONDS = 0.1
USUAL_WIDTH = 80
TROUBLE = (Verdict.FAILED, Verdict.REJECTED, Verdict.UNCERTAIN)

if TYPE_CHECKING:
    _Tqdm = tqdm[None]
else:
    _Tqdm = tqdm


class _Bar(_Tqdm):
    """A bar without tqdm's watching thread; each update looks at the clock instead."""

    monitor_interval = 0


def write_line(text: str, stream: TextIO) -> None:
    """Print one line on ``stream``, above any bar that is drawn there."""
    tqdm.write(text, file=stream)
    stream.flush()


def _fixed_width(stream: TextIO) -> int | None:
    """Return None where the terminal tells its width, else a usual one: some report 0 columns."""
    try:
        return None if os.get_terminal_size(stream.fileno()).columns else USUAL_WIDTH
    except (OSError, ValueError):
        return USUAL_WIDTH


class Progress:
    """The bars of one run; a context manager. Totals may grow while it runs; safe to use from any thread."""

    def __init__(self, title: str, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._trouble = 0
        self._items: _Bar | None = None
        self._bytes: _Bar | None = None
        self._lock = threading.Lock()
        if quiet or self._stream is None or not self._stream.isatty():
            return
        self._width = _fixed_width(self._stream)
        self._items = self._bar(title, unit=" items", position=0)
        self._bytes = self._bar("bytes", unit="B", unit_scale=True, position=1)

    def _bar(self, title: str, *, unit: str, position: int, unit_scale: bool = False) -> _Bar:
        return _Bar(
            desc=title,
            unit=unit,
            unit_scale=unit_scale,
            position=position,
            file=self._stream,
            ncols=self._width,
            dynamic_ncols=self._width is None,
            mininterval=REDRAW_SECONDS,
            miniters=1,
            leave=False,
        )

    def grow(self, items: int, size: int = 0) -> None:
        """Say that so many more items, and bytes where known, are to come."""
        with self._lock:
            for bar, more in ((self._items, items), (self._bytes, size)):
                if bar is not None and more:
                    bar.total = (bar.total or 0) + more

    def update(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if self._items is None or self._bytes is None:
            return
        with self._lock:
            if outcome.verdict in TROUBLE:
                self._trouble += 1
                self._items.set_postfix_str(f"{self._trouble} failed", refresh=False)
            self._items.update(1)
            if outcome.verdict is Verdict.DONE:
                self._bytes.update(outcome.bytes)

    def close(self) -> None:
        """Remove the bars; idempotent."""
        with self._lock:
            for bar in (self._bytes, self._items):
                if bar is not None:
                    bar.close()
            self._items = self._bytes = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
