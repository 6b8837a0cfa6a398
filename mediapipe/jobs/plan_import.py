"""``calls import --dry-run``: what an import would send, how much, and how long it would take.

The ledger is asked, the platform is not. Every local recording is decoded as by a check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread

from mediapipe.durations import format_size
from mediapipe.errors import ExitCode
from mediapipe.estimate import Estimate
from mediapipe.imports.feed import FRESH
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.ledger.interface import Ledger, Scope, State
from mediapipe.line import Ending, Sink
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.report.summary import exit_code
from mediapipe.survey import Looked, Survey, survey
from mediapipe.verdicts import UNCHECKED, Judged, about, unheard

PAGE = 256
_STANDS = {State.DONE: Verdict.SKIPPED, State.PENDING: Verdict.PENDING}


@dataclass(slots=True)
class Planned:
    """What an import would do. ``plans`` counts recordings by what becomes of them."""

    estimate: Estimate
    ending: Ending = field(default_factory=Ending)
    tally: Tally = field(default_factory=Tally)
    plans: Counter[str] = field(default_factory=Counter)
    remote: int = 0
    exit_code: ExitCode = ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """Return the plan for programs."""
        return {
            "dry_run": True,
            "plan": {**self.estimate.as_json(), "audio": dict(self.plans), "remote": self.remote},
        }

    def notes(self) -> list[str]:
        """Say it in sentences."""
        said = ["dry run: nothing was sent; pending is what an import would send", str(self.estimate)]
        if self.plans:
            kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.plans.most_common())
            said.append(f"audio: {kinds}")
        if self.remote:
            said.append(f"{self.remote:,} recordings stand elsewhere and are in no estimate")
        return said


@dataclass(slots=True)
class PlanImport:
    """The dry run as data for the survey."""

    ear: Ear
    ledger: Ledger
    scope: Scope
    rows: Callable[[], Any]
    workers: int
    planned: Planned
    sink: Sink
    expect: Callable[[int], None] | None = None

    def survey(self) -> Survey[CallRow, Judged]:
        """Return the job."""
        return Survey("plan", self._pages, self._look, about, self._take, self.workers)

    async def _pages(self) -> AsyncGenerator[Sequence[CallRow | Looked[Judged]], None]:
        with closing(self.rows()) as rows:
            while page := await anyio.to_thread.run_sync(lambda: list(islice(rows, PAGE))):
                if self.expect is not None:
                    self.expect(len(page))
                good = [row.external_id for row in page if not row.problems]
                states = await self.ledger.peek(self.scope, good)
                yield [self._known(row, states.get(row.external_id, State.NEW)) for row in page]

    def _known(self, row: CallRow, state: State) -> CallRow | Looked[Judged]:
        if row.problems:
            return Looked(unheard(row).outcome)
        if state not in FRESH:
            return Looked(about(row, _STANDS.get(state, Verdict.UNCERTAIN), state.value))
        if row.remote:
            self.planned.remote += 1
            return Looked(about(row, Verdict.PENDING, UNCHECKED, "its audio stands elsewhere"))
        return row

    async def _look(self, row: CallRow) -> Looked[Judged]:
        judged = await self.ear.listen(row, Path(row.file))
        return Looked(judged.outcome, judged)

    def _take(self, seen: Sequence[Looked[Judged]]) -> None:
        for one in seen:
            outcome: Outcome = one.outcome
            self.planned.estimate.add(outcome)
            if outcome.verdict is Verdict.DONE:
                self.planned.plans[outcome.reason] += 1
                said = f"would be sent: {outcome.message}, {format_size(outcome.bytes)}"
                outcome = replace(outcome, verdict=Verdict.PENDING, reason="dry_run", message=said)
            self.planned.tally.add(outcome)
            self.sink(outcome)


async def plan_import(job: PlanImport, *, signals: bool = False) -> Planned:
    """Run the dry run; whatever stops it is in the result."""
    planned = job.planned
    planned.ending = await survey(job.survey(), signals=signals)
    planned.exit_code = exit_code(
        planned.tally, interrupted=planned.ending.interrupted, fatal=planned.ending.fatal
    )
    return planned


def rows_of(manifest: CallManifest, root: Root, tz: str | None, marker_slot: int | None) -> Callable[[], Any]:
    """Return what reads a manifest's rows from the beginning."""
    return lambda: manifest.rows(root, tz=tz, marker_slot=marker_slot)
