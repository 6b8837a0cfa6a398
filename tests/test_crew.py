"""Transfers in worker processes: nothing lost, nothing doubled, nobody left waiting, whoever dies."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

import mediapipe.crew
from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.crew import ALONE_FIRST, Crew, HeldBack, TellingPacer
from mediapipe.errors import Failed, MediapipeError, Throttled, Transient
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause
from mediapipe.sandbox import FaultRule, running
from mediapipe.settings import Settings, load_settings
from mediapipe.stores.folder import FolderStore
from mediapipe.transfer import Kept, NeedsGrant, Transfer
from mediapipe.transfer_services import crew_of, transfer_tools
from tests.archive_runs import Archiver, expected, s3_objects, sample
from tests.convirza.server import Reply, Request, Server, serving
from tests.crash.test_archive_kill import environment, start
from tests.processes import gone, wait_gone
from tests.s3.server import RunningS3
from tests.test_transfer import wav

pytest_plugins = ["tests.s3.fixtures"]

STARTED = datetime(2026, 2, 14, 12, tzinfo=UTC)
PASSWORD = "very-s3cr3t-indeed"


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members start with the first transfer; and no proxy stands between."""
    monkeypatch.setattr(mediapipe.crew, "ALONE_FIRST", 1)
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@dataclass
class World:
    """A crew, the host it fetches from, and who did what."""

    crew: Crew
    server: Server
    pause: Pause
    folder: Path
    alone: list[str] = field(default_factory=list)

    def task(self, number: int, **record: Any) -> Transfer:
        url = f"{self.server.url}/{number}?secret=s3cr3t"
        return Transfer(str(number), "9", STARTED, {"call_id": number, **record}, url, 0.2)

    async def ready(self, count: int) -> None:
        """Wait for members to be there."""
        with anyio.fail_after(20):
            while sum(one.works for one in self.crew._members) < count:  # noqa: ASYNC110
                await anyio.sleep(0.01)

    def pids(self) -> list[int]:
        return [one.pid for one in self.crew._members]

    async def busy(self) -> Any:
        """Return a member that has something in hand."""
        with anyio.fail_after(10):
            while True:
                for one in self.crew._members:
                    if one.load and one.works:
                        return one
                await anyio.sleep(0.01)

    async def each(self, numbers: range, into: dict[int, Any]) -> None:
        """Transfer all at once; results and errors by number."""

        async def one(number: int) -> None:
            try:
                into[number] = await self.crew.transfer(self.task(number))
            except MediapipeError as error:
                into[number] = error

        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(one, number)


def settings_of(folder: Path, url: str, **flags: Any) -> Settings:
    return load_settings(
        None,
        {
            "convirza.v3_url": url,
            "archive.dest": str(folder / "archive"),
            "archive.processes": 2,
            "state_dir": str(folder / "state"),
            "workers": 4,
            "pace.retry_initial_wait": 0.01,
            "pace.retry_max_wait": 0.05,
            "pace.retry_attempts": 3,
            **{name.replace("__", "."): value for name, value in flags.items()},
        },
        {"CONVIRZA_PASSWORD": PASSWORD, "CONVIRZA_EMAIL": "a@b.example"},
    ).settings


@asynccontextmanager
async def world(folder: Path, server: Server, **flags: Any) -> AsyncIterator[World]:
    settings, pause = settings_of(folder, server.url, **flags), Pause()
    store = FolderStore(folder / "archive")
    async with open_http(Timeouts(2, 5, 5, 5), connections=8) as http:
        tools = transfer_tools(settings, http, store, Pacer(AdaptiveLimit(8), pause))
        crew = crew_of(settings, tools, pause)
        it = World(crew, server, pause, folder)
        here = crew.alone

        async def counted(task: Transfer) -> Kept | NeedsGrant:
            it.alone.append(task.call_id)
            return await here(task)

        crew.alone = counted
        try:
            yield it
        finally:
            crew.close()
    await store.aclose()


def audio(number: int) -> bytes:
    return wav(0.2 + number % 7 / 100, number % 256)


def number_of(request: Request) -> int:
    return int(request.path.lstrip("/"))


