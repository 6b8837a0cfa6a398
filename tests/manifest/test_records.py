"""Records of CSV: what comes before the header, what a row that cannot be read leaves behind."""

from __future__ import annotations

import io

import pytest

from mediapipe.errors import UsageError
from mediapipe.manifest.dialect import Dialect
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.records import Record, csv_records


def records(text: str, skip: int = 0, failed: bool = False) -> list[Record]:
    dialect = Dialect("utf-8", ",", skip, "", failed=failed)
    return list(csv_records(Lines(io.BytesIO(text.encode()), dialect, "m"), dialect))


def test_lines_before_the_header_count_but_are_not_read() -> None:
    assert records('# "open\nsep=,\na,b\n', 2) == [Record(3, 14, ["a", "b"])]
    assert records("# only\n", 5) == []


def test_a_row_that_cannot_be_read_keeps_its_text_for_whoever_mends_it() -> None:
    first, second = records('a,"b"c\nd,e\n')
    assert first.cells == ('a,"b"c',)
    assert first.problem is not None
    assert second == Record(2, 7, ["d", "e"])
    (long,) = records('"' + "x" * 9_000 + '"c\n')
    assert (len(long.cells[0]), long.cells[0][-1]) == (4_097, "…")
    (two,) = records('a,"b\nc"d\n')
    assert (two.line, two.offset, two.cells) == (1, 0, ('a,"b\nc"d',))


def test_marks_of_failed_rows_are_taken_off_also_after_a_bad_one() -> None:
    text = "'=a,b\n'=1,''+2\nx,\"y\"z\n'-3,'four\n"
    assert [list(one.cells) for one in records(text, failed=True)] == [
        ["=a", "b"],
        ["=1", "'+2"],
        ['x,"y"z'],
        ["-3", "'four"],
    ]
    assert records(text)[1].cells == ["'=1", "''+2"]


def test_a_quote_that_is_never_closed_names_line_and_byte() -> None:
    with pytest.raises(
        UsageError, match=r"on line 2 does not end \(a quote in it is not closed; it begins with byte 4"
    ):
        records('a,b\nc,"d\n')
