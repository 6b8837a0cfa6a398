"""``kill -9`` of real imports while answers are lost: no call is made twice, no row forgotten."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from mediapipe.items import Verdict
from mediapipe.ledger.interface import State
from mediapipe.sandbox import running
from tests.archive_runs import sample
from tests.import_runs import Importer, fault, posts, rows, sent

FAULTS = (
    fault("upload_429", 0.10, seconds=0.0),
    fault("upload_drop_before", 0.05),
    fault("upload_commit_then_drop", 0.10),
    fault("upload_commit_then_500", 0.05),
    fault("upload_commit_then_504", 0.05),
    fault("upload_slow", 0.3, seconds=0.2),
)


def kill_one(it: Importer, manifest: Path, uploads: int, seconds: float) -> bool:
    """Start an import, kill it some time after so many uploads; tell whether it was still at work."""
    enough = posts(it.sandbox) + uploads
    command = [sys.executable, "-m", "mediapipe", "calls", "import", str(manifest), "--quiet"]
    with subprocess.Popen(
        command,
        env=it.environ(MEDIAPIPE_AUDIO_PROCESSES="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        gives_up = time.monotonic() + 60
        while posts(it.sandbox) < enough and process.poll() is None:
            assert time.monotonic() < gives_up, "nothing was uploaded"
            time.sleep(0.005)
        time.sleep(seconds)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return alive


def killed_often(folder: Path, kills: int, count: int) -> None:
    dice, wanted = random.Random(20260105), rows(count)
    with running(sample(20, faults=FAULTS)) as sandbox:
        it = Importer(folder, sandbox)
        manifest = it.manifest(wanted)
        landed = 0
        for _ in range(kills):
            landed += kill_one(
                it, manifest, dice.randint(1, max(2, count // (2 * kills))), dice.uniform(0, 0.1)
            )
            it.none_twice()
            ledger = it.ledger()
            unknown = set(sent(sandbox)) - set(ledger)
            assert not unknown, f"calls of which nothing is recorded: {unknown}"
            free = {
                key for key, state in ledger.items() if state in (State.NEW, State.FAILED, State.REJECTED)
            }
            assert not free & set(sent(sandbox)), "made, and would be sent again"
        assert landed >= kills * 0.6, "most kills should hit a run at work"
        ran = it.run(manifest)
        it.honest(ran, wanted)
        sandbox.state.faults.set(())
        # Nothing of a process that is gone is under way in this sandbox.
        ran = it.run(manifest, resend_uncertain=True, patience=timedelta(0))
        it.honest(ran, wanted)
        assert not ran.of(Verdict.UNCERTAIN), ran.outcomes
        it.all_sent(wanted)


@pytest.mark.timeout(280)
def test_five_kills(tmp_path: Path) -> None:
    killed_often(tmp_path, 5, 60)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills(tmp_path: Path) -> None:
    killed_often(tmp_path, 50, 400)
