"""Archiving beside what else copies recordings: rclone, curl into the AWS CLI, and what anyone would write.

Every side moves the same recordings from one nginx over TLS to one sink, and writes as many objects: each recording
and a sidecar of 2 kB. This tool does all that it always does meanwhile: hash, magic bytes, header, conditional put,
ledger with durable intents and receipts, outcomes, report.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.process_tree import Cost, measure
from bench.servers import DAY, Servers, serving

US = "mediapipe archive run"
RAM = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass(slots=True)
class Side:
    """One contestant; ``share`` is the part of the work it is given, its time is scaled to the whole."""

    name: str
    command: Callable[[Servers, Path], list[str]]
    share: float = 1.0
    note: str = ""
    costs: list[Cost] = field(default_factory=list)
    peak: int = 0


def us(servers: Servers, state: Path) -> list[str]:
    start, end = servers.span
    return [
        sys.executable, "-m", "mediapipe", "archive", "run", "--from", start, "--to", end,
        "--dest", "s3://bucket/prefix", "--workers", "16", "--json", "--quiet",
    ]  # fmt: skip


def rclone(servers: Servers, state: Path) -> list[str]:
    return [
        "rclone", "copy", ":http:", ":s3:bucket/prefix", "--http-url", f"https://localhost:{servers.source}/src/",
        "--s3-provider", "Other", "--s3-env-auth", "--s3-endpoint", f"http://127.0.0.1:{servers.sink}",
        "--s3-force-path-style", "--s3-no-check-bucket", "--s3-no-head", "--http-no-head", "--no-check-dest",
        "--ignore-checksum", "--no-traverse", "--s3-disable-checksum", "--transfers", "16",
        "--ca-cert", str(servers.folder / "cert.pem"), "-q",
    ]  # fmt: skip


def naive(threads: int) -> Callable[[Servers, Path], list[str]]:
    def command(servers: Servers, state: Path) -> list[str]:
        from datetime import timedelta

        days = ",".join(f"{DAY + timedelta(days=day - 1):%Y-%m-%d}" for day in range(servers.days))
        base = f"https://localhost:{servers.source}/v3"
        return [sys.executable, "-m", "bench.naive_archive", base, "a-token", days, str(threads)]

    return command


def curl_aws(count: int) -> Callable[[Servers, Path], list[str]]:
    def command(servers: Servers, state: Path) -> list[str]:
        script = state / "curl.sh"
        state.mkdir(parents=True, exist_ok=True)
        cert, source = servers.folder / "cert.pem", servers.source
        script.write_text(
            "set -e\n"
            f'one() {{ curl -s --cacert {cert} "https://localhost:{source}/src/$1.wav" | aws s3 cp --quiet - "s3://bucket/prefix/$1.wav"; '
            f'curl -s --cacert {cert} "https://localhost:{source}/src/$1.json" | aws s3 cp --quiet - "s3://bucket/prefix/$1.json"; }}\n'
            "export -f one\n"
            f"seq -f %06.0f 0 {count - 1} | xargs -P2 -I@ bash -c 'one @'\n"
        )
        return ["bash", str(script)]

    return command


def sides(count: int) -> tuple[list[Side], list[str]]:
    """Return who takes part, and who does not and why."""
    found, absent = [Side(US, us)], []
    if shutil.which("rclone"):
        found.append(Side("rclone copy", rclone, note="its checks off"))
    else:
        absent.append("rclone: not on this machine")
    found.append(Side("httpx + boto3, 8 threads", naive(8), note="no hash, no checks, no ledger"))
    found.append(Side("httpx + boto3, one by one", naive(1), note="no hash, no checks, no ledger"))
    if shutil.which("aws") and shutil.which("curl"):
        few = max(2, min(10, count // 4))
        found.append(
            Side("curl into aws s3 cp -, 2 at once", curl_aws(few), few / count, f"{few} files, scaled")
        )
    else:
        absent.append("curl | aws s3 cp: not on this machine")
    absent.append("s5cmd: takes no https source")
    return found, absent


def contest(count: int, size: int, rounds: int) -> dict[str, Any]:
    """Measure every side, interleaved; return a row for each."""
    with tempfile.TemporaryDirectory(dir=RAM) as made, serving(Path(made), count, size) as servers:
        found, absent = sides(count)
        number = 0

        def once(side: Side, *, memory: bool = False) -> Cost:
            nonlocal number
            number += 1
            state = servers.folder / f"state{number}"
            environ = servers.environment | {
                "MEDIAPIPE_STATE_DIR": str(state), "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000",
                "PYTHONPATH": str(Path(__file__).parent.parent),
            }  # fmt: skip
            cost = measure(side.command(servers, state), env=environ, memory=memory)
            if cost.code:
                raise RuntimeError(f"{side.name} ended with exit code {cost.code}")
            shutil.rmtree(state, ignore_errors=True)
            return cost

        for side in found:
            side.peak = once(side, memory=True).peak
        for turn in range(rounds):
            at = turn % len(found)
            for side in found[at:] + found[:at]:
                side.costs.append(once(side))
                print(
                    f"  {count} x {size:,}: {side.name}: {side.costs[-1].wall:.2f} s",
                    file=sys.stderr,
                    flush=True,
                )
        return {
            "count": count,
            "size": size,
            "sides": [_row(side, found, count, size) for side in found],
            "absent": absent,
        }


def _row(side: Side, found: list[Side], count: int, size: int) -> dict[str, Any]:
    ours = next(one for one in found if one.name == US)
    walls = [cost.wall / side.share for cost in side.costs]
    wall = statistics.median(walls)
    return {
        "side": side.name,
        "seconds": round(wall, 2),
        "fastest": round(min(walls), 2),
        "slowest": round(max(walls), 2),
        "per_s": round(count / wall, 1),
        "mb_per_s": round(count * size / wall / 1e6, 1),
        "cpu_ms_per_item": round(statistics.median(c.cpu for c in side.costs) / side.share / count * 1e3, 2),
        "peak_mb": round(side.peak / 1e6, 1),
        "our_speed_to_theirs": round(
            statistics.median(theirs / mine.wall for theirs, mine in zip(walls, ours.costs, strict=True)), 2
        ),
        "note": side.note,
    }
