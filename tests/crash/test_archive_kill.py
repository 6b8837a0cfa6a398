"""``kill -9`` at random moments of real runs, restarted each time: as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediapipe.sandbox import FaultRule, RunningSandbox, running
from tests.archive_runs import Archiver, check_folder, expected, s3_objects, sample
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]

SPAN = ["--from", "2026-02-01", "--to", "2026-03-01"]


def environment(sandbox: RunningSandbox, folder: Path, **more: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("CONVIRZA", "MEDIAPIPE"))
    }
    return {
        **inherited,
        **sandbox.environment(),
        "MEDIAPIPE_STATE_DIR": str(folder / "state"),
        "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000",
        "MEDIAPIPE_PACE_LOGINS_PER_MINUTE": "1000",
        "MEDIAPIPE_PACE_RETRY_INITIAL_WAIT": "0.01",
        **more,
    }


def start(env: dict[str, str], dest: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "mediapipe",
        "archive",
        "run",
        *SPAN,
        "--dest",
        dest,
        "--json",
        "--quiet",
    ]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(env: dict[str, str], dest: str) -> dict[str, object]:
    process = start(env, dest)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return dict(json.loads(out))


def kill_after(env: dict[str, str], dest: str, seconds: float) -> bool:
    process = start(env, dest)
    time.sleep(seconds)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def only_whole_files(sandbox: RunningSandbox, archive: Path) -> None:
    whole = expected(sandbox)
    for path in (archive / "recordings").rglob("*"):
        if path.is_file() and path.suffix == ".json":
            assert json.loads(path.read_text())["bytes"] == len(whole[path.stem])
        elif path.is_file():
            assert path.read_bytes() == whole[path.stem], f"half-written: {path.name}"


@pytest.mark.timeout(280)
def test_thirty_kills_leave_the_state_of_an_undisturbed_run(tmp_path: Path) -> None:
    dice = random.Random(20260214)
    slow = FaultRule(name="recording_slow", seconds=0.12)
    with running(sample(300, faults=(slow,))) as sandbox:
        env, archive = environment(sandbox, tmp_path), tmp_path / "archive"
        landed = 0
        for _ in range(30):
            # Start-up takes about half a second: from there on, everywhere.
            landed += kill_after(env, str(archive), dice.uniform(0.4, 1.3))
            only_whole_files(sandbox, archive)
        assert landed >= 25, "most kills should hit a run at work"
        done = finish(env, str(archive))["counts"]
        check_folder(sandbox, archive)
        again = finish(env, str(archive))["counts"]
        assert again["done"] == 0, again  # type: ignore[index]
        assert again["skipped"] == len(expected(sandbox)), (done, again)  # type: ignore[index]


@pytest.mark.timeout(280)
def test_kills_against_s3_leave_every_object_once_and_whole(tmp_path: Path, s3: RunningS3) -> None:
    dice = random.Random(7)
    bucket = s3.make_bucket()
    slow = FaultRule(name="recording_slow", seconds=0.05)
    with running(sample(60, faults=(slow,))) as sandbox:
        env, dest = environment(sandbox, tmp_path, **s3.env), f"s3://{bucket}/calls"
        for _ in range(6):
            kill_after(env, dest, dice.uniform(0.9, 1.9))
        finish(env, dest)
        found = s3_objects(s3, bucket, "calls/recordings/")
        whole = expected(sandbox)
        media = {
            key.rsplit("/", 1)[1].rsplit(".", 1)[0]: body for key, body in found.items() if key[-4:] != "json"
        }
        assert media == whole
        for key, body in found.items():
            if key.endswith(".json"):
                sidecar = json.loads(body)
                name = key.rsplit("/", 1)[1].removesuffix(".json")
                assert sidecar["sha256"] == hashlib.sha256(whole[name]).hexdigest()
        assert len(found) == 2 * len(whole)


def test_a_recording_left_without_sidecar_is_adopted_not_fetched(tmp_path: Path) -> None:
    with running(sample(20)) as sandbox:
        it = Archiver(sandbox, tmp_path)
        it.run()
        # What a crash between the two puts leaves, and a ledger that is gone besides.
        victim = sorted(it.archive.rglob("*.json"))[3]
        before = victim.read_bytes()
        victim.unlink()
        (tmp_path / "state" / "ledger.db").unlink()
        for rest in (tmp_path / "state").glob("ledger.db-*"):
            rest.unlink()
        fetched = sandbox.state.stats.as_json()
        again = it.run()
        assert sandbox.state.stats.as_json()["recording_fetches"] == fetched["recording_fetches"]
        assert again.counts.get("done") == 1
        assert [outcome.reason for outcome in again.outcomes if outcome.verdict == "done"] == ["adopted"]
        assert victim.read_bytes() == before, "the sidecar is the same, whenever it is written"
        it.check()
