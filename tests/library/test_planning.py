"""Plans over every kind of library: carried out in a simulator, they lead to where nothing is left to do.

The simulator does what the deployment does, with the lock's own methods, and nothing else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.library.desired import Desired
from mediapipe.library.lockfile import Entry, LibraryLock, Superseded
from mediapipe.library.plan import SIGNS, UPLOADS, Action, Change, Choices, OnConflict, Plan
from mediapipe.library.planning import make_plan
from mediapipe.library.words import Listed, Mention, PromptType, Routes

NOW = "2026-02-14T03:00:00+00:00"
NAMES = ("a", "b", "c", "d")
AUDIO = ("x", "y", "z")
CONFLICTS: tuple[OnConflict, ...] = ("adopt", "replace", "skip", "fail")


def wanted(name: str, audio: str = "x") -> Desired:
    return Desired(f"prompt/{name}", PromptType.PROMPT, name, audio, "recipe", None, None, row=1)


def entry(prompt_id: str, audio: str = "x") -> Entry:
    return Entry(prompt_id, audio, "recipe", f"rendered-{audio}", 10, "wav")


def listed(prompt_id: str, name: str) -> Listed:
    return Listed(prompt_id, "prompt", name, 10)


def acts(plan: Plan) -> list[tuple[str, str, str]]:
    return [(one.action.value, one.key, one.prompt_id) for one in plan.changes]


@dataclass
class World:
    """A library: what is wanted, what the account holds (name by id), and the lock."""

    desired: list[Desired]
    there: dict[str, str]
    lock: LibraryLock
    choices: Choices = field(default_factory=Choices)
    mentioned: frozenset[str] = frozenset()
    made: int = 1000

    @property
    def listed(self) -> list[Listed]:
        return [listed(prompt_id, name) for prompt_id, name in self.there.items()]

    @property
    def routes(self) -> Routes:
        return Routes(True, {one: (Mention("r", "main"),) for one in self.mentioned})

    def plan(self) -> Plan:
        return make_plan(self.desired, self.listed, self.lock, self.choices, now=NOW, routes=self.routes)

    def carry_out(self, plan: Plan) -> None:
        ids = frozenset(self.there)
        lock = plan.lock
        owned = {one.prompt_id: one for one in self.lock.prompts.values()}
        owned |= {one.prompt_id: one.entry for one in self.lock.superseded}
        for one in plan.of(Action.ADOPT, *UPLOADS):
            assert one.desired is not None
            stands = one.prompt_id
            if one.action is not Action.ADOPT:
                self.made += 1
                stands = str(self.made)
                self.there[stands] = one.desired.name
            before = owned.get(stands, Entry(stands, "", ""))
            new = replace(before, source_sha256=one.desired.source_sha256, recipe=one.desired.recipe)
            lock = lock.standing(one.key, new, now=NOW, there=ids)
        for one in plan.of(Action.DELETE):
            del self.there[one.prompt_id]
            lock = lock.forgotten(one.prompt_id)
        self.lock = lock


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    desired = [wanted(name, draw(st.sampled_from(AUDIO))) for name in names]
    ids = [str(number) for number in range(1, 9)]
    there = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from((*NAMES, "e")), max_size=7))
    mine = iter(draw(st.permutations(ids)))
    prompts = {
        f"prompt/{name}": entry(next(mine), draw(st.sampled_from(AUDIO)))
        for name in draw(st.lists(st.sampled_from((*NAMES, "e")), unique=True, max_size=4))
    }
    over = tuple(
        Superseded(f"prompt/{name}", "replaced", NOW, entry(next(mine), draw(st.sampled_from(AUDIO))))
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=3))
    )
    choices = Choices(
        draw(st.booleans()), draw(st.booleans()), draw(st.booleans()), 20, draw(st.sampled_from(CONFLICTS))
    )
    mentioned = draw(st.frozensets(st.sampled_from(ids), max_size=3))
    return World(desired, there, LibraryLock(prompts, over), choices, mentioned)


@settings(max_examples=600, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_whatever_is_found_a_plan_keeps_the_rules(world: World, random: Random) -> None:
    plan = world.plan()
    told = Counter(one.key for one in plan.changes if one.desired is not None)
    assert told == Counter(one.key for one in world.desired), "each desired prompt has exactly one change"
    gone = {one.prompt_id for one in plan.of(Action.DELETE)}
    relied_on = {one.prompt_id for one in plan.changes if one.desired is not None} - {""}
    assert not gone & relied_on, "what a wanted prompt stands on goes"
    assert gone <= set(world.there), "what is not there is deleted"
    if not world.choices.prune_foreign:
        assert gone <= world.lock.ids, "somebody else's is deleted"
    if not (world.choices.prune or world.choices.prune_foreign):
        assert not gone
    if not world.choices.force:
        assert not gone & world.mentioned, "a route mentions it"
    if world.choices.on_conflict == "adopt":
        for one in plan.of(*UPLOADS):
            if one.key not in world.lock.prompts:
                assert not [
                    prompt_id
                    for prompt_id, name in world.there.items()
                    if f"prompt/{name}" == one.key and prompt_id not in world.lock.ids
                ]
    shuffled = list(world.there.items())
    random.shuffle(shuffled)
    again = replace_world(world, dict(shuffled)).plan()
    assert again == plan, "another order of the list makes another plan"


def replace_world(world: World, there: dict[str, str]) -> World:
    return World(world.desired, there, world.lock, world.choices, world.mentioned)


@settings(max_examples=600, deadline=None)
@given(worlds())
def test_carried_out_it_leads_to_where_nothing_is_left_to_do(world: World) -> None:
    before = dict(world.there)
    foreign = set(before) - world.lock.ids
    plan = world.plan()
    world.carry_out(plan)
    after = world.plan()
    # What was replaced just now may be pruned by the second; beyond that nothing is left.
    assert not after.of(*UPLOADS, Action.ADOPT, Action.REMOVE), acts(after)
    for one in world.desired:
        if one.key in {change.key for change in plan.of(Action.BLOCKED, Action.SKIP)}:
            continue
        stands = world.lock.prompts[one.key]
        assert world.there[stands.prompt_id] == one.name
        assert stands.fingerprint == one.fingerprint
    assert world.lock.ids <= set(world.there), "the lock speaks of what is not there"
    ours = (world.lock.ids | set(world.there) - set(before)) & set(world.there)
    lost = set(before) & set(world.there) - foreign - ours
    assert not lost, "an id of ours is in the account, and nobody knows of it any more"
    world.carry_out(after)
    assert world.plan().empty


@pytest.mark.parametrize("choice", CONFLICTS)
def test_a_taken_name(choice: OnConflict) -> None:
    world = World([wanted("a")], {"7": "a"}, LibraryLock(), Choices(on_conflict=choice, prune_foreign=True))
    plan = world.plan()
    (change,) = [one for one in plan.changes if one.desired]
    expected = {"adopt": Action.ADOPT, "replace": Action.REPLACE, "skip": Action.SKIP, "fail": Action.BLOCKED}
    assert change.action is expected[choice]
    assert "7" in change.reason
    # Only what was asked to be replaced is nobody's any more.
    assert bool(plan.of(Action.DELETE)) is (choice == "replace")


def test_drift_is_not_forgotten_when_its_upload_fails() -> None:
    """The lock goes on knowing which id it was: a stranger of that name does not pass for ours."""
    lock = LibraryLock({"prompt/a": entry("5")})
    world = World([wanted("a")], {"9": "a"}, lock)
    plan = world.plan()
    assert acts(plan) == [("drifted", "prompt/a", "5")]
    world.lock = plan.lock  # saved, and then the upload failed
    assert acts(world.plan()) == [("drifted", "prompt/a", "5")]


def test_a_prompt_whose_id_the_list_did_not_show_is_not_somebody_else_s() -> None:
    lock = LibraryLock({"prompt/a": entry("")})
    world = World([wanted("a")], {"5": "a"}, lock, Choices(prune=True, prune_foreign=True))
    plan = world.plan()
    assert acts(plan) == [("unchanged", "prompt/a", "5")]
    assert not plan.foreign or "5" not in {one.prompt_id for one in plan.of(Action.DELETE)}


def test_new_entries_that_nobody_can_tell_apart_are_not_pruned() -> None:
    world = World([wanted("a")], {"5": "a", "6": "a"}, LibraryLock(), Choices(prune_foreign=True))
    unclear = {"prompt/a": "two new entries"}
    plan = make_plan(world.desired, world.listed, world.lock, world.choices, now=NOW, unclear=unclear)
    assert acts(plan) == [("blocked", "prompt/a", "")]


def test_somebody_renamed_it_and_the_manifest_did_too() -> None:
    world = World([wanted("new")], {"5": "new"}, LibraryLock({"prompt/old": entry("5")}))
    plan = world.plan()
    assert [one[:2] for one in acts(plan)] == [("adopt", "prompt/new")]
    assert "prompt/old before" in plan.changes[0].reason
    world.carry_out(plan)
    assert world.lock == LibraryLock({"prompt/new": entry("5")})


def test_somebody_renamed_what_is_not_wanted_any_more() -> None:
    world = World([], {"5": "elsewhere"}, LibraryLock({"prompt/old": entry("5")}))
    plan = world.plan()
    assert acts(plan) == [("remove", "prompt/old", "5")]
    assert "'prompt/elsewhere'" in plan.changes[0].reason
    assert plan.lock.ids == {"5"}, "it is ours, whatever it is called"


def test_a_row_that_cannot_be_deployed_still_means_its_prompt() -> None:
    lock = LibraryLock({"prompt/a": entry("5"), "prompt/b": entry("6")})
    plan = make_plan(
        [wanted("a")], [listed("5", "a"), listed("6", "b"), listed("7", "b")], lock,
        Choices(prune=True, prune_foreign=True), now=NOW, meant={"prompt/b"},
    )  # fmt: skip
    assert acts(plan) == [("unchanged", "prompt/a", "5")]
    assert plan.lock.prompts == lock.prompts


def test_a_rename_is_said_aloud_with_what_routes_go_on_playing() -> None:
    lock = LibraryLock({"prompt/old": entry("5")})
    world = World([wanted("new")], {"5": "old"}, lock, mentioned=frozenset({"5"}))
    create = world.plan().changes[0]
    assert create.action is Action.CREATE
    assert "this is prompt/old under another name" in create.notes[0]
    assert "route main (r) goes on playing id 5" in create.notes[1]


def test_where_nothing_can_be_deleted_nothing_is_and_it_is_said() -> None:
    lock = LibraryLock({}, (Superseded("prompt/a", "replaced", NOW, entry("5")),))
    there = [listed("5", "a"), listed("6", "z")]
    plan = make_plan([], there, lock, Choices(prune=True, prune_foreign=True), now=NOW, deletes=False)
    assert not plan.changes
    assert plan.notes == ("this API cannot delete: nothing is pruned",)
    assert [one.prompt_id for one in plan.waiting] == ["5"]


def test_ten_thousand_prompts_are_planned_at_once() -> None:
    names = [f"p{number}" for number in range(10_000)]
    lock = LibraryLock(
        {f"prompt/{name}": entry(str(at)) for at, name in enumerate(names)},
        tuple(Superseded(f"prompt/{name}", "replaced", NOW, entry(f"o{name}", "y")) for name in names),
    )
    there = [listed(str(at), name) for at, name in enumerate(names)] + [listed(f"o{n}", n) for n in names]
    begun = perf_counter()
    plan = make_plan(
        [*(wanted(name, "y") for name in names[:5_000]), *(wanted(f"new {name}") for name in names)],
        there, lock, Choices(prune=True), now=NOW,
    )  # fmt: skip
    assert perf_counter() - begun < 10, "it takes the square of the time"
    assert len(plan.of(Action.ADOPT)) == 5_000
    assert len(plan.of(Action.CREATE)) == 10_000


def test_a_change_of_each_kind_has_its_sign() -> None:
    assert set(SIGNS) == set(Action)
    summary = Plan((Change(Action.KEEP, "prompt/a"),), LibraryLock()).summary()
    assert {*map(str, Action), "waiting", "foreign"} == set(summary)
