"""The log on stderr, as text or as JSON lines; the one place every logged word passes the redactor.

Message, arguments, exception text, traceback and extra fields are all redacted here, whoever logged them.
A log line never tears a progress bar, and a far side's text cannot forge a second line.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from mediapipe.redact import MASK, redact
from mediapipe.report.progress import write_line

FOREIGN = (
    "asyncio",
    "boto3",
    "botocore",
    "filelock",
    "httpcore",
    "httpx",
    "python_multipart",
    "s3transfer",
    "sqlalchemy",
    "urllib3",
    "uvicorn",
)
"""Loggers of other packages: they tell every request, so only their warnings are shown."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET_WORDS = ("password", "secret", "token", "authorization", "signature", "credential", "api_key")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9}
_CONTROL |= {10: "\\n", 13: "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_CONTROL_IN_TRACE = {code: shown for code, shown in _CONTROL.items() if code != 10}


def clean(value: Any, name: str = "") -> Any:
    """Return a value fit for the log: JSON's types, redacted; anything under a secret's name is masked."""
    if any(word in name.lower() for word in _SECRET_WORDS) and isinstance(value, str | bytes):
        return MASK
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        return {redact(str(key)): clean(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, name) for item in value]
    return redact(str(value))


class _Formatter(logging.Formatter):
    """What text and JSON have in common: the redacted parts of a record."""

    run_id = ""

    def words(self, record: logging.LogRecord) -> str:
        """Return the message. One whose arguments do not fit is shown as it stands, never an error."""
        try:
            return redact(record.getMessage())
        except Exception:
            return f"{redact(str(record.msg))} (the arguments do not fit)"

    def trouble(self, record: logging.LogRecord) -> str:
        """Return exception and traceback, or an empty text."""
        # Not Formatter.format: it keeps the unredacted text on the record for other handlers.
        text = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        return redact("\n".join(part for part in (text, stack) if part))

    @staticmethod
    def fields(record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields given as ``extra=``, without what other packages keep on every record."""
        given = ((key, value) for key, value in vars(record).items() if not key.startswith("_"))
        return {key: clean(value, key) for key, value in given if key not in _OWN}

    @staticmethod
    def moment(record: logging.LogRecord) -> str:
        """Return the record's time in UTC."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return stamp.replace("+00:00", "Z")


class TextFormatter(_Formatter):
    """``<time> <level> <logger>: <message> key=value``, one line unless there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = "".join(f" {key}={value}" for key, value in self.fields(record).items())
        head = f"{self.moment(record)} {record.levelname:<7} {record.name}: "
        line = (head + self.words(record) + fields).translate(_CONTROL)
        trouble = self.trouble(record)
        # Indented, so that a line break in an exception's text cannot pass for a line of the log.
        inset = "".join(f"\n    {part}" for part in trouble.translate(_CONTROL_IN_TRACE).split("\n"))
        return line + inset if trouble else line


class JsonFormatter(_Formatter):
    """One JSON object a line: ``ts level logger message``; ``run_id``, ``exception``, extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        entry: dict[str, Any] = {
            "ts": self.moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.words(record),
        }
        if self.run_id:
            entry["run_id"] = self.run_id
        if trouble := self.trouble(record):
            entry["exception"] = trouble
        entry |= {key: value for key, value in self.fields(record).items() if key not in entry}
        return json.dumps(entry)


_REAPED = "Unknown child process pid"


def _tells_something(record: logging.LogRecord) -> bool:
    """Leave out what asyncio says of a worker whose end its two sides saw at the same moment."""
    return not (record.name == "asyncio" and str(record.msg).startswith(_REAPED))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes above the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write_line(self.format(record), self.stream)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """Stay silent: logging's own complaint would print the arguments as they are."""


def configure(
    form: Literal["text", "json"] = "text",
    level: str = "INFO",
    *,
    quiet: bool = False,
    run_id: str = "",
    stream: TextIO | None = None,
) -> None:
    """Send the log of this process to ``stream`` (stderr). May be called again; the last call counts.

    ``quiet`` shows warnings and worse only.
    """
    lowest = max(logging.getLevelNamesMapping()[level], logging.WARNING if quiet else logging.NOTSET)
    handler = _Handler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(_tells_something)
    root = logging.getLogger()
    for old in [ours for ours in root.handlers if isinstance(ours, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(lowest)
    for name in FOREIGN:
        logging.getLogger(name).setLevel(max(lowest, logging.WARNING))
    bind_run(run_id)


def bind_run(run_id: str) -> None:
    """Put a run's id into every JSON line from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Formatter):
            handler.formatter.run_id = run_id
