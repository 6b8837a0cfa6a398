"""Audio files below a folder: each once, in order, and whatever is wrong with one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mediapipe.audiofiles import SUFFIXES, audio_files

OUTSIDE = "is a link that leads outside the folder"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_come_folder_by_folder_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "B.WAV", "a/2.mp3", "a/10.mp3", "a/b/c.ulaw", "notes.txt", "wav", ".wav")
    found = ["B.WAV", "b.wav", "a/10.mp3", "a/2.mp3", "a/b/c.ulaw"]
    assert list(audio_files(tmp_path)) == [(name, "") for name in found]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_each_suffix_is_found_in_either_case(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"a.{suffix}", f"b.{suffix.upper()}", f"c.{suffix}.part")
    assert [name for name, _ in audio_files(tmp_path)] == [f"a.{suffix}", f"b.{suffix.upper()}"]


def test_hidden_and_other_files_come_when_all_are_wanted(tmp_path: Path) -> None:
    touch(tmp_path, ".git/a.wav", ".b.wav", "c", "d.txt")
    assert list(audio_files(tmp_path)) == []
    assert {name for name, _ in audio_files(tmp_path, every=True)} == {".git/a.wav", ".b.wav", "c", "d.txt"}


def test_links_are_followed_to_files_inside_alone(tmp_path: Path) -> None:
    inside, beside = tmp_path / "set", tmp_path / "set-of-others"
    touch(inside, "a/x.wav")
    touch(beside, "y.wav")
    (inside / "same.wav").symlink_to("a/x.wav")
    (inside / "other.wav").symlink_to(beside / "y.wav")
    (inside / "folder").symlink_to(beside)
    (inside / "loop").symlink_to(inside)
    (inside / "again").symlink_to(inside / "a")
    assert dict(audio_files(inside)) == {
        "a/x.wav": "",
        "same.wav": "",
        "other.wav": OUTSIDE,
        "folder": OUTSIDE,
    }


def test_the_folder_may_itself_be_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.wav")
    (tmp_path / "link").symlink_to("real")
    assert list(audio_files(tmp_path / "link")) == [("a.wav", "")]


def test_what_is_no_file_and_what_no_manifest_can_say_is_told(tmp_path: Path) -> None:
    (tmp_path / "dead.wav").symlink_to("nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9.wav", os.O_CREAT))
    told = dict(audio_files(tmp_path))
    assert told["dead.wav"] == told["pipe.wav"] == "is no file"
    assert told["caf\udce9.wav"].startswith("its name is not UTF-8")


def test_a_folder_that_cannot_be_read_is_told_and_the_others_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/x.wav", "b/y.wav")
    scandir = os.scandir

    def closed(path: str | os.PathLike[str]) -> object:
        if os.path.basename(path) == "a":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert list(audio_files(tmp_path)) == [("b/y.wav", ""), ("a", "cannot be read: Permission denied")]
