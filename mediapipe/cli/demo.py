"""``mediapipe demo``: the jobs end to end on the embedded sandbox, no account needed."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from mediapipe.cli import options, output
from mediapipe.cli.guard import guarded
from mediapipe.errors import ExitCode
from mediapipe.items import Verdict

if TYPE_CHECKING:
    from mediapipe.report.summary import RunReport
    from mediapipe.sandbox.server import RunningSandbox

WEEKS = 4
IMPORTED = 24
USUAL_PORT = 8765


def demo(
    folder: Annotated[
        Path,
        typer.Option("--dir", metavar="DIR", help="Where everything goes; an earlier demo's may be used."),
    ] = Path("mediapipe-demo"),
) -> None:
    """Archive and import calls and deploy prompts with an embedded server, twice each."""
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
            output.data(
                f"\n4. Import {IMPORTED} historical recordings, with the connection dropped on some:\n"
            )
            manifest = _manifest(folder / "import", urlsplit(sandbox.url).port or 0)
            _stir(sandbox)
            sent = [_import(sandbox, folder, manifest)]
            output.data("\n5. The same again; no call is created twice:\n")
            sent.append(_import(sandbox, folder, manifest))
            _check_import(sandbox, *sent)
            _deploy(sandbox, folder)
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


def _manifest(folder: Path, port: int) -> Path:
    """Write a manifest with recordings beside it, unless an earlier demo did.

    An address of its own is an account of its own to the ledger, so it has calls of its own.
    """
    import csv
    from datetime import UTC, datetime

    from mediapipe.sandbox.sound import conversation

    path = folder / f"calls-{port}.csv"
    if path.exists():
        return path
    options.usable_folder(folder, flag="--dir")
    begin = datetime(2025, 3, 3, 9, tzinfo=UTC) + timedelta(minutes=port)
    rows = []
    for number in range(1, IMPORTED + 1):
        name = f"{number:03}.wav"
        (folder / name).write_bytes(conversation(number, 2 + number % 5))
        at = (begin + timedelta(minutes=37 * number)).isoformat()
        rows.append([f"old-{port}-{number:03}", name, at, f"1801555{2000 + number}", "1201", "ANSWERED"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["external_id", "recording_file", "call_date", "caller_id", "group_id", "disposition"]
        )
        writer.writerows(rows)
    return path


def _stir(sandbox: RunningSandbox) -> None:
    """Let the server drop the connection after it has made the call, on one upload in six."""
    from mediapipe.sandbox.scenario import FaultRule

    sandbox.state.faults.set([FaultRule(name="upload_commit_then_drop", rate=1 / 6)])


def _import(sandbox: RunningSandbox, folder: Path, path: Path) -> RunReport:
    from mediapipe.cli.imports import import_and_report
    from mediapipe.jobs.import_calls import Ask
    from mediapipe.settings import load_settings

    flags = {
        "state_dir": str(folder / "state"),
        "pace.requests_per_second": 100,
        "log_level": "ERROR",
        "imports.lag": "2s",
    }
    settings = load_settings(None, flags, sandbox.environment()).settings
    manifest, root = options.open_manifest(path, None, settings.manifest)
    return import_and_report(settings, Ask(manifest, root), as_json=False)


def _deploy(sandbox: RunningSandbox, folder: Path) -> None:
    """Deploy a prompt library, record one of its prompts again, and deploy that."""
    from mediapipe.cli import demo_prompts
    from mediapipe.sandbox.scenario import FaultRule

    # An address of its own is an account of its own, and has a library of its own.
    place = folder / f"prompts-{urlsplit(sandbox.url).port}"
    sandbox.state.faults.set([FaultRule(name="prompt_commit_then_drop", rate=1 / 6)])
    output.data("\n6. Deploy a prompt library, with the connection dropped on some:\n")
    first = demo_prompts.deploy(sandbox, place, folder / "state")
    demo_prompts.record_again(place, len(sandbox.state.library.everything))
    output.data(
        f"\n7. Record '{demo_prompts.CHANGED}' again, and apply; the old one stays until it is pruned:\n"
    )
    demo_prompts.check(sandbox, first, demo_prompts.deploy(sandbox, place, folder / "state"))


def _check_import(sandbox: RunningSandbox, *reports: RunReport) -> None:
    """End with the first trouble's exit code; a call that was created twice is a bug."""
    from collections import Counter

    for report in reports:
        if report.code is not ExitCode.OK:
            raise typer.Exit(report.code)
    made = Counter(upload.external_id for upload in sandbox.state.uploads)
    if twice := [name for name, number in made.items() if number > 1]:
        output.problem(f"{len(twice)} calls were created twice")
        raise typer.Exit(ExitCode.BUG)


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
  {folder / "import"}   the manifest of the import and its recordings
  {folder}/prompts-*   prompts, their manifest, and prompts.lock.json
  {folder / "state" / "runs"}   outcomes.jsonl and report.html of all runs
  {folder / "state" / "ledger.db"}   the ledger that remembers

Next:
  mediapipe sandbox serve --data {shlex.quote(str(folder / "sandbox"))}     the same server, to play with
  mediapipe status --ledger {shlex.quote(str(folder / "state" / "ledger.db"))}
  mediapipe calls template
  mediapipe archive run --help"""
