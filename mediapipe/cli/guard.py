"""From an error to a line on stderr and an exit code: the same for every command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mediapipe.cli import output
from mediapipe.errors import CredentialsError, ExitCode, Fatal, MediapipeError, Transient

STOPPED = "interrupted; state is safe, run again to resume"


@contextmanager
def guarded() -> Iterator[None]:
    """Turn every error of the body into a message on stderr and ``typer.Exit`` with the published code.

    SIGTERM is taken like SIGINT, also before and after a job listens for both itself.
    """
    with _sigterm_interrupts():
        try:
            yield
        except (typer.Exit, typer.Abort, SystemExit):
            raise
        except BaseException as error:  # the border: a bug must end with its own exit code
            code = ending_of(error)
            _tell(_leaf(error), code)
            raise typer.Exit(code) from None


def ending_of(error: BaseException) -> ExitCode:
    """Return the exit code an error leads to when it ends a command."""
    match _leaf(error):
        case Fatal() as fatal:
            return fatal.exit_code
        case Transient():
            return ExitCode.UNPROVEN
        case MediapipeError():
            return ExitCode.ITEMS
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.BUG


def _leaf(error: BaseException) -> BaseException:
    """Return the error that says most about a group: credentials, an interrupt, any fatal, then the first."""
    leaves: list[BaseException] = []

    def collect(one: BaseException) -> None:
        if isinstance(one, BaseExceptionGroup):
            for inner in one.exceptions:
                collect(inner)
        else:
            leaves.append(one)

    collect(error)
    for kind in (CredentialsError, KeyboardInterrupt, Fatal, MediapipeError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _tell(error: BaseException, code: ExitCode) -> None:
    if code is ExitCode.INTERRUPTED:
        output.problem(STOPPED, word="")
    elif isinstance(error, MediapipeError):
        output.problem(str(error))
    else:
        output.problem("this is a bug in mediapipe; its traceback says where", bug=error)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
