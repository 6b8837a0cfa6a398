"""``kill -9`` of real deployments while answers are lost: run again, the library equals the manifest."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mediapipe.sandbox import Endpoint, FaultRule
from tests.prompt_runs import Library, deploying, prompts

FAULTS = (
    FaultRule(name="prompt_429", rate=0.1, seconds=0.0),
    FaultRule(name="prompt_commit_then_drop", rate=0.1),
    FaultRule(name="prompt_commit_then_500", rate=0.1),
    FaultRule(name="prompt_500_before", rate=0.1),
    FaultRule(name="prompt_half_made", rate=0.05),
)


def kill_one(it: Library, uploads: int, seconds: float) -> bool:
    """Start an apply, kill it some time after so many uploads; tell whether it was still at work."""
    stats = it.sandbox.state.stats
    enough = stats.total(Endpoint.PROMPT_UPLOAD) + uploads
    command = [sys.executable, "-m", "mediapipe", "prompts", "apply", str(it.manifest), "--prune", "--quiet"]
    with subprocess.Popen(
        command,
        env=it.environ(MEDIAPIPE_AUDIO_PROCESSES="1", MEDIAPIPE_PROMPTS_MAX_DELETE="1000"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        gives_up = time.monotonic() + 60
        while stats.total(Endpoint.PROMPT_UPLOAD) < enough and process.poll() is None:
            assert time.monotonic() < gives_up, "nothing was uploaded"
            time.sleep(0.002)
        time.sleep(seconds)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return alive


def killed_often(folder: Path, kills: int, count: int) -> None:
    dice = random.Random(20261124)
    long = prompts("english", "wav", 9_000)
    with deploying(folder, *FAULTS, count=count) as it:
        landed = 0
        for kill in range(kills):
            landed += kill_one(it, dice.randint(1, 5), dice.uniform(0, 0.05))
            for number in range(kill % 3, count, 9):  # other audio for some, so that there is work each time
                it.audio(number).write_bytes(dice.choice(long).read_bytes())
        assert landed >= kills * 0.6, "most kills should hit a run at work"
        for _ in range(6):
            ran = it.apply()
            if ran.code == 0:
                break
        assert ran.code == 0, ran.outcomes
        it.apply(prune=True, prompts__max_delete=1000)
        it.equal()


@pytest.mark.timeout(280)
def test_five_kills_of_a_deployment(tmp_path: Path) -> None:
    killed_often(tmp_path, 5, 30)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_fifty_kills_of_a_deployment(tmp_path: Path) -> None:
    killed_often(tmp_path, 50, 120)
