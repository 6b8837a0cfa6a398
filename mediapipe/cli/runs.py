"""What every job command does around its job: run folder, lock, progress, report, exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from mediapipe.cli import output
from mediapipe.cli.guard import ending_of
from mediapipe.errors import ExitCode, Fatal
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.redact import redact
from mediapipe.report.logs import bind_run
from mediapipe.report.outcomes import OutcomeWriter
from mediapipe.report.page import write_page
from mediapipe.report.progress import Progress
from mediapipe.report.rundir import RunDir
from mediapipe.report.summary import EXPLAINED, RunReport
from mediapipe.settings import Settings


@dataclass(slots=True)
class JobRun:
    """One run of one job: its id, what it counted, and what its report should say besides."""

    run_id: str
    writer: OutcomeWriter
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fatal: Fatal | None = None
    explained: Sequence[Verdict] = EXPLAINED
    effect: str = "moved"
    write_page: Callable[[RunReport], None] = write_page

    @property
    def owner(self) -> str:
        """The ledger owner of this run."""
        return owner_of(self.run_id)

    def sink(self, outcome: Outcome) -> None:
        """Count, write and show one outcome."""
        self.tally.add(outcome)
        self.writer.write(outcome)
        self.progress.update(outcome)


Work = Callable[[JobRun], Awaitable[ExitCode]]


def conduct(job: str, settings: Settings, work: Work, *, as_json: bool) -> RunReport:
    """Run ``work`` inside a run folder of its own, write and print its report, and return it.

    An error that stops the job once items have been counted does not take the counts with it: the report
    is written and printed first, then the error goes on. One that comes before prints nothing on stdout.
    """
    run_id, started = new_run_id(), time.monotonic()
    folder = RunDir.create(settings.runs_dir, run_id)
    bind_run(run_id)
    stopped: BaseException | None = None
    with (
        alive(folder.path),
        OutcomeWriter(folder.outcomes) as writer,
        Progress(job, quiet=settings.quiet) as progress,
    ):
        run = JobRun(run_id, writer, progress)
        try:
            code = anyio.run(work, run)
        except BaseException as error:
            if not run.tally.items:
                raise
            code, stopped = ending_of(error), error
    if run.fatal is not None:
        run.notes.append(f"stopped: {run.fatal}")
        named = {"code": run.fatal.code, "message": redact(run.fatal.message), "hint": run.fatal.hint}
        run.extra["error"] = named
    run.extra["exit_code"] = int(code)
    report = RunReport(
        job=job,
        run_id=run_id,
        tally=run.tally,
        elapsed_s=time.monotonic() - started,
        outcomes=folder.outcomes,
        report=folder.report,
        extra=run.extra,
        notes=tuple(run.notes),
        code=code,
        explained=run.explained,
        effect=run.effect,
    )
    run.write_page(report)
    output.data(json.dumps(report.as_json()) if as_json else report.as_table(), kept=folder.report)
    if stopped is not None:
        raise stopped
    if run.fatal is not None:
        output.problem(str(run.fatal))
    return report
