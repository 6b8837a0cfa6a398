"""From a manifest to a plan whose audio is rendered: what ``plan`` shows, and what ``apply`` begins with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread

from mediapipe.items import Outcome, Verdict
from mediapipe.library.desired import Desired, Profiles, desire, missing_languages
from mediapipe.library.lockfile import LibraryLock
from mediapipe.library.outliers import Outlier
from mediapipe.library.plan import UPLOADS, Action, Change, Choices, Plan
from mediapipe.library.planning import make_plan
from mediapipe.library.publishing import Tools, about, ended
from mediapipe.library.recovery import Recovered
from mediapipe.library.studio import Session, Studio
from mediapipe.library.words import Routes
from mediapipe.line import Ending
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.prompts import PromptManifest, PromptRow


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user asked for: a manifest, how it is read, and what may be done.

    ``usual`` names the rendering profile of rows without one; ``languages`` are those every prompt has to be
    there in.
    """

    manifest: PromptManifest
    profiles: Profiles
    usual: str
    choices: Choices
    as_is: bool = False
    languages: tuple[str, ...] = ()


@dataclass(slots=True)
class Prepared:
    """A plan, and all that speaks against carrying it out.

    ``faulty`` are outcomes of rows and prompts that cannot be deployed, ``lacking`` the languages that are
    missing by prompt; ``obstacles`` say in words why an apply would do nothing at all.
    """

    plan: Plan
    desired: tuple[Desired, ...]
    ground: Mapping[str, str]
    session: Session = field(default_factory=Session)
    faulty: list[Outcome] = field(default_factory=list)
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    obstacles: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ending(self) -> Ending:
        """How the rendering ended."""
        return self.session.ending

    @property
    def outliers(self) -> list[Outlier]:
        """Prompts that stand out from those that were rendered."""
        return self.session.outliers()

    def held(self) -> list[Outcome]:
        """Return what would have been of each prompt of the manifest, and of each to be deleted."""
        told = {(one.key, one.row) for one in self.faulty}
        rendered = {one.change.key: one.outcome for one in self.session.rendered}
        outcomes = list(self.faulty)
        for change in self.plan.changes:
            if change.desired is None and change.action is not Action.DELETE:
                continue
            if change.desired is not None and (change.key, change.desired.row) in told:
                continue
            outcomes.append(foreseen(change, rendered.get(change.key)))
        return sorted(outcomes, key=lambda one: (one.row is None, one.row or 0))

    def as_json(self) -> dict[str, Any]:
        """Return it for reports and saved plans."""
        changes = [one.as_json() for one in self.plan.changes if one.action is not Action.UNCHANGED]
        return {
            "changes": changes,
            "summary": self.plan.summary(),
            "ground": dict(self.ground),
            "obstacles": self.obstacles,
            "missing_languages": {key: list(names) for key, names in self.lacking.items()},
            "outliers": [str(one) for one in self.outliers],
            "waiting": [
                {"key": one.key, "id": one.prompt_id, "why": one.why, "since": one.since}
                for one in self.plan.waiting
            ],
            "foreign": [{"key": one.key, "id": one.prompt_id} for one in self.plan.foreign],
        }


def foreseen(change: Change, rendered: Outcome | None = None) -> Outcome:
    """Return what would become of a prompt."""
    item = rendered or about(change)
    match change.action:
        case Action.UNCHANGED | Action.SKIP:
            return ended(
                item, Verdict.SKIPPED, "" if change.action is Action.UNCHANGED else "skip", change.reason
            )
        case Action.BLOCKED:
            return ended(item, Verdict.REJECTED, "blocked", change.reason)
        case _:
            return ended(item, Verdict.PENDING, change.action.value, change.reason)


def refused(row: PromptRow, problems: Iterable[Problem]) -> Outcome:
    """Return the outcome of a row that cannot be deployed as it stands."""
    found = list(problems)
    said = "; ".join(str(one) for one in found)
    passing = all(one.passing for one in found)
    verdict = Verdict.FAILED if passing else Verdict.REJECTED
    return Outcome(row.key, verdict, found[0].code, f"{row.place}: {said}", row.file, row.row)


