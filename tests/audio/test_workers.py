from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.abc
import numpy as np
import pytest

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.mastering import ListenRequest, MasterRequest
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.rendering import RenderingProfile, parse_rendering_profile
from mediapipe.audio.requests import ProbeRequest, RenderRequest
from mediapipe.audio.targets import V2_CALLS, V2_PROMPTS, Recipe, Transcode
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import Failed, Rejected
from tests.audio.sources import honest, voice
from tests.audio.test_decode import coded, tone, wav_file

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that takes seconds to decode and measure, and next to no room."""
    path = tmp_path_factory.mktemp("slow") / "slow.sln192"
    with path.open("wb") as file:
        file.truncate(6 * 10**9)  # a hole
    return path


def children() -> set[int]:
    """The worker processes of this one."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    workers = set()
    for pid in found:
        try:
            if b"anyio.to_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                workers.add(pid)
        except OSError:  # gone meanwhile
            continue
    return workers


async def until(found: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not found():  # noqa: ASYNC110  # the system tells nobody
            await anyio.sleep(0.02)


async def test_a_file_is_probed_in_another_process(tmp_path: Path) -> None:
    workers = AudioWorkers(AudioOptions(processes=1))
    facts = await workers.probe(ProbeRequest(wav_file(tmp_path, tone(2, 2))))
    assert (facts.container, facts.codec, facts.channels, facts.seconds) == ("wav", "pcm_s16le", 2, 2.0)
    assert len(children()) == 1


async def test_what_a_file_is_refused_for_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"<html>404 Not Found</html>")
    with pytest.raises(Rejected) as refused:
        await AudioWorkers(AudioOptions()).probe(ProbeRequest(path))
    assert refused.value.code == "error_page"
    assert "404" in refused.value.message
    assert refused.value.hint


async def test_a_file_that_is_not_there_fails_and_may_pass_later(tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        await AudioWorkers(AudioOptions()).probe(ProbeRequest(tmp_path / "gone.wav"))
    assert failed.value.code == "unreadable"


async def test_a_decoder_that_dies_takes_one_file_with_it_and_the_pool_heals(
    tmp_path: Path, slow: Path
) -> None:
    good = wav_file(tmp_path, tone(1))
    workers = AudioWorkers(AudioOptions(processes=1))
    outcome: list[Exception | AudioFacts] = []

    async def probe() -> None:
        try:
            outcome.append(await workers.probe(ProbeRequest(slow)))
        except Failed as error:
            outcome.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(probe)
        await until(children)
        await anyio.sleep(0.5)
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
    assert isinstance(outcome[0], Failed)
    assert outcome[0].code == "decoder_died"
    for _ in range(3):
        assert (await workers.probe(ProbeRequest(good))).seconds == 1.0


async def test_an_idle_worker_that_was_killed_harms_nobody(tmp_path: Path) -> None:
    good = wav_file(tmp_path, tone(1))
    workers = AudioWorkers(AudioOptions(processes=1))
    await workers.probe(ProbeRequest(good))
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    await anyio.sleep(0.2)
    assert (await workers.probe(ProbeRequest(good))).seconds == 1.0


async def test_a_file_has_so_much_time_and_no_more(tmp_path: Path, slow: Path) -> None:
    workers = AudioWorkers(AudioOptions(processes=1, file_timeout=0.001))
    with pytest.raises(Failed) as failed:
        await workers.probe(ProbeRequest(slow, max_seconds=7 * 86_400))
    assert failed.value.code == "audio_timeout"
    await until(lambda: not children())
    assert (await AudioWorkers(AudioOptions()).probe(ProbeRequest(wav_file(tmp_path, tone(1))))).seconds == 1


async def test_cancelling_stops_within_a_second(slow: Path) -> None:
    workers = AudioWorkers(AudioOptions(processes=2))
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(workers.probe, ProbeRequest(slow))
        await until(lambda: len(children()) == 2)
        await anyio.sleep(0.5)
        began = time.monotonic()
        group.cancel_scope.cancel()
    assert time.monotonic() - began < 1
    assert not children()


async def test_waiting_for_a_process_is_not_the_file_s_time(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(20))
    workers = AudioWorkers(AudioOptions(processes=1, file_timeout=1))
    seconds: list[float] = []
    await AudioWorkers(AudioOptions()).probe(ProbeRequest(path))  # a process of the loop's stands ready
    began = time.monotonic()

    async def probe() -> None:
        seconds.append((await workers.probe(ProbeRequest(path))).seconds)

    async with anyio.create_task_group() as group:
        for _ in range(300):
            group.start_soon(probe)
    assert seconds == [20.0] * 300
    assert time.monotonic() - began > 1


async def test_a_worker_has_so_much_memory_and_no_more(tmp_path: Path) -> None:
    workers = AudioWorkers(AudioOptions(processes=1, worker_memory=160 * 2**20))
    path = coded(wav_file(tmp_path, tone(30)), "b.ogg", "-c:a", "libopus")
    assert (await workers.probe(ProbeRequest(path))).seconds == pytest.approx(30, abs=0.02)
    (pid,) = children()
    assert resource.prlimit(pid, resource.RLIMIT_DATA)[0] == 160 * 2**20


async def test_a_signal_to_the_whole_group_does_not_end_what_a_worker_has_in_hand(tmp_path: Path) -> None:
    workers = AudioWorkers(AudioOptions(processes=1))
    path = wav_file(tmp_path, tone(1))
    await workers.probe(ProbeRequest(path))
    (pid,) = children()
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert (await workers.probe(ProbeRequest(path))).seconds == 1.0
    assert children() == {pid}


# ── rendering ───────────────────────────────────────────────────────────────────────────────


def asked(path: Path, folder: Path, stem: str = "item", **options: object) -> RenderRequest:
    folder.mkdir(exist_ok=True)
    return RenderRequest(ProbeRequest(path), V2_CALLS, AudioOptions(**options), folder, stem)  # type: ignore[arg-type]


async def test_what_is_rendered_stands_there_as_long_as_it_is_needed(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(2)), "b.wav", "-c:a", "pcm_mulaw")
    folder = tmp_path / "out"
    workers = AudioWorkers(AudioOptions())
    async with workers.rendered(asked(path, folder)) as rendering:
        (output,) = rendering.outputs
        assert isinstance(rendering.plan, Transcode)
        assert [one.name for one in folder.rglob("*.*")] == ["item.wav"]
        assert output.facts.seconds == 2.0
    assert list(folder.iterdir()) == []
    assert path.exists()