def gives(request: Request) -> Reply:
    return Reply(body=audio(number_of(request)))


def slowly(seconds: float) -> Callable[[Request], Reply]:
    def handle(request: Request) -> Reply:
        time.sleep(seconds)
        return gives(request)

    return handle


def right(results: dict[int, Any], numbers: range) -> None:
    assert set(results) == set(numbers)
    for number, result in results.items():
        assert isinstance(result, Kept), result
        assert result.sha256 == hashlib.sha256(audio(number)).hexdigest()
        assert f"/{number}-9." in result.key


def whole(it: World, numbers: range) -> None:
    """Assert that each recording stands in the folder once, with its sidecar, and nothing else."""
    root = it.folder / "archive" / "recordings"
    files = {path.name: path for path in root.rglob("*") if path.is_file()}
    assert len(files) == 2 * len(numbers)
    for number in numbers:
        assert files[f"{number}-9.wav"].read_bytes() == audio(number)
        assert json.loads(files[f"{number}-9.json"].read_text())["bytes"] == len(audio(number))


# ── who does what ────────────────────────────────────────────────────────────────────────────


def test_each_result_is_that_of_its_task_and_all_members_work(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            worked: set[int] = set()
            results: dict[int, Any] = {}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(it.each, range(1, 80), results)
                for _ in range(50):
                    worked |= {one.pid for one in it.crew._members if one.load}
                    await anyio.sleep(0.005)
            right(results, range(1, 80))
            whole(it, range(80))
            assert it.alone == []
            assert worked == set(it.pids())
            assert [one.load for one in it.crew._members] == [0, 0]

    with serving(slowly(0.01)) as server:
        anyio.run(main)


@pytest.mark.parametrize(
    ("flags", "members"),
    [
        ({"archive__processes": 1}, 0),
        ({"workers": 1, "archive__processes": 8}, 0),
        ({"workers": 3, "archive__processes": 8}, 3),
        ({"workers": 5, "archive__processes": 2}, 2),
    ],
)
def test_as_many_members_as_told_and_none_for_one_worker(
    tmp_path: Path, flags: dict[str, Any], members: int
) -> None:
    async def main() -> None:
        async with world(tmp_path, server, **flags) as it:
            results: dict[int, Any] = {}
            await it.each(range(6), results)
            right(results, range(6))
            assert len(it.crew._members) == members
            if members == 2:
                assert it.crew.setup.threads == 3  # type: ignore[attr-defined]

    with serving(gives) as server:
        anyio.run(main)


def test_a_run_with_little_to_do_starts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe.crew, "ALONE_FIRST", ALONE_FIRST)

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.each(range(ALONE_FIRST - 1), {})
            it.crew.expect(ALONE_FIRST - 1)
            assert it.crew._members == []
            await it.crew.transfer(it.task(ALONE_FIRST))
            assert len(it.crew._members) == 2

    with serving(gives) as server:
        anyio.run(main)


def test_members_are_started_as_soon_as_there_is_known_to_be_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mediapipe.crew, "ALONE_FIRST", ALONE_FIRST)

    async def main() -> None:
        async with world(tmp_path, server) as it:
            it.crew.expect(ALONE_FIRST)
            assert len(it.crew._members) == 2
            it.crew.expect(1000)
            results: dict[int, Any] = {}
            await it.each(range(20), results)
            right(results, range(20))
            assert it.alone == []
            assert len(it.crew._members) == 2

    with serving(gives) as server:
        anyio.run(main)


def test_a_recording_whose_record_is_ten_megabytes_goes_there_and_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            kept = await it.crew.transfer(it.task(1, words=["word"] * 1_250_000))
            assert isinstance(kept, Kept)
            assert it.alone == []
            sidecar = next((tmp_path / "archive").rglob("1-9.json"))
            assert len(json.loads(sidecar.read_text())["call"]["words"]) == 1_250_000

    with serving(gives) as server:
        anyio.run(main)


