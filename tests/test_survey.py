"""Looking at many items: in order, bounded, each exactly once, whatever the looks do."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mediapipe.errors import CredentialsError, DiskFull, Failed, Fatal, Rejected, UsageError
from mediapipe.items import Outcome, Verdict
from mediapipe.line import Ending
from mediapipe.survey import WINDOW, Looked, Survey, survey

pytestmark = pytest.mark.anyio

Page = Sequence[Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def about(item: int) -> Outcome:
    return Outcome(f"key-{item}", Verdict.FAILED, row=item, source=f"file-{item}")


def fine(item: int) -> Looked[str]:
    return Looked(Outcome(f"key-{item}", Verdict.DONE, row=item), f"found-{item}")


@dataclass
class Watched:
    """A survey over numbers whose every step is noted."""

    pages: list[Page]
    look: Callable[[int], Awaitable[Looked[str]]]
    workers: int = 4
    read: int = 0
    got: list[Looked[str]] = field(default_factory=list)
    sink: Callable[[Sequence[Looked[str]]], None] | None = None

    async def source(self) -> AsyncGenerator[Page, None]:
        for page in self.pages:
            self.read += len(page)
            yield page

    async def run(self, *, signals: bool = False) -> Ending:
        sink = self.sink or self.got.extend
        job = Survey("test", self.source, self.look, about, sink, self.workers)
        return await survey(job, signals=signals)

    @property
    def rows(self) -> list[int | None]:
        return [one.outcome.row for one in self.got]


def pages(count: int, size: int = 50) -> list[Page]:
    return [range(at, min(count, at + size)) for at in range(0, count, size)]


async def at_once(item: int) -> Looked[str]:
    return fine(item)


async def test_results_come_in_order_whoever_is_ready_first() -> None:
    async def look(item: int) -> Looked[str]:
        await anyio.sleep(0.02 if item % 10 == 0 else 0)
        return fine(item)

    watched = Watched(pages(300), look, workers=8)
    assert await watched.run() == Ending()
    assert watched.rows == list(range(300))
    assert [one.found for one in watched.got[:2]] == ["found-0", "found-1"]


@pytest.mark.parametrize("count", [0, 1, WINDOW, WINDOW + 1, 3 * WINDOW])
async def test_every_item_comes_once(count: int) -> None:
    watched = Watched(pages(count, 400), at_once)
    await watched.run()
    assert watched.rows == list(range(count))


async def test_what_is_known_already_keeps_its_place_and_is_not_looked_at() -> None:
    seen: list[int] = []

    async def look(item: int) -> Looked[str]:
        seen.append(item)
        await anyio.sleep(0.001)
        return fine(item)

    mixed = [item if item % 3 == 0 else fine(item) for item in range(2 * WINDOW)]
    watched = Watched([mixed], look)
    await watched.run()
    assert watched.rows == list(range(2 * WINDOW))
    assert sorted(seen) == list(range(0, 2 * WINDOW, 3))


async def test_one_slow_item_holds_the_rest_back_and_the_source_too() -> None:
    gate = anyio.Event()

    async def look(item: int) -> Looked[str]:
        if item == 3:
            await gate.wait()
        return fine(item)

    watched = Watched(pages(5 * WINDOW, 64), look)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.run)
        await anyio.wait_all_tasks_blocked()
        assert watched.rows == [0, 1, 2]
        assert watched.read <= WINDOW + 3 + 64
        gate.set()
    assert watched.rows == list(range(5 * WINDOW))


async def test_no_more_are_looked_at_than_there_are_workers() -> None:
    busy, most = 0, 0

    async def look(item: int) -> Looked[str]:
        nonlocal busy, most
        busy, most = busy + 1, max(most, busy + 1)
        await anyio.sleep(0.001)
        busy -= 1
        return fine(item)

    await Watched(pages(60), look, workers=3).run()
    assert most == 3


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (Rejected("never", code="not_audio"), Verdict.REJECTED, "not_audio"),
        (Failed("not now", code="unreadable"), Verdict.FAILED, "unreadable"),
        (ZeroDivisionError("secret=hush"), Verdict.FAILED, "unexpected_error"),
    ],
)
async def test_what_a_look_raises_is_that_items_outcome(
    error: Exception, verdict: Verdict, reason: str
) -> None:
    async def look(item: int) -> Looked[str]:
        if item == 1:
            raise error
        return fine(item)

    watched = Watched(pages(3), look)
    assert await watched.run() == Ending()
    assert watched.rows == [0, 1, 2]
    outcome = watched.got[1].outcome
    assert (outcome.verdict, outcome.reason, outcome.row, outcome.source) == (verdict, reason, 1, "file-1")
    assert watched.got[1].found is None
    assert "hush" not in outcome.message


@pytest.mark.parametrize("error", [CredentialsError(), UsageError("bad"), OSError(28, "No space left")])
async def test_fatal_stops_everything_and_says_why(error: Exception) -> None:
    async def look(item: int) -> Looked[str]:
        if item == 30:
            raise error
        await anyio.lowlevel.checkpoint()
        return fine(item)

    watched = Watched(pages(5_000), look)
    ending = await watched.run()
    assert isinstance(ending.fatal, type(error) if isinstance(error, Fatal) else DiskFull)
    assert watched.read < 5_000
    assert watched.rows == list(range(len(watched.rows)))


async def test_a_source_that_cannot_go_on_stops_after_what_it_gave() -> None:
    async def source() -> AsyncGenerator[Page, None]:
        yield [1, 2]
        raise UsageError("a quote is not closed")

    watched = Watched([], at_once)
    watched.source = source  # type: ignore[method-assign]
    ending = await watched.run()
    assert isinstance(ending.fatal, UsageError)


async def test_a_sink_that_cannot_write_stops() -> None:
    def full(_: Sequence[Looked[str]]) -> None:
        raise DiskFull

    ending = await Watched(pages(100), at_once, sink=full).run()
    assert isinstance(ending.fatal, DiskFull)


async def test_a_bug_in_the_source_is_not_swallowed() -> None:
    async def source() -> AsyncGenerator[Page, None]:
        yield [1]
        raise ZeroDivisionError

    watched = Watched([], at_once)
    watched.source = source  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as caught:
        await watched.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_the_first_signal_finishes_what_has_begun_and_the_order_holds() -> None:
    begun: list[int] = []

    async def look(item: int) -> Looked[str]:
        begun.append(item)
        if item == 5:
            signal.raise_signal(signal.SIGTERM)
        await anyio.sleep(0.05)
        return fine(item)

    before = signal.getsignal(signal.SIGTERM)
    watched = Watched(pages(1_000), look)
    ending = await watched.run(signals=True)
    assert (ending.interrupted, ending.fatal) == (True, None)
    assert watched.rows == sorted(begun)
    assert len(begun) < 20
    assert signal.getsignal(signal.SIGTERM) is before


async def test_what_was_seen_behind_an_item_that_was_not_is_passed_on() -> None:
    async def look(item: int) -> Looked[str]:
        if item == 0:
            await anyio.sleep(30)
        if item == 9:
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(0.05)
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(30)
        return fine(item)

    watched = Watched(pages(1_000), look)
    with anyio.fail_after(10):
        ending = await watched.run(signals=True)
    assert ending.interrupted
    rows = watched.rows
    assert set(range(1, 9)) <= set(rows)
    assert not {0, 9} & set(rows)
