"""Uploads that go out together: as many as the API takes, of one type, and nobody hangs on another's end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.prompts import PromptUpload
from mediapipe.convirza.uploads import Accepted, Answer, Refused, Unsure
from mediapipe.errors import Failed, LedgerUnavailable, Transient
from mediapipe.library.bundles import GATHER_S, Begin, Bundler, Sent
from mediapipe.library.words import PromptType

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Api:
    """Takes uploads; ``ways`` are the answers in turn, ``hold`` keeps them back."""

    def __init__(self, batch: int = 15) -> None:
        self.batch = batch
        self.sent: list[list[str]] = []
        self.error: Exception | None = None
        self.before = anyio.Event()
        self.left = anyio.Event()
        self.hold = anyio.Event()
        self.hold.set()
        self.hold_first = anyio.Event()
        self.hold_first.set()

    async def upload(self, uploads: Sequence[PromptUpload], *, begin: Begin) -> Answer:
        assert len({one.type for one in uploads}) == 1
        assert 1 <= len(uploads) <= self.batch
        self.before.set()
        await self.hold_first.wait()
        await begin()
        self.sent.append([one.name for one in uploads])
        made = str(len(self.sent))
        self.left.set()
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return Accepted(made=made)


def upload(name: str, kind: PromptType = PromptType.PROMPT) -> PromptUpload:
    return PromptUpload(kind, name, Path("a.wav"), f"{name}.wav", "audio/wav", 7)


class Sender:
    """Sends through a bundler and keeps what came of each; each may be given up, or barred from beginning."""

    def __init__(self, api: Api) -> None:
        loosely: Any = api
        self.bundler = Bundler(loosely)
        self.came: dict[str, Answer | Exception | str] = {}
        self.sent: dict[str, Sent] = {}
        self.alone: set[str] = set()
        self.begun: list[str] = []
        self.barred: dict[str, Exception] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}

    async def send(self, name: str, kind: PromptType = PromptType.PROMPT) -> None:
        async def begin() -> None:
            if name in self.barred:
                raise self.barred[name]
            self.begun.append(name)

        self.came[name] = "cancelled"
        with anyio.CancelScope() as self.scopes[name]:
            try:
                sent = await self.bundler.upload(upload(name, kind), begin, alone=name in self.alone)
                self.came[name], self.sent[name] = sent.answer, sent
            except Exception as error:
                self.came[name] = error

    async def send_all(self, names: Sequence[str]) -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                for name in names:
                    tasks.start_soon(self.send, name)


def names(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (15, [15]), (16, [15, 1]), (31, [15, 15, 1])])
async def test_as_many_as_are_taken_go_together(count: int, sizes: list[int]) -> None:
    sender = Sender(api := Api())
    await sender.send_all(names(count))
    assert [len(one) for one in api.sent] == sizes
    assert sorted(sender.begun) == sorted(names(count))
    answers = [{str(sender.came[name]) for name in batch} for batch in api.sent]
    assert all(len(one) == 1 for one in answers), "not everybody got the answer of its own request"
    assert len(set.union(*answers)) == len(sizes)


async def test_a_full_one_does_not_wait_for_more() -> None:
    sender = Sender(Api(batch=2))
    begun = anyio.current_time()
    await sender.send_all(names(2))
    assert anyio.current_time() - begun < GATHER_S


async def test_where_one_goes_at_a_time_nothing_is_gathered() -> None:
    sender = Sender(api := Api(batch=1))
    await sender.send_all(names(3))
    assert [len(one) for one in api.sent] == [1, 1, 1]


async def test_types_go_apart() -> None:
    sender = Sender(api := Api())
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(sender.send, f"p{number}", list(PromptType)[number % 2])
    assert sorted(map(sorted, api.sent)) == [["p0", "p2", "p4"], ["p1", "p3", "p5"]]


async def test_an_error_under_way_leaves_all_open_and_the_next_go_on() -> None:
    sender = Sender(api := Api())
    api.error = Transient("down", code="down")
    await sender.send_all(names(3))
    assert [sender.came[name] for name in names(3)] == [Unsure("down", "down")] * 3
    api.error = None
    await sender.send_all(["again"])
    assert sender.came["again"] == Accepted(made="2")


async def test_a_fatal_error_reaches_all_as_it_is() -> None:
    sender = Sender(api := Api())
    api.error = LedgerUnavailable("gone")
    await sender.send_all(names(3))
    assert [sender.came[name] for name in names(3)] == [api.error] * 3


async def test_one_of_them_counts_the_answer_even_where_others_gave_up() -> None:
    sender = Sender(api := Api(batch=4))
    await sender.send_all(names(9))
    assert [sum(sender.sent[name].counts for name in one) for one in api.sent] == [1, 1, 1]
    assert [{sender.sent[name].along for name in one} for one in api.sent] == [{True}, {True}, {False}]
    api.hold, api.left = anyio.Event(), anyio.Event()
    later = [f"later {name}" for name in names(3)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in later:
                tasks.start_soon(sender.send, name)
            await api.left.wait()
            sender.scopes[later[1]].cancel()
            await anyio.wait_all_tasks_blocked()
            api.hold.set()
    assert sum(sender.sent[name].counts for name in later if name in sender.sent) == 1
    assert sender.came[later[1]] == "cancelled"


async def test_who_goes_alone_shares_neither_request_nor_time() -> None:
    sender = Sender(api := Api())
    sender.alone = set(names(4))
    most = 0

    async def watch() -> None:
        nonlocal most
        api.hold = anyio.Event()
        await anyio.wait_all_tasks_blocked()
        most = len(api.sent)
        api.hold.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        tasks.start_soon(sender.send_all, names(4))
    assert most == 1, "several were under way at once"
    assert sorted(map(len, api.sent)) == [1, 1, 1, 1]
    assert all(one.counts and not one.along for one in sender.sent.values())


def test_what_was_refused_alone_was_refused_for_its_own_sake() -> None:
    refused, taken = Refused("http_400", "no"), Accepted()
    assert Sent(refused, along=True).refused_together
    assert not Sent(refused).refused_together
    assert not Sent(taken, along=True).refused_together


async def test_one_that_may_not_begin_takes_nobody_along() -> None:
    sender = Sender(api := Api())
    sender.barred["p1"] = Failed("its lease is lost", code="lease_lost")
    await sender.send_all(names(4))
    assert sender.came.pop("p1") is sender.barred["p1"]
    assert set(sender.came.values()) == {Accepted(made="1")}
    assert api.sent == [["p0", "p2", "p3"]]


async def test_a_ledger_that_is_gone_ends_it_for_all() -> None:
    sender = Sender(api := Api())
    sender.barred["p0"] = LedgerUnavailable("gone")
    await sender.send_all(names(3))
    assert [sender.came[name] for name in names(3)] == [sender.barred["p0"]] * 3
    assert not api.sent


async def test_whoever_leads_may_give_up_while_gathering() -> None:
    sender = Sender(api := Api())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names(4):
                tasks.start_soon(sender.send, name)
            await anyio.wait_all_tasks_blocked()
            sender.scopes["p0"].cancel()
    assert sender.came.pop("p0") == "cancelled"
    assert set(sender.came.values()) == {Accepted(made="1")}
    assert [sorted(one) for one in api.sent] == [["p1", "p2", "p3"]], "who gave up was sent all the same"


async def test_whoever_waits_may_give_up_and_is_not_sent() -> None:
    sender = Sender(api := Api())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names(3):
                tasks.start_soon(sender.send, name)
            await anyio.wait_all_tasks_blocked()
            sender.scopes["p1"].cancel()
    assert sender.came["p1"] == "cancelled"
    assert "p1" not in sender.begun
    assert api.sent == [["p0", "p2"]]


async def test_whoever_leads_may_give_up_before_the_first_byte() -> None:
    sender = Sender(api := Api())
    api.hold_first = anyio.Event()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names(3):
                tasks.start_soon(sender.send, name)
            await api.before.wait()
            sender.scopes["p0"].cancel()
            await anyio.wait_all_tasks_blocked()
            api.hold_first.set()
    assert sender.came == {"p0": "cancelled", "p1": Accepted(made="1"), "p2": Accepted(made="1")}
    assert [sorted(one) for one in api.sent] == [["p1", "p2"]]


async def test_whoever_leads_may_give_up_while_it_is_sent_and_the_others_do_not_know() -> None:
    sender = Sender(api := Api())
    api.hold = anyio.Event()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names(3):
                tasks.start_soon(sender.send, name)
            await api.left.wait()
            sender.scopes["p0"].cancel()
    assert sender.came.pop("p0") == "cancelled"
    assert all(isinstance(came, Unsure) and came.code == "interrupted" for came in sender.came.values())
    assert len(api.sent) == 1, "what may have arrived was sent again"


async def test_everybody_gives_up_and_nothing_is_left_behind() -> None:
    sender = Sender(api := Api())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in names(5):
                tasks.start_soon(sender.send, name)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert not api.sent
    await sender.send_all(["later"])
    assert api.sent == [["later"]]
