"""Uploads that an earlier run did not see end, of every sight: settled by a run, only foreseen by a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.errors import Failed
from mediapipe.ledger.interface import Claim, Ledger, Receipt, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.library.attempts import Attempt
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import NAME, Entry, LibraryLock, LockFile
from mediapipe.library.publishing import Tools
from mediapipe.library.recovery import Recovered, foresee, recover
from mediapipe.library.releases import Releases
from mediapipe.library.words import Listed, PromptType
from mediapipe.pacing import RetryPolicy
from tests.crash.prompt_world import LIBRARY, SCOPE, Account
from tests.platform import MemoryStore

pytestmark = pytest.mark.anyio

KEY = "prompt/a"
SENT = b"0123456789"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Lagging(Account):
    """An account whose list goes on showing what was deleted, and may refuse to delete."""

    refuses = False
    shows_deleted = False

    def __init__(self) -> None:
        super().__init__()
        self.gone: list[Listed] = []

    async def delete(self, prompt_id: str) -> bool:
        if self.refuses:
            raise Failed("it may not be deleted", code="http_500")
        if self.shows_deleted:
            key, data = self.there[prompt_id]
            self.gone.append(Listed(prompt_id, *key.split("/", 1), len(data)))
        return await super().delete(prompt_id)

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        return [*await super().list_prompts(kind, name), *self.gone]


@dataclass
class Bench:
    """What recovering works with: an account in memory, a real ledger and lock file."""

    folder: Path
    account: Lagging
    ledger: Ledger
    tools: Tools

    @property
    def lock(self) -> LibraryLock:
        return LockFile(self.folder / NAME, LIBRARY).lock

    def holds(self, prompt_id: str, data: bytes = SENT, key: str = KEY) -> None:
        self.account.there[prompt_id] = key, data

    async def begun(
        self, *before: str, key: str = KEY, made: str = "", let_go: bool = True, accepted: bool = False
    ) -> None:
        """Leave an upload behind that a run began."""
        entry = Entry(made, "source", "recipe", "sent", len(SENT), "wav")
        latest = datetime.now(UTC) - timedelta(minutes=5)
        answers = await self.ledger.claim(
            SCOPE, [Want(key)], run_id="old", lease=timedelta(minutes=1), takes=frozenset(State)
        )
        assert isinstance(answers[0], Claim)
        attempt = Attempt(key, entry, frozenset(before), 0, latest, accepted)
        await self.ledger.intend(answers[0], attempt.as_detail())
        if let_go:
            await self.ledger.release(SCOPE, self.ledger.owner)

    async def state(self, key: str = KEY) -> State:
        return (await self.ledger.peek(SCOPE, [key]))[key]

    async def recover(self) -> Recovered:
        with anyio.fail_after(20):
            return await recover(self.tools, "new")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    account = Lagging()
    keeper = Keeper(LockFile(tmp_path / NAME, LIBRARY))
    await keeper.change(lambda lock: replace(lock, release=1))
    async with await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="here/1/new") as ledger:
        releases = Releases(_any(MemoryStore()), LIBRARY, RetryPolicy(1, 0.0, 0.0, 1.0))
        tools = Tools(_any(account), ledger, SCOPE, keeper, releases, timedelta(0))
        yield Bench(tmp_path, account, ledger, tools)


def _any(value: Any) -> Any:
    return value


async def test_nothing_open_is_nothing_to_do(bench: Bench) -> None:
    bench.holds("1")
    found = await bench.recover()
    assert [one.prompt_id for one in found.listed] == ["1"]
    assert found == Recovered(found.listed, bench.lock)


async def test_what_is_there_stands(bench: Bench) -> None:
    await bench.begun("1")
    bench.holds("1")
    bench.holds("2")
    found = await bench.recover()
    assert found.lock == bench.lock
    assert bench.lock.prompts[KEY].prompt_id == "2"
    assert await bench.state() is State.DONE
    assert "it is there as id 2" in found.notes[0]


async def test_what_came_to_nothing_may_be_sent_again(bench: Bench) -> None:
    await bench.begun("1")
    bench.holds("1")
    found = await bench.recover()
    assert not found.unclear
    assert not bench.lock.prompts
    assert await bench.state() is State.FAILED


async def test_half_of_it_is_deleted_and_not_seen_any_more(bench: Bench) -> None:
    """Also where the list shows it for a while: it would be taken over as somebody's."""
    bench.account.shows_deleted = True
    await bench.begun()
    bench.holds("2", SENT[:5])
    found = await bench.recover()
    assert not bench.account.there
    assert found.listed == []
    assert not found.unclear
    assert await bench.state() is State.FAILED


