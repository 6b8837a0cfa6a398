"""From files to rows: every row comes out, with its number and its line, however it is written."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root

HEADER = "recording_file,external_id,call_date,caller_id,group_id,caller_name"


def line(number: int, name: str = "x") -> str:
    return f"a.wav,{number},2026-02-03,1801,7,{name}"


def rows(folder: Path, text: str | bytes) -> list[CallRow]:
    (folder / "a.wav").touch()
    path = folder / "m.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(CallManifest.open(path).rows(Root(folder)))


def codes(row: CallRow) -> list[str]:
    return [one.code for one in row.problems]


def test_rows_and_lines_are_counted_as_people_do(tmp_path: Path) -> None:
    two = line(2, '"two\nlines"')
    text = f"\n{HEADER}\n\n{line(1)}\r\n,,,,,\n{two}\n{line(3)}"
    found = rows(tmp_path, text)
    assert [(one.row, one.line, one.external_id) for one in found] == [(1, 4, "1"), (2, 6, "2"), (3, 8, "3")]
    assert found[1].fields["caller_name"] == "two\nlines"
    assert not any(one.problems for one in found)


def test_a_manifest_of_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path, HEADER) == []


def test_sep_takes_a_line(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, f"sep=;\n{HEADER};state\n{line(1)};Utah\n".replace(",", ";"))
    assert (found.line, found.fields["state"]) == (3, "Utah")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_names_survive_every_encoding(tmp_path: Path, codec: str) -> None:
    (found,) = rows(tmp_path, f"{HEADER}\n{line(1, 'Müller')}\n".encode(codec))
    assert found.fields["caller_name"] == "Müller"
    assert found.problems == ()


def test_a_byte_that_windows_1252_does_not_have_is_marked_not_guessed(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, f"{HEADER}\n{line(1, 'M')}".encode() + b"\xfc\x81ller")
    assert found.fields["caller_name"] == "Mü\ufffdller"
    assert [one.code for one in found.warnings] == ["damaged_text"]


@pytest.mark.parametrize("cells", ["a.wav,1", "a.wav,1,d,c,g,n,extra", "a.wav,1,d,c,g,n,", "Total: 12"])
def test_a_row_of_another_width_is_refused_and_its_cells_are_not_used(tmp_path: Path, cells: str) -> None:
    first, second = rows(tmp_path, f"{HEADER}\n{cells}\n{line(1)}\n")
    assert codes(first) == ["ragged_row"]
    assert (first.row, first.line, first.external_id, first.file, first.key) == (1, 2, "", "", "row 1")
    assert f"has {cells.count(',') + 1} cells where the header has 6" in str(first.problems[0])
    assert second.problems == (), "its id was not the refused row's"


def test_the_header_once_more_is_called_that(tmp_path: Path) -> None:
    first, second = rows(tmp_path, f"{HEADER}\n{line(1)}\n{HEADER}\n")
    assert (codes(first), codes(second)) == ([], ["repeated_header"])


def test_text_after_a_closing_quote_costs_one_row(tmp_path: Path) -> None:
    found = rows(tmp_path, f'{HEADER}\na.wav,"1"x,d,c,g,n\n{line(2)}\na.wav,3,d,c,g,5" disc\n')
    assert [codes(one) for one in found] == [["bad_quotes"], [], []]
    assert found[2].fields["caller_name"] == '5" disc'


def test_a_quote_that_is_never_closed_stops_where_it_begins(tmp_path: Path) -> None:
    text = f"{HEADER}\n{line(1)}\n" + 'a.wav,2,d,c,g,"open\n' + "\n".join(line(n) for n in range(3, 20))
    with pytest.raises(UsageError, match=r"the row that begins on line 3 does not end \(a quote in it"):
        rows(tmp_path, text)
    long = text + "".join(f"\n{line(n)}" for n in range(20, 3_000))
    with pytest.raises(UsageError, match="line 3 does not end"):
        rows(tmp_path, long)


def test_rows_before_a_quote_that_is_never_closed_come_out(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "m.csv").write_text(f'{HEADER}\n{line(1)}\na.wav,2,d,c,g,"open')
    stream = CallManifest.open(tmp_path / "m.csv").rows(Root(tmp_path))
    assert next(stream).external_id == "1"
    with pytest.raises(UsageError):
        next(stream)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "m.csv").open("w") as file:
        file.write(f"{HEADER}\n")
        for _ in range(300):
            file.write("x" * 100_000)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="line 2 is longer than"):
            list(CallManifest.open(tmp_path / "m.csv").rows(Root(tmp_path)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000


def test_a_cell_too_long_for_any_cell_is_a_quote_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2 does not end"):
        rows(tmp_path, f'{HEADER}\na.wav,1,d,c,g,"{"x" * 200_000}"\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"a"b,c\n', "line 1 has a text after a closing quote"),
        ("external_id;recording_file;External-Id\n", "more than one column"),
        ("sep=;\n", "no line names the columns"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rows(tmp_path, text)


def test_what_was_assumed_is_there_for_reports(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"{HEADER},wether,\n".replace(",", ";"))
    told = CallManifest.open(tmp_path / "m.csv").as_json()
    assert told["delimiter"] == ";"
    assert told["encoding"] == "utf-8"
    assert told["columns"] == [*HEADER.split(","), "wether"]
    assert [one["code"] for one in told["warnings"]] == ["unknown_column", "unnamed_column"]


def test_a_file_that_goes_away_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(HEADER)
    manifest = CallManifest.open(tmp_path / "m.csv")
    (tmp_path / "m.csv").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        list(manifest.rows(Root(tmp_path)))


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(CELL, max_size=8), delimiter=st.sampled_from(",;\t"), end=st.sampled_from(["\n", "\r\n"])
)
def test_whatever_a_writer_of_csv_writes_comes_out_again(
    tmp_path: Path, names: list[str], delimiter: str, end: str
) -> None:
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end)
    writer.writerow(HEADER.split(","))
    for number, name in enumerate(names):
        writer.writerow([*line(number).split(",")[:5], name])
    found = rows(tmp_path, written.getvalue())
    assert [one.fields.get("caller_name", "") for one in found] == [name.strip() for name in names]
    assert not any(one.problems for one in found)


def test_many_rows_take_no_more_memory_than_few(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()

    def peak(count: int) -> int:
        with (tmp_path / "m.csv").open("w") as file:
            file.write(f"{HEADER}\n")
            file.writelines(f"{line(number)}\n" for number in range(count))
        tracemalloc.start()
        try:
            assert sum(1 for _ in CallManifest.open(tmp_path / "m.csv").rows(Root(tmp_path))) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40_000) < peak(2_000) + 50 * 40_000
