"""All benchmarks in one command, as a table and as JSON.

    python -m bench [--rounds 5] [--only startup archive-small …] [--json FILE] [--write]

Inputs are made, servers started on loopback, and each peer runs in turn with this tool in the same rounds. Quote
ratios of one run, never a single time: machines differ, and so does one machine from hour to hour. ``--write``
puts the tables into ``bench/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import others, transfers

RESULTS = Path(__file__).parent / "RESULTS.md"
AUDIO = ("prompts-wav", "calls-wav", "calls-mp3")


def audio(rounds: int, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "bench.transcode", "--rounds", str(rounds), "--json", file.name,
                   "--prompts", str(options.prompts), "--calls", str(options.calls), "--only", *AUDIO]  # fmt: skip
        subprocess.run(command, check=True, stdout=sys.stderr)
        works: dict[str, Any] = json.loads(Path(file.name).read_text())["works"]
        return works


WORKS: dict[str, Callable[[int, argparse.Namespace], Any]] = {
    "startup": lambda rounds, _: others.startup(rounds),
    "archive-small": lambda rounds, options: transfers.contest(options.small, 300_000, rounds),
    "archive-large": lambda rounds, options: transfers.contest(options.large, 40_000_000, rounds),
    "ledger": lambda rounds, _: others.ledger_share(),
    "growth": lambda rounds, options: others.growth(options.growth),
    "listing": lambda _, options: others.listing(options.listing),
    "manifest": lambda rounds, options: others.manifest(options.rows, min(rounds, 3)),
    "audio": audio,
}


def tables(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    parts = []
    works = result["works"]
    if "startup" in works:
        rows = [[name, seconds] for name, seconds in works["startup"].items()]
        parts.append(_table("Start-up, seconds", ["command", "median"], rows))
    for name in ("archive-small", "archive-large"):
        if name in works:
            parts.append(_transfers(works[name]))
    if "ledger" in works:
        share = works["ledger"]["cpu_ms_per_item"]
        text = f"Claim, intent and receipt of an item cost {share} ms of CPU (SQLite, FULL, group commit)"
        for side in works.get("archive-small", {}).get("sides", []):
            if side["side"] == transfers.US:
                text += f": {share / side['cpu_ms_per_item']:.1%} of the {side['cpu_ms_per_item']} ms of a recording of 300 kB"
        parts.append(f"### Ledger\n\n{text}.\n")
    if "growth" in works:
        heads = ["recordings", "done", "ms_per_item", "cpu_ms_per_item", "peak_mb", "ledger_bytes_per_item"]
        rows = [[row[head] for head in heads] for row in works["growth"]]
        parts.append(_table("Growth: recordings of 4 kB", heads, rows))
    if "listing" in works:
        heads = ["calls", "listed", "ms_per_call", "cpu_ms_per_call", "peak_mb"]
        rows = [[row[head] for head in heads] for row in works["listing"]]
        parts.append(_table("Growth: calls listed, every page twice, none archived", heads, rows))
    if "manifest" in works:
        found = works["manifest"]
        rows = [[f"{found['rows']:,}", found["seconds"], found["csv.reader alone"], found["peak_mb"]]]
        parts.append(
            _table("`calls check --no-audio`", ["rows", "seconds", "csv.reader alone", "peak MB"], rows)
        )
    for name, found in works.get("audio", {}).items():
        heads = ["side", "seconds", "files_per_s", "cpu_ms_per_file", "times_as_long_as_us", "peak_mb"]
        rows = [[side[head] for head in heads] for side in found["sides"]]
        parts.append(_table(f"Audio: {name}, {found['files']} files, {found['hours']} h", heads, rows))
    return "\n".join(parts)


def _transfers(found: dict[str, Any]) -> str:
    heads = [
        "side",
        "seconds",
        "per_s",
        "mb_per_s",
        "cpu_ms_per_item",
        "peak_mb",
        "our_speed_to_theirs",
        "note",
    ]
    rows = [[side[head] for head in heads] for side in found["sides"]]
    title = f"Archive: {found['count']:,} recordings of {found['size']:,} bytes, https to S3, a sidecar each"
    return _table(title, heads, rows) + f"\nLeft out: {'; '.join(found['absent'])}.\n"


def _table(title: str, heads: list[str], rows: list[list[Any]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(WORKS), choices=list(WORKS))
    parser.add_argument("--small", type=int, default=2_000, help="recordings of 300 kB")
    parser.add_argument("--large", type=int, default=40, help="recordings of 40 MB")
    parser.add_argument("--growth", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--listing", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into bench/RESULTS.md")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(), "machine": others.machine(), "rounds": options.rounds,
        "works": {},
    }  # fmt: skip
    for name in options.only:
        print(f"{name} …", file=sys.stderr, flush=True)
        result["works"][name] = WORKS[name](options.rounds, options)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1))
    print(tables(result))
    if options.write:
        _write(result)


def _write(result: dict[str, Any]) -> None:
    """Replace the measured part of the page; what people wrote around it stays."""
    machine = result["machine"]
    head = (
        f"Measured {result['date']}, {result['rounds']} rounds: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}, load {machine['load']} before.\n\n"
    )
    page = (
        RESULTS.read_text("utf-8") if RESULTS.exists() else "# Results\n\n<!-- measured -->\n<!-- end -->\n"
    )
    before, _, rest = page.partition("<!-- measured -->")
    after = rest.partition("<!-- end -->")[2]
    RESULTS.write_text(f"{before}<!-- measured -->\n{head}{tables(result)}<!-- end -->{after}", "utf-8")


if __name__ == "__main__":
    main()
