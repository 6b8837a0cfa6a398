"""What every job command does around its job: run folder, lock, progress, report, exit code."""

from __future__ import annotations

import gc
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

GC_THRESHOLD = 50_000
"""Objects made before the garbage collector looks at the young ones; Python's own is 700."""


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
        self.tell(outcome)

    def tell(self, outcome: Outcome) -> None:
        """Write and show one outcome that the job itself counts in ``tally``."""
        self.writer.write(outcome)
        self.progress.update(outcome)


Work = Callable[[JobRun], Awaitable[ExitCode]]


def conduct(job: str, settings: Settings, work: Work, *, as_json: bool) -> RunReport:
    """Run ``work`` inside a run folder of its own, write and print its report, and return it.

    An error that stops the job once items have been counted does not take the counts with it: the report
    is written and printed first, then the error goes on. One that comes before prints nothing on stdout.
    """
    run_id, started = new_run_id(), time.monotonic()
    # What is imported stays, and rows and outcomes come and go by the thousand: no use in looking at either.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
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
