"""The cluster of a run: what its nodes have to share, and what is said without ray."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mediapipe.engines.cluster import check_ledger, installed_ray
from mediapipe.errors import UsageError
from mediapipe.sandbox import running
from tests.archive_runs import sample
from tests.cli.command import ALL, Command

MISSING = ("ray is not installed", "pip install 'convirza-mediapipe[ray]'")


def test_several_nodes_need_a_ledger_that_they_can_share() -> None:
    check_ledger("postgresql://db/x", 5)
    check_ledger("sqlite:////tmp/ledger.db", 1)
    with pytest.raises(UsageError, match="2 nodes cannot share a SQLite ledger"):
        check_ledger("sqlite:////tmp/ledger.db", 2)


def test_without_the_extra_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="ray is not installed"):
        installed_ray()
    with running(sample(4)) as sandbox:
        cli = Command(tmp_path, sandbox)
        cli.inside("archive", "run", "--dest", cli.archive, *ALL, "--engine", "ray").refused(*MISSING)
        assert not cli.archive.exists()
        manifest = tmp_path / "calls.csv"
        manifest.write_text(
            "external_id,recording_file,call_date,caller_id,group_id\na,a.wav,2026-01-01,18015551234,1\n"
        )
        cli.inside("calls", "import", manifest, "--engine", "ray").refused(*MISSING)
        assert not sandbox.state.uploads
        assert not sandbox.state.stats.as_json()["recording_fetches"]
