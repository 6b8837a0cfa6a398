"""What a command prints: data on stdout, and on stderr the one line that says why it ended."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable

import typer

from mediapipe.errors import Fatal
from mediapipe.redact import redact

log = logging.getLogger("mediapipe")


def data(text: str, *, kept: object = "") -> None:
    """Print a result on stdout. A reader who has left changes nothing: the exit code still tells the ending.

    Raises ``Fatal`` when stdout cannot take it (a full disk); ``kept`` is where the result also stands.
    """
    _print(lambda: typer.echo(text), kept)


def rows(text: str, *, kept: object = "") -> None:
    """Print a part of the result on stdout while the job goes on: above its bars, else as :func:`data`."""
    from mediapipe.report.progress import write_line

    _print(lambda: write_line(text, sys.stdout), kept)


def _print(write: Callable[[], None], kept: object) -> None:
    try:
        write()
    except OSError as error:
        # Else the interpreter tries to write the rest once more at its end, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return
        problem = f"stdout cannot be written: {error.strerror or error}"
        raise Fatal(problem, code="stdout", hint=f"see {kept}" if kept else "") from None


def problem(text: str, *, word: str = "error: ", bug: BaseException | None = None) -> None:
    """Say on stderr, redacted and on one line, why a command ends; as a log line where the log is JSON.

    ``bug`` is an error whose traceback goes before it.
    """
    line = one_line(redact(text))
    if log_is_json():
        log.error("%s", line, exc_info=bug)
        return
    if bug is not None:
        typer.echo(redact("".join(traceback.format_exception(bug))), err=True)
    typer.echo(f"{word}{line}", err=True)


def log_is_json() -> bool:
    """Tell whether the log on stderr is JSON lines: then a plain line would break its reader."""
    from mediapipe.report.logs import JsonFormatter

    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def one_line(text: str) -> str:
    """Return text that a far side may have had a say in, without line breaks and control characters."""
    return "".join(char if char.isprintable() else " " for char in text)
