"""``calls check``: what an import of a manifest would do, row by row, without doing any of it.

Every row is read and every local file decoded; nothing is asked of a network and nothing is written but the
run's own folder. A row with problems in its text has its audio looked at all the same, so that one run
shows everything.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import anyio.to_thread

from mediapipe.call_services import CheckServices
from mediapipe.errors import ExitCode
from mediapipe.estimate import Estimate, Pace
from mediapipe.items import Tally, Verdict
from mediapipe.line import Ending
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.report.summary import exit_code
from mediapipe.survey import Looked, Survey, survey
from mediapipe.verdicts import UNCHECKED, Judged, about, unheard

log = logging.getLogger(__name__)

JOB = "calls.check"
PAGE = 256


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for: whether audio is looked at, and whether faulty recordings are to be drawn."""

    manifest: CallManifest
    root: Root
    tz: str | None = None
    marker_slot: int | None = None
    audio: bool = True
    pictures: bool = False

    def rows(self) -> Generator[CallRow, None, None]:
        """Read the manifest's rows."""
        return self.manifest.rows(self.root, tz=self.tz, marker_slot=self.marker_slot)

    def as_json(self) -> dict[str, Any]:
        """Return what is looked at, and how the manifest is read, for the report."""
        return {"manifest": self.manifest.as_json(), "root": self.root.path, "audio_checked": self.audio}

    def notes(self) -> list[str]:
        """Say how the manifest is read and what is odd about its header."""
        return self.manifest.notes(self.root)


@dataclass(frozen=True, slots=True)
class Result:
    """How a check ended and what it counted."""

    ending: Ending
    tally: Tally
    estimate: Estimate
    exit_code: ExitCode

    def as_json(self) -> dict[str, Any]:
        """Return the totals for the report: reasons by outcome, warnings by code, the estimate."""
        reasons: dict[str, dict[str, int]] = {}
        for (verdict, reason), number in self.tally.reasons.items():
            reasons.setdefault(verdict.value, {})[reason] = number
        return {"reasons": reasons, "warnings": self.tally.warnings, "estimate": self.estimate.as_json()}

    def notes(self) -> list[str]:
        """Say the same in sentences."""
        said, tally = [], self.tally
        if tally.warnings:
            counted = sorted(tally.warnings.items(), key=lambda pair: (-pair[1], pair[0]))
            said.append(f"warnings: {', '.join(f'{number:,} {code}' for code, number in counted)}")
        if self.estimate.requests:
            said.append(str(self.estimate))
        if unchecked := tally.reasons.get((Verdict.PENDING, UNCHECKED)):
            said.append(f"unchecked: {unchecked:,} rows, which are in no estimate")
        return said


Sink = Callable[[Sequence[Judged]], None]
"""Gets the rows in order, as soon as all before them are known."""


@dataclass(slots=True)
class CheckCalls:
    """The job as data for the survey; ``expect`` is told how many rows each page adds."""

    services: CheckServices
    ask: Ask
    sink: Callable[[Sequence[Looked[Judged]]], None]
    expect: Callable[[int], None] | None = None

    def survey(self) -> Survey[CallRow, Judged]:
        """Return the job."""
        return Survey(JOB, self._pages, self._look, about, self.sink, self.services.workers)

    async def _pages(self) -> AsyncGenerator[Sequence[CallRow | Looked[Judged]], None]:
        """Yield the rows; those whose audio is not looked at are decided already."""
        with closing(self.ask.rows()) as rows:
            while page := await anyio.to_thread.run_sync(lambda: list(islice(rows, PAGE))):
                if self.expect is not None:
                    self.expect(len(page))
                yield [row if row.file and self.ask.audio else _looked(unheard(row)) for row in page]

    async def _look(self, row: CallRow) -> Looked[Judged]:
        return _looked(await self.services.ear.listen(row, Path(row.file), envelope=self.ask.pictures))


def _looked(judged: Judged) -> Looked[Judged]:
    return Looked(judged.outcome, judged)


async def check(
    services: CheckServices,
    ask: Ask,
    *,
    sink: Sink,
    tally: Tally | None = None,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
) -> Result:
    """Run the job; whatever stops it is in the result, with the exit code it leads to.

    ``tally`` is where the rows are counted, where somebody else is to see the counts meanwhile.
    """
    tally = Tally() if tally is None else tally
    estimate = Estimate(Pace(services.requests_per_second, services.ear.options.uplink))

    def count(rows: Sequence[Looked[Judged]]) -> None:
        for one in rows:
            tally.add(one.outcome)
            estimate.add(one.outcome)
        sink([one.found or Judged(one.outcome) for one in rows])

    read, *odd = ask.notes()
    log.info("%s", read)
    for warning in odd:
        log.warning("%s", warning)
    ending = await survey(CheckCalls(services, ask, count, expect).survey(), signals=signals)
    code = exit_code(tally, interrupted=ending.interrupted, fatal=ending.fatal)
    return Result(ending, tally, estimate, code)
