"""A world in which a run can die at any step: before or after whatever reaches the outside.

Every call to ledger, store and platform is a step, one at a time, so that the n-th of a kind is the same
moment on every replay. When the chosen one is reached the run dies: from then on nothing it tries reaches
the outside, and what it had in memory is gone.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio

from mediapipe.jobs.archive_recordings import Ask
from mediapipe.layout import item_key, sidecar_agrees
from mediapipe.ledger.interface import State
from mediapipe.ledger.open import open_ledger
from mediapipe.stores.interface import Created
from tests.platform import SCOPE, FakePlatform, MemoryStore, Ran, archived, services_of

T = TypeVar("T")

SETTLING = 12
"""Turns of the event loop in which all other tasks come to rest, each at its next step or at a stream."""

MARGIN = timedelta(minutes=5)
"""How far a window's list reaches into the next one."""

WAITING = frozenset({State.PENDING, State.ABSENT})


class Crash(BaseException):
    """The process died here."""


@dataclass(frozen=True)
class Death:
    """A run dies before, or just after, the n-th step of a kind (counted from 0)."""

    kind: str
    number: int
    after: bool


KINDS = (
    "begin", "anchor", "list_calls", "get_call", "claim", "list", "head", "stream", "fetch", "put recording",
    "put sidecar", "settle", "cover", "items", "release", "end",
)  # fmt: skip


