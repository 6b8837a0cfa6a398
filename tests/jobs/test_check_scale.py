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

HEADER = (
    "recording_file,external_id,call_date,caller_id,tracking_number,group_id,caller_name,duration,"
    "is_outbound,disposition,zip_code\n"
)
AREAS = (801, 385, 212, 646, 303, 720, 416, 206, 512, 702)
OFFSETS = ("Z", "-07:00", "-06:00", "+01:00", "+05:30")
ENDS = ("ANSWERED", "no answer", "BUSY", "")


def line(row: int) -> str:
    """Return a row as a platform would export it: no two of the same caller or time."""
    moment = (
        f"{2014 + row % 11}-{1 + row % 12:02}-{1 + row % 28:02}T{row % 24:02}:{row % 60:02}:{row % 59:02}"
    )
    area, number = AREAS[row % 10], row * 7_919 % 7_000_000
    caller = f"({area}) {220 + number // 10_000:03}-{number % 10_000:04}"
    return (
        f"a.wav,call-{row:08},{moment}{OFFSETS[row % 5]},{caller},+1801582{row % 500:04},{77 + row % 9},"
        f'"Bob, the {row}th",0:03:02,yes,{ENDS[row % 4]},{row * 37 % 100_000:05}\n'
    )


def measured(folder: Path, count: int, *flags: str) -> tuple[dict[str, Any], int]:
    """Check a manifest of ``count`` rows without audio; return the JSON and the peak memory in KiB."""
    folder.mkdir()
    (folder / "a.wav").touch()
    with (folder / "m.csv").open("w") as file:
        file.write(HEADER)
        file.writelines(map(line, range(count)))
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
    _, few = measured(tmp_path / "few", 2_500, "--report")
    _, many = measured(tmp_path / "many", 25_000, "--report")
    assert many <= MEMORY_RATIO * few, (few, many)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_million_rows_fit_into_250_megabytes(tmp_path: Path) -> None:
    report, peak = measured(tmp_path / "all", 1_000_000, "--quiet")
    print(f"1,000,000 rows: {report['elapsed_s']:.1f} s, {peak} KiB")
    assert peak <= 250 * 1024
