"""A plan carried out: adopt, upload, prune, and keep what came of it as a release."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from mediapipe.errors import Fatal, ItemError, Transient, UsageError
from mediapipe.exclusive import still_ours
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.ledger.interface import Claim, State, Want
from mediapipe.library.bundles import Bundler
from mediapipe.library.lockfile import Entry, LibraryLock
from mediapipe.library.plan import Action, Change, Plan
from mediapipe.library.preparing import foreseen
from mediapipe.library.pruning import Pruner, look_once_more
from mediapipe.library.publishing import Publisher, Ready, Tools, about
from mediapipe.library.recovery import Recovered
from mediapipe.library.releases import Release, Released, difference, released
from mediapipe.line import Ending, Line, Sink, Stage
from mediapipe.line import Entry as LineEntry
from mediapipe.pipeline import run

log = logging.getLogger(__name__)

T = TypeVar("T")
Source: TypeAlias = Callable[[], AsyncGenerator[Sequence[LineEntry[T]], None]]

_NOT_UP = (Verdict.FAILED, Verdict.REJECTED, Verdict.UNCERTAIN)
PAGE = 64
ANY = frozenset(State)
"""A prompt may be uploaded however it ended before: whether it has to be is the plan's to say."""


@dataclass(slots=True)
class Deployed:
    """What came of a plan; ``release`` is the new one, None when nothing changed or it could not be kept."""

    tally: Tally = field(default_factory=Tally)
    ending: Ending = field(default_factory=Ending)
    release: Release | None = None
    notes: list[str] = field(default_factory=list)
    unproven: bool = False

    @property
    def over(self) -> bool:
        """Nothing more is to be begun."""
        return self.ending.interrupted or self.ending.fatal is not None


@dataclass(slots=True)
class Deployment:
    """Carries one plan out. ``alone`` is the claim that keeps others away."""

    tools: Tools
    run_id: str
    sink: Sink
    alone: Claim
    workers: int
    signals: bool = False
    result: Deployed = field(default_factory=Deployed)
    _there: frozenset[str] = frozenset()

    async def carry_out(
        self, plan: Plan, found: Recovered, ready: Sequence[Ready], *, note: str = ""
    ) -> Deployed:
        """Do it all. ``ready`` are the uploads of the plan, their audio at hand."""
        self._there = frozenset(one.prompt_id for one in found.listed)
        await self.tools.keeper.change(lambda _: _refreshed(plan))
        for change in plan.of(Action.UNCHANGED, Action.SKIP):
            self._count(foreseen(change))
        for change in plan.of(Action.ADOPT):
            await self._adopt(change.key, _adopted(plan, found, change))
            self._count(replace(about(change), verdict=Verdict.DONE, reason="adopted", message=change.reason))
        await self._upload(found, ready)
        await self._prune(plan)
        if self.result.ending.fatal is None:
            await self._release(note)
        return self.result

    async def _adopt(self, key: str, entry: Entry) -> None:
        await self.tools.keeper.change(
            lambda lock: lock.standing(key, entry, now=self.tools.now(), there=self._there)
        )

    async def _upload(self, found: Recovered, ready: Sequence[Ready]) -> None:
        if not ready:
            return
        bundler = Bundler(self.tools.api)
        publisher = Publisher(self.tools, found.listed, bundler, found.lock)
        by_key = {one.change.key: one.change for one in ready}

        async def source() -> AsyncGenerator[Sequence[LineEntry[Ready]], None]:
            for at in range(0, len(ready), PAGE):
                yield [LineEntry(Want(one.change.key), one) for one in ready[at : at + PAGE]]

        def sink(outcome: Outcome) -> None:
            item = about(by_key[outcome.key])
            self._count(replace(outcome, row=item.row, source=item.source, sha256=item.sha256))

        # A bundle is as many prompts in hand as one request takes.
        workers = self.workers * self.tools.api.batch
        await self._run(source, Stage("upload", publisher.publish, workers), sink)

    async def _prune(self, plan: Plan) -> None:
        changes = plan.of(Action.DELETE)
        if not changes or self.result.over:
            return
        if missing := sum(self.result.tally[one] for one in _NOT_UP):
            self.result.notes.append(f"nothing was pruned: {missing:,} prompts did not go up")
            return
        try:
            looked = await look_once_more(self.tools, plan)
        except Fatal as error:
            self.result.ending = replace(self.result.ending, fatal=error)
            return
        except (Transient, ItemError) as error:
            said = f"it is kept: whether a route mentions it by now cannot be seen: {error}"
            for one in changes:
                self._count(Outcome(one.key, Verdict.FAILED, error.code, said))
            self.result.notes.append(f"nothing was pruned: the routes cannot be seen: {error}")
            return
        self.result.notes += looked.notes
        for one in looked.kept:
            self._count(Outcome(one.key, Verdict.SKIPPED, "keep", one.reason))
        await self._delete(looked.going)

    async def _delete(self, changes: Sequence[Change]) -> None:
        if not changes:
            return

        async def source() -> AsyncGenerator[Sequence[LineEntry[Change]], None]:
            for at in range(0, len(changes), PAGE):
                yield [LineEntry(Want(f"{one.key}#{one.prompt_id}"), one) for one in changes[at : at + PAGE]]

        stage = Stage("prune", Pruner(self.tools).prune, self.workers)
        await self._run(source, stage, lambda outcome: self._count(_plain(outcome)))

    async def _run(self, source: Source[T], stage: Stage[T], sink: Sink) -> None:
        if self.result.over:
            return
        await still_ours(self.tools.ledger, self.alone)
        line = Line(self.tools.scope, self.run_id, source, [stage], takes=ANY, guards=(self.alone,))
        ending = await run(line, self.tools.ledger, sink, signals=self.signals)
        before = self.result.ending
        self.result.ending = Ending(before.interrupted or ending.interrupted, before.fatal or ending.fatal)

    async def _release(self, note: str) -> None:
        """Keep what stands now as a release, unless the last one is the same."""
        tools, lock = self.tools, self.tools.keeper.lock
        now = released(lock)
        try:
            numbers = await tools.releases.numbers()
            last = numbers[-1] if numbers else 0
            if last and not await self._changed(last, now):
                number = last
            elif now or last:
                self.result.release = await tools.releases.publish(
                    now, after=last, made=tools.now(), run_id=self.run_id, note=note
                )
                number = self.result.release.number
            else:
                return
        except (Transient, ItemError) as error:
            self.result.notes.append(f"the release could not be kept: {error}; the next apply keeps it")
            self.result.unproven = True
            return
        if number != lock.release:
            await tools.keeper.change(lambda lock: replace(lock, release=number))

    async def _changed(self, number: int, now: Mapping[str, Released]) -> bool:
        """Tell whether what stands is not what a release has; one that cannot be read is not that."""
        try:
            last = await self.tools.releases.read(number)
        except UsageError as error:
            self.result.notes.append(f"{error}; another release is kept behind it")
            return True
        found = difference(last.prompts, now)
        return bool(found.added or found.removed or found.changed)

    def _count(self, outcome: Outcome) -> None:
        self.result.tally.add(outcome)
        self.sink(outcome)


