"""Three ``archive run --shard K/3`` processes on one PostgreSQL ledger, one of them killed at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from mediapipe.report.outcomes import read_outcomes
from mediapipe.sandbox import FaultRule, RunningSandbox, running
from tests.archive_runs import check_folder, expected, s3_objects, sample
from tests.crash.test_archive_kill import SPAN, environment
from tests.postgres.server import Postgres
from tests.s3.server import RunningS3

pytest_plugins = ["tests.postgres.fixtures", "tests.s3.fixtures"]

SLOW = (
    FaultRule(name="recording_slow", seconds=0.15),
    FaultRule(name="recording_410", rate=0.1),
    FaultRule(name="recording_reset", rate=0.1),
    FaultRule(name="list_500", rate=0.1),
    FaultRule(name="call_429", rate=0.1, seconds=0.0),
)


@dataclass
class Pods:
    """Runs shards as separate processes, each with a state folder of its own, as on machines of their own."""

    folder: Path
    sandbox: RunningSandbox
    dsn: str
    dest: str
    more: dict[str, str]

    def start(self, *args: str, machine: str, **env: str) -> subprocess.Popen[str]:
        state = self.folder / machine
        own = {
            "MEDIAPIPE_LEDGER": self.dsn,
            "MEDIAPIPE_ARCHIVE_URL_BUDGET": "10",
            "MEDIAPIPE_PACE_RETRY_ATTEMPTS": "30",
            "MEDIAPIPE_WORKERS": "3",
        }
        command = [sys.executable, "-m", "mediapipe", "archive", "run", "--dest", self.dest, "--json"]
        return subprocess.Popen(
            [*command, "--quiet", *SPAN, *args],
            env=environment(self.sandbox, state, **own, **self.more, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self) -> int:
        """Count what the ledger says is done, seen from outside."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            query = "SELECT count(*) FROM ledger_items WHERE state = 'done' AND at IS NOT NULL"
            try:
                row = connection.execute(query).fetchone()
            except psycopg.errors.UndefinedTable:
                return 0
        assert row
        return int(row[0])


def end(process: subprocess.Popen[str], code: int = 0) -> dict[str, object]:
    out, err = process.communicate(timeout=150)
    assert process.returncode == code, err
    assert "Traceback" not in err, err
    return dict(json.loads(out))


def await_done(pods: Pods, number: int) -> None:
    deadline = time.monotonic() + 60
    while pods.done() < number:
        assert time.monotonic() < deadline, "the shards do not get on"
        time.sleep(0.05)


def kill(process: subprocess.Popen[str]) -> None:
    assert process.poll() is None, "it was to be killed at work"
    process.send_signal(signal.SIGKILL)
    process.communicate()


def killed_and_run_again(pods: Pods, whole: int) -> list[dict[str, object]]:
    """Run three shards, kill the second at work, end the others, start it again; return all reports."""
    index = "JOB_COMPLETION_INDEX"
    first = pods.start("--shard", "1/3", machine="pod-0")
    victim = pods.start(machine="pod-1", MEDIAPIPE_SHARD="auto/3", **{index: "1"})
    third = pods.start("--shard", "auto/3", machine="pod-2", AWS_BATCH_JOB_ARRAY_INDEX="2")
    await_done(pods, whole // 3)
    kill(victim)
    reports = [end(first), end(third)]
    assert [report["shard"] for report in reports] == ["1/3", "3/3"]
    marks = {report["watermark"] for report in reports} - {None}
    assert all(str(mark) < "2026-03-01" for mark in marks), "the second shard has not walked everything"
    assert "2/3" in reports[-1]["waits_for"]  # type: ignore[operator]
    return [*reports, end(pods.start("--shard", "2/3", machine="pod-1"))]


def check_reports(pods: Pods, reports: list[dict[str, object]], whole: set[str]) -> None:
    """Assert that each recording is one shard's, and that nothing is left for a run without shards."""
    assert reports[-1]["watermark"] == "2026-03-01T00:00:00+00:00"
    keys = Counter(one.key for report in reports for one in read_outcomes(Path(str(report["outcomes"]))))
    assert set(keys.values()) == {1}
    assert set(keys) >= whole
    last = end(pods.start(machine="pod-0"))
    assert last["counts"]["done"] == 0  # type: ignore[index]
    assert last["counts"]["skipped"] == len(whole)  # type: ignore[index]
    assert last["watermark"] == "2026-03-01T00:00:00+00:00"


@pytest.mark.timeout(280)
def test_a_killed_shard_holds_the_watermark_until_it_has_run_again(
    tmp_path: Path, postgres: Postgres
) -> None:
    with running(sample(150, faults=SLOW, days=8)) as sandbox:
        archive = tmp_path / "archive"
        pods = Pods(tmp_path, sandbox, postgres.new_database(), str(archive), {})
        whole = set(expected(sandbox))
        reports = killed_and_run_again(pods, len(whole))
        check_folder(sandbox, archive)
        check_reports(pods, reports, whole)
        check_folder(sandbox, archive)


@pytest.mark.timeout(280)
def test_shards_that_write_to_s3_leave_every_object_once(
    tmp_path: Path, postgres: Postgres, s3: RunningS3
) -> None:
    bucket = s3.make_bucket()
    with running(sample(60, faults=SLOW, days=6)) as sandbox:
        dsn = postgres.new_database()
        pods = Pods(tmp_path, sandbox, dsn, f"s3://{bucket}/calls", dict(s3.env))
        whole = expected(sandbox)
        reports = killed_and_run_again(pods, len(whole))
        check_reports(pods, reports, set(whole))
        found = s3_objects(s3, bucket, "calls/recordings/")
        media = {
            key.rsplit("/", 1)[1].rsplit(".", 1)[0]: raw for key, raw in found.items() if key[-5:] != ".json"
        }
        assert media == whole
        assert len(found) == 2 * len(whole)


def test_shards_on_one_machine_may_share_sqlite(tmp_path: Path) -> None:
    with running(sample(30, days=4)) as sandbox:
        archive = tmp_path / "archive"
        ledger = str(tmp_path / "ledger.db")
        pods = Pods(tmp_path, sandbox, ledger, str(archive), {})
        reports = [end(one) for one in [pods.start("--shard", f"{k}/3", machine="here") for k in (1, 2, 3)]]
        check_folder(sandbox, archive)
        assert sum(report["counts"]["done"] for report in reports) == len(expected(sandbox))  # type: ignore[index]
        assert "2026-03-01T00:00:00+00:00" in {report["watermark"] for report in reports}
        assert os.listdir(tmp_path / "here" / "state" / "runs")