def test_what_members_spool_comes_out_of_the_budget_of_the_run(tmp_path: Path) -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def handle(request: Request) -> Reply:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.03)
        with lock:
            inside[0] -= 1
        return gives(request)

    async def main() -> None:
        tight = {"archive__spool_budget": 2**20, "archive__spool_memory": 2**20}
        async with world(tmp_path, server, **tight) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            results: dict[int, Any] = {}
            await it.each(range(1, 12), results)
            right(results, range(1, 12))

    with serving(handle) as server:
        anyio.run(main)
    assert most == [1]


# ── what comes back ──────────────────────────────────────────────────────────────────────────


def test_an_error_is_the_same_as_if_it_had_been_met_here(tmp_path: Path) -> None:
    answers = {
        1: Reply(404, b"none"),
        2: Reply(410),
        3: Reply(503, headers={"Retry-After": "99"}),
        4: Reply(200, b"<html>nothing here</html>"),
        5: Reply(403),
    }

    def handle(request: Request) -> Reply:
        return answers.get(number_of(request)) or gives(request)

    async def main() -> dict[int, Any]:
        async with world(tmp_path / "there", server, pace__retry_total=20) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            results: dict[int, Any] = {}
            await it.each(range(1, 6), results)
            assert it.alone == []
        async with world(tmp_path / "here", server, pace__retry_total=20, archive__processes=1) as it:
            here: dict[int, Any] = {}
            await it.each(range(1, 6), here)
        for number, error in here.items():
            assert type(results[number]) is type(error)
            assert str(results[number]) == str(error)
        return results

    with serving(handle) as server:
        results = anyio.run(main)
    assert results[1].code == "http_404"
    assert results[2] == NeedsGrant("url_expired", results[2].message)
    assert (type(results[3]), results[3].code, results[3].retry_after) == (Transient, "http_503", 99)
    assert "s3cr3t" not in repr(results) + str(results)


