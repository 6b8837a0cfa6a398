"""What ``bench.transcode`` starts in a fresh process: this engine, and pydub as anyone would use it.

    python -m bench.transcode_sides engine|pydub JOB.json

A job is ``{"form": "wav"|"mp3", "files": [{"path", "out", "channels", "before"}, …], "processes": n}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LIMIT = 10**10
RATE = 8000


def engine(job: dict[str, Any]) -> int:
    """Probe with figures of quality, judge, plan, render by a forced recipe, probe what came out."""
    from dataclasses import replace

    import anyio

    from mediapipe.audio.options import AudioOptions
    from mediapipe.audio.requests import ProbeRequest, RenderRequest
    from mediapipe.audio.targets import V2_CALLS, Recipe
    from mediapipe.audio.workers import AudioWorkers
    from mediapipe.errors import ItemError

    options = AudioOptions(processes=job["processes"], max_upload_bytes=LIMIT, scratch_budget=100 * LIMIT)
    target = replace(V2_CALLS, limit=LIMIT)
    codec, bitrate = ("mp3", 64) if job["form"] == "mp3" else ("pcm_s16le", None)
    failed = 0

    async def one(file: dict[str, Any]) -> None:
        nonlocal failed
        out = Path(file["out"])
        recipe = Recipe(job["form"], codec, RATE, file["channels"], bitrate)
        request = RenderRequest(
            ProbeRequest(Path(file["path"])), target, options, out.parent / "scratch", out.stem, recipe=recipe
        )
        try:
            async with workers.rendered(request) as made:
                made.outputs[0].path.rename(out)
        except ItemError as error:
            failed += 1
            print(f"{out.name}: {error.code}: {error}", file=sys.stderr)

    async def lane(files: list[dict[str, Any]]) -> None:
        while files:
            await one(files.pop())

    async def main() -> None:
        (Path(job["files"][0]["out"]).parent / "scratch").mkdir(exist_ok=True)
        left = job["files"][::-1]
        async with anyio.create_task_group() as group:
            for _ in range(2 * job["processes"]):
                group.start_soon(lane, left)

    workers = AudioWorkers(options)
    anyio.run(main)
    return failed


def pydub(job: dict[str, Any]) -> int:
    """Load, resample, export, in threads: ffmpeg does the work in processes of its own."""
    import warnings
    from concurrent.futures import ThreadPoolExecutor

    warnings.simplefilter("ignore")
    import audioop

    from pydub import AudioSegment

    def one(file: dict[str, Any]) -> bool:
        path = Path(file["path"])
        try:
            if path.suffix == ".alaw":  # pydub cannot say at which rate to read headerless bytes
                sound = AudioSegment(
                    audioop.alaw2lin(path.read_bytes(), 2), sample_width=2, frame_rate=RATE, channels=1
                )
            else:
                sound = AudioSegment.from_file(path)
            sound = sound.set_frame_rate(RATE).set_sample_width(2)
            more = {"bitrate": "64k"} if job["form"] == "mp3" else {}
            sound.export(file["out"], format=job["form"], **more).close()
        except Exception as error:
            print(f"{path.name}: {str(error).splitlines()[0]}", file=sys.stderr)
            return False
        return True

    with ThreadPoolExecutor(job["processes"]) as pool:
        return sum(not good for good in pool.map(one, job["files"]))


def main() -> None:
    side, job = {"engine": engine, "pydub": pydub}[sys.argv[1]], json.loads(Path(sys.argv[2]).read_text())
    if failed := side(job):
        print(f"{failed} failed", file=sys.stderr)


if __name__ == "__main__":
    main()
