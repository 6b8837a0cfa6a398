"""Growth: ten times the calls, the same memory; a second run fetches nothing. Full size: ``-m soak``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediapipe.sandbox import running
from tests.archive_runs import check_folder, expected, sample
from tests.crash.test_archive_kill import SPAN, environment

MEMORY_RATIO = 1.2


# A child's peak starts at what its parent held when it forked, so a small process stands between.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def measured(env: dict[str, str], dest: Path) -> tuple[dict[str, Any], int]:
    """Run the command; return its JSON and its peak memory in KiB, as the kernel counted it."""
    command = [
        sys.executable,
        "-m",
        "mediapipe",
        "archive",
        "run",
        *SPAN,
        "--dest",
        str(dest),
        "--json",
        "--quiet",
    ]
    ran = subprocess.run([sys.executable, "-c", MEASURE, *command], env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    report, peak = ran.stdout.splitlines()
    return json.loads(report), int(peak)


def archived(count: int, folder: Path) -> int:
    """Archive ``count`` calls and again; return the first run's peak memory in KiB."""
    with running(sample(count, seconds_min=1.0, seconds_max=3.0, wav_only=True)) as sandbox:
        env, dest = environment(sandbox, folder), folder / "archive"
        first, memory = measured(env, dest)
        assert first["counts"]["done"] == len(expected(sandbox))
        fetched = sandbox.state.stats.recording_fetches.total()
        again, _ = measured(env, dest)
        assert sandbox.state.stats.recording_fetches.total() == fetched, "the second run fetched something"
        assert again["counts"]["skipped"] == first["counts"]["done"]
        check_folder(sandbox, dest)
    return memory


def grows(small: int, large: int, folder: Path) -> None:
    few, many = archived(small, folder / "few"), archived(large, folder / "many")
    print(f"{small} calls: {few} KiB; {large} calls: {many} KiB; ratio {many / few:.2f}")
    assert many <= MEMORY_RATIO * few


def test_ten_times_the_calls_take_the_same_memory(tmp_path: Path) -> None:
    grows(50, 500, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_five_thousand_calls_take_the_memory_of_five_hundred(tmp_path: Path) -> None:
    grows(500, 5_000, tmp_path)
