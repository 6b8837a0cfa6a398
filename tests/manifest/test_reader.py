"""From files to rows: every row comes out, with its number and its line, however it is written."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.records import Record
from mediapipe.manifest.roots import Root

HEADER = "recording_file,external_id,call_date,caller_id,group_id,caller_name"


def line(number: int, name: str = "x") -> str:
    return f"a.wav,{number},2026-02-03T04:05:06Z,18015550123,7,{name}"


def rows(folder: Path, text: str | bytes) -> list[CallRow]:
    (folder / "a.wav").touch()
    path = folder / "m.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(CallManifest.open(path).rows(Root(folder)))


def records(folder: Path, content: str | bytes, name: str = "m.csv", **options: object) -> list[Record]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(CallManifest.open(path, ManifestOptions.model_validate(options)).records())


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


@pytest.mark.parametrize("cells", ["a.wav,1", "a.wav,1,d,c,g,n,extra", "a.wav,1,d,c,g,n,", "Totally: 12"])
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
    inches = line(3, '5" disc')
    found = rows(tmp_path, f'{HEADER}\na.wav,"1"x,d,c,g,n\n{line(2)}\n{inches}\n')
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


def test_a_manifest_in_another_system_s_words(tmp_path: Path) -> None:
    """BOM, UTF-16, cp1252, ``;`` or tab, ``sep=``: found out and said, unless somebody says."""
    text = "Anruf-ID|Datei|Wann\n1|a.wav|Müller\n"
    columns = {"anruf id": "external_id", "DATEI": "recording_file", "Wann": "call_date"}
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode("cp850"))
    manifest = CallManifest.open(path, ManifestOptions(encoding="cp850", delimiter="|", columns=columns))
    assert manifest.header.names == ("external_id", "recording_file", "call_date")
    assert [one.cells for one in manifest.records()] == [["1", "a.wav", "Müller"]]
    told = manifest.as_json()
    assert told["why"] == "cp850 as told; columns separated by '|', as told"
    # Without being told the delimiter is found by the headers that are mapped.
    path.write_bytes(text.replace("|", ";").encode("utf-16"))
    assert CallManifest.open(path, ManifestOptions(columns=columns)).dialect.delimiter == ";"


ODD = [
    (",,,,,", None, ()),
    ("   ", None, ()),
    ('a.wav,1,d,c,g,"two\nlines, and ""more"""', "", ("a.wav", "1", "d", "c", "g", 'two\nlines, and "more"')),
    ("a.wav,1,d,c,g,12 Main St, Apt 4", "ragged_row", ("a.wav", "1", "d", "c", "g", "12 Main St", " Apt 4")),
    ("a.wav,1", "ragged_row", ("a.wav", "1")),
    ('a.wav,"1"2,d,c,g,n', "bad_quotes", ('a.wav,"1"2,d,c,g,n',)),
    (HEADER, "repeated_header", tuple(HEADER.split(","))),
    (HEADER.upper().replace("RECORDING_FILE", "recording_file"), "repeated_header", None),
    ("Total,,,,,7", "total_line", ("Total", "", "", "", "", "7")),
    ("Total: 1,234", "total_line", ("Total: 1", "234")),
    (",, Grand Total ,,,", "total_line", None),
    ("Count,12", "total_line", ("Count", "12")),
    ("Total Wine.wav,,d,c,g,n", "", ("Total Wine.wav", "", "d", "c", "g", "n")),
    ("total,1,d,c,g,n", "", ("total", "1", "d", "c", "g", "n")),
    ("a\0.wav,1,d,c,g,n", "", ("a\0.wav", "1", "d", "c", "g", "n")),
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_ragged_csv_costs_the_row_and_says_its_line_and_byte(tmp_path: Path, codec: str, end: str) -> None:
    """Quotes with newlines, extra commas, a header once more, totals, NUL bytes, blank rows: none moves."""
    text = f"# Müller{end}{HEADER}{end}"
    wanted = []
    for odd, code, cells in ODD:
        begin = len(text.encode(codec))
        if code is not None:
            wanted.append((text.count(end) + 1, begin, code, cells))
        text += odd.replace("\n", end) + end
    text += line(99, "Müller")
    found = records(tmp_path, text.encode(codec))
    assert [(one.line, one.offset, one.problem.code if one.problem else "") for one in found[:-1]] == [
        (number, begin, code) for number, begin, code, _ in wanted
    ]
    for one, (*_, cells) in zip(found, wanted, strict=False):
        assert cells is None or tuple(one.cells) == tuple(cell.replace("\n", end) for cell in cells)
    assert (found[-1].cells[5], found[-1].problem) == ("Müller", None)


