"""What it takes to make the account's library equal the manifest: decided here, carried out elsewhere. Pure.

Desired (manifest) against actual (the account's list) against the lock (what is ours). Nothing can be
changed in place on the platform: a replacement is an upload with an id of its own, and what it replaces stays
until it is pruned, since routes name ids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from mediapipe.library.desired import Desired
from mediapipe.library.lockfile import Entry, LibraryLock, Superseded
from mediapipe.library.plan import Action, Change, Choices, Plan, same_audio, what_differs
from mediapipe.library.words import Listed, Routes
from mediapipe.manifest.problems import quoted


@dataclass(slots=True)
class _Case:
    """What a plan is made from, laid out for looking up."""

    lock: LibraryLock
    choices: Choices
    now: str
    deletes: bool
    routes: Routes | None
    by_key: dict[str, list[Listed]] = field(default_factory=dict)
    by_id: dict[str, Listed] = field(default_factory=dict)
    spoken_for: set[str] = field(default_factory=set)
    """Ids that a desired prompt stands on, takes over or leaves alone: never pruned."""
    wanted: frozenset[str] = frozenset()
    ours: frozenset[str] = field(init=False)
    owners: dict[str, str] = field(init=False)
    over: dict[str, list[Superseded]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Looked up once: a library may have ten thousand of them.
        self.ours = self.lock.ids
        self.owners = {one.prompt_id: key for key, one in self.lock.prompts.items() if one.prompt_id}
        for one in self.lock.superseded:
            self.over.setdefault(one.key, []).append(one)

    def here(self, key: str) -> list[Listed]:
        return self.by_key.get(key, [])

    def strangers(self, key: str) -> list[Listed]:
        """Return entries of this name that are not ours."""
        return [one for one in self.here(key) if one.prompt_id not in self.ours]

    def moved(self, wanted: Desired) -> tuple[str, str] | None:
        """Return id and old key of a prompt of ours, with the very audio, that somebody renamed to this."""
        for one in self.here(wanted.key):
            key = self.owners.get(one.prompt_id, wanted.key)
            if key not in self.wanted and same_audio(self.lock.prompts[key], wanted):
                return one.prompt_id, key
        return None

    def spare(self, wanted: Desired) -> Superseded | None:
        """Return a superseded prompt of ours that has the very audio and still stands."""
        for one in reversed(self.over.get(wanted.key, [])):
            there = self.by_id.get(one.prompt_id)
            same = one.entry.fingerprint == wanted.fingerprint or (
                bool(wanted.rendered_sha256) and one.entry.rendered_sha256 == wanted.rendered_sha256
            )
            if same and there is not None and there.key == wanted.key:
                return one
        return None


def make_plan(
    desired: Sequence[Desired],
    listed: Iterable[Listed],
    lock: LibraryLock,
    choices: Choices,
    *,
    now: str,
    routes: Routes | None = None,
    deletes: bool = True,
    unclear: Mapping[str, str] | None = None,
    meant: Collection[str] = (),
) -> Plan:
    """Return the plan. ``deletes`` is False where the API cannot delete; ``now`` is an instant as text.

    ``unclear`` says, by key, why nothing may be uploaded for a prompt: an earlier upload whose end is not
    known and that several entries may have come of. ``meant`` are keys of rows that cannot be deployed as
    they stand: nothing happens for them, and they do not count as no longer wanted.
    """
    case = _Case(lock, choices, now, deletes, routes, wanted=frozenset(one.key for one in desired))
    # Sorted: the platform may show the same library in another order, and the plan is the same then.
    for one in sorted(listed, key=lambda one: (one.key, len(one.prompt_id), one.prompt_id)):
        case.by_key.setdefault(one.key, []).append(one)
        if one.prompt_id:
            case.by_id[one.prompt_id] = one
    changes = []
    for wanted in desired:
        why = (unclear or {}).get(wanted.key)
        change = _blocked(wanted, why) if why else _wanted(case, wanted)
        case.spoken_for.add(change.prompt_id)
        if change.action is Action.BLOCKED:  # which of them is meant is for a person to say
            case.spoken_for.update(one.prompt_id for one in case.here(wanted.key))
        changes.append(change)
    for key in meant:
        case.spoken_for.update(one.prompt_id for one in case.here(key))
    kept, removed = _no_longer(case, {*case.wanted, *meant})
    over = [one for one in kept.superseded if one.prompt_id not in case.spoken_for]
    pruned = [_deletion(case, one.key, one.prompt_id, f"{one.why} on {one.since[:10]}") for one in over]
    if not (choices.prune and deletes):
        pruned = []
    strangers = _foreign(case, kept)
    if choices.prune_foreign and deletes:
        reason = "nobody here put it there"
        pruned += [replace(_deletion(case, one.key, one.prompt_id, reason), foreign=True)
                   for one in strangers if one.prompt_id]  # fmt: skip
    told = {one.prompt_id for one in pruned}  # what goes at once is said there
    removed = [one for one in removed if one.prompt_id not in told or not one.prompt_id]
    going = {one.prompt_id for one in pruned if one.action is Action.DELETE}
    return Plan(
        (*_renames(case, [*changes, *removed], desired), *pruned),
        kept,
        tuple(one for one in over if one.prompt_id not in going),
        tuple(one for one in strangers if one.prompt_id not in going),
        routes,
        tuple(_notes(case, bool(going))),
        choices.force,
    )


def _blocked(wanted: Desired, why: str) -> Change:
    return Change(Action.BLOCKED, wanted.key, why, desired=wanted)


def _wanted(case: _Case, wanted: Desired) -> Change:
    """Return what becomes of one desired prompt."""
    entry = case.lock.prompts.get(wanted.key)
    if entry is None:
        return _new(case, wanted)
    spare = case.spare(wanted)
    standing = _standing(case, wanted.key, entry)
    others = [one for one in case.strangers(wanted.key) if one.prompt_id]
    if standing and not entry.prompt_id:  # the list showed no ids then: any of these may be it
        case.spoken_for.update(one.prompt_id for one in others)
        entry = replace(entry, prompt_id=others[0].prompt_id) if len(others) == 1 else entry
        others = others[1:] if entry.prompt_id else others
    notes = (_others(others),) if others and standing else ()
    if standing and same_audio(entry, wanted):
        return Change(Action.UNCHANGED, wanted.key, "", entry.prompt_id, wanted, notes)
    if spare is not None:
        reason = f"id {spare.prompt_id}, superseded before, has this very audio: it stands again"
        return Change(Action.ADOPT, wanted.key, reason, spare.prompt_id, wanted, notes)
    if standing:
        reason = what_differs(entry, wanted)
        notes = (*notes, *_played_on(case, entry.prompt_id))
        return Change(Action.REPLACE, wanted.key, reason, entry.prompt_id, wanted, notes)
    return Change(Action.DRIFTED, wanted.key, _drift(case, entry, others), entry.prompt_id, wanted)


def _standing(case: _Case, key: str, entry: Entry) -> bool:
    """Tell whether a prompt of ours is still in the account under its name; by name where none has an id."""
    here = case.here(key)
    if not entry.prompt_id:
        return bool(here)
    return any(one.prompt_id == entry.prompt_id for one in here)


def _others(others: Sequence[Listed]) -> str:
    ids = ", ".join(one.prompt_id for one in others)
    return f"drift: {ids} has the same name, and did not come from here"


def _drift(case: _Case, entry: Entry, others: Sequence[Listed]) -> str:
    there = case.by_id.get(entry.prompt_id)
    if there is not None:
        return f"id {entry.prompt_id} is called {quoted(there.key)} now; it is left as it is"
    also = f"; {', '.join(one.prompt_id for one in others)} has its name now" if others else ""
    return f"id {entry.prompt_id or '?'} is not in the account any more{also}"


def _new(case: _Case, wanted: Desired) -> Change:
    """Return what becomes of a prompt that the lock knows nothing of."""
    spare = case.spare(wanted)
    if spare is not None:
        reason = f"id {spare.prompt_id}, {spare.why} before, has this very audio: it stands again"
        return Change(Action.ADOPT, wanted.key, reason, spare.prompt_id, wanted)
    if (moved := case.moved(wanted)) is not None:
        reason = f"id {moved[0]}, {moved[1]} before, is called so in the account now: it is the very audio"
        return Change(Action.ADOPT, wanted.key, reason, moved[0], wanted)
    others = case.strangers(wanted.key)
    if not others:
        return Change(Action.CREATE, wanted.key, "it is not in the account", desired=wanted)
    ids = ", ".join(one.prompt_id or "?" for one in others)
    match case.choices.on_conflict:
        case "adopt" if len(others) == 1:
            reason = f"id {ids} has its name: taken over as it is; that it sounds the same is not known"
            return Change(Action.ADOPT, wanted.key, reason, others[0].prompt_id, wanted)
        case "adopt":
            reason = f"{len(others)} prompts have its name ({ids}), and which one is meant cannot be told"
            return _blocked(wanted, f"{reason}; --on-conflict replace uploads another")
        case "replace":
            reason = f"id {ids} has its name and is not ours: it is left where it is"
            return Change(Action.REPLACE, wanted.key, reason, "", wanted)
        case "skip":
            case.spoken_for.update(one.prompt_id for one in others)
            return Change(Action.SKIP, wanted.key, f"id {ids} has its name and is not ours", "", wanted)
        case "fail":
            return _blocked(wanted, f"id {ids} has its name and is not ours (--on-conflict fail)")
        case _ as never:
            assert_never(never)


def _no_longer(case: _Case, keys: Collection[str]) -> tuple[LibraryLock, list[Change]]:
    """Return the lock without what is not in the account or not wanted any more, and the changes of that."""
    lock, changes = case.lock, []
    for one in case.lock.superseded:
        if one.prompt_id not in case.by_id and one.prompt_id not in case.spoken_for:
            lock = lock.forgotten(one.prompt_id)
    for key in sorted(case.lock.prompts.keys() - set(keys)):
        entry = case.lock.prompts[key]
        there = case.by_id.get(entry.prompt_id)
        if _standing(case, key, entry) or (there is not None and entry.prompt_id not in case.spoken_for):
            lock = lock.removed(key, now=case.now)
            called = f"; it is called {quoted(there.key)} there" if there and there.key != key else ""
            reason = f"it is not in the manifest any more{called}"
            changes.append(Change(Action.REMOVE, key, reason, entry.prompt_id))
        elif there is not None:
            lock = lock.removed(key, now=case.now)
        else:
            prompts = {name: one for name, one in lock.prompts.items() if name != key}
            lock = replace(lock, prompts=prompts)
            reason = "it is neither in the manifest nor in the account any more"
            changes.append(Change(Action.REMOVE, key, reason))
    return lock, changes


def _foreign(case: _Case, lock: LibraryLock) -> list[Listed]:
    """Return the entries that nobody here put there, in the order of the list."""
    ours = lock.ids | case.lock.ids | case.spoken_for
    everything = [one for entries in case.by_key.values() for one in entries]
    return [
        one
        for one in everything
        if (one.prompt_id not in ours if one.prompt_id else one.key not in case.lock.prompts)
    ]


def _deletion(case: _Case, key: str, prompt_id: str, reason: str) -> Change:
    named = case.routes.named(prompt_id) if case.routes is not None else ""
    if named and not case.choices.force:
        kept = f"{named} mentions id {prompt_id}; --force deletes it all the same"
        return Change(Action.KEEP, key, kept, prompt_id)
    return Change(Action.DELETE, key, reason, prompt_id)


def _played_on(case: _Case, prompt_id: str) -> Iterator[str]:
    if case.routes is not None and (named := case.routes.named(prompt_id)):
        yield f"{named} goes on playing id {prompt_id} until it is pointed to the new one"


def _renames(case: _Case, changes: Sequence[Change], desired: Sequence[Desired]) -> Iterator[Change]:
    """Yield the changes; of a prompt that only got another name it is said what that means."""
    wanted = {one.key for one in desired}
    before = {
        entry.fingerprint: (key, entry.prompt_id)
        for key, entry in case.lock.prompts.items()
        if key not in wanted and entry.prompt_id
    }
    for one in changes:
        old = before.get(one.desired.fingerprint) if one.desired else None
        if one.action is not Action.CREATE or old is None:
            yield one
            continue
        said = f"this is {old[0]} under another name: it gets a new id, and id {old[1]} stays as it is"
        yield replace(one, notes=(*one.notes, said, *_played_on(case, old[1])))


def _notes(case: _Case, deletes_something: bool) -> Iterator[str]:
    choices = case.choices
    if not case.deletes and (choices.prune or choices.prune_foreign):
        yield "this API cannot delete: nothing is pruned"
    elif deletes_something and case.routes is not None and not case.routes.visible:
        yield f"whether a route mentions what is deleted cannot be seen: {case.routes.why}"
