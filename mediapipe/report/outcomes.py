"""``outcomes.jsonl``: one JSON object per item of a run, in the order the items ended.

Lines are written in batches. What a crash loses here is not lost: the ledger knows it. Messages and sources
are redacted on the way in, so the file may be attached to a ticket.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.redact import redact, redact_values
from mediapipe.report.rundir import write_failed

BATCH = 256
"""Lines held back at most."""

FLUSH_SECONDS = 1.0
"""Time a line is held back while others follow, so that the file can be watched."""

_JSON = json.JSONEncoder(ensure_ascii=False)


def to_line(outcome: Outcome) -> str:
    """Return the published object of one outcome as JSON; ``warnings`` and ``audio`` only where it has any.

    Written out by hand: most lines are a few short texts, and a manifest may have millions of them.
    """
    text, row = _JSON.encode, "null" if outcome.row is None else outcome.row
    line = (
        f'{{"key": {text(outcome.key)}, "outcome": "{outcome.verdict}", "reason": {text(outcome.reason)}, '
        f'"message": {text(redact(outcome.message))}, "source": {text(redact(outcome.source))}, '
        f'"row": {row}, "sha256": {text(outcome.sha256)}, "sent_sha256": {text(outcome.sent_sha256)}, '
        f'"bytes": {outcome.bytes}, "attempts": {outcome.attempts}'
    )
    if outcome.warnings:
        line += f', "warnings": {text([_remark(one) for one in outcome.warnings])}'
    if outcome.audio is not None:
        line += f', "audio": {text(redact_values(outcome.audio))}'
    return line + "}"


def _remark(one: Remark) -> dict[str, Any]:
    place = {"channel": one.channel, "start_s": one.start_s, "end_s": one.end_s}
    known = {name: value for name, value in place.items() if value is not None}
    return {"code": one.code, "message": redact(one.message), **known}


def from_object(line: dict[str, Any]) -> Outcome:
    """Return the outcome of a published object; keys that later versions may add are passed over."""
    return Outcome(
        key=line["key"],
        verdict=Verdict(line["outcome"]),
        reason=line["reason"],
        message=line["message"],
        source=line["source"],
        row=line["row"],
        sha256=line["sha256"],
        sent_sha256=line["sent_sha256"],
        bytes=line["bytes"],
        attempts=line["attempts"],
        warnings=tuple(
            Remark(one["code"], one["message"], one.get("channel"), one.get("start_s"), one.get("end_s"))
            for one in line.get("warnings", ())
        ),
        audio=line.get("audio"),
    )


class OutcomeWriter:
    """Writes a new ``outcomes.jsonl``; may be called from any thread. Raises ``DiskFull`` or ``Fatal``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[bytes] = []
        self._flushed = time.monotonic()
        self._lock = threading.Lock()
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise write_failed(path, error) from None

    def write(self, outcome: Outcome) -> None:
        """Take one outcome."""
        text = to_line(outcome) + "\n"
        with self._lock:
            # A file name that is no UTF-8 becomes \udcXX, which JSON reads back as it was.
            self._lines.append(text.encode("utf-8", "backslashreplace"))
            if len(self._lines) >= BATCH or time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._flush()

    def flush(self) -> None:
        """Write what is held back."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        data, self._lines = b"".join(self._lines), []
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise write_failed(self.path, error) from None

    def close(self) -> None:
        """Write the rest and close; idempotent."""
        with self._lock:
            if self._file < 0:
                return
            try:
                self._flush()
            finally:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """Yield the outcomes of a run. A last line that a crash cut short is passed over."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield from_object(json.loads(line))
