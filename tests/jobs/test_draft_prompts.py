"""``prompts init``: folders say what they say, nothing is made up, and every draft can be applied."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.jobs.draft_prompts import BEST_FIRST, LANGUAGES, TYPE_FOLDERS, Drafted, draft_prompts
from mediapipe.library import names
from mediapipe.manifest.prompts import COLUMNS, read_prompts
from mediapipe.manifest.roots import Root
from mediapipe.settings import Settings


def drafted(folder: Path) -> tuple[list[list[str]], list[str], Drafted]:
    printed: list[str] = []
    complaints: list[str] = []
    counts = draft_prompts(folder, printed.append, complaints.append)
    (text,) = printed
    head, *rows = csv.reader(text.splitlines())
    assert tuple(head) == COLUMNS
    assert len(rows) == counts.rows
    return rows, complaints, counts


def touch(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("welcome.wav", ["prompt", "welcome", "", ""]),
        ("Whispers/sales.wav", ["whisper", "sales", "", ""]),
        ("voicemail-greetings/closed.wav", ["voicemail", "closed", "", ""]),
        ("survey/es_mx/q1.wav", ["survey", "q1", "es-MX", ""]),
        ("fr/whispers/a/b.wav", ["whisper", "a-b", "fr", ""]),
        ("silence/2.wav", ["prompt", "silence-2", "", "silence"]),
        ("xx/b.wav", ["prompt", "xx-b", "", ""]),
        ("phonetic/a_p.wav", ["prompt", "phonetic-a_p", "", ""]),
    ],
)
def test_folders_say_type_and_language_and_else_are_part_of_the_name(
    tmp_path: Path, file: str, row: list[str]
) -> None:
    touch(tmp_path, file)
    assert drafted(tmp_path) == ([[file, *row]], [], Drafted(1, 0))


def test_of_one_prompt_in_several_formats_the_best_is_drafted(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a.{suffix}" for suffix in BEST_FIRST), "b.mp3", "b.wma", "c.wma", "en/a.mp3")
    rows, complaints, counts = drafted(tmp_path)
    assert [row[0] for row in rows] == ["a.wav", "b.mp3", "c.wma", "en/a.mp3"]
    assert not complaints
    assert counts == Drafted(4, 0, len(BEST_FIRST))


def test_names_that_would_be_taken_for_each_other_are_numbered_and_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.wav", "a-b.wav", "A-B.wav", "a-b-2.wav", "whispers/a-b.wav", "en/a-b.wav")
    rows, complaints, _ = drafted(tmp_path)
    assert {row[0]: row[2] for row in rows} == {
        "A-B.wav": "A-B",
        "a-b-2.wav": "a-b-2",
        "a-b.wav": "a-b-3",
        "a/b.wav": "a-b-4",
        "en/a-b.wav": "a-b",
        "whispers/a-b.wav": "a-b",
    }
    assert [line.split(":")[0] for line in complaints] == ["'a-b.wav'", "'a/b.wav'"]
    assert "drafted as 'a-b-4'" in complaints[1]


def test_what_no_row_can_name_is_left_out_and_told(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside.wav", tmp_path / "set"
    outside.touch()
    touch(inside, "ok.wav", ".hidden.wav", ".git/x.wav", "notes.txt")
    (inside / "link.wav").symlink_to(outside)
    (inside / "dead.wav").symlink_to(inside / "nowhere.wav")
    (inside / "dir.wav").mkdir()
    os.close(os.open(os.fsencode(inside) + b"/\xff.wav", os.O_CREAT))
    rows, complaints, counts = drafted(inside)
    assert [row[0] for row in rows] == ["ok.wav"]
    assert counts == Drafted(1, 3)
    told = "\n".join(sorted(complaints))
    assert "'dead.wav': is no file" in told
    assert "'link.wav': is a link that leads outside the folder" in told
    assert "its name is not UTF-8" in told


def test_a_folder_without_audio_is_an_error_and_none_at_all_another(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    for folder, words in (
        (tmp_path, "no audio file below it"),
        (tmp_path / "none", "no such folder"),
        (tmp_path / "notes.txt", "is no folder"),
    ):
        with pytest.raises(UsageError, match=words):
            drafted(folder)


def test_the_languages_are_languages_and_no_type_is_one() -> None:
    assert all(names.read_language(one) == one for one in LANGUAGES)
    assert not LANGUAGES & TYPE_FOLDERS.keys()


FOLDERS = st.sampled_from(["whispers", "en", "es_MX", "silence", "a b", "é", "=1+1", "x,y", 'q"', "-"])
STEMS = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)


@given(st.sets(st.tuples(st.lists(FOLDERS, max_size=3), STEMS).map(lambda it: (*it[0], it[1])), max_size=8))
def test_every_draft_is_a_manifest_without_a_fault(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("set")
    touch(folder, "sure.wav", *("/".join(path) + ".wav" for path in paths))
    printed: list[str] = []
    counts = draft_prompts(folder, printed.append, lambda line: None)
    manifest = folder / "prompts.csv"
    manifest.write_text(printed[0] + "\n", "utf-8")
    read = read_prompts(manifest, Root(folder), pattern=Settings().prompts.language_names)
    assert len(read.rows) == counts.rows
    assert not [row.problems for row in read.rows if row.problems]
