"""Mutated files against real worker processes: nothing crashes, hangs, swells or comes out nameless."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PosixPath

import anyio
import pytest

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.plan import make_plan
from mediapipe.audio.requests import ProbeRequest, RenderRequest
from mediapipe.audio.rules import judge
from mediapipe.audio.targets import V2_CALLS
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import Failed, ItemError
from tests.audio.corpus import Corpus, corpus
from tests.audio.mutations import Mutant, mutant, seeds
from tests.audio.watching import descendants, peak_memory

__all__ = ["corpus"]

OPTIONS = AudioOptions(processes=2)
MOST_SECONDS = 5.0
MOST_MEMORY = 300 * 2**20
SHARDS = 4
CODES = {
    "empty_file", "error_page", "not_audio", "no_audio_stream", "no_audio", "no_decoder", "header_absurd",
    "too_long", "decode_failed", "encrypted", "too_large",
}  # fmt: skip
"""What may be said of a broken file. That a decoder died or took too long is said of a broken engine."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return seeds(tmp_path_factory.mktemp("seeds"))


@dataclass
class Round:
    """What one pool made of many files."""

    folder: Path
    good: dict[str, bytes]
    workers: AudioWorkers = field(default_factory=lambda: AudioWorkers(OPTIONS))
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: int = 0

    async def lane(self, numbers: Iterator[int], lane: int) -> None:
        """Take numbers until there are none: one file at a time, as a worker has it."""
        folder = self.folder / str(lane)
        folder.mkdir()
        for number in numbers:
            await self.one(mutant(self.good, number), folder, rendered=number % 5 == 0)
            if number % 40 == 0:
                self.memory = max(self.memory, *map(peak_memory, descendants()), 0)

    async def one(self, given: Mutant, folder: Path, *, rendered: bool) -> None:
        path = folder / given.name
        path.write_bytes(given.content)
        started = time.perf_counter()
        try:
            if rendered:
                request = RenderRequest(ProbeRequest(path), V2_CALLS, OPTIONS, folder, "made")
                async with self.workers.rendered(request) as made:
                    self.ends[type(made.plan).__name__] += 1
                    self.check(given, made.facts)
            else:
                self.check(given, await self.workers.probe(ProbeRequest(path, envelope=True)))
                self.ends["facts"] += 1
        except ItemError as error:
            self.ends[error.code] += 1
            if error.code not in CODES:
                self.faults.append(f"{given.how}: {error.code}: {error}")
        except Exception as error:  # a bug, whatever it is: the rest of the files is worth seeing too
            self.ends["bug"] += 1
            self.faults.append(f"{given.how}: {error!r}")
        spent = time.perf_counter() - started
        if spent > MOST_SECONDS:
            self.faults.append(f"{given.how}: took {spent:.1f} s")
        path.unlink()

    def check(self, given: Mutant, facts: AudioFacts) -> None:
        """Facts can be relied on: bounded, finite, printable, and fit to be planned with."""
        bounded = (
            0 < facts.seconds < 48 * 3600
            and 4_000 <= facts.sample_rate <= 192_000
            and 1 <= facts.channels <= 8
        )
        if not bounded or facts.size != len(given.content):
            self.faults.append(f"{given.how}: {facts}")
        json.dumps(facts.as_json(), allow_nan=False)
        quality = facts.quality
        figures = (
            [figure for one in quality.channels for figure in (one.rms_db, one.peak_db, one.dc)]
            if quality
            else []
        )
        if not all(map(math.isfinite, figures)):
            self.faults.append(f"{given.how}: {quality}")
        make_plan(facts, V2_CALLS, OPTIONS, judge(facts, QualityRules()))


def fuzzed(folder: Path, good: dict[str, bytes], numbers: range) -> Round:
    """Send the mutants of these numbers through a pool, then a good file."""

    async def main() -> Round:
        here, left = Round(folder, good), iter(numbers)
        async with anyio.create_task_group() as group:
            for lane in range(here.workers.processes):
                group.start_soon(here.lane, left, lane)
        (folder / "pcm.wav").write_bytes(good["pcm.wav"])
        facts = await here.workers.probe(ProbeRequest(folder / "pcm.wav"))
        assert facts.samples == 12_000
        here.memory = max(here.memory, *map(peak_memory, descendants()))
        return here

    return anyio.run(main)


def examine(found: Round, count: int) -> None:
    assert found.faults == []
    assert found.ends.total() == count
    assert 20 * 2**20 < found.memory < MOST_MEMORY
    # The mutants are neither all hopeless nor all harmless, or this would prove nothing.
    assert found.ends["facts"] > count * 0.2
    assert sum(found.ends[code] for code in CODES) > count * 0.1