def every(kind: type[MediapipeError]) -> Iterator[type[MediapipeError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from every(one)


def test_every_error_there_is_survives_the_way_through_a_pipe() -> None:
    for kind in every(MediapipeError):
        if not kind.__module__.startswith("mediapipe") or kind.__name__.startswith("_"):
            continue
        try:
            error = kind("words", code="a_code", hint="a hint")
        except TypeError:
            error = kind("words")
        if isinstance(error, Transient):
            error.retry_after = 7.5
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(again) is kind
        assert (str(again), again.code, again.hint, vars(again)) == (
            str(error),
            error.code,
            error.hint,
            vars(error),
        )


def test_who_is_throttled_in_a_member_holds_everybody_back(tmp_path: Path) -> None:
    """And at once: not after the member lost its own patience."""
    began: dict[str, float] = {}
    refused = threading.Event()

    def handle(request: Request) -> Reply:
        if number_of(request) == 5 and not refused.is_set():
            refused.set()
            began["refused"] = time.monotonic()
            return Reply(429, headers={"Retry-After": "0.6"})
        if refused.is_set() and time.monotonic() - began["refused"] > 0.1:
            began.setdefault("next", time.monotonic())
        time.sleep(0.02)
        return gives(request)

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            results: dict[int, Any] = {}
            await it.each(range(1, 60), results)
            right(results, range(1, 60))
            assert it.pause.count == 1
            assert it.alone == []

    with serving(handle) as server:
        anyio.run(main)
    assert began["next"] - began["refused"] > 0.5


def test_who_stays_throttled_says_so_after_bounded_tries(tmp_path: Path) -> None:
    def handle(request: Request) -> Reply:
        return Reply(429, headers={"Retry-After": "0.01"}) if number_of(request) else gives(request)

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            with pytest.raises(Throttled) as caught:
                await it.crew.transfer(it.task(1))
            assert caught.value.retry_after == 0.01
            assert it.pause.count == 3

    with serving(handle) as server:
        anyio.run(main)
    assert len(server.seen) == 4


def test_a_members_pacer_hands_a_throttling_on_and_nothing_else() -> None:
    async def meeting(error: Exception) -> None:
        async with TellingPacer(AdaptiveLimit(1), Pause()).turn():
            raise error

    with pytest.raises(HeldBack) as caught:
        anyio.run(meeting, Throttled("slower", retry_after=3))
    assert (caught.value.message, caught.value.retry_after) == ("slower", 3)
    assert not isinstance(caught.value, Transient)  # nobody there repeats it
    with pytest.raises(Transient):
        anyio.run(meeting, Transient("x"))


# ── who dies ─────────────────────────────────────────────────────────────────────────────────


def test_what_a_killed_member_had_in_hand_is_done_by_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            results: dict[int, Any] = {}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(it.each, range(1, 30), results)
                os.kill((await it.busy()).pid, signal.SIGKILL)
            right(results, range(1, 30))
            whole(it, range(30))
            assert it.alone == []
            await it.ready(2)
            assert len(set(it.pids())) == 2, "another one in its place"

    with serving(slowly(0.05)) as server:
        anyio.run(main)


def test_nobody_waits_for_a_member_that_was_found_dead_by_writing_to_it(tmp_path: Path) -> None:
    """A task that cannot be handed over must not hide the end from those who wait already."""

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            results: dict[int, Any] = {}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(it.each, range(1, 5), results)
                member = await it.busy()
                os.kill(member.pid, signal.SIGKILL)
                time.sleep(0.2)  # noqa: ASYNC251  # the loop must not see the end before the next line
                assert await member.work(999, it.task(9)) is mediapipe.crew._Lost.DIED
                assert await member.work(999, it.task(9)) is mediapipe.crew._Lost.UNSENT
                with anyio.fail_after(10):
                    while len(results) < 4:  # noqa: ASYNC110
                        await anyio.sleep(0.01)
            right(results, range(1, 5))

    with serving(slowly(0.5)) as server:
        anyio.run(main)


def test_without_members_everything_is_done_here(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            killed: set[int] = set()
            with anyio.fail_after(20):
                while it.crew._members:
                    for pid in {pid for pid in it.pids() if pid} - killed:
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)
                    await anyio.sleep(0.01)
            assert len(killed) == mediapipe.crew.MOST_STARTS * 2
            results: dict[int, Any] = {}
            await it.each(range(1, 10), results)
            right(results, range(1, 10))
            assert len(it.alone) == 9

    with serving(gives) as server:
        anyio.run(main)


def test_without_the_nursery_nobody_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            assert it.crew._nursery is not None
            os.kill(it.crew._nursery._pid, signal.SIGKILL)
            wait_gone([it.crew._nursery._pid])
            os.kill(it.pids()[0], signal.SIGKILL)
            results: dict[int, Any] = {}
            await it.each(range(1, 30), results)
            right(results, range(1, 30))
            assert len(it.crew._members) == 1

    with serving(slowly(0.02)) as server, caplog.at_level(logging.WARNING):
        anyio.run(main)
    assert "could not be started" in caplog.text


def test_a_member_that_is_stopped_holds_nobody_else_up(tmp_path: Path) -> None:
    """What fits into no socket any more waits for it, and not the run."""
    text = "x" * 300_000

    async def main() -> list[int]:
        async with world(tmp_path, server, workers=16) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            stopped, other = it.crew._members
            os.kill(stopped.pid, signal.SIGSTOP)
            async with anyio.create_task_group() as tasks:
                for number in range(100, 110):  # three megabytes for a process that reads nothing
                    tasks.start_soon(stopped.work, number, it.task(number, words=text))
                await anyio.sleep(0.1)
                began = time.monotonic()
                assert isinstance(await other.work(1, it.task(1)), Kept)
                assert time.monotonic() - began < 2
                tasks.cancel_scope.cancel()
            pids = it.pids()
            began = time.monotonic()
        assert time.monotonic() - began < 2, "the nursery ends it"
        return pids

    with serving(gives) as server:
        wait_gone(anyio.run(main))


def test_what_two_members_died_of_is_not_given_to_a_third(tmp_path: Path) -> None:
    """It may be what kills them; in this process it would kill the run."""
    going = threading.Event()

    def handle(request: Request) -> Reply:
        if number_of(request) == 1:
            going.wait(20)
        return gives(request)

    async def main() -> None:
        async with world(tmp_path, server, archive__processes=3) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(3)
            results: dict[int, Any] = {}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(it.each, range(1, 2), results)
                for _ in range(2):
                    os.kill((await it.busy()).pid, signal.SIGKILL)
                    await anyio.sleep(0.2)
            assert isinstance(results[1], Failed)
            assert results[1].code == "transfer_died"
            assert it.alone == []
            await it.each(range(2, 5), results)
            assert all(isinstance(results[number], Kept) for number in range(2, 5))

    with serving(handle) as server:
        anyio.run(main)
        going.set()


def test_a_member_that_cannot_start_is_done_without(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            setup: Any = it.crew.setup
            archive = setup.settings.archive.model_copy(update={"dest": None})
            it.crew.setup = type(setup)(setup.settings.model_copy(update={"archive": archive}), 2)
            results: dict[int, Any] = {}
            await it.each(range(3), results)
            with anyio.fail_after(20):
                while not all(one.dead for one in it.crew._members):  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            await it.each(range(3, 6), results)
            right(results, range(6))

    with serving(gives) as server, caplog.at_level(logging.WARNING):
        anyio.run(main)
    said = capfd.readouterr().err
    assert "no destination is given" in said
    assert "Traceback" not in said
    assert PASSWORD not in said + caplog.text
    assert "a transfer process ended" in caplog.text


def test_a_program_that_is_not_there_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))

    async def main() -> None:
        async with world(tmp_path, server) as it:
            results: dict[int, Any] = {}
            await it.each(range(3), results)
            right(results, range(3))
            assert it.crew._members == []

    with serving(gives) as server, caplog.at_level(logging.WARNING):
        anyio.run(main)
    assert "could not be started" in caplog.text


def test_who_is_cancelled_leaves_and_the_members_end_with_the_crew(tmp_path: Path) -> None:
    async def main() -> list[int]:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            pids = it.pids()
            with anyio.move_on_after(0.2):
                await it.each(range(1, 9), {})
            assert [one.load for one in it.crew._members] == [0, 0]
            began = time.monotonic()
        assert time.monotonic() - began < 2
        return pids

    with serving(slowly(1.0)) as server:
        wait_gone(anyio.run(main))


PARENT = """
import sys, time, anyio
from pathlib import Path
import mediapipe.crew
mediapipe.crew.ALONE_FIRST = 1
from tests.test_crew import world
from types import SimpleNamespace

async def main():
    server = SimpleNamespace(url=sys.argv[2])
    async with world(Path(sys.argv[1]), server) as it:
        await it.crew.transfer(it.task(0))
        await it.ready(2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.each, range(1, 9), {})
            await it.busy()
            print(*it.pids(), flush=True)

anyio.run(main)
"""


def test_members_end_by_themselves_when_their_parent_is_killed(tmp_path: Path) -> None:
    def handle(request: Request) -> Reply:
        time.sleep(3.0 if number_of(request) else 0)
        return gives(request)

    with serving(handle) as server:
        root = str(Path(__file__).parent.parent)
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path), server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        assert parent.stdout is not None
        line = parent.stdout.readline()
        assert line, parent.communicate()[1]
        pids = [int(pid) for pid in line.split()]
        assert not any(gone(pid) for pid in pids)
        parent.kill()
        wait_gone(pids)
        assert "Traceback" not in parent.communicate(timeout=10)[1]


