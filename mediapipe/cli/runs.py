"""What every job command does around its job: run folder, ledger entry, progress, report, exit code."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio

from mediapipe.errors import CredentialsError, ExitCode, MediapipeError
from mediapipe.items import Outcome, Tally
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.pipeline import Ending
from mediapipe.report.outcomes import OutcomeWriter
from mediapipe.report.page import write_page
from mediapipe.report.progress import Progress
from mediapipe.report.rundir import RunDir
from mediapipe.report.summary import RunReport, exit_code
from mediapipe.settings import Settings


@dataclass(slots=True)
class JobRun:
    """One run of one job: its id, its folder, and what it counted."""

    job: str
    settings: Settings
    folder: RunDir
    writer: OutcomeWriter
    progress: Progress
    run_id: str
    tally: Tally = field(default_factory=Tally)
    started: float = field(default_factory=time.monotonic)
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unproven: bool = False

    @property
    def owner(self) -> str:
        """The ledger owner of this run."""
        return owner_of(self.run_id)

    def sink(self, outcome: Outcome) -> None:
        """Count, write and show one outcome."""
        self.tally.add(outcome)
        self.writer.write(outcome)
        self.progress.update(outcome)