@dataclass(frozen=True, slots=True)
class Preparer:
    """Makes plans."""

    tools: Tools
    studio: Studio

    async def prepare(
        self,
        wishes: Wishes,
        found: Recovered,
        *,
        progress: Callable[[Outcome], None] | None = None,
        signals: bool = False,
    ) -> Prepared:
        """Return the plan of a manifest against the account as it was found, its audio rendered."""
        desired, faulty = await anyio.to_thread.run_sync(_desired, wishes)
        prepared = await self.plan(desired, found, wishes.choices, {one.key for one in faulty})
        prepared.faulty = faulty
        prepared.lacking = missing_languages(desired, wishes.languages) if wishes.languages else {}
        uploads = prepared.plan.of(*UPLOADS)
        prepared.session = await self.studio.render(uploads, progress=progress, signals=signals)
        prepared.faulty += [one.outcome for one in prepared.session.blocked]
        prepared.faulty += [foreseen(one) for one in prepared.plan.of(Action.BLOCKED)]
        prepared.obstacles = list(_obstacles(prepared, wishes.choices))
        prepared.notes += [note for row in wishes.manifest.rows for note in _row_notes(row)]
        return prepared

    async def plan(
        self, desired: Sequence[Desired], found: Recovered, choices: Choices, meant: Collection[str] = ()
    ) -> Prepared:
        """Return a plan whose audio is not looked at yet; ``meant`` are the keys of faulty rows."""
        beyond = self._beyond(desired)

        def make(routes: Routes | None) -> Plan:
            return make_plan(
                desired, found.listed, found.lock, choices, now=self.tools.now(), routes=routes,
                deletes=self.tools.api.deletes, unclear={**beyond, **found.unclear}, meant=meant,
            )  # fmt: skip

        plan = make(None)
        if plan.of(Action.REPLACE, Action.DELETE, Action.REMOVE) or _renamed(plan):
            plan = make(await self.tools.api.routes())
        return Prepared(plan, tuple(desired), _ground(desired, found), notes=[*found.notes, *plan.notes])

    def _beyond(self, desired: Sequence[Desired]) -> dict[str, str]:
        """Return, by key, why this API cannot take a prompt."""
        types = self.tools.api.types
        words = ", ".join(sorted(types))
        return {
            one.key: f"this API takes no {one.type.value}, only {words}"
            for one in desired
            if one.type not in types
        }


def _renamed(plan: Plan) -> bool:
    return any(note for one in plan.of(Action.CREATE) for note in one.notes)


def _desired(wishes: Wishes) -> tuple[list[Desired], list[Outcome]]:
    """Return what sound rows ask for, and the outcomes of the others. Reads all audio; blocking."""
    rows = wishes.manifest.rows
    desired: list[Desired] = []
    faulty = [refused(row, row.problems) for row in rows if row.problems]
    for one in desire(rows, wishes.profiles, wishes.usual, as_is=wishes.as_is):
        if isinstance(one, Desired):
            desired.append(one)
        else:
            faulty.append(refused(one[0], [one[1]]))
    return desired, faulty


def _row_notes(row: PromptRow) -> list[str]:
    return [f"{row.place}: {note}" for note in row.notes]


def _obstacles(prepared: Prepared, choices: Choices) -> Iterable[str]:
    """Say why nothing may be done."""
    if prepared.faulty:
        yield f"{len(prepared.faulty):,} prompts cannot be deployed as they stand"
    if prepared.lacking:
        yield f"{len(prepared.lacking):,} prompts are not there in every required language"
    if (deletes := len(prepared.plan.of(Action.DELETE))) > choices.most_deletes:
        yield f"{deletes:,} prompts would be deleted, and --max-delete allows {choices.most_deletes:,}"


def _ground(desired: Sequence[Desired], found: Recovered) -> dict[str, str]:
    """Return digests of all that a plan stands on."""
    wanted = [[one.key, one.source_sha256, one.recipe, one.row] for one in desired]
    there = sorted([one.prompt_id, one.type, one.name] for one in found.listed)
    return {
        "manifest": _digest(wanted),
        "lock": _digest(_standing(found.lock)),
        "account": _digest(there),
    }


def _standing(lock: LibraryLock) -> Any:
    return [lock.as_json()["prompts"], [[one.key, one.prompt_id] for one in lock.superseded]]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


GROUND_WORDS = {
    "manifest": "the manifest, its audio or its rendering profiles",
    "lock": "the lock file",
    "account": "the account's library",
}
"""What each digest of the ground speaks of."""


def moved(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what is not as it was when a plan was made, in words."""
    return [words for name, words in GROUND_WORDS.items() if before.get(name) != now.get(name)]
