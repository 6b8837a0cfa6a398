"""Many small rows: each exactly once, and no more memory for many than for few."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediapipe.sandbox import RunningSandbox, running
from mediapipe.sandbox.sound import conversation
from tests.archive_runs import sample

BEGIN = datetime(2025, 1, 5, tzinfo=UTC)


def write(folder: Path, rows: int) -> Path:
    for number in range(8):
        (folder / f"{number}.wav").write_bytes(conversation(number + 1, 0.7))
    path = folder / "calls.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("external_id", "recording_file", "call_date", "caller_id", "group_id"))
        for number in range(rows):
            at = (BEGIN + timedelta(seconds=97 * number)).isoformat()
            caller = f"1801555{1000 + number % 5000}"
            writer.writerow((f"x-{number}", f"{number % 8}.wav", at, caller, "1201"))
    return path


def resident(process: subprocess.Popen[str]) -> int:
    """Return a process's memory in KiB, 0 when it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def run(sandbox: RunningSandbox, folder: Path, path: Path) -> tuple[dict[str, object], list[tuple[int, int]]]:
    """Import; return the report, and memory by the number of uploads so far."""
    ours = {
        "MEDIAPIPE_STATE_DIR": str(folder / "state"),
        "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "10000",
        "MEDIAPIPE_PACE_LOGINS_PER_MINUTE": "1000",
        "MEDIAPIPE_IMPORTS_LAG": "1s",
        "MEDIAPIPE_IMPORTS_UPLOADS": "8",
        "MEDIAPIPE_WORKERS": "16",
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CONVIRZA", "MEDIAPIPE"))}
    command = [sys.executable, "-m", "mediapipe", "calls", "import", str(path), "--json", "--quiet"]
    seen: list[tuple[int, int]] = []
    with (folder / "err.txt").open("w") as err:
        process = subprocess.Popen(
            command,
            env={**inherited, **sandbox.environment(), **ours},
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        while process.poll() is None:
            if held := resident(process):
                seen.append((len(sandbox.state.uploads), held))
            time.sleep(0.2)
    out, _ = process.communicate()
    assert process.returncode == 0, (folder / "err.txt").read_text()
    return dict(json.loads(out)), seen


def check(tmp_path: Path, rows: int) -> None:
    with running(sample(10, data=tmp_path / "sandbox")) as sandbox:
        path = write(tmp_path, rows)
        report, seen = run(sandbox, tmp_path, path)
        counts = report["counts"]
        assert isinstance(counts, dict)
        assert {name: number for name, number in counts.items() if number} == {"done": rows}
        made = Counter(upload.external_id for upload in sandbox.state.uploads)
        assert len(made) == rows
        assert set(made.values()) == {1}
        early = max(held for done, held in seen if done <= rows // 5)
        late = max(held for done, held in seen)
        assert late <= 1.2 * early + 8 * 1024, f"{early:,} KiB at a fifth, {late:,} KiB at the end"
        again, _ = run(sandbox, tmp_path, path)
        counts = again["counts"]
        assert isinstance(counts, dict)
        assert counts["skipped"] == rows
        assert len(sandbox.state.uploads) == rows


@pytest.mark.timeout(600)
def test_ten_thousand_rows(tmp_path: Path) -> None:
    check(tmp_path, 10_000)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    check(tmp_path, 100_000)