def test_a_total_says_what_to_do(tmp_path: Path) -> None:
    (found,) = rows(tmp_path, f"{HEADER}\nSumme: 12,,,,,\n")
    assert [str(one) for one in found.problems] == [
        "'Summe: 12': is no call: it begins with a total (delete the line)"
    ]


def test_a_column_twice_stops_before_any_row(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="more than one column 'caller_name'"):
        rows(tmp_path, f"{HEADER},Caller Name\n")


def test_a_column_nobody_knows_is_passed_over_unless_all_must_be_known(tmp_path: Path) -> None:
    assert records(tmp_path, f"{HEADER},zzz\n")[1:] == []
    with pytest.raises(UsageError, match="line 1: not known: 'zzz'"):
        records(tmp_path, f"{HEADER},zzz\n", strict=True)


def test_a_packed_manifest_is_read_as_it_is_unpacked(tmp_path: Path) -> None:
    text = f"{HEADER}\n{line(1)}\n{line(2, 'ü')}\n{line(3)}"
    plain = records(tmp_path, text)
    assert records(tmp_path, gzip.compress(text.encode()), "m.csv.gz") == plain
    assert [one.offset for one in plain] == [text.encode().index(b"a.wav,%d" % n) for n in (1, 2, 3)]


def test_json_lines_give_the_rows_that_csv_gives(tmp_path: Path) -> None:
    text = f"{HEADER}\n{line(1)}\n{line(2, 'ü')}\n"
    names = HEADER.split(",")
    objects = [dict(zip(names, row.split(","), strict=True)) for row in text.splitlines()[1:]]
    lines = "".join(json.dumps(one) + "\n" for one in objects)
    wanted = [list(one.cells) for one in records(tmp_path, text)]
    for content, name in ((lines.encode(), "m.jsonl"), (gzip.compress(lines.encode()), "m.jsonl.gz")):
        assert [list(one.cells) for one in records(tmp_path, content, name)] == wanted
    (first, _) = rows(tmp_path, lines)
    assert (first.row, first.line, first.external_id, first.problems) == (1, 1, "1", ())


def test_a_json_line_that_cannot_be_read_costs_a_row(tmp_path: Path) -> None:
    good = json.dumps(dict(zip(HEADER.split(","), line(1).split(","), strict=True)))
    found = records(tmp_path, f'{{"external_id": 1.5}}\n{good}\n[1]\n{good}')
    assert [one.problem.code if one.problem else "" for one in found] == ["not_text", "", "bad_json", ""]


def test_stdin_is_read_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    manifest = CallManifest.open(
        Path("-"), stdin=io.BytesIO(f"{HEADER}\n{line(1)}\n".encode()), folder=tmp_path
    )
    for _ in range(2):
        assert [one.external_id for one in manifest.rows(Root(tmp_path))] == ["1"]
    assert manifest.as_json()["path"] == "-"
    with pytest.raises(UsageError, match="manifest on stdin: is empty"):
        CallManifest.open(Path("-"), stdin=io.BytesIO())


def test_two_readers_of_one_manifest_do_not_disturb_each_other(tmp_path: Path) -> None:
    content = f"{HEADER}\n{line(1)}\n{line(2)}\n".encode()
    manifest = CallManifest.open(Path("-"), stdin=io.BytesIO(content))
    one, two = manifest.records(), manifest.records()
    assert next(one) == next(two)
    assert next(two) == next(one)


