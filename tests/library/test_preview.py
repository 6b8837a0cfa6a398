"""What a preview says of each prompt: what became of it since the last release, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mediapipe.items import Outcome, Verdict
from mediapipe.library import preview
from mediapipe.library.desired import Desired
from mediapipe.library.lockfile import Entry, LibraryLock
from mediapipe.library.plan import Action, Change
from mediapipe.library.preview import Base, Standing, compare, find_base, gather, no_longer
from mediapipe.library.publishing import Ready
from mediapipe.library.releases import Releases, released
from mediapipe.library.studio import Rendered, Session
from mediapipe.library.words import PromptType
from mediapipe.pacing import RetryPolicy
from mediapipe.stores.folder import FolderStore

MADE = "ab" * 32


def wanted(name: str, audio: str = "x", recipe: str = "r", row: int = 1) -> Desired:
    return Desired(f"prompt/{name}", PromptType.PROMPT, name, audio, recipe, None, None, row=row)


def entry(audio: str = "x", recipe: str = "r", made: str = MADE, **more: bool) -> Entry:
    return Entry("1", audio, recipe, made, 10, "wav", **more)


def rendered(one: Desired, made: str = MADE, why: str = "") -> Rendered:
    change = Change(Action.CREATE, one.key, desired=one)
    if why:
        return Rendered(change, Outcome(one.key, Verdict.REJECTED, "silent", why))
    return Rendered(change, Outcome(one.key, Verdict.PENDING), Ready(change, Path("p"), entry(made=made)))


@pytest.mark.parametrize(
    ("audio", "recipe", "expected"),
    [
        ("x", "r", Standing.UNCHANGED),
        ("y", "r", Standing.AUDIO),
        ("x", "s", Standing.RECIPE),
        ("y", "s", Standing.BOTH),
    ],
)
def test_what_was_deployed_is_held_against_what_is_wanted(
    audio: str, recipe: str, expected: Standing
) -> None:
    assert compare(wanted("a", audio, recipe), {"prompt/a": entry()}, {"prompt/a"}) == (expected, "")


def test_another_name_is_told_only_where_the_old_one_is_gone() -> None:
    before = {"prompt/old": entry()}
    standing, why = compare(wanted("new"), before, {"prompt/new"})
    assert (standing, why) == (Standing.RENAMED, "the same audio and recipe were called prompt/old")
    assert compare(wanted("new"), before, {"prompt/new", "prompt/old"}) == (Standing.NEW, "")
    assert compare(wanted("new", "y"), before, {"prompt/new"}) == (Standing.NEW, "")


def test_what_was_taken_over_was_never_heard_here() -> None:
    standing, why = compare(wanted("a"), {"prompt/a": entry(adopted=True)}, {"prompt/a"})
    assert standing is Standing.UNCHANGED
    assert "never ours" in why


def test_blocked_ones_come_first_and_the_rest_in_order() -> None:
    ones = [wanted("a"), wanted("b", "y"), wanted("c")]
    session = Session([rendered(ones[0]), rendered(ones[1], "other"), rendered(ones[2], why="no sound")])
    items = gather(ones, session, Base({"prompt/a": entry(), "prompt/b": entry()}))
    assert [(one.desired.name, one.standing, one.blocked) for one in items] == [
        ("c", Standing.NEW, "no sound"),
        ("a", Standing.UNCHANGED, ""),
        ("b", Standing.AUDIO, ""),
    ]
    assert [one.changed for one in items] == [True, False, True]


def test_it_is_said_where_a_change_makes_no_difference_and_where_none_does() -> None:
    ones = [wanted("a", recipe="s"), wanted("b"), wanted("c"), wanted("d")]
    made = [MADE, MADE, "other", "other"]
    before = {f"prompt/{name}": entry() for name in "abc"} | {"prompt/d": entry(adopted=True)}
    session = Session([rendered(*pair) for pair in zip(ones, made, strict=True)])
    whys = [one.why for one in gather(ones, session, Base(before))]
    assert whys[:3] == [
        "what is sent is byte for byte what it was",
        "",
        "rendered here, it is not byte for byte what was sent",
    ]
    assert "never ours" in whys[3]


def test_what_is_gone_is_told_but_not_what_only_has_a_faulty_row() -> None:
    base = Base({"prompt/a": entry(), "prompt/b": entry(), "prompt/c": entry()})
    assert no_longer([wanted("a")], {"prompt/b"}, base) == ("prompt/c",)


# ── what it is compared with ────────────────────────────────────────────────────────────────

LOCK = LibraryLock({"prompt/a": entry()}, release=1)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(FolderStore(tmp_path / "kept"), "host/account", RetryPolicy())


def found(lock: LibraryLock, releases: Releases | None, *published: LibraryLock) -> Base:
    async def work() -> Base:
        for one in published:
            assert releases is not None
            await releases.publish(released(one), after=0, made="2026-02-14T03:00:00Z", run_id="run")
        return await find_base(lock, releases, "prompts.lock.json")

    return anyio.run(work)


def test_nothing_deployed_makes_everything_new() -> None:
    assert found(LibraryLock(), None) == Base()


def test_without_a_release_the_lock_is_taken() -> None:
    lock = replace(LOCK, release=0)
    assert found(lock, None) == Base(lock.prompts, "Compared with prompts.lock.json.")


def test_the_release_that_the_lock_names_is_taken(releases: Releases) -> None:
    base = found(LOCK, releases, LOCK)
    assert base.said == "Compared with release 1 of 2026-02-14, which prompts.lock.json names."
    assert base.notes == ()
    assert compare(wanted("a"), base.prompts, {"prompt/a"}) == (Standing.UNCHANGED, "")


def test_what_an_apply_left_half_done_is_said(releases: Releases) -> None:
    since = replace(LOCK, prompts={"prompt/a": entry("y"), "prompt/b": entry()})
    base = found(since, releases, LOCK)
    assert base.notes == ("2 prompts of prompts.lock.json are not in release 1: an apply did not end",)
    assert compare(wanted("a", "y"), base.prompts, {"prompt/a"})[0] is Standing.AUDIO


def test_a_release_that_is_not_kept_any_more_stops_nothing(releases: Releases) -> None:
    base = found(LOCK, releases)
    assert (base.prompts, base.said) == (LOCK.prompts, "Compared with prompts.lock.json.")
    assert "release 1 cannot be read" in base.notes[0]
    assert "there is no release 1" in base.notes[0]


def test_a_store_that_does_not_answer_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asleep(FolderStore):
        async def read(self, key: str) -> bytes:
            await anyio.sleep(60)
            return await super().read(key)

    monkeypatch.setattr(preview, "PATIENCE_S", 0.05)
    base = found(LOCK, Releases(Asleep(tmp_path / "kept"), "host/account", RetryPolicy()))
    assert base.prompts == LOCK.prompts
    assert "did not answer within 0.05 s" in base.notes[0]