async def test_nothing_is_left_of_a_rendering_that_was_cancelled(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    workers = AudioWorkers(AudioOptions())
    path = tmp_path / "hours.sln"
    path.touch()
    os.truncate(path, 3 * 3600 * 16_000)
    request = asked(path, folder)
    recipe = Recipe("mp3", "mp3", 8000, 1, 16)

    async def render() -> None:
        async with workers.rendered(replace(request, recipe=recipe)):
            raise AssertionError("it was not to end")

    async with anyio.create_task_group() as group:
        group.start_soon(render)
        await until(lambda: any(one.stat().st_size for one in folder.rglob("*.mp3")))
        group.cancel_scope.cancel()
    assert list(folder.iterdir()) == []


async def test_one_rendering_deletes_nothing_of_another_whatever_their_names(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(1)), "b.wav", "-c:a", "pcm_mulaw")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "call.wav").touch()
    workers = AudioWorkers(AudioOptions())
    async with workers.rendered(asked(path, folder, "call.7")) as other:
        async with workers.rendered(asked(path, folder, "call")) as rendering:
            assert rendering.outputs[0].path.name == "call.wav"
        assert other.outputs[0].path.stat().st_size
    assert [one.name for one in folder.iterdir()] == ["call.wav"]


async def test_renderings_share_the_room_on_the_disk(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(1)), "b.wav", "-c:a", "pcm_mulaw")
    workers = AudioWorkers(AudioOptions(scratch_budget=60_000_000))  # one of up to 50 MB at a time
    inside: list[int] = [0]
    most = 0

    async def render(number: int) -> None:
        nonlocal most
        async with workers.rendered(asked(path, tmp_path / "out", f"item-{number}")):
            inside[0] += 1
            most = max(most, inside[0])
            await anyio.sleep(0.05)
            inside[0] -= 1

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(render, number)
    assert most == 1


async def test_a_file_that_cannot_be_rendered_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(1000))
    folder = tmp_path / "out"
    with pytest.raises(Rejected) as refused:
        async with AudioWorkers(AudioOptions()).rendered(asked(path, folder)):
            raise AssertionError("it was not to begin")
    assert refused.value.code == "not_audio"
    assert list(folder.iterdir()) == []


# ── prompts ─────────────────────────────────────────────────────────────────────────────────


def spoken(folder: Path, sound: np.ndarray, rate: int = 8000) -> Path:
    path = folder / "prompt.wav"
    path.write_bytes(honest(sound, rate))
    return path


async def test_a_prompt_is_rendered_and_made_audible_in_another_process(tmp_path: Path) -> None:
    source = spoken(tmp_path, voice(2.0))
    workers = AudioWorkers(AudioOptions(processes=1))
    probe, out = ProbeRequest(source), tmp_path / "out.wav"
    done = await workers.mastered(MasterRequest(probe, RenderingProfile(), V2_PROMPTS, out, envelope=True))
    assert done.output is not None
    assert done.output.path == out
    assert done.figures is not None
    assert done.figures.active_db == pytest.approx(-22, abs=0.2)
    found = await workers.players(ListenRequest(probe, out))
    assert found.rendered == out.read_bytes()
    assert len(children()) == 1


async def test_why_a_prompt_cannot_be_decoded_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(1000))
    workers = AudioWorkers(AudioOptions())
    with pytest.raises(Rejected) as refused:
        await workers.mastered(MasterRequest(ProbeRequest(path), RenderingProfile(), V2_PROMPTS, None))
    assert refused.value.code == "not_audio"
    with pytest.raises(Failed):
        await workers.players(ListenRequest(ProbeRequest(tmp_path / "gone.wav")))


@pytest.mark.soak
async def test_the_longest_prompt_fits_into_a_worker_of_the_usual_size(tmp_path: Path) -> None:
    source = spoken(tmp_path, np.tile(voice(10.0, 48_000), (2, 30)), 48_000)
    profile = parse_rendering_profile("[output]\nsample_rate = 16000\n[level]\nactive_db = -15", "here")
    done = await AudioWorkers(AudioOptions()).mastered(
        MasterRequest(ProbeRequest(source), profile, V2_PROMPTS, tmp_path / "out.wav")
    )
    assert done.output is not None, done.blocked
    assert done.output.facts.seconds == pytest.approx(300, abs=1)


def test_there_are_no_more_workers_than_memory_for_them() -> None:
    options = AudioOptions(processes=8, worker_memory=200 * 2**20, memory_budget=500 * 2**20)
    assert AudioWorkers(options).processes == 2
    assert AudioWorkers(AudioOptions(processes=3)).processes == 3
