"""The lock file changed from many tasks: durable when told so, in few writes, and honest when it fails."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mediapipe.errors import DiskFull
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import NAME, Entry, LibraryLock, LockFile

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Slow(LockFile):
    """A lock file whose writes can be held up, counted, and made to fail."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "host/a")
        self.writes = 0
        self.fails = 0
        self.go = threading.Event()
        self.go.set()
        self.at_work = threading.Event()

    def save(self, lock: LibraryLock) -> None:
        self.writes += 1
        self.at_work.set()
        self.go.wait(10)
        if self.fails:
            self.fails -= 1
            raise DiskFull("no room left")
        super().save(lock)


@pytest.fixture
def file(tmp_path: Path) -> Slow:
    return Slow(tmp_path / NAME)


def on_disk(file: Slow) -> LibraryLock:
    return LockFile(file.path, "host/a").lock


async def put(keeper: Keeper, number: int) -> None:
    entry = Entry(str(number), "s", "r")
    await keeper.change(lambda lock: lock.standing(f"prompt/{number}", entry, now="t"))


async def held(file: Slow) -> None:
    """Wait until a write is under way."""
    await anyio.to_thread.run_sync(file.at_work.wait, 10)


async def test_every_change_is_on_the_disk_when_it_is_told_so(file: Slow) -> None:
    keeper = Keeper(file)

    async def one(number: int) -> None:
        await put(keeper, number)
        assert f"prompt/{number}" in on_disk(file).prompts

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
    assert len(on_disk(file).prompts) == 100
    assert on_disk(file) == keeper.lock
    assert file.writes < 20, "each was written by itself"


async def test_who_comes_during_a_write_shares_the_next(file: Slow) -> None:
    keeper = Keeper(file)
    file.go.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put, keeper, 0)
        await held(file)
        for number in range(1, 50):
            tasks.start_soon(put, keeper, number)
        await anyio.wait_all_tasks_blocked()
        file.go.set()
    assert file.writes == 2
    assert len(on_disk(file).prompts) == 50


async def test_a_write_that_fails_is_told_to_whoever_waits_for_it(file: Slow) -> None:
    keeper, failed = Keeper(file), list[int]()
    await put(keeper, 0)
    file.fails = 5

    async def one(number: int) -> None:
        try:
            await put(keeper, number)
        except DiskFull:
            failed.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 6):
            tasks.start_soon(one, number)
    assert sorted(failed) == [1, 2, 3, 4, 5]
    assert set(on_disk(file).prompts) == {"prompt/0"}
    await put(keeper, 6)  # there is room again: what happened meanwhile is true all the same
    assert set(on_disk(file).prompts) == {f"prompt/{number}" for number in range(7)}


async def test_nobody_is_told_of_a_failure_whose_change_a_later_write_has(file: Slow) -> None:
    keeper, failed = Keeper(file), list[int]()
    file.fails = 1

    async def one(number: int) -> None:
        try:
            await put(keeper, number)
        except DiskFull:
            failed.append(number)
        else:
            assert f"prompt/{number}" in on_disk(file).prompts

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    assert failed == [0]
    assert len(on_disk(file).prompts) == 5


async def test_a_change_that_cannot_be_made_changes_nothing(file: Slow) -> None:
    keeper = Keeper(file)
    await put(keeper, 1)
    with pytest.raises(KeyError):
        await keeper.change(lambda lock: lock.removed("prompt/unknown", now="t"))
    assert keeper.lock == on_disk(file)
    await keeper.change(lambda lock: replace(lock, release=3))
    assert on_disk(file).release == 3


async def test_a_write_that_was_begun_ends_whoever_gives_up(file: Slow) -> None:
    keeper = Keeper(file)
    file.go.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put, keeper, 1)
        await held(file)
        tasks.start_soon(put, keeper, 2)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
        threading.Timer(0.05, file.go.set).start()
    assert set(on_disk(file).prompts) == {"prompt/1"}
    with anyio.fail_after(5):
        await put(keeper, 3)
    assert set(on_disk(file).prompts) == {"prompt/1", "prompt/2", "prompt/3"}
