"""What each prompt of an account is to us."""

from __future__ import annotations

from pathlib import Path

from mediapipe.jobs.list_prompts import Row, Standing, standings
from mediapipe.library.lockfile import Entry, LibraryLock, Superseded
from mediapipe.library.words import Listed
from tests.prompt_runs import deploying

NOW = "2026-02-14T00:00:00+00:00"


def entry(prompt_id: str) -> Entry:
    return Entry(prompt_id, "s", "r", uploaded_at="then")


def told(listed: list[tuple[str, str]], lock: LibraryLock) -> list[tuple[str, str, str, str]]:
    rows = standings([Listed(one, "prompt", name, uploaded="now") for one, name in listed], lock)
    return [(row.standing.value, row.key, row.prompt_id, row.note) for row in rows]


def test_each_of_them() -> None:
    lock = LibraryLock(
        {f"prompt/{name}": entry(at) for name, at in {"a": "1", "b": "2", "c": "3"}.items()},
        (
            Superseded("prompt/a", "replaced", NOW, entry("4")),
            Superseded("prompt/z", "removed", NOW, entry("9")),
        ),
    )
    there = [("7", "z"), ("6", "a"), ("4", "a"), ("2", "bb"), ("1", "a")]
    assert told(there, lock) == [
        ("ours", "prompt/a", "1", ""),
        ("superseded", "prompt/a", "4", "replaced 2026-02-14"),
        ("foreign", "prompt/a", "6", "has the name of one of ours"),
        ("renamed", "prompt/bb", "2", "it was prompt/b"),
        ("gone", "prompt/c", "3", "not in the account"),
        ("foreign", "prompt/z", "7", ""),
    ]


def test_where_the_list_shows_no_ids_names_have_to_do() -> None:
    lock = LibraryLock({"prompt/a": entry(""), "prompt/b": entry("")})
    assert told([("", "a"), ("", "c")], lock) == [
        ("ours", "prompt/a", "", ""),
        ("gone", "prompt/b", "", "not in the account"),
        ("foreign", "prompt/c", "", ""),
    ]


def test_an_id_that_was_not_shown_when_it_was_locked() -> None:
    (row,) = told([("5", "a")], LibraryLock({"prompt/a": entry("")}))
    assert row[0] == "ours"


def test_nothing_is_nothing() -> None:
    assert told([], LibraryLock()) == []


def test_a_row_for_scripts() -> None:
    row = Row(Standing.OURS, "prompt/a", "7", "now")
    assert row.as_json() == {"standing": "ours", "key": "prompt/a", "id": "7", "uploaded": "now", "note": ""}


def test_a_deployed_library_is_listed_and_nothing_is_written(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.apply()
        it.sandbox.state.library.add("prompt", "stranger", "stranger.wav", b"RIFFtheirs", 0)
        it.vanish(it.lock.prompts[it.key(1)].prompt_id)
        before = (tmp_path / "prompts.lock.json").read_bytes()
        found = {(row.standing, row.key) for row in it.list()}
        assert found == {
            (Standing.OURS, it.key(0)),
            (Standing.GONE, it.key(1)),
            (Standing.OURS, it.key(2)),
            (Standing.FOREIGN, "prompt/stranger"),
        }
        assert (tmp_path / "prompts.lock.json").read_bytes() == before
