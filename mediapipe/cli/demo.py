"""``mediapipe demo``: the jobs end to end on the embedded sandbox, no account needed."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options, output
from mediapipe.cli.guard import guarded
from mediapipe.errors import ExitCode
from mediapipe.items import Verdict

if TYPE_CHECKING:
    from mediapipe.report.summary import RunReport
    from mediapipe.sandbox.server import RunningSandbox

WEEKS = 4
USUAL_PORT = 8765


def demo(
    folder: Annotated[
        Path,
        typer.Option("--dir", metavar="DIR", help="Where everything goes; an earlier demo's may be used."),
    ] = Path("mediapipe-demo"),
) -> None:
    """Archive four weeks of sample calls from an embedded server, twice, and show what came of it."""
    with guarded():
        folder = folder.absolute()
        options.usable_folder(folder, flag="--dir")
        with ExitStack() as stack:
            sandbox = _served(stack, folder)
            output.data(f"1. A server that behaves like Convirza runs at {sandbox.url}.\n")
            output.data("2. Archive four weeks of calls:\n")
            first = _archive(sandbox, folder)
            output.data("\n3. The same again; whatever is archived is skipped:\n")
            second = _archive(sandbox, folder)
            _check(first, second)
        output.data(_closing(folder))


def _served(stack: ExitStack, folder: Path) -> RunningSandbox:
    """Serve the sandbox on its usual port, or on any when that is taken.

    The address is part of the ledger's keys, so the same one lets a later demo find its own work again.
    """
    from mediapipe.sandbox.config import SandboxConfig
    from mediapipe.sandbox.server import running

    config = SandboxConfig(data=folder / "sandbox")
    try:
        return stack.enter_context(running(config, port=USUAL_PORT))
    except OSError:
        return stack.enter_context(running(config))


def _archive(sandbox: RunningSandbox, folder: Path) -> RunReport:
    from datetime import UTC, datetime, time

    from mediapipe.cli.archive import archive_and_report
    from mediapipe.jobs.archive_recordings import Ask
    from mediapipe.report.logs import configure
    from mediapipe.settings import load_settings

    flags = {
        "archive.dest": str(folder / "archive"),
        "state_dir": str(folder / "state"),
        "pace.requests_per_second": 100,
        "log_level": "WARNING",
    }
    settings = load_settings(None, flags, sandbox.environment()).settings
    configure(settings.log_format, settings.log_level)
    now = datetime.now(UTC)
    end = datetime.combine(sandbox.state.config.until or now.date(), time(), UTC)
    ask = Ask(now=now, start=end - timedelta(weeks=WEEKS), end=end)
    return archive_and_report(settings, ask, as_json=False)


def _check(first: RunReport, second: RunReport) -> None:
    """End with the first trouble's exit code: the demo is also a smoke test."""
    from mediapipe.report.outcomes import read_outcomes

    for report in (first, second):
        if report.code is not ExitCode.OK:
            raise typer.Exit(report.code)
    # Not simply the count: a recording may have appeared in between.
    done = [
        {one.key for one in read_outcomes(report.outcomes) if one.verdict is Verdict.DONE}
        for report in (first, second)
    ]
    if twice := done[0] & done[1]:
        output.problem(f"the second run fetched {len(twice)} recordings that the first had archived")
        raise typer.Exit(ExitCode.BUG)


def _closing(folder: Path) -> str:
    return f"""
Done. Look around:
  {folder / "archive" / "recordings"}   the recordings, each beside its sidecar (.json)
  {folder / "state" / "runs"}   outcomes.jsonl and report.html of both runs
  {folder / "state" / "ledger.db"}   the ledger that remembers

Next:
  mediapipe sandbox serve --data {shlex.quote(str(folder / "sandbox"))}     the same server, to play with
  mediapipe status --ledger {shlex.quote(str(folder / "state" / "ledger.db"))}
  mediapipe archive run --help"""
