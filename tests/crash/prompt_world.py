"""A world in which a deployment can die at any step, over an account in memory that keeps what was uploaded.

The jobs, the line, ledger, lock file and releases are the real ones; only the audio is not rendered.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mediapipe.audio.rendering import parse_rendering_profile
from mediapipe.convirza.prompts import PromptUpload
from mediapipe.convirza.uploads import Accepted, Answer, Unsure
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.apply_prompts import Ask, apply_prompts
from mediapipe.jobs.rollback_prompts import Ask as RollbackAsk
from mediapipe.jobs.rollback_prompts import rollback_prompts
from mediapipe.ledger.interface import Scope
from mediapipe.ledger.open import open_ledger
from mediapipe.library.attempts import entry_of
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import NAME, LibraryLock, LockFile
from mediapipe.library.plan import Change, Choices
from mediapipe.library.preparing import Wishes
from mediapipe.library.publishing import Ready, Tools, about
from mediapipe.library.releases import Releases
from mediapipe.library.studio import Rendered, Session
from mediapipe.library.words import Listed, PromptType, Routes
from mediapipe.liveness import alive, owner_of
from mediapipe.manifest.prompts import read_prompts
from mediapipe.manifest.roots import Root
from mediapipe.pacing import RetryPolicy
from mediapipe.prompt_services import PromptServices
from tests.crash.world import Death, Stepping, SteppingLedger, Steps
from tests.platform import MemoryStore

LIBRARY = "host/account"
SCOPE = Scope("prompts.apply", LIBRARY)
Begin = Callable[[], Awaitable[None]]
PROFILE = parse_rendering_profile("", "here")
KINDS = ("upload", "delete", "change", "intend", "claim", "settle", "publish", "keep", "list_prompts")


@dataclass
class Account:
    """The platform's library. ``ways`` says how the next upload of a key ends."""

    ways: dict[str, str] = field(default_factory=dict)
    there: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Key and bytes by id."""
    taken: Counter[str] = field(default_factory=Counter)
    types = tuple(PromptType)
    deletes = True
    batch = 1

    async def list_prompts(self, kind: PromptType | None = None, name: str | None = None) -> list[Listed]:
        entries = [
            Listed(prompt_id, *key.split("/", 1), len(data)) for prompt_id, (key, data) in self.there.items()
        ]
        return [one for one in entries if kind in (None, one.type) and name in (None, one.name)]

    async def upload(
        self, uploads: Sequence[PromptUpload], *, begin: Callable[[], Awaitable[None]]
    ) -> Answer:
        upload = uploads[0]
        key = f"{upload.type.value}/{upload.name}"
        way = self.ways.pop(key, "taken")
        await begin()
        data = upload.path.read_bytes()
        if way == "dropped":
            return Unsure("connection_lost", "it broke off")
        made = str(100 + self.taken.total())
        self.taken[key] += 1
        self.there[made] = key, data[: len(data) // 2] if way == "half" else data
        return Accepted(made=made) if way == "taken" else Unsure("connection_lost", "it broke off")

    async def delete(self, prompt_id: str) -> bool:
        return self.there.pop(prompt_id, None) is not None

    async def routes(self) -> Routes:
        return Routes(True, {})


class Uploading(Stepping):
    """The account as a run sees it; an upload is a step from its first byte on."""

    async def upload(self, uploads: Any, *, begin: Begin) -> Answer:
        await begin()

        async def nothing() -> None:
            pass

        answer: Answer = await self._steps.take("upload", lambda: self._inner.upload(uploads, begin=nothing))
        return answer


class NoStudio:
    """Stands in for the engine: every prompt passes as it is."""

    async def render(self, changes: Sequence[Change], **more: Any) -> Session:
        session = Session()
        for change in changes:
            assert change.desired is not None
            assert change.desired.path is not None
            data = change.desired.path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            entry = entry_of(change.desired, sha256=digest, size=len(data), container="wav")
            session.rendered.append(
                Rendered(change, about(change), Ready(change, change.desired.path, entry))
            )
        return session


@dataclass
class Ran:
    """One run that came to its end."""

    code: int
    outcomes: list[Outcome]

    def of(self, verdict: Verdict) -> set[str]:
        return {one.key for one in self.outcomes if one.verdict is verdict}


@dataclass
class PromptWorld:
    """An account, a folder of prompts, a ledger; audio can be changed, runs can die."""

    folder: Path
    audio: dict[str, bytes] = field(default_factory=dict)
    """What each prompt is to sound like, by name."""
    account: Account = field(default_factory=Account)
    store: MemoryStore = field(default_factory=MemoryStore)
    runs: int = 0
    steps: Steps = field(default_factory=Steps)

    async def apply(self, *, death: Death | None = None, prune: bool = False) -> Ran | None:
        """Apply; None when the run died."""
        with (self.folder / "p.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "type", "name"])
            for name, data in self.audio.items():
                (self.folder / f"{name}.wav").write_bytes(data)
                writer.writerow([f"{name}.wav", "prompt", name])
        read = read_prompts(self.folder / "p.csv", Root(self.folder))
        wishes = Wishes(read, lambda name: PROFILE, "telephony", Choices(prune=prune))
        told: list[Outcome] = []

        async def work(services: PromptServices, run_id: str) -> int:
            return (await apply_prompts(services, Ask(wishes), run_id=run_id, sink=told.append)).exit_code

        return await self._live(work, told, death)

    async def rollback(self, number: int, *, death: Death | None = None) -> Ran | None:
        """Roll back; None when the run died."""
        told: list[Outcome] = []

        async def work(services: PromptServices, run_id: str) -> int:
            ask = RollbackAsk(number, Choices())
            return (await rollback_prompts(services, ask, run_id=run_id, sink=told.append)).exit_code

        return await self._live(work, told, death)

    async def _live(
        self,
        work: Callable[[PromptServices, str], Awaitable[int]],
        told: list[Outcome],
        death: Death | None,
    ) -> Ran | None:
        self.runs += 1
        self.steps, run_id = Steps(death), f"run-{self.runs}"
        folder = self.folder / "runs" / run_id
        folder.mkdir(parents=True)
        with alive(folder):
            async with await open_ledger(str(self.folder / "ledger.db"), owner=owner_of(run_id)) as ledger:
                stepping = SteppingLedger(ledger, self.steps, lambda start, end: None)
                try:
                    code = await work(self._services(stepping), run_id)
                except BaseException:
                    if not self.steps.dead:
                        raise
                    return None
        return None if self.steps.dead else Ran(code, told)

    def _services(self, ledger: Any) -> PromptServices:
        retry = RetryPolicy(attempts=1, wait_initial=0.0, wait_max=0.0, total=1.0)
        releases: Any = Stepping(Releases(self.store, LIBRARY, retry), self.steps)
        keeper: Any = Stepping(Keeper(LockFile(self.folder / NAME, LIBRARY)), self.steps)
        api: Any = Uploading(self.account, self.steps)
        tools = Tools(api, ledger, SCOPE, keeper, releases, timedelta(0))
        studio: Any = NoStudio()
        return PromptServices(tools, studio, 2, self.folder / "runs")

    # ── what has to hold ────────────────────────────────────────────────────────────────────

    @property
    def lock(self) -> LibraryLock:
        """The lock as it is on the disk."""
        return LockFile(self.folder / NAME, LIBRARY).lock

    def check(self) -> None:
        """Assert what holds whenever no run is under way: the lock names nothing that is not so."""
        for key, entry in self.lock.prompts.items():
            if entry.prompt_id in self.account.there:
                there, data = self.account.there[entry.prompt_id]
                assert there == key
                assert hashlib.sha256(data).hexdigest() == entry.rendered_sha256

    def equal(self, superseded: Sequence[str] = (), wanted: dict[str, bytes] | None = None) -> None:
        """Assert that the account holds what is wanted: nothing twice, no orphan, the very bytes."""
        audio = self.audio if wanted is None else wanted
        lock = self.lock
        assert set(lock.prompts) == {f"prompt/{name}" for name in audio}
        for name, data in audio.items():
            entry = lock.prompts[f"prompt/{name}"]
            assert self.account.there[entry.prompt_id] == (f"prompt/{name}", data)
        there = Counter(key for key, _ in self.account.there.values())
        assert there == Counter(f"prompt/{name}" for name in audio) + Counter(superseded)
        assert lock.ids == set(self.account.there), "an id that nobody knows of, or that is not there"
