"""A plan's words: what becomes of each prompt, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from mediapipe.library.desired import AS_IS, Desired
from mediapipe.library.lockfile import Entry, LibraryLock, Superseded
from mediapipe.library.words import Listed, Routes

OnConflict = Literal["adopt", "replace", "skip", "fail"]


class Action(StrEnum):
    """What becomes of a prompt."""

    CREATE = "create"
    """It is not there: upload it."""
    REPLACE = "replace"
    """It is there with other audio: upload it; the old one stays as superseded."""
    DRIFTED = "drifted"
    """It was ours and is not there any more, or under another name: upload it again."""
    ADOPT = "adopt"
    """It is there and not ours yet: record it, upload nothing."""
    UNCHANGED = "unchanged"
    SKIP = "skip"
    """Somebody else's prompt has its name, and was to be left alone."""
    BLOCKED = "blocked"
    """It cannot be decided, or was to fail."""
    REMOVE = "remove"
    """It is ours and no longer wanted: kept in the account as superseded, until it is pruned."""
    DELETE = "delete"
    KEEP = "keep"
    """It would be pruned, and is kept all the same: a route mentions it."""


UPLOADS = frozenset({Action.CREATE, Action.REPLACE, Action.DRIFTED})
CHANGES = UPLOADS | {Action.ADOPT, Action.REMOVE, Action.DELETE}
"""What an apply has something to do for."""
SIGNS: Mapping[Action, str] = {
    Action.CREATE: "+",
    Action.REPLACE: "~",
    Action.DRIFTED: "!",
    Action.ADOPT: ">",
    Action.UNCHANGED: " ",
    Action.SKIP: " ",
    Action.BLOCKED: "x",
    Action.REMOVE: "-",
    Action.DELETE: "-",
    Action.KEEP: "k",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. ``prompt_id`` is the one that stands, is adopted or goes; ``notes`` are for people.

    ``desired`` is None for what is not in the manifest.
    """

    action: Action
    key: str
    reason: str = ""
    prompt_id: str = ""
    desired: Desired | None = None
    notes: tuple[str, ...] = ()
    foreign: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for reports and saved plans."""
        wanted = self.desired
        return {
            "action": self.action.value,
            "key": self.key,
            "reason": self.reason,
            "id": self.prompt_id,
            "row": wanted.row if wanted else None,
            "source_sha256": wanted.source_sha256 if wanted else "",
            "recipe": wanted.recipe if wanted else "",
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose. ``most_deletes`` bounds all deletions of one apply."""

    prune: bool = False
    prune_foreign: bool = False
    force: bool = False
    most_deletes: int = 20
    on_conflict: OnConflict = "adopt"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every prompt's change, in the manifest's order, then what is not in it.

    ``lock`` is the section as it is before anything is uploaded: without what is no longer in the account,
    with what ``remove`` makes superseded. ``waiting`` are superseded ones that stay until they are pruned;
    ``foreign`` is what nobody here put there. With ``force`` it is deleted though a route mentions it.
    """

    changes: tuple[Change, ...]
    lock: LibraryLock
    waiting: tuple[Superseded, ...] = ()
    foreign: tuple[Listed, ...] = ()
    routes: Routes | None = None
    notes: tuple[str, ...] = ()
    force: bool = False

    def of(self, *actions: Action) -> list[Change]:
        """Return the changes of these kinds."""
        return [one for one in self.changes if one.action in actions]

    @property
    def empty(self) -> bool:
        """There is nothing to do."""
        return not any(one.action in CHANGES for one in self.changes)

    def summary(self) -> dict[str, int]:
        """Return how many prompts there are of each kind."""
        counts = {action.value: 0 for action in Action}
        for one in self.changes:
            counts[one.action.value] += 1
        return counts | {"waiting": len(self.waiting), "foreign": len(self.foreign)}


def same_audio(entry: Entry, wanted: Desired) -> bool:
    """Tell whether what stands is what is wanted; a prompt of a release goes by what was sent."""
    if wanted.rendered_sha256:
        return entry.rendered_sha256 == wanted.rendered_sha256
    return entry.fingerprint == wanted.fingerprint


def what_differs(entry: Entry, wanted: Desired) -> str:
    """Return in words why what stands is not what is wanted."""
    if wanted.rendered_sha256:
        return "its audio is another one than in that release"
    what = []
    if entry.source_sha256 != wanted.source_sha256:
        what.append(f"its audio changed ({entry.source_sha256[:8]} → {wanted.source_sha256[:8]})")
    if entry.recipe != wanted.recipe:
        before, after = (
            "sent as it is" if one == AS_IS else f"recipe {one[:8]}" for one in (entry.recipe, wanted.recipe)
        )
        what.append(f"it is rendered otherwise ({before} → {after})")
    return ", ".join(what)
