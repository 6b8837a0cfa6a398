"""From an error to a line on stderr and an exit code: the same for every command."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mediapipe.errors import CredentialsError, ExitCode, Fatal, MediapipeError, Transient
from mediapipe.redact import redact


@contextmanager
def guarded() -> Iterator[None]:
    """Turn every error of the body into a message on stderr and ``typer.Exit`` with the published code."""
    try:
        yield
    except typer.Exit:
        raise
    except BaseExceptionGroup as group:
        _leave(_leaf(group))
    except Exception as error:  # the border: a bug must end with its own exit code
        _leave(error)
    except KeyboardInterrupt:
        typer.echo("interrupted; state is safe, run again to resume", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that says most about a group: credentials, then any fatal, then the first."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.append(_leaf(error) if isinstance(error, BaseExceptionGroup) else error)
    for kind in (CredentialsError, Fatal, MediapipeError):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leave(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, MediapipeError):
        typer.echo(f"error: {redact(str(error))}", err=True)
        raise typer.Exit(code_of(error)) from None
    typer.echo(redact("".join(traceback.format_exception(error))), err=True)
    typer.echo("error: this is a bug in mediapipe; the lines above say where", err=True)
    sys.stderr.flush()
    raise typer.Exit(ExitCode.BUG) from None


def code_of(error: MediapipeError) -> ExitCode:
    """Return the exit code an error leads to when it ends a command."""
    if isinstance(error, Fatal):
        return error.exit_code
    return ExitCode.UNPROVEN if isinstance(error, Transient) else ExitCode.ITEMS
