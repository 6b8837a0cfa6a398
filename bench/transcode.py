"""How fast audio is checked and transcoded, beside what people use for it, interleaved in one run.

    python -m bench.transcode [--rounds 5] [--prompts 500] [--calls 10] [--only prompts-wav …] [--json FILE]

Four works: 500 real prompts (1.5-20 s, wav/gsm/g722/alaw) and 10 calls of 10-40 minutes, each to WAV (8 kHz
PCM16) and to mp3 (64 kb/s). This engine does all its checks (decode count, figures of quality, loudness,
judging, planning, probing the output); the others only transcode. ``xargs`` starts one ffmpeg a file, as
many at once as there are cores. Everything lies in RAM. A round runs every side once, the order turning;
times are medians, ratios medians of the rounds' ratios. Memory is the peak of the whole process tree (Pss),
sampled in a round that is not timed, and in that round every output is decoded and held against the length
of its source.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.audio_inputs import FFMPEG, STATIC, Input, build, decoded_seconds
from bench.process_tree import Cost, measure

CORES = len(os.sched_getaffinity(0))
SLACK_S = 0.02
NORMALIZED = 16
ENCODERS = {
    "wav": ("-ar", "8000", "-c:a", "pcm_s16le"),
    "mp3": ("-ar", "8000", "-c:a", "libmp3lame", "-b:a", "64k"),
}
US = "this engine"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done: inputs of one kind into one form, in a folder in RAM."""

    name: str
    inputs: list[Input]
    form: str
    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def target(self, given: Input) -> Path:
        return self.out / f"{given.path.name}.{self.form}"


@dataclass(slots=True)
class Side:
    """One contestant: ``command`` of a work, how many of its files it does, and what came of it."""

    name: str
    command: Callable[[Work], list[str]]
    files: int | None = None
    env: dict[str, str] | None = None
    note: str = ""
    costs: list[Cost] = field(default_factory=list)
    peak: int = 0
    wrong: list[str] = field(default_factory=list)

    def inputs(self, work: Work) -> list[Input]:
        return (
            [one for one in work.inputs if one.path.suffix == ".wav"][: self.files]
            if self.files
            else work.inputs
        )

    def scale(self, work: Work) -> float:
        return len(work.inputs) / len(self.inputs(work))


# ── the sides ───────────────────────────────────────────────────────────────────────────────


def by_xargs(ffmpeg: str) -> Callable[[Work], list[str]]:
    def command(work: Work) -> list[str]:
        lines = work.folder / "lines"
        lines.write_text(
            "".join(
                shlex.join([*one.before, "-i", str(one.path), *ENCODERS[work.form], str(work.target(one))])
                + "\n"
                for one in work.inputs
            )
        )
        return ["xargs", "-a", str(lines), "-L1", f"-P{CORES}", ffmpeg, "-nostdin", "-v", "error", "-y"]

    return command


def by_python(side: str) -> Callable[[Work], list[str]]:
    def command(work: Work) -> list[str]:
        job = work.folder / f"{side}.json"
        files = [
            {
                "path": str(one.path),
                "out": str(work.target(one)),
                "channels": one.channels,
                "before": one.before,
            }
            for one in work.inputs
        ]
        job.write_text(json.dumps({"form": work.form, "files": files, "processes": CORES}))
        return [sys.executable, "-m", "bench.transcode_sides", side, str(job)]

    return command


def by_normalize(work: Work) -> list[str]:
    chosen = [one for one in work.inputs if one.path.suffix == ".wav"][:NORMALIZED]
    encoder = ["-c:a", "pcm_s16le"] if work.form == "wav" else ["-c:a", "libmp3lame", "-b:a", "64k"]
    outputs = [word for one in chosen for word in ("-o", str(work.target(one)))]
    first = outputs[1::2]
    return [
        "ffmpeg-normalize",
        *(str(one.path) for one in chosen),
        "-o",
        *first,
        *encoder,
        "-ar",
        "8000",
        "-f",
        "-q",
    ]


def contestants(kind: str) -> tuple[list[Side], list[str]]:
    """Return who takes part, and who does not and why."""
    sides, absent = [Side(US, by_python("engine"))], []
    for name, there, side in (
        (f"xargs -P{CORES} ffmpeg (Debian)", Path(FFMPEG).exists(), by_xargs(FFMPEG)),
        (f"xargs -P{CORES} ffmpeg (static)", True, by_xargs(STATIC)),
        (f"pydub, {CORES} threads", importlib.util.find_spec("pydub"), by_python("pydub")),
    ):
        if there:
            sides.append(Side(name, side))
        else:
            absent.append(f"{name}: not on this machine")
    if shutil.which("ffmpeg-normalize") is None:
        absent.append("ffmpeg-normalize: not on this machine")
    elif kind == "calls":
        absent.append("ffmpeg-normalize: takes minutes for a call")
    else:
        note = f"{NORMALIZED} of the wav files, scaled to all; it also normalises"
        sides.append(Side("ffmpeg-normalize", by_normalize, NORMALIZED, note=note))
    return sides, absent


