"""The stage that uploads, against accounts whose lists lag, lose entries, or show somebody else's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.prompts import PromptUpload
from mediapipe.convirza.uploads import Accepted, Answer, Unsure
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Claim, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.library.bundles import Bundler
from mediapipe.library.desired import Desired
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import NAME, Entry, LibraryLock, LockFile
from mediapipe.library.plan import Action, Change
from mediapipe.library.publishing import Publisher, Ready, Tools
from mediapipe.library.releases import Releases
from mediapipe.library.words import Listed, PromptType
from mediapipe.line import Entry as LineEntry
from mediapipe.line import Job
from mediapipe.pacing import RetryPolicy
from tests.crash.prompt_world import LIBRARY, SCOPE
from tests.platform import MemoryStore

pytestmark = pytest.mark.anyio

KEY = "prompt/a"
SENT = bytes(100)
Begin = Callable[[], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Script:
    """An account that answers and lists as it is told; the last list stays. ``deleted`` are ids."""

    answers: list[Answer]
    lists: list[list[Listed]]
    types = tuple(PromptType)
    deletes = True
    batch = 1
    sent: int = 0
    deleted: list[str] = field(default_factory=list)

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        return self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]

    async def upload(self, uploads: Sequence[PromptUpload], *, begin: Begin) -> Answer:
        await begin()
        self.sent += 1
        return self.answers.pop(0)

    async def delete(self, prompt_id: str) -> bool:
        self.deleted.append(prompt_id)
        return True


def there(*entries: tuple[str, int]) -> list[Listed]:
    return [Listed(prompt_id, "prompt", "a", size) for prompt_id, size in entries]


@dataclass
class Bench:
    folder: Path
    tools: Tools
    script: Script

    async def publish(
        self,
        *,
        before: Sequence[Listed] = (),
        known: LibraryLock | None = None,
        action: Action = Action.CREATE,
    ) -> Outcome:
        path = self.folder / "a.wav"
        path.write_bytes(SENT)
        digest = hashlib.sha256(SENT).hexdigest()
        wanted = Desired(KEY, PromptType.PROMPT, "a", "source", "recipe", path, None)
        ready = Ready(
            Change(action, KEY, desired=wanted), path, Entry("", "source", "recipe", digest, 100, "wav")
        )
        (claim,) = await self.tools.ledger.claim(
            SCOPE, [Want(KEY)], run_id="run", lease=timedelta(minutes=1), takes=frozenset(State)
        )
        assert isinstance(claim, Claim)
        api: Any = self.script
        publisher = Publisher(self.tools, before, Bundler(api), known or LibraryLock())
        with anyio.fail_after(20):
            return (await publisher.publish(Job(LineEntry(Want(KEY), ready), claim, ready))).outcome

    @property
    def lock(self) -> LibraryLock:
        return LockFile(self.folder / NAME, LIBRARY).lock


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Callable[..., Bench]]:
    keeper = Keeper(LockFile(tmp_path / NAME, LIBRARY))
    store: Any = MemoryStore()
    async with await open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", owner="here/1/new") as ledger:

        def made(answers: list[Answer], *lists: list[Listed], lag: float = 0.0) -> Bench:
            script: Any = Script(answers, list(lists))
            releases = Releases(store, LIBRARY, RetryPolicy(1, 0.0, 0.0, 1.0))
            tools = Tools(script, ledger, SCOPE, keeper, releases, timedelta(seconds=lag))
            return Bench(tmp_path, tools, script)

        yield made


Make = Callable[..., Bench]
UNSURE = Unsure("connection_lost", "it broke off")


async def test_what_was_ours_and_turns_up_again_is_not_what_was_sent(bench: Make) -> None:
    """Its list lost id 5 for a while; it has other audio, and routes play it."""
    known = LibraryLock({KEY: Entry("5", "old", "recipe")})
    it = bench([Accepted(made="8")], there(("5", 60)), there(("5", 60), ("8", 100)), lag=3.0)
    outcome = await it.publish(known=known, action=Action.DRIFTED)
    assert (outcome.verdict, it.script.deleted, it.script.sent) == (Verdict.DONE, [], 1)
    assert it.lock.prompts[KEY].prompt_id == "8"


async def test_somebody_else_s_shorter_one_is_not_deleted_as_half_of_ours(bench: Make) -> None:
    it = bench([Accepted(made="8")], there(("7", 60)), there(("7", 60), ("8", 100)), lag=3.0)
    outcome = await it.publish()
    assert (outcome.verdict, it.script.deleted) == (Verdict.DONE, [])
    assert it.lock.prompts[KEY].prompt_id == "8"


async def test_accepted_and_only_somebody_else_s_is_seen(bench: Make) -> None:
    it = bench([Accepted(made="8")], there(("7", 60)))
    outcome = await it.publish()
    assert (outcome.verdict, outcome.reason) == (Verdict.UNCERTAIN, "unverified")
    assert (it.script.deleted, it.script.sent) == ([], 1)


async def test_half_of_it_is_deleted_and_its_shadow_in_the_list_does_not_confuse(bench: Make) -> None:
    it = bench([UNSURE, UNSURE], there(("7", 60)), there(("7", 60), ("8", 100)))
    outcome = await it.publish()
    assert (outcome.verdict, it.script.deleted, it.script.sent) == (Verdict.DONE, ["7"], 2)
    assert it.lock.prompts[KEY].prompt_id == "8"


async def test_what_the_platform_keeps_in_a_larger_form_is_not_half_of_anything(bench: Make) -> None:
    it = bench([Accepted(made="8")], there(("8", 164)))
    outcome = await it.publish()
    assert (outcome.verdict, it.script.deleted) == (Verdict.DONE, [])
    assert [one.code for one in outcome.warnings] == ["size_differs"]


@pytest.mark.parametrize("made", ["8", ""])
async def test_what_was_accepted_and_is_kept_smaller_is_done_with_a_remark(bench: Make, made: str) -> None:
    it = bench([Accepted(made=made)], there(("8", 60)))
    outcome = await it.publish()
    assert (outcome.verdict, it.script.deleted, it.script.sent) == (Verdict.DONE, [], 1)
    assert [one.code for one in outcome.warnings] == ["size_differs"]
    assert "60 bytes, 100 were sent" in outcome.warnings[0].message
    assert it.lock.prompts[KEY].prompt_id == "8"


async def test_what_is_as_long_as_it_was_sent_has_no_remark(bench: Make) -> None:
    outcome = await bench([Accepted(made="8")], there(("8", 100))).publish()
    assert (outcome.verdict, outcome.warnings) == (Verdict.DONE, ())


async def test_two_that_cannot_be_told_apart_are_left_and_not_sent_again(bench: Make) -> None:
    it = bench([UNSURE], there(("7", 60), ("8", 100)))
    outcome = await it.publish()
    assert (outcome.verdict, outcome.reason) == (Verdict.UNCERTAIN, "several")
    assert (it.script.deleted, it.script.sent) == ([], 1)


async def test_what_stood_before_is_superseded_only_while_it_is_there(bench: Make) -> None:
    it = bench([Accepted(made="8"), Accepted(made="9")], there(("5", 1), ("8", 100)))
    await it.tools.keeper.change(lambda lock: lock.standing(KEY, Entry("5", "old", "r"), now="t"))
    await it.publish(before=there(("5", 1)), action=Action.REPLACE)
    assert it.lock.ids == {"5", "8"}
    it.script.lists = [there(("5", 1), ("9", 100))]
    await it.publish(before=there(("5", 1)), known=it.lock, action=Action.DRIFTED)
    assert it.lock.ids == {"5", "9"}, "an id that is not in the account is still remembered"


async def test_nothing_comes_of_it_and_it_is_sent_a_few_times(bench: Make) -> None:
    it = bench([UNSURE] * 5, there())
    outcome = await it.publish()
    assert (outcome.verdict, outcome.reason, it.script.sent) == (Verdict.UNCERTAIN, "connection_lost", 3)
