"""A run's own folder: ``<state_dir>/runs/<run_id>/``, readable by its user only."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from mediapipe.errors import DiskFull, Fatal, UsageError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class RunDir:
    """The folder of one run and the names of what stands in it."""

    path: Path

    @classmethod
    def create(cls, runs_dir: Path, run_id: str) -> RunDir:
        """Make the folder. Raises ``UsageError`` when it cannot be made or another run has it already."""
        if not run_id or run_id in {".", ".."} or any(mark in run_id for mark in "/\\\0"):
            raise ValueError(f"not a run id: {run_id[:80]!r}")
        path = runs_dir / run_id
        try:
            # mkdir's mode counts for the last part only, so the parents are made one by one.
            for parent in reversed([runs_dir, *runs_dir.parents]):
                if not parent.exists():
                    parent.mkdir(mode=0o700, exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            raise UsageError(f"the run folder {path} is taken") from None
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"no room for the run folder {path}") from None
            problem = f"the run folder {path} cannot be made: {error.strerror or error}"
            raise UsageError(problem, hint="set MEDIAPIPE_STATE_DIR to a folder you may write to") from None
        return cls(path)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def outcomes(self) -> Path:
        """One JSON object per item."""
        return self.path / "outcomes.jsonl"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"


def write_failed(path: Path, error: OSError) -> Fatal:
    """Return our error for a failed write of a run's output."""
    if error.errno in FULL:
        return DiskFull(f"no room left to write {path}")
    return Fatal(f"{path} cannot be written: {error.strerror or error}", code="run_folder")
