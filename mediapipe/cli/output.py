"""What a command prints: data on stdout, and on stderr the one line that says why it ended."""

from __future__ import annotations

import errno
import logging
import os
import sys

import typer

from mediapipe.errors import Fatal
from mediapipe.redact import redact
from mediapipe.report.logs import JsonFormatter

log = logging.getLogger("mediapipe")


def data(text: str) -> None:
    """Print a result on stdout. A reader who has left changes nothing: the exit code still tells the ending.

    Raises ``Fatal`` when stdout cannot take it, such as a file on a full disk.
    """
    try:
        typer.echo(text)
    except BrokenPipeError:
        # Else the interpreter complains about the same pipe once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        hint = "the run's folder holds outcomes.jsonl and report.html" if error.errno == errno.ENOSPC else ""
        raise Fatal(f"stdout cannot be written: {error.strerror or error}", code="stdout", hint=hint) from None


def problem(text: str) -> None:
    """Say on stderr, redacted and on one line, why a command ends; as a log line where the log is JSON."""
    line = one_line(redact(text))
    if log_is_json():
        log.error("%s", line)
    else:
        typer.echo(f"error: {line}", err=True)


def log_is_json() -> bool:
    """Tell whether the log on stderr is JSON lines: then a plain line would break its reader."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def one_line(text: str) -> str:
    """Return text that a far side may have had a say in, without line breaks and control characters."""
    return "".join(char if char.isprintable() else " " for char in text)
