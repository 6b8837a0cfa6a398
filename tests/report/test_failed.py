"""``failed.csv``: what did not pass, ready to be mended and run again."""

from __future__ import annotations

import csv
import errno
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediapipe.errors import DiskFull, Fatal
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.origin import default_root
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.records import Record
from mediapipe.report.failed import FailedWriter

HEADER = ("Recording File", "external_id", "caller_name")


def written(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> list[list[str]]:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.root").unlink(missing_ok=True)
    with FailedWriter(path, header, path.parent) as writer:
        for cells in rows:
            writer.write(cells, "no_such_file", "not there")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def again(path: Path, source: Path, header: Sequence[str]) -> list[Record]:
    """Return the rows of a manifest after all of them have failed, and their ``failed.csv`` was read."""
    manifest = CallManifest.open(source)
    written(path, [one.cells for one in manifest.records()], header)
    return list(CallManifest.open(path).records())


def test_it_has_the_manifest_s_columns_and_why(tmp_path: Path) -> None:
    assert written(tmp_path / "failed.csv", [("a.wav", "1", "Zoë, Inc.")]) == [
        [*HEADER, "reason", "message"],
        ["a.wav", "1", "Zoë, Inc.", "no_such_file", "not there"],
    ]


def test_a_formula_is_sent_as_it_is_and_is_none_in_a_spreadsheet(tmp_path: Path) -> None:
    name = '=HYPERLINK("http://evil.example","Click")'
    rows = [("-a.wav", "+1", name), ("'@a.wav", "\t1", "\r=1")]
    plain = written(tmp_path / "failed.csv", rows)
    assert plain[1][:3] == ["'-a.wav", "'+1", f"'{name}"]
    assert plain[2][:3] == ["''@a.wav", "'\t1", "'\r=1"]
    found = CallManifest.open(tmp_path / "failed.csv").records()
    assert [tuple(one.cells[:3]) for one in found] == rows


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("'=+-@\t\r\n\",;#"), max_size=9
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(CELL, min_size=1, max_size=4, unique_by=lambda name: name.strip().lower()),
    rows=st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=5),
)
def test_every_cell_comes_back_as_it_was(tmp_path: Path, names: list[str], rows: list[list[str]]) -> None:
    header = ("recording_file", "external_id", *(f"{name}{at}x" for at, name in enumerate(names)))
    wanted = [
        [f"{number}.wav", str(number), *row[: len(names)], *[""] * (len(names) - 4)]
        for number, row in enumerate(rows)
    ]
    written(tmp_path / "failed.csv", wanted, header)
    manifest = CallManifest.open(tmp_path / "failed.csv")
    assert manifest.header.cells == (*header, "reason", "message")
    found = list(manifest.records())
    assert [list(one.cells[:-2]) for one in found] == wanted
    assert all(one.problem is None for one in found)


def test_rows_that_fail_again_get_a_new_reason_and_no_new_columns(tmp_path: Path) -> None:
    written(tmp_path / "failed.csv", [("'=a", "1", "x"), ("b", "2", "y")])
    first = CallManifest.open(tmp_path / "failed.csv")
    with FailedWriter(tmp_path / "failed-2.csv", first.header.cells, tmp_path) as writer:
        for record in first.records():
            writer.write(record.cells, "bad_audio", "worse")
    second = CallManifest.open(tmp_path / "failed-2.csv")
    assert second.header == first.header
    assert [list(one.cells) for one in second.records()] == [
        ["'=a", "1", "x", "bad_audio", "worse"],
        ["b", "2", "y", "bad_audio", "worse"],
    ]


def test_rows_that_cannot_be_read_are_kept_and_never_mended_by_a_detour(tmp_path: Path) -> None:
    source = tmp_path / "m.csv"
    source.write_text(f'{",".join(HEADER)}\na.wav,"1"2,x\na.wav,2\nb.wav,3,4,5\nTotal,,9\n')
    first = list(CallManifest.open(source).records())
    codes = [one.problem.code for one in first if one.problem]
    assert codes == ["bad_quotes", "ragged_row", "ragged_row", "total_line"]
    found = again(tmp_path / "failed.csv", source, HEADER)
    assert [one.problem.code for one in found if one.problem] == ["ragged_row", *codes[1:]]
    assert [tuple(one.cells[:-2]) for one in found] == [tuple(one.cells) for one in first]
    twice = again(tmp_path / "failed-2.csv", tmp_path / "failed.csv", (*HEADER, "reason", "message"))
    assert [tuple(one.cells) for one in twice] == [tuple(one.cells) for one in found]


