"""A saved plan: what is not one is refused, and one that could not be written leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mediapipe.errors import UsageError
from mediapipe.library import planfile
from mediapipe.library.lockfile import LibraryLock
from mediapipe.library.plan import Action, Change, Choices, Plan
from mediapipe.library.planfile import check_ground, load_plan, save_plan
from mediapipe.library.preparing import GROUND_WORDS, Prepared

LIBRARY = "host/a"
GROUND = dict.fromkeys(GROUND_WORDS, "digest")


def prepared(*changes: Change, **ground: str) -> Prepared:
    return Prepared(Plan(changes, LibraryLock()), (), GROUND | ground)


DELETE = Change(Action.DELETE, "prompt/a\ud800b", "replaced on 2026-02-01", "7")


def saved(path: Path, *, choices: Choices | None = None) -> dict[str, Any]:
    save_plan(path, prepared(DELETE), LIBRARY, choices or Choices(prune=True))
    found = json.loads(path.read_bytes())
    assert isinstance(found, dict)
    return found


def test_what_is_saved_is_applied(tmp_path: Path) -> None:
    choices = Choices(True, True, True, 0, "skip")
    saved(tmp_path / "p.json", choices=choices)
    plan = load_plan(tmp_path / "p.json", LIBRARY)
    assert (plan.choices, plan.ground, plan.library) == (choices, GROUND, LIBRARY)
    check_ground(plan, prepared(DELETE))


@pytest.mark.parametrize("name", GROUND_WORDS)
def test_ground_that_moved_is_named(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "p.json")
    plan = load_plan(tmp_path / "p.json", LIBRARY)
    with pytest.raises(UsageError) as caught:
        check_ground(plan, prepared(DELETE, **{name: "another"}))
    assert caught.value.code == "plan_stale"
    assert GROUND_WORDS[name] in caught.value.message


@pytest.mark.parametrize(
    "now",
    [
        (),
        (Change(Action.KEEP, DELETE.key, "", "7"),),
        (Change(Action.DELETE, DELETE.key, "", "8"),),
        (DELETE, Change(Action.REMOVE, "prompt/b")),
    ],
)
def test_other_changes_on_the_same_ground_are_not_made(tmp_path: Path, now: tuple[Change, ...]) -> None:
    saved(tmp_path / "p.json")
    with pytest.raises(UsageError, match="what routes mention"):
        check_ground(load_plan(tmp_path / "p.json", LIBRARY), prepared(*now))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    before = saved(tmp_path / "p.json")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        saved(tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_bytes()) == before


def test_one_that_could_not_be_written_is_not_left_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(planfile.os, "fsync", full)
        with pytest.raises(UsageError, match="No space left"):
            saved(tmp_path / "p.json")
    assert not list(tmp_path.iterdir())
    saved(tmp_path / "p.json")


def test_a_folder_that_there_is_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        saved(tmp_path / "gone" / "p.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "another version"),
        ({"library": "host/b"}, "made for host/b"),
        ({"choices": {"prune": "yes"}}, "no saved plan"),
        ({"choices": {"most_deletes": "many"}}, "no saved plan"),
        ({"choices": {"most_deletes": True}}, "no saved plan"),
        ({"choices": {"most_deletes": -1}}, "no saved plan"),
        ({"choices": {"on_conflict": "guess"}}, "no saved plan"),
        ({"choices": {"on_conflict": ["adopt"]}}, "no saved plan"),
        ({"choices": {"mood": "glad"}}, "no saved plan"),
        ({"choices": None}, "no saved plan"),
        ({"ground": None}, "no saved plan"),
        ({"ground": "all"}, "no saved plan"),
        ({"changes": None}, "no saved plan"),
        ({"changes": ["delete"]}, "no saved plan"),
        ({"changes": [{"action": "delete"}]}, "no saved plan"),
    ],
)
def test_what_nobody_can_have_agreed_to_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    raw = saved(tmp_path / "p.json")
    (tmp_path / "q.json").write_text(json.dumps(raw | change))
    with pytest.raises(UsageError, match=said):
        load_plan(tmp_path / "q.json", LIBRARY)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"7", b'"x"', b"{}", b"[" * 100_000, b"null"])
def test_what_is_no_plan_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "q.json").write_bytes(data)
    with pytest.raises(UsageError, match="no saved plan"):
        load_plan(tmp_path / "q.json", LIBRARY)
    with pytest.raises(UsageError, match="cannot be read"):
        load_plan(tmp_path / "gone.json", LIBRARY)