# ── measuring ───────────────────────────────────────────────────────────────────────────────


def once(side: Side, work: Work, *, memory: bool = False) -> Cost:
    """Let a side do the work in an empty folder."""
    shutil.rmtree(work.out, ignore_errors=True)
    work.out.mkdir()
    return measure(side.command(work), memory=memory)


def checked(side: Side, work: Work) -> list[str]:
    """Return the outputs whose decoded length is not that of their source, or that are not there."""

    def wrong(one: Input) -> str:
        target = work.target(one)
        if not target.exists():
            return f"{one.path.name}: missing"
        off = decoded_seconds(target) - one.seconds
        return f"{one.path.name}: {off:+.3f} s" if abs(off) > SLACK_S else ""

    with ThreadPoolExecutor(CORES) as pool:
        return [said for said in pool.map(wrong, side.inputs(work)) if said]


def contest(work: Work, sides: list[Side], rounds: int) -> None:
    for side in sides:
        side.peak = once(side, work, memory=True).peak
        side.wrong = checked(side, work)
        print(f"  {work.name}: {side.name} checked, {len(side.wrong)} wrong", file=sys.stderr)
    for number in range(rounds):
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            side.costs.append(once(side, work))
    shutil.rmtree(work.out, ignore_errors=True)


def figures(work: Work, sides: list[Side]) -> list[dict[str, Any]]:
    """Return a row for each side."""
    ours = next(side for side in sides if side.name == US)
    audio = sum(one.seconds for one in work.inputs)
    rows = []
    for side in sides:
        scale = side.scale(work)
        walls = [cost.wall * scale for cost in side.costs]
        wall = statistics.median(walls)
        cpu = statistics.median(cost.cpu for cost in side.costs) * scale
        ratios = [theirs / mine.wall for theirs, mine in zip(walls, ours.costs, strict=True)]
        rows.append({
            "side": side.name,
            "seconds": round(wall, 3),
            "fastest": round(min(walls), 3),
            "slowest": round(max(walls), 3),
            "files_per_s": round(len(work.inputs) / wall, 1),
            "audio_hours_per_s": round(audio / 3600 / wall, 3),
            "cpu_ms_per_file": round(cpu / len(work.inputs) * 1000, 2),
            "times_as_long_as_us": round(statistics.median(ratios), 2),
            "peak_mb": round(side.peak / 1e6, 1),
            "wrong": side.wrong,
            "note": side.note,
        })  # fmt: skip
    return rows


def table(name: str, rows: list[dict[str, Any]]) -> str:
    head = f"{'s':>9}{'files/s':>10}{'CPU ms/file':>13}{'peak MB':>9}{'x our time':>12}{'wrong':>7}"
    lines = [
        f"{row['side']:30}{row['seconds']:>9.2f}{row['files_per_s']:>10.1f}{row['cpu_ms_per_file']:>13.1f}"
        f"{row['peak_mb']:>9.0f}{row['times_as_long_as_us']:>12.2f}{len(row['wrong']):>7}"
        + (f"   ({row['note']})" if row["note"] else "")
        for row in rows
    ]
    return "\n".join(["", name, f"{'':30}{head}", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["prompts-wav", "prompts-mp3", "calls-wav", "calls-mp3"])
    parser.add_argument("--inputs", type=Path, help="keep the inputs in this folder for the next run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ram = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"the machine is busy (load {load:.1f}): times will be off", file=sys.stderr)
    result: dict[str, Any] = {"cores": CORES, "load": load, "rounds": options.rounds, "works": {}}
    with tempfile.TemporaryDirectory(dir=ram) as made:
        folder = Path(made)
        for name in options.only:
            kind, form = name.split("-")
            inputs = build(options.inputs or folder, kind, getattr(options, kind), options.seed)
            work = Work(name, inputs, form, folder)
            sides, absent = contestants(kind)
            contest(work, sides, options.rounds)
            rows = figures(work, sides)
            hours = sum(one.seconds for one in inputs) / 3600
            result["works"][name] = {
                "files": len(inputs),
                "hours": round(hours, 2),
                "sides": rows,
                "absent": absent,
            }
            print(
                table(f"{len(inputs)} {kind} ({hours:.2f} h) to {form}, {options.rounds} rounds", rows),
                flush=True,
            )
            for row in rows:
                for said in row["wrong"][:3]:
                    print(f"  {row['side']}: {said}", flush=True)
            if absent:
                print(f"  left out: {', '.join(absent)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