@dataclass
class Steps:
    """Counts the steps of one run and kills it at one of them."""

    death: Death | None = None
    dead: bool = False

    def __post_init__(self) -> None:
        self._turn = anyio.Lock()
        self._taken: Counter[str] = Counter()

    async def take(self, kind: str, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            for _ in range(SETTLING):
                await anyio.lowlevel.checkpoint()
            number = self._taken[kind]
            self._taken[kind] += 1
            self._here(Death(kind, number, after=False))
            answer = await work()
            self._here(Death(kind, number, after=True))
            return answer

    def _here(self, moment: Death) -> None:
        self.dead = self.dead or moment == self.death
        if self.dead:
            raise Crash


class Stepping:
    """Anything whose methods are steps."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        async def step(*args: Any, **more: Any) -> Any:
            return await self._steps.take(self._kind(name, args), lambda: found(*args, **more))

        return step

    def _kind(self, name: str, args: tuple[Any, ...]) -> str:
        return name


class SteppingStore(Stepping):
    """A store whose calls are steps."""

    def _kind(self, name: str, args: tuple[Any, ...]) -> str:
        if name != "put":
            return name
        return "put sidecar" if args[0].endswith(".json") else "put recording"

    async def _all(self, pages: AsyncIterator[Any]) -> list[Any]:
        return [page async for page in pages]

    async def list(self, prefix: str) -> AsyncIterator[Any]:
        for entry in await self._steps.take("list", lambda: self._all(self._inner.list(prefix))):
            yield entry

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        for chunk in await self._steps.take("stream", lambda: self._all(self._inner.stream(key))):
            yield chunk


class SteppingLedger(Stepping):
    """A ledger whose calls are steps; ``watch`` sees a window before it counts as covered."""

    def __init__(self, inner: Any, steps: Steps, watch: Callable[[datetime, datetime], None]) -> None:
        super().__init__(inner, steps)
        self._watch = watch

    async def _all(self, pages: AsyncIterator[Any]) -> list[Any]:
        return [page async for page in pages]

    async def items(self, *args: Any, **more: Any) -> AsyncIterator[Any]:
        for page in await self._steps.take("items", lambda: self._all(self._inner.items(*args, **more))):
            yield page

    async def cover(self, scope: Any, start: datetime, end: datetime) -> Any:
        async def cover() -> Any:
            self._watch(start, end)
            return await self._inner.cover(scope, start, end)

        return await self._steps.take("cover", cover)


class WatchedStore(MemoryStore):
    """A store that tells of each creation before it happens."""

    watch: Callable[[str, str], None] = staticmethod(lambda key, item: None)

    async def put(self, key: str, body: Any, **more: Any) -> Any:
        self.watch(key, more["metadata"]["item"])
        answer = await super().put(key, body, **more)
        if isinstance(answer, Created):
            self.created[key] = self.created.get(key, 0) + 1
        return answer

    def __init__(self) -> None:
        super().__init__()
        self.created: dict[str, int] = {}


@dataclass
class World:
    """A platform, an archive and a ledger in a folder, and whatever went wrong with them."""

    folder: Path
    workers: int = 1
    lookback: timedelta = timedelta(0)
    platform: FakePlatform = field(default_factory=FakePlatform)
    store: WatchedStore = field(default_factory=WatchedStore)
    wrong: list[str] = field(default_factory=list)
    runs: int = 0
    dead_owner: str = ""
    undisturbed: bool = False
    """Whether the latest run went through to its end."""

    def __post_init__(self) -> None:
        self.known: dict[str, str | None] = {}
        self.store.watch = self._before_put

    @property
    def path(self) -> str:
        return str(self.folder / "ledger.db")

    def rows(self) -> dict[str, State]:
        """Return what is durable in the ledger, seen from outside."""
        connection = sqlite3.connect(self.path)
        try:
            return {
                key: State(state) for key, state in connection.execute("SELECT key, state FROM ledger_items")
            }
        except sqlite3.OperationalError:  # no ledger yet
            return {}
        finally:
            connection.close()

    async def run(self, ask: Ask, *, death: Death | None = None) -> Ran | None:
        """Run the job; None when it died."""
        self.runs += 1
        self.known = {call.call_id: call.recording_id for call in self.platform.calls.values()}
        steps, owner = Steps(death), f"owner-{self.runs}"
        before, started = dict(self.store.objects), len(self.platform.downloads)
        self.undisturbed = False
        async with await open_ledger(self.path, owner=owner) as ledger:
            if self.dead_owner:
                await ledger.release(SCOPE, self.dead_owner)
            # Until it has said otherwise, it may be dead.
            self.dead_owner = owner
            stepping = Stepping(self.platform, steps)
            services = services_of(
                stepping, stepping, SteppingStore(self.store, steps),
                SteppingLedger(ledger, steps, self._before_cover), self.folder,
                workers=self.workers, lookback=self.lookback,
            )  # fmt: skip
            try:
                ran = await archived(services, ask, f"run-{self.runs}")
            except BaseException:
                if not steps.dead:
                    raise
                return None
            finally:
                self._no_second_download(before, started)
        self.dead_owner, self.undisturbed = "", True
        return ran

    async def watermark(self) -> datetime | None:
        async with await open_ledger(self.path, owner="reader") as ledger:
            return await ledger.watermark(SCOPE)

    # ── rules that hold at every moment ─────────────────────────────────────────────────────────

    def _before_put(self, key: str, item: str) -> None:
        if self.rows().get(item) is not State.INTENDED:
            self.wrong.append(f"{key} is put without an intent")

    def _before_cover(self, start: datetime, end: datetime) -> None:
        rows = self.rows()
        for call_id, recording_id in self.known.items():
            call = self.platform.calls.get(call_id)
            if call is None:  # it vanished meanwhile
                continue
            # What is listed by another time than its start may be the next window's to find.
            if call.started is None or call.started != call.stamp or not start <= call.started < end:
                continue
            state = rows.get(item_key(call_id, recording_id))
            # The window before may have listed it too, and then waits for it in this one's place.
            waited_for = call.started < start + MARGIN and state is not None
            handled = state is State.DONE if recording_id else state in WAITING
            if not handled and not waited_for:
                self.wrong.append(f"{start} to {end} counts as covered, but {call_id} is {state}")

    def _no_second_download(self, before: dict[str, bytes], started: int) -> None:
        there = {key.rpartition("/")[2].removesuffix(".wav") for key in before if key.endswith(".wav")}
        for item in self.platform.downloads[started:]:
            if item in there:
                self.wrong.append(f"{item} stood in the store and was downloaded again")

    def check(self) -> None:
        """Assert what has to hold whenever no run is under way."""
        assert self.wrong == []
        assert set(self.store.created.values()) <= {1}, "an object was created twice"
        recordings, sidecars = self.store.recordings, self.store.sidecars
        for call in self.platform.calls.values():
            item = item_key(call.call_id, call.recording_id)
            assert recordings.get(item, call.body) == call.body, f"{item} has other bytes"
        assert set(sidecars) <= set(recordings), "a sidecar came before its recording"
        for key in self.store.objects:
            if key.endswith(".wav"):
                raw, said = self.store.objects[key], self.store.objects.get(key[:-4] + ".json")
                sha256 = json.loads(said)["sha256"] if said else ""
                assert said is None or sidecar_agrees(said, key=key, sha256=sha256, size=len(raw))
        for item, state in self.rows().items():
            if state is State.DONE:
                assert item in sidecars, f"{item} is done, but does not stand there whole"
        if self.undisturbed:
            assert set(sidecars) == set(recordings), "a recording was left without its sidecar"

    def check_complete(self, start: datetime, end: datetime) -> None:
        """Assert that every call that the platform had when the run began is archived or waited for."""
        rows, sidecars = self.rows(), self.store.sidecars
        for call_id, recording_id in self.known.items():
            call = self.platform.calls.get(call_id)
            if call is None:  # it vanished meanwhile
                continue
            if call.started is None or not start <= call.started < end:
                continue
            item = item_key(call_id, recording_id)
            if recording_id is None:
                assert rows[item] in WAITING
            else:
                assert rows.get(item) is State.DONE, f"{item} is {rows.get(item)}"
                assert item in sidecars
                assert rows.get(call_id) in {None, State.CLOSED}, "the call still waits for its recording"
