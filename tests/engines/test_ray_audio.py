"""``calls import --engine ray``: audio worked on by a real local cluster, uploads by this process."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from mediapipe.audio.options import AudioOptions
from mediapipe.audio.requests import ProbeRequest, RenderRequest
from mediapipe.audio.targets import V2_CALLS, Transcode
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import Failed, Rejected
from mediapipe.sandbox import running
from tests.archive_runs import sample
from tests.audio.sources import encode
from tests.engines.test_ray import at_work
from tests.import_runs import Importer, recordings, rows
from tests.lacking import lacking

NAME = b"ray::AudioActor"


@pytest.fixture(autouse=True)
def _ray_is_there() -> None:
    if importlib.util.find_spec("ray") is None:
        lacking("ray is not installed: pip install 'convirza-mediapipe[ray]'")


@pytest.fixture
def flac(tmp_path: Path) -> Path:
    """A recording that the platform takes in another form only."""
    return encode(tmp_path / "call.flac", recordings()[0], "-c:a", "flac")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.wav"
    path.write_bytes(b"<html>no audio</html>")
    return path


def asked(path: Path, folder: Path) -> RenderRequest:
    return RenderRequest(ProbeRequest(path), V2_CALLS, AudioOptions(), folder, path.stem)


def test_the_cluster_answers_as_the_own_workers_do_also_when_a_worker_dies(
    tmp_path: Path, flac: Path, damaged: Path
) -> None:
    from mediapipe.engines.audio import ray_audio

    async def worked(audio: AudioWorkers) -> tuple[object, ...]:
        facts = await audio.probe(ProbeRequest(flac))
        with pytest.raises((Rejected, Failed)) as caught:
            await audio.probe(ProbeRequest(damaged))
        async with audio.rendered(asked(flac, tmp_path)) as rendering:
            (one,) = rendering.outputs
            made = one.path.read_bytes()
        assert not one.path.exists()
        assert isinstance(rendering.plan, Transcode)
        return facts, caught.type, caught.value.code, made

    async def main() -> tuple[tuple[object, ...], ...]:
        own = await worked(AudioWorkers(AudioOptions()))
        async with ray_audio(AudioOptions()) as audio:
            theirs = await worked(audio)
            victim = at_work(os.getpid(), NAME)[0]
            os.kill(victim, signal.SIGKILL)
            again = [await audio.probe(ProbeRequest(flac)) for _ in range(audio.processes)]
            with pytest.raises(Failed, match="the worker's machine has no"):
                await audio.probe(ProbeRequest(tmp_path / "gone.wav"))
        assert again == [own[0]] * len(again)
        return own, theirs

    own, theirs = anyio.run(main)
    assert own == theirs


def test_what_was_rendered_on_another_machine_is_brought_here(tmp_path: Path, flac: Path) -> None:
    from mediapipe.audio.worker import render_in_worker
    from mediapipe.engines.audio import AudioActor, _brought

    actor = AudioActor(AudioOptions())
    try:
        request = asked(flac, tmp_path / "only here")
        made = actor.work(render_in_worker, request, flac)
        assert made.trouble is None
        assert not made.answer.outputs[0].path.exists(), "it stood in a folder of that machine"
        request.folder.mkdir()
        (output,) = _brought(made, request).outputs
        assert output.path.parent == request.folder
        assert output.path.stat().st_size == len(made.files[output.path.name]) > 1000
    finally:
        actor.close()


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Importer]:
    with running(sample(20)) as sandbox:
        yield Importer(tmp_path, sandbox)


@pytest.mark.timeout(150)
def test_an_import_on_ray_sends_every_row_once_though_a_worker_is_killed(it: Importer) -> None:
    wanted = rows(12)
    for number, body in enumerate(recordings()):
        encode(it.folder / "audio" / f"{number}.flac", body, "-c:a", "flac")
    for one in wanted:
        one["recording_file"] = one["recording_file"].replace(".wav", ".flac")
    line = [sys.executable, "-m", "mediapipe", "calls", "import", str(it.manifest(wanted)), "--json"]
    process = subprocess.Popen(
        [*line, "--engine", "ray"],
        env=it.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = threading.Event()

    def kill() -> None:
        while process.poll() is None and not killed.is_set():
            for pid in at_work(process.pid, NAME)[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.set()
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    out, err = process.communicate(timeout=120)
    killer.join()
    assert process.returncode == 0, err
    assert killed.is_set(), "no worker was killed at work"
    report = json.loads(out)
    assert (report["engine"], report["counts"]["done"]) == ("ray", 12)
    it.all_sent(wanted)
    lines = [json.loads(one) for one in Path(report["outcomes"]).read_text().splitlines()]
    assert all(one["sent_sha256"] and one["sent_sha256"] != one["sha256"] for one in lines)
