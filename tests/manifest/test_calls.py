"""One row: everything that is wrong with it at once, and nothing sent that was not filled in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediapipe.manifest.calls import CallReader, CallRow
from mediapipe.manifest.roots import Root

GOOD = {
    "external_id": "call-1",
    "recording_file": "a.wav",
    "call_date": "2026-02-03T04:05:06Z",
    "caller_id": "18015551234",
    "group_id": "77",
}


@pytest.fixture
def reader(tmp_path: Path) -> CallReader:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    return CallReader(Root(tmp_path))


def row(reader: CallReader, number: int = 1, **cells: str) -> CallRow:
    filled = GOOD | cells
    return reader.read(number, number + 1, list(filled), list(filled.values()))


def codes(row: CallRow) -> list[str]:
    return [one.code for one in row.problems]


def test_a_good_row_is_typed(reader: CallReader, tmp_path: Path) -> None:
    found = row(
        reader,
        swap_channels="Yes",
        is_outbound=" no ",
        duration="0:03:02",
        caller_name=" =HYPERLINK(1) ",
        state="",
    )
    assert (found.problems, found.warnings) == ((), ())
    assert (found.row, found.line, found.key, found.external_id) == (1, 2, "call-1", "call-1")
    assert (found.file, found.remote, found.recording) == (str((tmp_path / "a.wav").resolve()), "", "a.wav")
    assert (found.swap_channels, found.is_outbound, found.duration_s) == (True, False, 182.0)
    assert found.fields == {
        "call_date": GOOD["call_date"],
        "caller_id": GOOD["caller_id"],
        "group_id": "77",
        "caller_name": "=HYPERLINK(1)",
    }


def test_an_empty_cell_is_not_no_but_nothing(reader: CallReader) -> None:
    found = row(reader, swap_channels=" ", is_outbound="", duration="")
    assert (found.swap_channels, found.is_outbound, found.duration_s, found.problems) == (
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize("column", ["external_id", "call_date", "caller_id"])
def test_what_every_call_needs_is_missed(reader: CallReader, column: str) -> None:
    found = row(reader, **{column: "  "})
    assert codes(found) == ["missing_value"]
    assert found.problems[0].column == column
    assert found.key == ("row 1" if column == "external_id" else "call-1")


def test_one_of_the_two_names_of_a_group_is_enough(reader: CallReader) -> None:
    assert row(reader, group_id="", group_ext_id="sales").problems == ()
    assert str(row(reader, external_id="2", group_id="").problems[0]).startswith("group_id or group_ext_id:")


def test_an_id_that_came_before_names_the_first_row(reader: CallReader) -> None:
    row(reader, 1)
    (problem,) = row(reader, 5, external_id=" call-1 ").problems
    assert (problem.code, problem.value) == ("duplicate_external_id", "call-1")
    assert "is that of row 1" in str(problem)


def test_an_id_that_a_spreadsheet_rounded_is_refused_and_not_remembered(reader: CallReader) -> None:
    for number in (1, 2):
        assert codes(row(reader, number, external_id="1.80156E+10")) == ["spoilt_number"]


@pytest.mark.parametrize("column", ["swap_channels", "is_outbound"])
def test_a_word_that_is_neither_yes_nor_no_is_a_problem(reader: CallReader, column: str) -> None:
    found = row(reader, **{column: "outbound"})
    assert codes(found) == ["not_a_boolean"]
    assert (found.problems[0].column, found.problems[0].value) == (column, "outbound")


def test_a_length_that_cannot_be_read_is_only_a_warning(reader: CallReader) -> None:
    found = row(reader, duration="3:02")
    assert (found.problems, found.duration_s) == ((), None)
    assert [one.code for one in found.warnings] == ["not_a_duration"]


@pytest.mark.parametrize(
    ("file", "url", "code"),
    [
        ("", "", "no_recording"),
        (" ", "\t", "no_recording"),
        ("a.wav", "https://h.example/x", "two_recordings"),
    ],
)
def test_a_recording_is_named_exactly_once(reader: CallReader, file: str, url: str, code: str) -> None:
    found = row(reader, recording_file=file, recording_url=url)
    assert codes(found) == [code]
    assert (found.file, found.remote) == ("", "")


@pytest.mark.parametrize(
    ("column", "text"),
    [("recording_file", "s3://bucket/a/b.wav"), ("recording_url", "https://host.example/b.wav?secret=x")],
)
def test_audio_that_stands_elsewhere_is_only_named(reader: CallReader, column: str, text: str) -> None:
    found = row(reader, **{"recording_file": "", column: f" {text} "})
    assert (found.problems, found.remote, found.file) == ((), text, "")


@pytest.mark.parametrize(
    ("column", "text", "word"),
    [
        ("recording_file", "https://host.example/b.wav", "belongs in recording_url"),
        ("recording_file", "file:///b.wav", "write s3://bucket/key or a path"),
        ("recording_file", "s3://bucket", "write s3://bucket/key"),
        ("recording_file", "s3:///key", "write s3://bucket/key"),
        ("recording_url", "http://host.example/b.wav", "write https://"),
        ("recording_url", "https://[broken/b.wav", "write https://"),
        ("recording_url", "a.wav", "write https://"),
        ("recording_url", "s3://bucket/key", "write https://"),
    ],
)
def test_each_column_takes_its_own_kind_of_address(
    reader: CallReader, column: str, text: str, word: str
) -> None:
    found = row(reader, **{"recording_file": "", column: text})
    assert codes(found) == ["not_an_address"]
    assert word in str(found.problems[0])
    assert found.remote == ""


def test_a_path_is_taken_as_it_stands(reader: CallReader) -> None:
    found = row(reader, recording_file=" a.wav")
    assert codes(found) == ["no_such_file"]
    assert "'a.wav': the cell has blanks" in str(found.problems[0])


def test_damage_is_seen_in_whatever_column(reader: CallReader) -> None:
    found = row(reader, city="Z\ufffdrich", address="Main\0street", recording_file="a\0.wav")
    assert codes(found) == ["nul_byte", "nul_byte"]
    assert {one.column for one in found.problems} == {"address", "recording_file"}
    assert [(one.code, one.column) for one in found.warnings] == [("damaged_text", "city")]


def test_all_problems_are_told_at_once(reader: CallReader) -> None:
    found = row(reader, call_date="", is_outbound="?", recording_file="../x", external_id="1E5")
    assert codes(found) == ["missing_value", "spoilt_number", "not_a_boolean", "outside_root"]
