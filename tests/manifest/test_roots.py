"""Paths: only files below the root, and a word of help for every way to miss one."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from mediapipe.errors import UsageError
from mediapipe.manifest import roots
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.roots import Root

NFC, NFD = "Café", unicodedata.normalize("NFD", "Café")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with files in it, beside a file that is none of its business."""
    for name in ("base/a.wav", "base/Calls/b.wav", f"base/{NFC}/c d.wav", "outside/x.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    return tmp_path / "base"


def found(folder: Path, text: str) -> str:
    result = Root(folder).find(text, "recording_file")
    assert isinstance(result, str), result
    return os.path.relpath(result, folder)


def wrong(folder: Path, text: str) -> Problem:
    result = Root(folder).find(text, "recording_file")
    assert isinstance(result, Problem), result
    assert (result.column, result.value) == ("recording_file", text)
    return result


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("a.wav", "a.wav"),
        ("./a.wav", "a.wav"),
        ("Calls/b.wav", "Calls/b.wav"),
        ("Calls//b.wav", "Calls/b.wav"),
        ("Calls/../a.wav", "a.wav"),
        ("../base/a.wav", "a.wav"),
        (f"{NFC}/c d.wav", f"{NFC}/c d.wav"),
    ],
)
def test_a_file_below_the_root_is_found(folder: Path, text: str, real: str) -> None:
    assert found(folder, text) == real


def test_a_full_path_is_taken_when_it_leads_below_the_root(folder: Path) -> None:
    assert found(folder, str(folder / "a.wav")) == "a.wav"
    assert wrong(folder, str(folder.parent / "outside" / "x.wav")).code == "outside_root"


@pytest.mark.parametrize(
    "text", ["../outside/x.wav", "../outside/none.wav", "/etc/passwd", "Calls/../../outside/x.wav", ".."]
)
def test_nothing_outside_is_found_or_even_confirmed(folder: Path, text: str) -> None:
    problem = wrong(folder, text)
    assert problem.code == "outside_root"
    assert "only files below --root" in str(problem)


@pytest.mark.parametrize(
    "text", ["a\0.wav", "Calls\0/b.wav", "\0", "a.wav\0", "half\ud800.wav", "\udcff\0/x"]
)
def test_what_no_disk_takes_is_no_file_and_breaks_nothing(folder: Path, text: str) -> None:
    problem = wrong(folder, text)
    assert problem.code == "no_such_file"
    assert "no name of a file" in problem.what
    assert found(folder, "a.wav") == "a.wav"


def test_links_are_followed_only_inside(folder: Path) -> None:
    (folder / "in.wav").symlink_to(folder / "Calls" / "b.wav")
    (folder / "out.wav").symlink_to(folder.parent / "outside" / "x.wav")
    (folder / "away").symlink_to(folder.parent / "outside")
    (folder / "round").symlink_to("round")
    assert found(folder, "in.wav") == "Calls/b.wav"
    assert wrong(folder, "out.wav").code == "outside_root"
    assert wrong(folder, "away/x.wav").code == "outside_root"
    assert wrong(folder, "away/none.wav").code == "outside_root"
    assert wrong(folder, "round").code in {"unreadable", "not_a_file"}


def test_a_neighbour_whose_name_begins_alike_is_outside(folder: Path) -> None:
    (folder.parent / "base2").mkdir()
    (folder.parent / "base2" / "y.wav").write_bytes(b"")
    assert wrong(folder, "../base2/y.wav").code == "outside_root"


def test_the_root_itself_may_be_reached_by_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert Root(link).find("a.wav", "c") == str(folder.resolve() / "a.wav")


@pytest.mark.parametrize("text", ["Calls", "Calls/", ".", "./"])
def test_a_folder_is_no_file(folder: Path, text: str) -> None:
    assert (wrong(folder, text).code, wrong(folder, text).what) == ("not_a_file", "is a folder")


def test_a_pipe_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert wrong(folder, "pipe").what == "is not a file"


CASE = "upper and lower case differ"
BLANKS = "the cell has blanks around the name"
SLASH = "write / between folders, not \\"
ACCENTS = "its accents are spelled with other Unicode characters (NFC, NFD)"


@pytest.mark.parametrize(
    ("text", "near", "why"),
    [
        ("A.wav", "a.wav", CASE),
        ("calls/B.WAV", "Calls/b.wav", CASE),
        ("a.wav ", "a.wav", BLANKS),
        (" a.wav", "a.wav", BLANKS),
        ("Calls\\b.wav", "Calls/b.wav", SLASH),
        (f"{NFD}/c d.wav", f"{NFC}/c d.wav", ACCENTS),
        (f"{NFC.lower()}/c d.wav", f"{NFC}/c d.wav", CASE),
        (f"{NFD.upper()}\\C D.wav ", f"{NFC}/c d.wav", ", ".join((SLASH, BLANKS, ACCENTS, CASE))),
    ],
)
def test_a_name_spelled_otherwise_is_named_with_every_difference(
    folder: Path, text: str, near: str, why: str
) -> None:
    problem = wrong(folder, text)
    assert (problem.code, problem.hint) == ("no_such_file", f"there is '{near}': {why}")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Calls/bb.wav", "in Calls the nearest is 'b.wav'"),
        ("Call/b.wav", "the nearest is 'Calls'"),
        ("zzzzzz.ogg", "nothing like it in that folder"),
        ("a.wav/b.wav", "nothing like it in a.wav"),
    ],
)
def test_a_missing_name_has_the_nearest_one_beside_it(folder: Path, text: str, hint: str) -> None:
    assert hint in wrong(folder, text).hint


@pytest.mark.parametrize("text", ["C:\\calls\\a.wav", "c:/calls/a.wav", "\\\\server\\share\\a.wav"])
def test_a_windows_path_is_called_one(folder: Path, text: str) -> None:
    assert wrong(folder, text).code == "windows_path"


def test_a_name_too_long_for_any_disk_is_missing(folder: Path) -> None:
    assert wrong(folder, "x" * 5_000).code == "no_such_file"


def test_what_cannot_be_looked_at_now_may_be_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    root = Root(folder)
    monkeypatch.setattr(roots.os, "lstat", denied)
    problem = root.find("a.wav", "c")
    assert isinstance(problem, Problem)
    assert (problem.code, problem.passing) == ("unreadable", True)
    assert "Permission denied" in problem.what


def test_letter_by_letter_is_compared_only_so_often(folder: Path) -> None:
    root, hints = Root(folder), []
    for number in range(150):
        problem = root.find(f"a{number}.wav", "c")
        assert isinstance(problem, Problem)
        hints.append(problem.hint)
    assert "nearest" in hints[0]
    assert "nearest" not in hints[149]
    # What costs nothing goes on.
    assert "upper and lower case" in str(root.find("A.WAV", "c"))


def test_a_root_has_to_be_a_folder(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--root .*no such folder"):
        Root(folder / "none")
    with pytest.raises(UsageError, match=r"--root .*is not a folder"):
        Root(folder / "a.wav")


def test_the_whole_disk_may_be_the_root(folder: Path) -> None:
    assert Root(Path("/")).find(str(folder / "a.wav"), "c") == str(folder.resolve() / "a.wav")