# ── what a member is told ────────────────────────────────────────────────────────────────────


def seen_of(pid: int) -> tuple[bytes, bytes]:
    """Return what anybody on the machine may see of a process: its command, and its environment."""
    return Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/environ").read_bytes()


def test_no_secret_is_seen_from_outside(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            assert PASSWORD in pickle.dumps(it.crew.setup).decode("latin-1")  # it does know it
            for pid in it.pids():
                called, told = seen_of(pid)
                assert PASSWORD.encode() not in called
                assert PASSWORD.encode() not in told
                names = {one.partition(b"=")[0].decode() for one in told.split(b"\0") if one}
                assert names == set(os.environ)

    with serving(gives) as server:
        anyio.run(main)


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).touch()\n"
    for name in ("queue", "wave", "httpx", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(trap)
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            await it.crew.transfer(it.task(1))
            assert it.alone == []

    with serving(gives) as server:
        anyio.run(main)
    assert not (tmp_path / "sprung").exists()


def test_a_signal_to_a_member_does_not_end_what_it_has_in_hand(tmp_path: Path) -> None:
    """A service manager tells every process of the run; the parent drains."""

    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            assert {os.getpgid(pid) for pid in it.pids()} == set(it.pids())  # a terminal's Ctrl-C ends there
            results: dict[int, Any] = {}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(it.each, range(1, 9), results)
                await it.busy()
                for pid in it.pids():
                    os.kill(pid, signal.SIGTERM)
                    os.kill(pid, signal.SIGINT)
            right(results, range(1, 9))
            assert it.alone == []
            assert all(one.works for one in it.crew._members)

    with serving(slowly(0.1)) as server:
        anyio.run(main)


def resident(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(120)
def test_two_thousand_transfers_leave_nothing_behind(tmp_path: Path) -> None:
    async def main() -> None:
        async with world(tmp_path, server) as it:
            await it.crew.transfer(it.task(0))
            await it.ready(2)
            pids = [os.getpid(), *it.pids()]
            sizes = []
            for begun in (1, 501, 1001, 1501):
                results: dict[int, Any] = {}
                await it.each(range(begun, begun + 500), results)
                right(results, range(begun, begun + 500))
                server.seen.clear()
                sizes.append([resident(pid) for pid in pids])
            for before, after in zip(sizes[0], sizes[-1], strict=True):
                assert after - before < 12 * 2**20, sizes
            assert [one._waiting for one in it.crew._members] == [{}, {}]

    with serving(gives) as server:
        anyio.run(main)


# ── whole runs ───────────────────────────────────────────────────────────────────────────────


def members_of(pid: int) -> list[int]:
    """Return the members that a process has: what its nursery has forked."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    nurseries = {one for one, parent in parents.items() if parent == pid and nursery_like(one, pid)}
    return [one for one, parent in parents.items() if parent in nurseries]


def nursery_like(pid: int, parent: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"crew_member" in command or command == Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.timeout(200)
@pytest.mark.parametrize("where", ["folder", "s3"])
def test_an_archive_whose_members_are_killed_is_that_of_an_undisturbed_run(
    tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    s3: RunningS3 | None = request.getfixturevalue("s3") if where == "s3" else None
    bucket = s3.make_bucket() if s3 else ""
    killed: list[int] = []
    arrived = [0]

    def watch(_: Any) -> None:
        arrived[0] += 1
        alive = [pid for pid in members_of(os.getpid()) if pid not in killed and not gone(pid)]
        if arrived[0] in {100, 160} and alive:
            os.kill(alive[0], signal.SIGKILL)
            killed.append(alive[0])

    slow = FaultRule(name="recording_slow", seconds=0.03)
    with running(sample(330, faults=(slow,))) as sandbox:
        it = Archiver(sandbox, tmp_path, f"s3://{bucket}/calls" if s3 else "")
        ran = it.run(watch=watch, archive__processes=3, workers=6)
        assert len(killed) == 2, "both kills should hit a member at work"
        wanted = expected(sandbox)
        assert len(wanted) > 200
        failed = [outcome for outcome in ran.outcomes if outcome.verdict == "failed"]
        assert failed == []
        assert ran.counts["done"] == len(wanted)
        if s3 is None:
            it.check()
            return
        found = s3_objects(s3, bucket, "calls/recordings/")
        media = {
            key.rsplit("/", 1)[1].rsplit(".", 1)[0]: body for key, body in found.items() if key[-4:] != "json"
        }
        assert media == wanted
        assert len(found) == 2 * len(wanted)


def test_a_second_signal_ends_a_run_and_its_members_at_once(tmp_path: Path) -> None:
    with running(sample(200)) as sandbox:
        env = environment(sandbox, tmp_path, MEDIAPIPE_ARCHIVE_PROCESSES="2")
        process = start(env, str(tmp_path / "archive"))
        until = time.monotonic() + 30
        while len(pids := members_of(process.pid)) < 2:
            assert time.monotonic() < until
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        sandbox.state.faults.set([FaultRule(name="recording_slow", seconds=20)])
        time.sleep(0.5)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=15)
        assert process.returncode == 130, err
        assert time.monotonic() - began < 10
        assert "Traceback" not in err
        wait_gone(pids)
