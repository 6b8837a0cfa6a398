"""Start-up, the check of a manifest, the ledger's share, and growth: figures without a peer, or with a floor."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.process_tree import measure
from bench.servers import serving
from bench.transfers import RAM, us

HEADER = "external_id,recording_url,call_date,caller_id,group_id,disposition,zip_code\n"


def startup(rounds: int) -> dict[str, Any]:
    """Return seconds of ``--help``, of an empty archive run, and of a bare interpreter."""
    with tempfile.TemporaryDirectory(dir=RAM) as made, serving(Path(made), 1, 100_000) as servers:
        environ = servers.environment | {"MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000"}
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "mediapipe --help": [sys.executable, "-m", "mediapipe", "--help"],
            "an empty archive run": [
                sys.executable, "-m", "mediapipe", "archive", "run", "--from", "2026-01-01", "--to", "2026-01-02",
                "--dest", "s3://bucket/prefix", "--json", "--quiet",
            ],
        }  # fmt: skip
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                state = str(servers.folder / f"state{turn}")
                cost = measure(command, env=environ | {"MEDIAPIPE_STATE_DIR": state})
                if turn:  # the first one warms the disk's cache
                    times[name].append(cost.wall)
        return {name: round(statistics.median(found), 3) for name, found in times.items()}


def manifest(rows: int, rounds: int) -> dict[str, Any]:
    """Return seconds and peak memory of checking so many rows without their audio, and of only reading them."""
    with tempfile.TemporaryDirectory(dir=RAM) as made:
        path = Path(made) / "calls.csv"
        with path.open("w") as file:
            file.write(HEADER)
            for number in range(rows):
                day = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:00-05:00"
                file.write(
                    f"id-{number},https://recordings.example.com/{number}.wav,{day},"
                    f"1{201 + number % 700}{2000000 + number % 7000000},{number % 500},ANSWERED,{number % 90000 + 10000}\n"
                )
        environ = {**os.environ, "MEDIAPIPE_STATE_DIR": made}
        command = [
            sys.executable,
            "-m",
            "mediapipe",
            "calls",
            "check",
            str(path),
            "--no-audio",
            "--json",
            "--quiet",
        ]
        floor = [sys.executable, "-c", f"import csv\nfor row in csv.reader(open({str(path)!r})): pass"]
        peak = measure(command, env=environ, memory=True).peak
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(measure(command, env=environ).wall)
            theirs.append(measure(floor, env=environ).wall)
        return {
            "rows": rows,
            "seconds": round(statistics.median(ours), 2),
            "csv.reader alone": round(statistics.median(theirs), 2),
            "peak_mb": round(peak / 1e6, 1),
        }


def ledger_share(items: int = 20_000) -> dict[str, Any]:
    """Return the ledger's CPU for claim, intent and receipt of an item, in milliseconds."""
    script = (
        "import asyncio, time, sys, tempfile, pathlib\n"
        "sys.path.insert(0, '.')\n"
        "from bench.ledger import ledger_seconds\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    began = time.process_time()\n"
        f"    asyncio.run(ledger_seconds('sqlite:///' + folder + '/l.db', {items}, 16, 50))\n"
        "    print(time.process_time() - began)\n"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    return {"items": items, "cpu_ms_per_item": round(float(done.stdout) / items * 1e3, 4)}


def growth(counts: list[int], size: int = 4_000) -> list[dict[str, Any]]:
    """Archive growing numbers of small recordings; return time and bytes of ledger for each, and peak memory."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=RAM) as made, serving(Path(made), count, size) as servers:
            state = servers.folder / "state"
            environ = servers.environment | {
                "MEDIAPIPE_STATE_DIR": str(state), "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000",
            }  # fmt: skip
            began = time.perf_counter()
            cost = measure(us(servers, state), env=environ, memory=True)
            if cost.code:
                raise RuntimeError(f"the run of {count} ended with exit code {cost.code}")
            print(f"  growth: {count} in {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
            ledger = sum(path.stat().st_size for path in state.glob("ledger.db*"))
            done = sum(
                '"outcome": "done"' in line
                for path in state.glob("runs/*/outcomes.jsonl")
                for line in path.open(encoding="utf-8")
            )
            rows.append({
                "recordings": count, "done": done, "ms_per_item": round(cost.wall / count * 1e3, 3),
                "cpu_ms_per_item": round(cost.cpu / count * 1e3, 3), "peak_mb": round(cost.peak / 1e6, 1),
                "ledger_bytes_per_item": round(ledger / count),
            })  # fmt: skip
    return rows


def listing(counts: list[int]) -> list[dict[str, Any]]:
    """List growing numbers of calls and archive none (``--dry-run``); return time for each and peak memory."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory(dir=RAM) as made, serving(Path(made), count, 4_000) as servers:
            state = servers.folder / "state"
            environ = servers.environment | {
                "MEDIAPIPE_STATE_DIR": str(state), "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000",
            }  # fmt: skip
            cost = measure([*us(servers, state), "--dry-run"], env=environ, memory=True)
            if cost.code:
                raise RuntimeError(f"the listing of {count} ended with exit code {cost.code}")
            print(f"  listing: {count} in {cost.wall:.1f} s", file=sys.stderr, flush=True)
            found = sum(
                1 for path in state.glob("runs/*/outcomes.jsonl") for _ in path.open(encoding="utf-8")
            )
            rows.append({
                "calls": count, "listed": found, "ms_per_call": round(cost.wall / count * 1e3, 3),
                "cpu_ms_per_call": round(cost.cpu / count * 1e3, 3), "peak_mb": round(cost.peak / 1e6, 1),
            })  # fmt: skip
    return rows


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1_000_000
    release = json.dumps(Path("/etc/os-release").read_text().split('PRETTY_NAME="')[1].split('"')[0]).strip(
        '"'
    )
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_gb": memory, "system": release,
            "python": sys.version.split()[0], "load": round(os.getloadavg()[0], 2)}  # fmt: skip
