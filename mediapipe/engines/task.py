"""One share of an archive run, in a worker process: the same job code, with services of its own."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable
from functools import partial

import anyio

from mediapipe.engines.fold import Report, Stopped
from mediapipe.engines.gate import Reach, shared_budget
from mediapipe.engines.orders import Order, settings_of
from mediapipe.errors import ExitCode, Fatal
from mediapipe.items import Outcome
from mediapipe.jobs.archive_recordings import JOB, Result, archive
from mediapipe.liveness import alive, owner_of
from mediapipe.redact import redact
from mediapipe.report.logs import bind_run, configure
from mediapipe.report.outcomes import to_line
from mediapipe.report.rundir import RunDir
from mediapipe.services import open_archive
from mediapipe.settings import Settings

log = logging.getLogger(__name__)


def work(order: Order, reach: Callable[[], Reach]) -> Report:
    """Do one share and return its report; raises nothing that an engine would print with its traceback."""
    try:
        settings = settings_of(order, os.environ)
        configure(settings.log_format, settings.log_level, quiet=settings.quiet)
        return anyio.run(_work, order, settings, reach)
    except Fatal as error:
        return Report(order.number, stopped=Stopped.of(error))
    except Exception as error:
        log.exception("share %d: unexpected error", order.number)
        stopped = Stopped("unexpected_error", redact(repr(error)), "", ExitCode.BUG)
        return Report(order.number, stopped=stopped)


async def _work(order: Order, settings: Settings, reach: Callable[[], Reach]) -> Report:
    gate = reach()
    if await gate.stopping():
        return Report(order.number, interrupted=True)
    assert order.ask.piece is not None  # noqa: S101
    # A new id for each attempt: what a lost one holds is seen to be a dead worker's, on its own machine.
    run_id = f"{order.ask.piece.family}.{order.number:04d}-{secrets.token_hex(3)}"
    bind_run(run_id)
    folder = RunDir.create(settings.runs_dir, run_id)
    lines: list[str] = []

    def sink(outcome: Outcome) -> None:
        lines.append(to_line(outcome))

    with alive(folder.path):
        budget, rate = shared_budget(gate)
        async with open_archive(settings, JOB, owner_of(run_id), budget) as services:
            stop = partial(getattr, rate, "stopping")
            result = await archive(services, order.ask, run_id=run_id, sink=sink, stop=stop)
    # Nothing is held any more, and what became of the items goes into the run's own folder.
    shutil.rmtree(folder.path, ignore_errors=True)
    return _report(order.number, lines, result)


def _report(number: int, lines: list[str], result: Result) -> Report:
    text = "".join(f"{line}\n" for line in lines)
    fatal = result.ending.fatal
    return Report(
        number,
        # As in outcomes.jsonl: a file name that is no UTF-8 becomes \\udcXX.
        lines=text.encode("utf-8", "backslashreplace"),
        windows=result.findings.windows,
        unsettled=tuple(result.findings.unsettled),
        requests=result.requests,
        refetches=result.refetches,
        interrupted=result.ending.interrupted,
        stopped=None if fatal is None else Stopped.of(fatal),
    )
