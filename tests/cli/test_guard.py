"""From an error to a line and an exit code."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest
import typer

from mediapipe.cli.guard import guarded
from mediapipe.cli.output import problem
from mediapipe.errors import (
    CredentialsError,
    DiskFull,
    ExitCode,
    Failed,
    Fatal,
    LedgerUnavailable,
    PlatformDown,
    Throttled,
    Transient,
    UsageError,
)
from mediapipe.report.logs import configure


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    import logging

    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.handlers[:], root.level = handlers, level


def ends_with(error: BaseException) -> ExitCode:
    with pytest.raises(typer.Exit) as caught, guarded():
        raise error
    return ExitCode(caught.value.exit_code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (CredentialsError("x"), ExitCode.CREDENTIALS),
        (PlatformDown("x"), ExitCode.UNPROVEN),
        (LedgerUnavailable("x"), ExitCode.BUG),
        (LedgerUnavailable("x", code="ledger_access"), ExitCode.CREDENTIALS),
        (LedgerUnavailable("x", code="ledger_newer"), ExitCode.USAGE),
        (LedgerUnavailable("x", code="ledger_lost"), ExitCode.UNPROVEN),
        (DiskFull("x"), ExitCode.UNPROVEN),
        (Fatal("x"), ExitCode.BUG),
        (Transient("x"), ExitCode.UNPROVEN),
        (Throttled("x"), ExitCode.UNPROVEN),
        (Failed("x"), ExitCode.ITEMS),
    ],
)
def test_an_error_of_ours_is_one_line_and_its_code(
    error: Exception, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(error) == code
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("error: x")
    assert seen.err.count("\n") == 1


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([ValueError("bug"), Failed("x"), CredentialsError("y")], ExitCode.CREDENTIALS),
        ([Failed("x"), PlatformDown("y")], ExitCode.UNPROVEN),
        ([ValueError("bug"), ExceptionGroup("inner", [UsageError("y")])], ExitCode.USAGE),
        ([ValueError("bug")], ExitCode.BUG),
        ([ValueError("bug"), KeyboardInterrupt()], ExitCode.INTERRUPTED),
    ],
)
def test_of_several_errors_the_one_that_says_most_counts(errors: list[BaseException], code: ExitCode) -> None:
    assert ends_with(BaseExceptionGroup("several", errors)) == code


def test_a_bug_is_exit_code_1_with_a_traceback_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(RuntimeError("at https://host/r?secret=abc123&access=def456")) == ExitCode.BUG
    seen = capsys.readouterr().err
    assert "Traceback" in seen
    assert "test_guard.py" in seen
    assert "this is a bug in mediapipe" in seen
    assert "abc123" not in seen
    assert "def456" not in seen


def test_a_bug_is_one_json_line_where_the_log_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    assert ends_with(RuntimeError("secret=abc123")) == ExitCode.BUG
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["level"] == "error"
    assert "Traceback" in entry["exception"]
    assert "abc123" not in line


def test_a_far_side_cannot_forge_a_second_line_or_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(Failed("said\nerror: all is well\x1b[2J\r")) == ExitCode.ITEMS
    seen = capsys.readouterr().err
    assert seen.count("\n") == 1
    assert "\x1b" not in seen


@pytest.mark.parametrize(
    "stop", [lambda: signal.raise_signal(signal.SIGTERM), lambda: signal.raise_signal(signal.SIGINT)]
)
def test_a_signal_is_an_interrupt(stop: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(typer.Exit) as caught, guarded():
        stop()
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; state is safe, run again to resume\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_chosen_exit_code_passes() -> None:
    with pytest.raises(typer.Exit) as caught, guarded():
        raise typer.Exit(6)
    assert caught.value.exit_code == 6


def test_a_problem_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    problem("postgresql://me:hunter2@host/db")
    assert "hunter2" not in capsys.readouterr().err