def test_mutants_are_the_same_every_time_and_differ_from_their_seeds(
    good: dict[str, bytes], tmp_path: Path
) -> None:
    assert seeds(tmp_path) == good
    assert [mutant(good, number) for number in range(60)] == [mutant(good, number) for number in range(60)]
    changed = [
        one for one in (mutant(good, number) for number in range(300)) if one.content != good[one.name]
    ]
    assert len(changed) > 280
    assert {one.name for one in changed} == set(good)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_thousand_broken_files(good: dict[str, bytes], tmp_path: Path, shard: int) -> None:
    count = 1_000 // SHARDS
    examine(fuzzed(tmp_path, good, range(shard * count, (shard + 1) * count)), count)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_ten_thousand_broken_files(good: dict[str, bytes], tmp_path: Path, shard: int) -> None:
    count = 10_000 // SHARDS
    first = 1_000_000 + shard * count
    examine(fuzzed(tmp_path, good, range(first, first + count)), count)


# ── a worker dies ───────────────────────────────────────────────────────────────────────────


async def lost_and_healed(good: Path, slow: Path, kill: signal.Signals) -> None:
    """Kill a worker that has a slow file in hand while another one works."""
    workers, before = AudioWorkers(OPTIONS), descendants()
    ends: list[str] = []

    async def hopeless() -> None:
        with pytest.raises(Failed) as caught:
            await workers.probe(ProbeRequest(slow))
        ends.append(caught.value.code)

    async def works() -> set[int]:
        assert (await workers.probe(ProbeRequest(good))).seconds == 10
        return descendants() - before

    (victim,) = await works()
    async with anyio.create_task_group() as group:
        group.start_soon(hopeless)  # takes the process that is there
        await anyio.wait_all_tasks_blocked()
        both = await works()
        assert victim in both
        assert len(both) == 2
        assert not ends
        os.kill(victim, kill)
        await works()
    assert ends == ["decoder_died"]
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(works)
    assert len(await works() - {victim}) == 2


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGSEGV], ids=["killed", "crashed"])
def test_a_worker_that_dies_costs_one_file_and_the_pool_heals(
    corpus: Corpus, tmp_path: Path, kill: signal.Signals
) -> None:
    slow = tmp_path / "slow.sln192"  # hours of nothing: long in hand, and next to no room
    slow.touch()
    os.truncate(slow, 6 * 10**9)
    anyio.run(lost_and_healed, corpus.path("wav_pcm16"), slow, kill)


def test_an_hour_of_audio_takes_no_more_memory_than_a_minute(corpus: Corpus) -> None:
    async def main() -> None:
        workers, before = AudioWorkers(AudioOptions(processes=1)), descendants()
        peaks = []
        for name in ("mp3_vbr", "an_hour_of_stereo_mulaw", "more_than_50_mb", "flac_of_hours_of_nothing"):
            await workers.probe(ProbeRequest(corpus.path(name), envelope=True))
            peaks.append(max(map(peak_memory, descendants() - before)))
        assert max(peaks) < min(peaks) + 30 * 2**20, peaks

    anyio.run(main)


class Deadly(PosixPath):
    """A path on which a worker exits as soon as it is sent there."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)


def test_a_worker_that_exits_costs_one_file_and_the_pool_heals(corpus: Corpus) -> None:
    path = corpus.path("wav_pcm16")

    async def main() -> None:
        workers = AudioWorkers(AudioOptions(processes=1))
        for _ in range(2):
            assert (await workers.probe(ProbeRequest(path))).seconds == 10
            with pytest.raises(Failed) as caught:
                await workers.probe(ProbeRequest(Deadly(path)))
            assert caught.value.code == "decoder_died"
        assert (await workers.probe(ProbeRequest(path))).seconds == 10

    anyio.run(main)


def test_what_never_ends_is_given_up(tmp_path: Path) -> None:
    """A pipe that nobody writes to, and a device without an end: neither hangs a worker."""
    os.mkfifo(tmp_path / "pipe.wav")

    async def main() -> None:
        workers = AudioWorkers(AudioOptions(processes=1, file_timeout=1))
        for path in (tmp_path / "pipe.wav", Path("/dev/zero")):
            started = time.perf_counter()
            with pytest.raises(ItemError) as caught:
                await workers.probe(ProbeRequest(path, raw_format="ulaw"))
            assert time.perf_counter() - started < MOST_SECONDS, path
            assert caught.value.code != "decoder_died", path

    anyio.run(main)