async def test_half_of_it_that_cannot_be_deleted_is_not_taken_for_whole(bench: Bench) -> None:
    bench.account.deletes = False
    await bench.begun()
    bench.holds("2", SENT[:5])
    for found in (await foresee(bench.tools), await bench.recover()):
        assert "only a part" in found.unclear[KEY]
        assert "cannot be deleted here" in found.unclear[KEY]
        assert [one.prompt_id for one in found.listed] == ["2"]
    assert await bench.state() is State.UNCERTAIN
    assert not bench.lock.prompts


async def test_half_of_it_whose_deletion_fails_holds_up_nothing_else(bench: Bench) -> None:
    bench.account.refuses = True
    await bench.begun()
    await bench.begun(key="prompt/b")
    bench.holds("2", SENT[:5])
    bench.holds("3", key="prompt/b")
    found = await bench.recover()
    assert "could not be deleted: it may not be deleted" in found.unclear[KEY]
    assert bench.lock.prompts["prompt/b"].prompt_id == "3"
    assert (await bench.state(), await bench.state("prompt/b")) == (State.UNCERTAIN, State.DONE)
    bench.account.refuses = False
    again = await bench.recover()
    assert not again.unclear
    assert set(bench.account.there) == {"3"}


async def test_what_was_accepted_and_is_kept_smaller_is_not_deleted(bench: Bench) -> None:
    await bench.begun(accepted=True)
    bench.holds("2", SENT[:5])
    for found in (await foresee(bench.tools), await bench.recover()):
        assert found.lock.prompts[KEY].prompt_id == "2"
        assert "5 bytes, 10 were sent" in found.notes[0]
        assert not found.half_made
    assert set(bench.account.there) == {"2"}
    assert await bench.state() is State.DONE


async def test_several_are_left_alone_and_said(bench: Bench) -> None:
    await bench.begun()
    bench.holds("2", SENT[:5])
    bench.holds("3")
    found = await bench.recover()
    assert "2 new entries have its name (2, 3)" in found.unclear[KEY]
    assert set(bench.account.there) == {"2", "3"}
    assert await bench.state() is State.UNCERTAIN


async def test_the_id_that_its_answer_named_tells_them_apart(bench: Bench) -> None:
    await bench.begun(made="3")
    bench.holds("2", SENT[:5])
    bench.holds("3")
    found = await bench.recover()
    assert not found.unclear
    assert bench.lock.prompts[KEY].prompt_id == "3"
    assert set(bench.account.there) == {"2", "3"}, "somebody else's was deleted"


async def test_somebody_else_s_shorter_one_is_not_deleted_as_ours(bench: Bench) -> None:
    await bench.begun(made="3")
    bench.holds("2", SENT[:5])
    found = await bench.recover()
    assert set(bench.account.there) == {"2"}
    assert not found.half_made


async def test_what_the_lock_knows_better_stays(bench: Bench) -> None:
    """Another machine uploaded other audio since, with a ledger of its own."""
    newer = Entry("9", "newer", "recipe", "newer", len(SENT), "wav")
    await bench.begun("1")
    await bench.tools.keeper.change(lambda lock: lock.standing(KEY, newer, now="t"))
    bench.holds("1")
    bench.holds("9")
    foreseen = await foresee(bench.tools)
    found = await bench.recover()
    assert foreseen.lock.prompts[KEY] == found.lock.prompts[KEY] == bench.lock.prompts[KEY] == newer
    assert await bench.state() is State.DONE


async def test_what_a_living_run_holds_is_left_to_it(bench: Bench) -> None:
    async with await open_ledger(f"sqlite:///{bench.folder / 'ledger.db'}", owner="there/1/x") as other:
        await replace_ledger(bench, other).begun(let_go=False)
        bench.holds("2")
        found = await bench.recover()
        assert found.unclear == {KEY: "another run is working on it"}
        assert not bench.lock.prompts
        assert await bench.state() is State.INTENDED


def replace_ledger(bench: Bench, ledger: Ledger) -> Bench:
    return Bench(bench.folder, bench.account, ledger, bench.tools)


async def test_what_may_be_on_its_way_is_waited_for(bench: Bench) -> None:
    lagging = replace(bench.tools, lag=timedelta(seconds=0.6))
    entry = Entry("", "source", "recipe", "sent", len(SENT), "wav")
    (claim,) = await bench.ledger.claim(
        SCOPE, [Want(KEY)], run_id="old", lease=timedelta(minutes=1), takes=frozenset(State)
    )
    assert isinstance(claim, Claim)
    await bench.ledger.intend(claim, Attempt(KEY, entry, latest=datetime.now(UTC)).as_detail())
    await bench.ledger.release(SCOPE, bench.ledger.owner)

    async def arrives() -> None:
        await anyio.sleep(0.2)
        bench.holds("2")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(arrives)
        found = await recover(lagging, "new")
    assert found.lock.prompts[KEY].prompt_id == "2"


