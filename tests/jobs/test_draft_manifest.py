"""Manifests drafted from names: sorted, complete, and nothing made up for a file that does not fit."""

from __future__ import annotations

import csv
import errno
import io
import os
import sys
from pathlib import Path

import pytest

from mediapipe.audio.probe import _KNOWN_SUFFIXES
from mediapipe.audiofiles import SUFFIXES
from mediapipe.errors import UsageError
from mediapipe.jobs import draft_manifest
from mediapipe.jobs.draft_manifest import Ask, Drafted, draft, read_constants
from mediapipe.manifest.pattern import read_pattern, read_regex
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root

DATED = read_pattern("{call_date:%Y%m%d}_{caller_id}_{external_id}")
ANY = read_regex("(?s)(?P<caller_id>.*)")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def drafted(ask: Ask) -> tuple[list[list[str]], list[str], Drafted]:
    printed: list[str] = []
    complaints: list[str] = []
    counts = draft(ask, printed.append, complaints.append)
    rows = list(csv.reader(io.StringIO("\n".join(printed), newline="")))
    assert len(rows) == counts.rows + 1
    return rows, complaints, counts


def paths(ask: Ask) -> list[str]:
    return [row[0] for row in drafted(ask)[0][1:]]


def test_each_file_becomes_a_row_that_an_import_takes(tmp_path: Path) -> None:
    touch(tmp_path, "b/20260203_18015550123_2.mp3", "20260204_18015550124_=1+1,x.wav", "b/notes.txt")
    rows, complaints, counts = drafted(Ask(tmp_path, DATED, {"group_id": "12"}))
    assert rows == [
        ["recording_file", "call_date", "group_id", "external_id", "caller_id"],
        ["20260204_18015550124_=1+1,x.wav", "2026-02-04", "12", "=1+1,x", "18015550124"],
    ]
    assert complaints == ["'b/20260203_18015550123_2.mp3': does not fit the pattern"]
    assert (counts.rows, counts.left_out) == (1, 1)
    touch(tmp_path, "b/20260203T0405_18015550123_2.mp3")
    deep = read_pattern("{_}/{call_date:%Y%m%dT%H%M}_{caller_id}_{external_id}")
    with (tmp_path / "m.csv").open("w") as file:
        draft(
            Ask(tmp_path, deep, {"group_id": "12"}), lambda text: file.write(text + "\n"), complaints.append
        )
    manifest = CallManifest.open(tmp_path / "m.csv")
    assert manifest.header.warnings == ()
    (row,) = manifest.rows(Root(tmp_path), tz="Asia/Kolkata")
    assert (row.external_id, row.file, row.problems) == (
        "2",
        str(tmp_path / "b/20260203T0405_18015550123_2.mp3"),
        (),
    )
    assert row.fields["call_date"] == "2026-02-02T22:35:00.000Z", "the recorder's clock is that of --tz"


def test_a_date_that_cannot_be_is_an_error_and_never_another_date(tmp_path: Path) -> None:
    touch(tmp_path, "20261303_1_a.wav", "20260229_1_b.wav", "_1_c.wav", "20260228_1_d.wav")
    rows, complaints, counts = drafted(Ask(tmp_path, DATED))
    assert [row[1] for row in rows[1:]] == ["2026-02-28"]
    assert counts.left_out == 3
    assert "'20260229_1_b.wav': '20260229' is no %Y%m%d date" in complaints


def test_without_an_id_in_the_name_the_path_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.wav", "b/1.mp3", "a.wav")
    rows, complaints, _ = drafted(Ask(tmp_path, ANY))
    assert rows[1:] == [["a.wav", "a.wav", "a"], ["b/1.mp3", "b/1.mp3", "b/1"], ["b/1.wav", "b/1.wav", "b/1"]]
    assert [line.split(":")[0] for line in complaints] == [
        "column call_date",
        "column group_id or group_ext_id",
    ]


def test_an_id_that_came_before_is_not_used_again(tmp_path: Path) -> None:
    touch(tmp_path, "a_1.wav", "b_1.wav", "c_2.wav")
    _, complaints, counts = drafted(
        Ask(tmp_path, read_pattern("{_}_{external_id}"), {"call_date": "", "caller_id": ""})
    )
    assert complaints[-1] == "'b_1.wav': its external_id '1' is that of row 1"
    assert (counts.rows, counts.left_out) == (2, 1)


