"""``failed.csv``: the rows of a manifest that did not pass, why, and all that is needed to run them again.

Its columns are the manifest's own, under their own names, then ``reason`` and ``message``. Cells stand as
they were, but for those that a spreadsheet would run as formulas: they get a mark that the reader takes off.
"""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from mediapipe.manifest.columns import ADDED
from mediapipe.manifest.formulas import neutralise
from mediapipe.manifest.origin import root_file, root_text
from mediapipe.redact import redact
from mediapipe.report.outcomes import FLUSH_SECONDS
from mediapipe.report.rundir import write_failed


class FailedWriter:
    """Writes a new ``failed.csv``, which comes into being with its first row; from any thread.

    ``header`` are the manifest's columns as they stand in it; ``root`` is where its audio paths start.
    ``rows`` counts what was written. Raises ``DiskFull`` or ``Fatal``.
    """

    def __init__(self, path: Path, header: Sequence[str], root: Path) -> None:
        self.path = path
        self.rows = 0
        # Rows that fail again get a new reason in place of the old one.
        self._again = tuple(header[-len(ADDED) :]) == ADDED
        self._header = self._own(header)
        self._root = root
        self._file: TextIO | None = None
        self._flushed = time.monotonic()
        self._lock = threading.Lock()

    def _own(self, cells: Sequence[str]) -> Sequence[str]:
        """Return cells without an earlier reason; a row that could not be read has but one cell, its text."""
        return cells[: -len(ADDED)] if self._again and len(cells) > len(ADDED) else cells

    def write(self, cells: Sequence[str], reason: str, message: str) -> None:
        """Take one row: its cells in the manifest's order, however many, why it failed, and in words."""
        with self._lock:
            try:
                if self._file is None:
                    self._file = self._begin()
                self._put(self._file, (*self._own(cells), reason, redact(message)))
                self.rows += 1
                if time.monotonic() - self._flushed >= FLUSH_SECONDS:
                    self._file.flush()
                    self._flushed = time.monotonic()
            except OSError as error:
                raise write_failed(self.path, error) from None

    def _begin(self) -> TextIO:
        with os.fdopen(_new(root_file(self.path)), "wb") as beside:
            beside.write(root_text(self._root))
        # A file name that is no UTF-8 may be in a message.
        file = os.fdopen(_new(self.path), "w", encoding="utf-8", errors="backslashreplace", newline="")
        self._put(file, (*self._header, *ADDED))
        return file

    @staticmethod
    def _put(file: TextIO, cells: Sequence[str]) -> None:
        csv.writer(file).writerow([neutralise(cell) for cell in cells])

    def close(self) -> None:
        """Write the rest and close; idempotent."""
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                return
            try:
                file.close()
            except OSError as error:
                raise write_failed(self.path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
