"""What is around every job: counts that an error does not take with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mediapipe.cli.runs import JobRun, conduct
from mediapipe.errors import ExitCode, LedgerUnavailable, UsageError
from mediapipe.items import Outcome, Verdict
from mediapipe.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def test_an_error_after_the_first_item_leaves_the_counts(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(run: JobRun) -> ExitCode:
        run.sink(Outcome("1-2", Verdict.DONE, bytes=7))
        raise LedgerUnavailable("gone")

    with pytest.raises(LedgerUnavailable):
        conduct("archive.run", settings, work, as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["counts"]["done"], report["bytes"]) == (1, 7)
    assert Path(report["outcomes"]).read_text().count("\n") == 1
    assert f"Exit code {int(ExitCode.BUG)}" in Path(report["report"]).read_text()


def test_an_error_before_the_first_item_prints_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(run: JobRun) -> ExitCode:
        raise UsageError("nonsense")

    with pytest.raises(UsageError):
        conduct("archive.run", settings, work, as_json=True)
    assert capsys.readouterr().out == ""