async def test_an_attempt_from_the_future_is_waited_for_no_longer_than_the_lag(bench: Bench) -> None:
    entry = Entry("", "source", "recipe", "sent", len(SENT), "wav")
    (claim,) = await bench.ledger.claim(
        SCOPE, [Want(KEY)], run_id="old", lease=timedelta(minutes=1), takes=frozenset(State)
    )
    assert isinstance(claim, Claim)
    later = datetime.now(UTC) + timedelta(days=3)  # of a machine whose clock is wrong
    await bench.ledger.intend(claim, Attempt(KEY, entry, latest=later).as_detail())
    await bench.ledger.release(SCOPE, bench.ledger.owner)
    with anyio.fail_after(5):
        await recover(replace(bench.tools, lag=timedelta(seconds=0.2)), "new")


async def test_a_plan_does_not_give_up_what_was_sent_just_now(bench: Bench) -> None:
    await bench.begun()
    young = replace(bench.tools, lag=timedelta(minutes=10))  # it was sent five minutes ago
    (note,) = (await foresee(young)).notes
    assert "may still turn up: it was sent just now" in note
    (note,) = (await foresee(bench.tools)).notes
    assert note.endswith("nothing came of it")


async def test_a_plan_does_not_give_up_what_a_living_run_may_be_sending(bench: Bench) -> None:
    async with await open_ledger(f"sqlite:///{bench.folder / 'ledger.db'}", owner="there/1/x") as other:
        await replace_ledger(bench, other).begun(let_go=False)
        (note,) = (await foresee(bench.tools)).notes
        assert "may still turn up: a run is at work" in note
        await other.release(SCOPE, other.owner)
    (note,) = (await foresee(bench.tools)).notes
    assert note.endswith("nothing came of it")


async def test_thousands_of_open_uploads_are_settled_in_little_time(bench: Bench) -> None:
    keys = [f"prompt/p{number:04}" for number in range(2_000)]
    entry = Entry("", "source", "recipe", "sent", len(SENT), "wav")
    wants = [Want(key) for key in keys]
    claims = await bench.ledger.claim(
        SCOPE, wants, run_id="old", lease=timedelta(minutes=1), takes=frozenset(State)
    )
    receipts = [
        Receipt(claim, State.UNCERTAIN, detail=Attempt(claim.key, entry).as_detail())
        for claim in claims
        if isinstance(claim, Claim)
    ]
    await bench.ledger.settle(receipts, run_id="old")
    for number, key in enumerate(keys):
        if number % 4:
            bench.holds(str(number), SENT if number % 4 < 3 else SENT[:5], key)
    with anyio.fail_after(15):
        foreseen = await foresee(bench.tools)
        found = await recover(bench.tools, "new")
    states = Counter((await bench.ledger.peek(SCOPE, keys)).values())
    assert states == {State.DONE: 1_000, State.FAILED: 1_000}
    assert len(bench.lock.prompts) == len(bench.account.there) == 1_000
    assert (len(found.half_made), len(found.notes)) == (500, 2_000)
    assert foreseen.lock.prompts.keys() == found.lock.prompts.keys()
    assert foreseen.listed == found.listed


async def test_a_plan_writes_nothing(bench: Bench) -> None:
    for key, ids in {"prompt/a": ["2"], "prompt/b": ["3", "4"], "prompt/c": [], "prompt/d": ["5"]}.items():
        await bench.begun(key=key)
        for prompt_id in ids:
            bench.holds(prompt_id, SENT[:5] if key == "prompt/d" else SENT, key)
    before, there = files(bench.folder), dict(bench.account.there)
    states = await bench.ledger.peek(SCOPE, [f"prompt/{name}" for name in "abcd"])
    found = await foresee(bench.tools)
    assert files(bench.folder) == before
    assert bench.account.there == there
    assert await bench.ledger.peek(SCOPE, [f"prompt/{name}" for name in "abcd"]) == states
    assert set(found.lock.prompts) == {"prompt/a"}
    assert set(found.unclear) == {"prompt/b"}
    assert [one.prompt_id for one in found.listed] == ["2", "3", "4"]
    settled = await bench.recover()
    assert set(settled.lock.prompts) == set(found.lock.prompts)
    assert (settled.unclear, settled.listed) == (found.unclear, found.listed)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and "shm" not in path.name
    }
