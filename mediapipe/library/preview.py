"""What a preview shows: each prompt of a manifest beside what the last release has of it.

Needs no account: the lock file says what was deployed, and the release it names, where that is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import anyio

from mediapipe.errors import MediapipeError
from mediapipe.library.desired import Desired
from mediapipe.library.lockfile import Entry, LibraryLock
from mediapipe.library.outliers import Outlier
from mediapipe.library.releases import Release, Released, Releases
from mediapipe.library.studio import Rendered, Session

PATIENCE_S = 10.0
"""How long a store may take to show a release; a preview is made without it then."""

Stood = Mapping[str, Entry] | Mapping[str, Released]
"""What was deployed, by key."""


class Standing(StrEnum):
    """What became of a prompt since the last release; the words are for people."""

    NEW = "new"
    AUDIO = "changed audio"
    RECIPE = "changed recipe"
    BOTH = "changed audio and recipe"
    RENAMED = "renamed?"
    """Its audio and recipe stood under a name that the manifest has no longer."""
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Base:
    """What a set is compared with: prompts by key, and in words where they come from."""

    prompts: Stood = field(default_factory=dict)
    said: str = "Nothing was deployed yet."
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """One prompt: what is wanted, what became of it, how it was rendered, and how it stands out.

    ``why`` explains the standing, "" where there is nothing to explain.
    """

    desired: Desired
    rendered: Rendered
    standing: Standing
    why: str = ""
    outliers: tuple[Outlier, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether callers would hear something else, or by another name, than before."""
        return self.standing is not Standing.UNCHANGED

    @property
    def blocked(self) -> str:
        """Why it cannot be sent; "" when it can."""
        outcome = self.rendered.outcome
        return "" if self.rendered.ready is not None else outcome.message or outcome.reason


async def find_base(lock: LibraryLock, releases: Releases | None, name: str) -> Base:
    """Return what the lock file ``name`` speaks of: its release where ``releases`` has it, else its entries.

    Never raises for a release that cannot be read: a preview is possible without it, and says so.
    """
    if not lock.prompts and not lock.release:
        return Base()
    alone = f"Compared with {name}."
    if not lock.release or releases is None:
        return Base(lock.prompts, alone)
    try:
        with anyio.fail_after(PATIENCE_S):
            release = await releases.read(lock.release)
    except TimeoutError:
        why = f"the store did not answer within {PATIENCE_S:g} s"
    except MediapipeError as error:
        why = error.message
    else:
        return _of_release(release, lock, name)
    return Base(lock.prompts, alone, (f"release {lock.release} cannot be read, {name} is taken: {why}",))


def _of_release(release: Release, lock: LibraryLock, name: str) -> Base:
    said = f"Compared with release {release.number} of {release.made[:10]}, which {name} names."
    since = [key for key, one in lock.prompts.items() if _mark(release.prompts.get(key)) != _mark(one)]
    if not since:
        return Base(release.prompts, said)
    note = f"{len(since):,} prompts of {name} are not in release {release.number}: an apply did not end"
    return Base(release.prompts, said, (note,))


def _mark(one: Entry | Released | None) -> tuple[str, str] | None:
    return None if one is None else (one.source_sha256, one.recipe)


def compare(wanted: Desired, before: Stood, keys: Collection[str]) -> tuple[Standing, str]:
    """Return what became of a prompt and why. ``keys`` are all that the manifest has."""
    one = before.get(wanted.key)
    if one is None:
        old = [key for key, other in before.items() if key not in keys and _mark(other) == wanted.fingerprint]
        if old:
            return Standing.RENAMED, f"the same audio and recipe were called {old[0]}"
        return Standing.NEW, ""
    audio, recipe = one.source_sha256 != wanted.source_sha256, one.recipe != wanted.recipe
    if audio or recipe:
        return (Standing.BOTH if recipe else Standing.AUDIO) if audio else Standing.RECIPE, ""
    taken_over = "taken over from the account as it was: what callers hear was never ours"
    return Standing.UNCHANGED, taken_over if one.adopted else ""


def gather(desired: Sequence[Desired], session: Session, base: Base) -> tuple[PreviewItem, ...]:
    """Return all that was rendered of what is wanted, blocked ones first, then in the manifest's order."""
    keys = {one.key for one in desired}
    outliers: dict[str, list[Outlier]] = {}
    for one in session.outliers():
        outliers.setdefault(one.key, []).append(one)
    items = []
    for rendered in session.rendered:
        wanted = rendered.change.desired
        if wanted is None:
            continue
        standing, why = compare(wanted, base.prompts, keys)
        why = why or _sounds_the_same(standing, rendered, base.prompts.get(wanted.key))
        items.append(PreviewItem(wanted, rendered, standing, why, tuple(outliers.get(wanted.key, ()))))
    return tuple(sorted(items, key=lambda item: not item.blocked))


def _sounds_the_same(standing: Standing, rendered: Rendered, before: Entry | Released | None) -> str:
    """Say where a change makes no difference, or no change does."""
    if before is None or rendered.ready is None or not before.rendered_sha256 or before.adopted:
        return ""
    same = rendered.ready.entry.rendered_sha256 == before.rendered_sha256
    if standing is Standing.UNCHANGED:
        return "" if same else "rendered here, it is not byte for byte what was sent"
    return "what is sent is byte for byte what it was" if same else ""


def no_longer(desired: Sequence[Desired], faulty: Collection[str], base: Base) -> tuple[str, ...]:
    """Return what stood before and is not wanted any more; a ``faulty`` row still means its prompt."""
    wanted = {one.key for one in desired} | set(faulty)
    return tuple(sorted(key for key in base.prompts if key not in wanted))