def test_json_lines_fail_into_the_columns_of_all_lines(tmp_path: Path) -> None:
    source = tmp_path / "m.jsonl"
    source.write_text(
        '{"external_id": "1", "file": "a.wav"}\n{"external_id": 2.5, "city": "Ürümqi"}\n'
        '{"external_id": "=3", "city": "Ürümqi"}\n'
    )
    manifest = CallManifest.open(source)
    found = again(tmp_path / "failed.csv", source, manifest.header.cells)
    assert [list(one.cells[:-2]) for one in found] == [
        ["1", "a.wav", ""],
        ['{"external_id": 2.5, "city": "Ürümqi"}'],
        ["=3", "", "Ürümqi"],
    ]


def test_it_runs_again_from_where_it_stands_with_the_same_settings(tmp_path: Path) -> None:
    options = ManifestOptions(
        encoding="cp1252", delimiter=";", columns={"Datei": "recording_file", "Nr": "external_id"}
    )
    (tmp_path / "calls").mkdir()
    source = tmp_path / "calls" / "m.csv"
    source.write_bytes("Datei;Nr;caller_name\nMüller.wav;1;Müller\n".encode("cp1252"))
    manifest = CallManifest.open(source, options)
    (record,) = manifest.records()
    (tmp_path / "run").mkdir()
    failed = tmp_path / "run" / "failed.csv"
    with FailedWriter(failed, manifest.header.cells, source.parent) as writer:
        writer.write(record.cells, "x", "y")
    mended = CallManifest.open(failed, options)
    assert mended.header.names == (*manifest.header.names, "reason", "message")
    assert [one.cells[:-2] for one in mended.records()] == [record.cells]
    assert default_root(failed) == source.parent


def test_only_the_user_may_read_it_and_without_a_failed_row_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    with FailedWriter(path, HEADER, tmp_path) as writer:
        assert os.listdir(tmp_path) == []
        writer.write(("a", "1", ""), "r", "m")
        assert writer.rows == 1
    assert sorted(os.listdir(tmp_path)) == ["failed.csv", "failed.csv.root"]
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path)} == {0o600}
    writer.close()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "failed.csv").write_text("mine")
    with (
        FailedWriter(tmp_path / "failed.csv", HEADER, tmp_path) as writer,
        pytest.raises(Fatal, match="File exists"),
    ):
        writer.write(("a", "1", ""), "r", "m")
    assert (tmp_path / "failed.csv").read_text() == "mine"


def test_messages_are_redacted_and_odd_names_in_them_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    with FailedWriter(path, HEADER, tmp_path) as writer:
        writer.write(("a", "1", ""), "r", "got secret=hush from caf\udce9.wav")
    text = path.read_text(encoding="utf-8")
    assert "hush" not in text
    assert "caf\\udce9.wav" in text


def test_threads_do_not_mix_rows(tmp_path: Path) -> None:
    with FailedWriter(tmp_path / "failed.csv", HEADER, tmp_path) as writer:

        def work(name: str) -> None:
            for number in range(200):
                writer.write((name, f"{name}-{number}", "x" * 100), "r", "m")

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.rows == 800
    records = list(CallManifest.open(tmp_path / "failed.csv").records())
    assert {one.cells[1] for one in records} == {
        f"{name}-{number}" for name in "abcd" for number in range(200)
    }


def test_a_run_can_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediapipe.report.failed.FLUSH_SECONDS", 0.0)
    with FailedWriter(tmp_path / "failed.csv", HEADER, tmp_path) as writer:
        writer.write(("a", "1", ""), "r", "m")
        assert (tmp_path / "failed.csv").read_text().count("\n") == 2


def test_what_cannot_be_written_to_the_end_is_said(tmp_path: Path) -> None:
    writer = FailedWriter(tmp_path / "failed.csv", HEADER, tmp_path)
    writer.write(("a", "1", ""), "r", "m")
    file = writer._file
    assert file is not None
    os.close(file.fileno())
    with pytest.raises(Fatal, match="Bad file descriptor"):
        writer.close()
    writer.close()


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with FailedWriter(tmp_path / "failed.csv", HEADER, tmp_path) as writer:
        monkeypatch.setattr(os, "open", full)
        with pytest.raises(DiskFull, match="no room left to write"):
            writer.write(("a", "1", ""), "r", "m")
        monkeypatch.undo()
        assert writer.rows == 0