def test_failed_rows_come_back_as_they_were_in_the_manifest(tmp_path: Path) -> None:
    text = f"{HEADER},reason,message\na.wav,'=1,''+2,'c,'\u200b,-3,x,y\n"
    (found,) = records(tmp_path, text)
    assert found.cells[1:6] == ["=1", "'+2", "'c", "'\u200b", "-3"]
    (found,) = records(tmp_path, text.replace("message", "message2"))
    assert found.cells[1] == "'=1"


def test_a_file_that_goes_away_is_read_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(HEADER)
    manifest = CallManifest.open(tmp_path / "m.csv")
    (tmp_path / "m.csv").unlink()
    assert list(manifest.rows(Root(tmp_path))) == []


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(CELL, max_size=8), delimiter=st.sampled_from(",;\t"), end=st.sampled_from(["\n", "\r\n"])
)
def test_whatever_a_writer_of_csv_writes_comes_out_again(
    tmp_path: Path, names: list[str], delimiter: str, end: str
) -> None:
    written = io.StringIO()
    # Older Pythons quote a lone \r only where it is a part of the line's end.
    quoting = csv.QUOTE_ALL if any("\r" in name for name in names) else csv.QUOTE_MINIMAL
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(HEADER.split(","))
    for number, name in enumerate(names):
        writer.writerow([*line(number).split(",")[:5], name])
    found = records(tmp_path, written.getvalue())
    assert [one.cells[5] for one in found] == names
    assert not any(one.problem for one in found)


PIECES = [
    *(
        HEADER,
        "a.wav,1,d,c,g,n\n",
        "reason,message",
        "sep=;",
        "Total",
        "Müller",
        '{"external_id": "1", "file": "x"}\n',
    ),
    *(
        "\n",
        "\r",
        ",",
        ";",
        "\t",
        '"',
        "#",
        "'",
        "=",
        "{",
        "[",
        "1.5",
        " ",
        "\0",
        "\ufeff",
        "\u2028",
        "\xfc\x81",
    ),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(st.sampled_from(PIECES), max_size=25),
    codec=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
    pack=st.booleans(),
    headed=st.booleans(),
)
def test_anything_at_all_gives_rows_in_order_or_an_error_of_use(
    tmp_path: Path, parts: list[str], codec: str, pack: bool, headed: bool
) -> None:
    content = ((f"{HEADER}\n" if headed else "") + "".join(parts)).encode(codec, "ignore")
    path = tmp_path / "m"
    path.write_bytes(gzip.compress(content) if pack else content)
    try:
        manifest = CallManifest.open(path)
        found = list(manifest.records())
    except UsageError:
        return
    offsets = [one.offset for one in found]
    assert offsets == sorted(set(offsets))
    assert all(offset < len(content) for offset in offsets)
    assert [one.line for one in found] == sorted({one.line for one in found})
    wide = len(manifest.header.names)
    assert all(len(one.cells) == wide or one.problem for one in found)


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


def test_every_row_knows_its_cells_and_where_it_begins(tmp_path: Path) -> None:
    text = f"{HEADER}\n{line(1, 'ü')}\n{line(2)},more\n{line(3)}\n"
    found = rows(tmp_path, text)
    assert [codes(one) for one in found] == [[], ["ragged_row"], []]
    for number, one in enumerate(found, 1):
        assert one.offset == text.encode().index(b"a.wav,%d" % number)
        assert list(one.cells) == text.splitlines()[number].split(",")


def test_options_reach_the_rows(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "m.csv").write_text(f"{HEADER}\n{line(1, 'n.v.')}\n".replace("06Z", "06"))
    options = ManifestOptions(null_words="n.v.")
    (found,) = CallManifest.open(tmp_path / "m.csv", options).rows(Root(tmp_path), tz="Asia/Kolkata")
    assert found.problems == ()
    assert found.fields["call_date"] == "2026-02-02T22:35:06.000Z"
    assert "caller_name" not in found.fields
