"""Growth: ten times the rows, the same memory. Full size, a million rows: ``-m soak``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.test_archive_scale import MEASURE, MEMORY_RATIO

HEADER = "recording_file,external_id,call_date,caller_id,group_id,caller_name,duration,is_outbound\n"


def measured(folder: Path, count: int, *flags: str) -> tuple[dict[str, Any], int]:
    """Check a manifest of ``count`` rows without audio; return the JSON and the peak memory in KiB."""
    folder.mkdir()
    (folder / "a.wav").touch()
    with (folder / "m.csv").open("w") as file:
        file.write(HEADER)
        file.writelines(
            f'a.wav,call-{row:08},2026-02-03T04:05:06Z,18015551234,77,"Bob, the {row}th",0:03:02,yes\n'
            for row in range(count)
        )
    env = {**os.environ, "MEDIAPIPE_STATE_DIR": str(folder / "state")}
    command = [
        sys.executable,
        "-m",
        "mediapipe",
        "calls",
        "check",
        str(folder / "m.csv"),
        "--no-audio",
        "--json",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, *command, *flags], env=env, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    report, peak = ran.stdout.splitlines()
    loaded = json.loads(report)
    assert loaded["counts"]["pending"] == count
    return loaded, int(peak)


def test_ten_times_the_rows_take_the_same_memory(tmp_path: Path) -> None:
    _, few = measured(tmp_path / "few", 2_500)
    _, many = measured(tmp_path / "many", 25_000, "--report")
    assert many <= MEMORY_RATIO * few, (few, many)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_million_rows_fit_into_250_megabytes(tmp_path: Path) -> None:
    report, peak = measured(tmp_path / "all", 1_000_000, "--quiet")
    print(f"1,000,000 rows: {report['elapsed_s']:.1f} s, {peak} KiB")
    assert peak <= 250 * 1024