def _plain(outcome: Outcome) -> Outcome:
    """Return a deletion's outcome under the prompt's own name."""
    return replace(outcome, key=outcome.key.rpartition("#")[0] if "#" in outcome.key else outcome.key)


def _refreshed(plan: Plan) -> LibraryLock:
    """Return the plan's lock, with what the manifest says now of prompts that did not change."""
    prompts = dict(plan.lock.prompts)
    for change in plan.of(Action.UNCHANGED):
        wanted = change.desired
        if wanted is not None:
            before = prompts[change.key]
            prompts[change.key] = replace(
                before, prompt_id=before.prompt_id or change.prompt_id, file=wanted.file,
                language=wanted.language, profile=wanted.profile_name,
                source_sha256=wanted.source_sha256, recipe=wanted.recipe,
            )  # fmt: skip
    return replace(plan.lock, prompts=prompts)


def _adopted(plan: Plan, found: Recovered, change: Change) -> Entry:
    """Return what the lock says of a prompt that is taken over, or that was ours before."""
    wanted = change.desired
    if wanted is None:
        raise ValueError("only what is in the manifest is adopted")
    ours = (*(one.entry for one in found.lock.superseded), *found.lock.prompts.values())
    before = next((one for one in ours if one.prompt_id and one.prompt_id == change.prompt_id), None)
    there = next((one for one in found.listed if one.prompt_id == change.prompt_id), None)
    before = before or Entry(change.prompt_id, "", "", adopted=True)
    return replace(
        before,
        source_sha256=wanted.source_sha256,
        recipe=wanted.recipe,
        file=wanted.file,
        language=wanted.language,
        profile=wanted.profile_name,
        uploaded_at=before.uploaded_at or (there.uploaded if there else ""),
    )
