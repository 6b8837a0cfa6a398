"""Group commit alone, over a fake database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import anyio
import pytest

from mediapipe.ledger.commit import GroupCommit

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Disk:
    """Executes batches of numbers: a negative one fails alone, a zero fails the whole batch."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[list[int]] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, batch: Sequence[int]) -> list[int | Exception]:
        self.go_on.wait(10)
        time.sleep(self.seconds)
        self.batches.append(list(batch))
        if 0 in batch:
            raise OSError("disk gone")
        return [ValueError(str(number)) if number < 0 else number * 10 for number in batch]


async def test_everybody_gets_their_own_answer_in_few_commits() -> None:
    disk = Disk(0.01)
    group: GroupCommit[int, int] = GroupCommit(disk)
    answers: dict[int, int] = {}

    async def ask(number: int) -> None:
        for turn in range(5):
            answers[number * 5 + turn] = await group.submit(number * 5 + turn)

    async with anyio.create_task_group() as tasks:
        for number in range(1, 41):
            tasks.start_soon(ask, number)
    assert answers == {number: number * 10 for number in range(5, 205)}
    assert sum(map(len, disk.batches)) == group.operations == 200
    assert group.commits == len(disk.batches) <= 20


async def test_a_lone_writer_waits_for_nobody() -> None:
    disk = Disk()
    group: GroupCommit[int, int] = GroupCommit(disk)
    assert [await group.submit(number) for number in (1, 2, 3)] == [10, 20, 30]
    assert disk.batches == [[1], [2], [3]]


async def test_an_operation_that_fails_alone_leaves_its_neighbours() -> None:
    disk = Disk(0.005)
    group: GroupCommit[int, int] = GroupCommit(disk)
    failed: list[str] = []
    fine: list[int] = []

    async def ask(number: int) -> None:
        try:
            fine.append(await group.submit(number))
        except ValueError as error:
            failed.append(str(error))

    async with anyio.create_task_group() as tasks:
        for number in (1, 2, -3, 4, 5):
            tasks.start_soon(ask, number)
    assert (sorted(fine), failed) == ([10, 20, 40, 50], ["-3"])


async def test_a_batch_that_fails_fails_for_all_and_the_next_goes_on() -> None:
    disk = Disk()
    group: GroupCommit[int, int] = GroupCommit(disk)
    disk.go_on.clear()
    errors: list[int] = []

    async def ask(number: int) -> None:
        try:
            await group.submit(number)
        except OSError:
            errors.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 9)
        await anyio.sleep(0.01)
        for number in (0, 1, 2):
            tasks.start_soon(ask, number)
        await anyio.sleep(0.01)
        disk.go_on.set()
    assert (disk.batches, sorted(errors)) == ([[9], [0, 1, 2]], [0, 1, 2])
    assert await group.submit(7) == 70


async def test_a_cancelled_leader_brings_its_followers_home() -> None:
    disk = Disk()
    group: GroupCommit[int, int] = GroupCommit(disk)
    disk.go_on.clear()
    answers: list[int] = []
    leader = anyio.CancelScope()

    async def lead() -> None:
        with leader:
            await group.submit(1)
            await anyio.sleep(1)

    async def follow(number: int) -> None:
        answers.append(await group.submit(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lead)
        for number in (2, 3):
            tasks.start_soon(follow, number)
        await anyio.sleep(0.01)
        leader.cancel()
        await anyio.sleep(0.01)
        disk.go_on.set()
    assert sorted(answers) == [20, 30]


async def test_a_cancelled_follower_is_withdrawn_and_disturbs_nobody() -> None:
    disk = Disk()
    group: GroupCommit[int, int] = GroupCommit(disk)
    disk.go_on.clear()
    answers: list[int] = []
    follower = anyio.CancelScope()

    async def ask(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            answers.append(await group.submit(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1, anyio.CancelScope())
        await anyio.sleep(0.01)
        tasks.start_soon(ask, 2, follower)
        tasks.start_soon(ask, 3, anyio.CancelScope())
        await anyio.sleep(0.01)
        follower.cancel()
        await anyio.sleep(0.01)
        disk.go_on.set()
    assert (answers, disk.batches) == ([10, 30], [[1], [3]])


async def test_a_leader_torn_out_of_the_loop_leaves_its_batch_to_the_next() -> None:
    """asyncio's own cancellation does not know anyio's shields."""
    disk = Disk()
    group: GroupCommit[int, int] = GroupCommit(disk)
    disk.go_on.clear()
    first = asyncio.create_task(group.submit(1))
    await anyio.sleep(0.01)
    leader = asyncio.create_task(group.submit(2))
    follower = asyncio.create_task(group.submit(3))
    await anyio.sleep(0.01)
    disk.go_on.set()
    assert await first == 10
    disk.go_on.clear()
    await anyio.sleep(0.01)
    for _ in range(3):
        leader.cancel()
        await anyio.sleep(0.01)
    disk.go_on.set()
    assert await follower == 30
    await group.drain()
    assert leader.cancelled() or leader.result() == 20