def test_only_audio_is_taken_and_nothing_hidden_unless_all_is_wanted(tmp_path: Path) -> None:
    names = ["a.WAV", "b.ulaw", "c.g722", "d.txt", "e", ".f.wav", "._a.wav", ".trash/g.wav", "h.csv"]
    touch(tmp_path, *names)
    assert paths(Ask(tmp_path, ANY)) == ["a.WAV", "b.ulaw", "c.g722"]
    assert sorted(paths(Ask(tmp_path, ANY, every=True))) == sorted(names)


def test_the_suffixes_are_those_that_the_engine_knows() -> None:
    assert SUFFIXES == _KNOWN_SUFFIXES


def test_no_link_leads_outside_and_none_is_followed_twice(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    touch(folder, "in/1.wav")
    touch(tmp_path, "out/2.wav")
    (folder / "again").symlink_to(folder / "in")
    (folder / "away").symlink_to(tmp_path / "out")
    (folder / "link.wav").symlink_to(folder / "in" / "1.wav")
    (folder / "outside.wav").symlink_to(tmp_path / "out" / "2.wav")
    (folder / "broken.wav").symlink_to(folder / "none.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "loop").symlink_to(folder)
    rows, complaints, counts = drafted(Ask(folder, ANY, {"call_date": "", "group_id": ""}))
    assert [row[0] for row in rows[1:]] == ["link.wav", "in/1.wav"]
    assert sorted(complaints) == [
        "'away': is a link that leads outside the folder",
        "'broken.wav': is no file",
        "'outside.wav': is a link that leads outside the folder",
        "'pipe.wav': is no file",
    ]
    assert counts.left_out == 4


def test_odd_names_are_said_and_none_breaks_the_csv(tmp_path: Path) -> None:
    touch(tmp_path, 'a,"b"\nc.wav', " d.wav", "#e.wav", "f\rg.wav")
    assert paths(Ask(tmp_path, ANY)) == [" d.wav", "#e.wav", 'a,"b"\nc.wav', "f\rg.wav"]
    if sys.platform != "darwin":
        touch(tmp_path, "caf\udce9.wav")
        _, complaints, counts = drafted(Ask(tmp_path, ANY))
        assert any("its name is not UTF-8" in line for line in complaints)
        assert counts.left_out == 1


def test_many_files_are_printed_a_page_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_manifest, "PAGE", 3)
    touch(tmp_path, *(f"{n:02}.wav" for n in range(10)))
    printed: list[str] = []
    draft(Ask(tmp_path, ANY), printed.append, lambda _: None)
    assert [text.count("\n") + 1 for text in printed] == [1, 3, 3, 3, 1]
    assert paths(Ask(tmp_path, ANY)) == [f"{n:02}.wav" for n in range(10)]


def test_a_folder_without_audio_is_an_error_of_use(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt")
    for folder, words in (
        (tmp_path, "no audio file"),
        (tmp_path / "a.txt", "no folder"),
        (tmp_path / "x", "no such"),
    ):
        with pytest.raises(UsageError, match=words):
            draft(Ask(folder, ANY), print, print)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.wav", "locked/b.wav")
    scandir = os.scandir

    def scan(path: str) -> object:
        if os.path.basename(path) == "locked":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    _, complaints, counts = drafted(Ask(tmp_path, ANY))
    assert complaints[-1] == "'locked': cannot be read: Permission denied"
    assert (counts.rows, counts.left_out) == (1, 1)


def test_constants_are_columns_that_all_rows_share() -> None:
    assert read_constants(["Group-ID=12", "city=a=b", "state="], DATED) == {
        "group_id": "12",
        "city": "a=b",
        "state": "",
    }


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["group_id"], "not a column that all rows can share"),
        (["external_id=1"], "not a column"),
        (["recording_file=1"], "not a column"),
        (["zzz=1"], "not a column"),
        (["caller_id=1"], "is filled already"),
        (["city=1", "City=2"], "is filled already"),
    ],
)
def test_other_constants_are_refused(words: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_constants(words, DATED)
