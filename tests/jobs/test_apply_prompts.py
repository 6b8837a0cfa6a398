"""``prompts apply``: the account's library becomes what the manifest says, and exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediapipe.errors import UsageError
from mediapipe.items import Verdict
from mediapipe.library.lockfile import NAME
from mediapipe.library.plan import Action
from mediapipe.library.planfile import load_plan, save_plan
from mediapipe.library.preparing import Prepared
from mediapipe.prompt_services import library_of
from mediapipe.sandbox import Endpoint, FaultRule
from tests.audio.sources import prompts
from tests.prompt_runs import Library, deploying


def silent(path: Path) -> None:
    """Make a prompt of which nothing is to be heard."""
    path.write_bytes(path.read_bytes()[:44] + bytes(16_000))


def life(it: Library) -> None:
    """Deploy, plan again, change three, remove two, add one, prune, roll back; everything as planned."""
    count = len(it.cells)
    first = it.apply()
    assert (first.code, first.planned, first.counts) == (0, {"create": count}, {"done": count})
    assert first.result.deployed.release.number == 1
    it.equal()
    empty = it.plan()
    assert (empty.code, empty.planned, empty.counts) == (0, {}, {"skipped": count})
    assert empty.result.prepared.plan.empty
    before = dict(it.lock.prompts)

    changed = {it.change(number) for number in (1, 4, 7)}
    removed = {it.key(number) for number in (2, 5)}
    it.cells = [one for number, one in enumerate(it.cells) if number not in (2, 5)]
    it.add("brand new", prompts("english", "wav", 20_000)[0])
    it.write()
    planned = it.plan(prune=True)
    assert planned.of(Action.REPLACE) == changed
    assert planned.of(Action.DELETE) == removed
    assert planned.of(Action.CREATE) == {"prompt/brand new"}
    assert planned.planned == {"replace": 3, "delete": 2, "create": 1}
    posted = it.posted.total()
    second = it.apply(prune=True)
    assert (second.code, second.planned) == (0, planned.planned)
    assert second.counts == {"done": 6, "skipped": count - 5}
    assert it.posted.total() == posted + 4
    it.equal(superseded=changed)
    assert {one.key for one in it.lock.superseded} == changed
    again = it.plan()
    assert again.result.prepared.plan.empty
    assert again.planned == {"waiting": 3}

    back = it.rollback(1, prune=True, prompts__max_delete=9)
    assert back.code == 0
    now = it.lock.prompts
    assert set(now) == set(before)
    for key, entry in before.items():
        assert now[key].rendered_sha256 == entry.rendered_sha256
        if key not in removed:
            assert now[key].prompt_id == entry.prompt_id, "what still stood has its old id again"
    assert [one.number for one in it.releases()] == [1, 2, 3]
    assert it.releases()[2].note == "release 1 again"


def test_a_library_lives_as_planned(tmp_path: Path) -> None:
    with deploying(tmp_path, count=12) as it:
        life(it)


def test_a_tenth_of_a_real_library_lives_as_planned(tmp_path: Path) -> None:
    with deploying(tmp_path) as it:
        it.fill_from_debian(every=10)
        life(it)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_real_library_lives_as_planned(tmp_path: Path) -> None:
    with deploying(tmp_path) as it:
        it.fill_from_debian()
        assert len(it.cells) == 568
        it.processes = True
        life(it)


def test_what_is_replaced_stays_until_it_is_pruned(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.apply()
        old = it.lock.prompts[it.key(0)].prompt_id
        key = it.change(0)
        ran = it.apply(prune=True)
        assert ran.of(Action.REPLACE) == {key}
        it.equal(superseded=[key])
        assert [one.prompt_id for one in it.lock.superseded] == [old]
        assert it.lock.prompts[key].prompt_id != old
        pruned = it.apply(prune=True)
        assert pruned.of(Action.DELETE) == {key}
        assert pruned.told(Verdict.DONE, "deleted") == {key}
        it.equal()


def test_an_unchanged_prompt_keeps_its_id_when_only_its_file_moves(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        it.apply()
        before = it.lock.prompts[it.key(0)]
        (tmp_path / "elsewhere").mkdir()
        it.audio(0).rename(tmp_path / "elsewhere" / "x.wav")
        it.cells[0]["file"] = "elsewhere/x.wav"
        it.write()
        ran = it.apply()
        assert ran.result.prepared.plan.empty
        after = it.lock.prompts[it.key(0)]
        assert (after.prompt_id, after.file) == (before.prompt_id, "elsewhere/x.wav")
        assert ran.result.deployed.release is None


def test_a_rename_is_a_new_id_and_said_aloud(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        it.apply()
        old = it.lock.prompts["prompt/p000"].prompt_id
        it.cells[0]["name"] = "greeting"
        it.write()
        planned = it.plan()
        change = planned.result.prepared.plan.of(Action.CREATE)[0]
        assert any("prompt/p000 under another name" in note and old in note for note in change.notes)
        assert planned.of(Action.REMOVE) == {"prompt/p000"}


# ── what stops everything ───────────────────────────────────────────────────────────────────


def test_one_blocked_prompt_stops_it_all_and_every_blocked_one_is_named(tmp_path: Path) -> None:
    with deploying(tmp_path, count=5) as it:
        silent(it.audio(1))
        silent(it.audio(3))
        (tmp_path / "audio" / "torn.wav").write_bytes(b"RIFF")
        it.cells.append({"file": "audio/torn.wav", "type": "prompt", "name": "torn"})
        it.write()
        ran = it.apply()
        assert ran.code == 3
        assert ran.told(Verdict.REJECTED) == {it.key(1), it.key(3), "prompt/torn"}
        assert ran.told(Verdict.PENDING, "held_back") == {it.key(0), it.key(2), it.key(4)}
        assert it.posted.total() == 0
        assert not (tmp_path / NAME).exists() or not it.lock.prompts
        assert "silent" in {one.reason for one in ran.outcomes}


def test_a_bad_row_stops_it_all_so_that_nothing_counts_as_removed(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        it.apply()
        it.cells[2]["type"] = "promt"
        it.write()
        ran = it.apply(prune=True)
        assert ran.code == 3
        bad = [one for one in ran.outcomes if one.verdict is Verdict.REJECTED]
        assert "did you mean prompt?" in bad[0].message
        assert "row 3 (line 4)" in bad[0].message
        it.cells[2]["type"] = "prompt"
        it.write()
        it.equal()


def test_names_that_could_be_taken_for_each_other_stop_it_before_any_request(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.cells[0]["name"], it.cells[1]["name"] = "Willkommen.wav", "WILLKOMMEN"
        it.write()
        ran = it.apply()
        assert ran.code == 3
        assert {one.reason for one in ran.outcomes if one.verdict is Verdict.REJECTED} == {"name_collision"}
        assert it.posted.total() == 0


def test_missing_languages_stop_it_when_they_are_required(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        for number, (name, language) in enumerate((("hello", "en"), ("hello", "es"), ("bye", "en"))):
            it.cells[number] |= {"name": name, "language": language}
        it.write()
        ran = it.apply(prompts__languages=("en", "es"))
        assert ran.code == 3
        assert ran.result.prepared.lacking == {"prompt/bye": ("es",)}
        assert it.posted.total() == 0
        ran = it.apply()
        assert ran.code == 0
        assert set(it.there) == {"prompt/hello-en", "prompt/hello-es", "prompt/bye-en"}


def test_more_deletions_than_allowed_do_nothing_at_all(tmp_path: Path) -> None:
    with deploying(tmp_path, count=5) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()
        with pytest.raises(UsageError, match="4 prompts would be deleted, and 3 may be") as caught:
            it.apply(prune=True, prompts__max_delete=3)
        assert caught.value.code == "max_delete"
        assert len(it.there) == 5
        ran = it.apply(prune=True, prompts__max_delete=4)
        assert (ran.code, len(it.there)) == (0, 1)
        it.equal()


# ── what others did ─────────────────────────────────────────────────────────────────────────


def put(it: Library, name: str, kind: str = "prompt") -> str:
    """Let somebody else put a prompt into the account; return its id."""
    made = it.sandbox.state.library.add(kind, name, f"{name}.wav", b"RIFFtheirs", 0)
    return str(made.prompt_id)


def test_drift_is_seen_and_mended(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        it.apply()
        gone = it.lock.prompts[it.key(1)].prompt_id
        it.vanish(gone)
        theirs = put(it, "p002")
        planned = it.plan()
        assert planned.of(Action.DRIFTED) == {it.key(1)}
        assert gone in planned.result.prepared.plan.of(Action.DRIFTED)[0].reason
        noted = next(one for one in planned.result.prepared.plan.changes if one.key == it.key(2))
        assert noted.action is Action.UNCHANGED
        assert theirs in noted.notes[0]
        assert {one.standing.value for one in it.list()} == {"ours", "foreign", "gone"}
        ran = it.apply()
        assert (ran.code, ran.told(Verdict.DONE)) == (0, {it.key(1)})
        it.vanish(theirs)
        it.equal()


@pytest.mark.parametrize(
    ("choice", "action", "uploads"),
    [("adopt", Action.ADOPT, 0), ("replace", Action.REPLACE, 1), ("skip", Action.SKIP, 0)],
)
def test_a_name_that_is_taken(tmp_path: Path, choice: str, action: Action, uploads: int) -> None:
    with deploying(tmp_path, count=2, prompts__on_conflict=choice) as it:
        theirs = put(it, "p000")
        ran = it.apply()
        assert ran.code == 0
        assert ran.of(action) == {it.key(0)}
        assert it.posted.total() == 2 + uploads
        assert theirs in {str(one.prompt_id) for one in it.there[it.key(0)]}, "what is theirs is not touched"
        if choice == "adopt":
            assert it.lock.prompts[it.key(0)].prompt_id == theirs
            assert it.lock.prompts[it.key(0)].adopted
            it.change(0)
            assert it.apply().of(Action.REPLACE) == {it.key(0)}


def test_a_name_that_is_taken_may_fail(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2, prompts__on_conflict="fail") as it:
        put(it, "p000")
        ran = it.apply()
        assert (ran.code, ran.of(Action.BLOCKED)) == (3, {it.key(0)})
        assert it.posted.total() == 1


def test_several_of_one_name_cannot_be_adopted(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        put(it, "p000")
        put(it, "p000")
        ran = it.apply()
        assert (ran.code, ran.of(Action.BLOCKED), it.posted.total()) == (3, {it.key(0)}, 2)


def test_only_what_is_ours_is_pruned_unless_told(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        theirs = put(it, "somebody's")
        it.apply(prune=True)
        assert len(it.there) == 3
        ran = it.apply(prune=True, prune_foreign=True)
        assert ran.result.prepared.plan.of(Action.DELETE)[0].prompt_id == theirs
        it.equal()


def test_what_a_route_mentions_is_kept_without_force(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.apply()
        old = it.lock.prompts[it.key(0)].prompt_id
        route = it.sandbox.state.routes.routes[0]
        it.sandbox.state.routes.mention(route.route_id, prompt=int(old))
        key = it.key(0)
        it.cells = it.cells[1:]
        it.write()
        planned = it.plan(prune=True)
        assert planned.of(Action.KEEP) == {key}
        assert route.name in planned.result.prepared.plan.of(Action.KEEP)[0].reason
        kept = it.apply(prune=True)
        assert (kept.code, key in it.there) == (0, True)
        forced = it.apply(prune=True, force=True)
        assert (forced.code, key in it.there) == (0, False)
        it.equal()


def test_what_a_route_came_to_mention_since_the_plan_is_kept(tmp_path: Path) -> None:
    """Between plan and pruning lies the rendering of a whole set, and somebody may provision a route."""
    with deploying(tmp_path, count=4) as it:
        it.apply()
        keys = [it.key(number) for number in (0, 1)]
        old = it.lock.prompts[keys[0]].prompt_id
        it.cells = it.cells[2:]
        it.write()
        route = it.sandbox.state.routes.routes[0]

        def provision(prepared: Prepared) -> None:
            it.sandbox.state.routes.mention(route.route_id, prompt=int(old))

        kept = it.apply(prune=True, show=provision)
        assert kept.of(Action.DELETE) == set(keys), "the plan did not know of it"
        assert (kept.code, kept.told(Verdict.SKIPPED, "keep")) == (0, {keys[0]})
        assert any(route.name in note and old in note for note in kept.result.deployed.notes)
        assert (keys[0] in it.there, keys[1] in it.there) == (True, False)
        it.equal(superseded=[keys[0]])
        assert it.apply(prune=True, force=True).told(Verdict.DONE, "deleted") == {keys[0]}
        it.equal()


def test_a_prune_asks_for_the_routes_once_more_and_not_for_each(tmp_path: Path) -> None:
    with deploying(tmp_path, count=8) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()
        before, asked = 0, it.sandbox.state.stats

        def remember(prepared: Prepared) -> None:
            nonlocal before
            before = asked.total(Endpoint.ROUTES)

        assert it.apply(prune=True, show=remember).code == 0
        assert asked.total(Endpoint.ROUTES) - before == before


def test_routes_that_cannot_be_read_at_last_prune_nothing(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()

        def break_down(prepared: Prepared) -> None:
            it.sandbox.state.faults.set([FaultRule(name="routes_500")])

        ran = it.apply(prune=True, show=break_down)
        assert (ran.code, len(it.there)) == (3, 3)
        assert any("nothing was pruned" in note for note in ran.result.deployed.notes)
        it.sandbox.state.faults.set(())
        assert it.apply(prune=True).code == 0
        it.equal()


def test_a_login_that_ends_before_the_routes_are_read_again_ends_the_run_in_order(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()

        def lock_out(prepared: Prepared) -> None:
            it.sandbox.state.faults.set([FaultRule(name="unauthorized_mid_run")])

        ran = it.apply(prune=True, show=lock_out)
        assert (ran.code, ran.counts, len(it.there)) == (4, {"skipped": 1}, 3)
        it.sandbox.state.faults.set(())
        assert it.apply(prune=True).code == 0
        it.equal()


def test_routes_that_cannot_be_seen_are_said(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2, routes=False) as it:
        it.apply()
        it.cells = it.cells[1:]
        it.write()
        ran = it.apply(prune=True)
        assert any("cannot be seen" in note for note in ran.result.prepared.notes)
        it.equal()


# ── a saved plan ────────────────────────────────────────────────────────────────────────────


def test_a_saved_plan_is_applied_exactly_or_not_at_all(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        library = library_of(it.settings())
        planned = it.plan()
        prepared = planned.result.prepared
        save_plan(tmp_path / "one.json", prepared, library, it.choices())
        with pytest.raises(UsageError, match="is there already"):
            save_plan(tmp_path / "one.json", prepared, library, it.choices())
        saved = load_plan(tmp_path / "one.json", library)
        put(it, "unrelated")
        with pytest.raises(UsageError, match="the account's library changed") as caught:
            it.apply(saved)
        assert caught.value.code == "plan_stale"
        assert it.posted.total() == 1, "nothing was done"
        it.vanish(str(it.sandbox.state.library.prompts[0].prompt_id))
        it.change(0)
        with pytest.raises(UsageError, match="the manifest, its audio"):
            it.apply(saved)
        save_plan(tmp_path / "two.json", it.plan().result.prepared, library, it.choices())
        ran = it.apply(load_plan(tmp_path / "two.json", library))
        assert (ran.code, ran.counts) == (0, {"done": 4})
        it.equal()
        with pytest.raises(UsageError, match="changed since it was made"):
            it.apply(load_plan(tmp_path / "two.json", library))
        with pytest.raises(UsageError, match="was made for"):
            load_plan(tmp_path / "two.json", "another/account")


# ── the older generation ────────────────────────────────────────────────────────────────────


def test_v2_takes_prompts_and_whispers_fifteen_at_a_time(tmp_path: Path) -> None:
    with deploying(tmp_path, prompts__api="v2") as it:
        it.fill(20)
        for one in it.cells[:4]:
            one["type"] = "whisper"
        it.write()
        ran = it.apply()
        assert (ran.code, ran.counts) == (0, {"done": 20})
        it.equal()
        stats = it.sandbox.state.stats
        assert stats.total(Endpoint.V2_PROMPT) + stats.total(Endpoint.V2_WHISPER) <= 6
        key = it.change(5)
        again = it.apply(prune=True)
        assert again.code == 0
        assert any("cannot delete" in note for note in again.result.prepared.notes)
        it.equal(superseded=[key])


def test_v2_refuses_what_it_has_no_type_for_before_any_request(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3, prompts__api="v2") as it:
        it.cells[1]["type"] = "survey"
        it.write()
        ran = it.apply()
        assert (ran.code, it.posted.total()) == (3, 0)
        assert (
            "takes no survey" in next(one for one in ran.outcomes if one.verdict is Verdict.REJECTED).message
        )


# ── audio sent as it stands ─────────────────────────────────────────────────────────────────


def test_as_is_sends_the_very_bytes(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2, prompts__as_is=True) as it:
        assert it.apply().code == 0
        entry = it.lock.prompts[it.key(0)]
        assert it.bytes_of(entry.prompt_id) == it.audio(0).read_bytes()
        assert entry.rendered_sha256 == entry.source_sha256
        rendered = it.apply(prompts__as_is=False)
        assert rendered.of(Action.REPLACE) == {it.key(0), it.key(1)}


def test_as_is_sends_what_was_judged_though_its_file_changes_before_it_is_sent(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2, prompts__as_is=True) as it:
        before = {it.key(number): it.audio(number).read_bytes() for number in (0, 1)}

        def change(prepared: Prepared) -> None:
            it.change(0)
            it.audio(1).unlink()

        ran = it.apply(show=change)
        assert (ran.code, ran.counts) == (0, {"done": 2})
        for key, entry in it.lock.prompts.items():
            assert it.bytes_of(entry.prompt_id) == before[key]
        it.audio(1).write_bytes(before[it.key(1)])
        assert it.plan().of(Action.REPLACE) == {it.key(0)}, "what is there now is not what was sent"


def test_as_is_holds_back_what_changes_while_it_is_judged(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2, prompts__as_is=True) as it:
        ran = it.apply(meanwhile=lambda request: it.change(0) if request.probe.path == it.audio(0) else None)
        assert (ran.code, ran.told(Verdict.FAILED, "source_changed")) == (3, {it.key(0)})
        assert it.posted.total() == 0


def test_a_login_that_may_not_create_stops_with_its_own_code(tmp_path: Path) -> None:
    with deploying(tmp_path, count=6, role_id=3) as it:
        ran = it.apply()
        assert ran.code == 4
        assert it.posted.total() == 0


def test_an_expired_token_is_renewed_once(tmp_path: Path) -> None:
    with deploying(tmp_path, FaultRule(name="unauthorized_mid_run", skip=7, first=1), count=10) as it:
        assert it.apply().code == 0
        it.equal()
