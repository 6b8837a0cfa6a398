"""JSON lines: every value a text, nothing that was lost before is passed on."""

from __future__ import annotations

import csv
import io
import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest import jsonl
from mediapipe.manifest.dialect import Dialect
from mediapipe.manifest.jsonl import MOST_COLUMNS, json_columns, json_records
from mediapipe.manifest.lines import Lines
from mediapipe.manifest.records import Record

DIALECT = Dialect("utf-8", "", 0, "")


def columns(text: str) -> tuple[list[str], int]:
    return json_columns(Lines(io.BytesIO(text.encode("utf-8", "surrogatepass")), DIALECT, "m"), "m")


def records(text: str) -> list[Record]:
    names, _ = columns(text)
    return list(json_records(Lines(io.BytesIO(text.encode()), DIALECT, "m"), names, "m"))


def problem(value: str) -> tuple[str, str]:
    text = f'{{"a": {value}, "b": ""}}\n{{"a": "x", "b": ""}}'
    first, second = records(text)
    assert (second.cells, second.problem) == (["x", ""], None)
    assert first.problem is not None
    assert first.cells == (text.splitlines()[0],), "as it stands, so that nothing is taken for mended"
    return first.problem.code, str(first.problem)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ('" as it is "', " as it is "),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ("18015551234", "18015551234"),
        ("-0", "-0"),
        ("9" * 5_000, "9" * 5_000),
        (r'"\ud83d\ude00 \u00fc \\ud"', "😀 ü \\ud"),
    ],
)
def test_values_are_texts(value: str, cell: str) -> None:
    assert records(f'{{"external_id": {value}}}')[0].cells == [cell]


@pytest.mark.parametrize("value", ["1.5", "1.80156E+10", "18015551234.0", "NaN", "-Infinity", "1e400"])
def test_a_number_that_has_lost_its_form_is_refused(value: str) -> None:
    said = f"a '{value}': is a number with a fraction or an exponent (write it as a text, in quotes)"
    assert problem(value) == ("not_text", said)


@pytest.mark.parametrize("value", ["182.5", "1e2"])
def test_a_length_of_time_is_a_number(value: str) -> None:
    assert records(f'{{"external_id": "1", "Duration": {value}}}')[0].cells == ["1", value]


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        ("{}", "not_text", "a: is an object, and a column holds one text"),
        ('{"a": 1}', "not_text", "is an object"),
        ("[]", "not_text", "is a list"),
        ('["a"]', "not_text", "is a list"),
        (r'"\ud800"', "not_text", "half a character"),
        ('1, "a": 2', "duplicate_key", "a: is there twice"),
        ('1, " A ": 2', "duplicate_key", " A : is there twice"),
        ("1,", "bad_json", "is not JSON: "),
        ("'x'", "bad_json", "is not JSON: Expecting value at character 7"),
        ("01", "bad_json", "is not JSON: "),
        ('"tab\tinside"', "bad_json", "is not JSON: Invalid control character"),
        ("[" * 2_000, "bad_json", "is not JSON"),
    ],
)
def test_what_cannot_be_a_cell_costs_the_row(value: str, code: str, words: str) -> None:
    found, said = problem(value)
    assert (found, words in said) == (code, True), said


@pytest.mark.parametrize("line", ["[]", '"a"', "1", "null", "no", '{"a": 1} {"a": 2}', "[" * 100_000])
def test_a_line_that_is_no_object_is_a_row_that_cannot_be_read(line: str) -> None:
    first, second = records(f'{line}\n{{"a": "x"}}')
    assert (first.problem and first.problem.code, first.line, first.offset) == ("bad_json", 1, 0)
    assert second == Record(2, len(line) + 1, ["x"])


def test_columns_are_the_keys_of_all_lines_in_the_order_they_come() -> None:
    text = '\n{"b": "1", "a": "2"}\r\n\ufeff \n{"A": "3", "c": null}\n{}\n'
    assert columns(text) == (["b", "a", "c"], 2)
    assert [(one.line, list(one.cells)) for one in records(text)] == [
        (2, ["1", "2", ""]),
        (4, ["", "3", ""]),
        (5, ["", "", ""]),
    ]


def test_a_file_without_an_object_is_no_manifest() -> None:
    with pytest.raises(UsageError, match="no line is a JSON object"):
        columns("[1]\nno\n")


def test_keys_without_number_are_no_columns() -> None:
    many = "".join(json.dumps({f"key {n}": ""}) + "\n" for n in range(MOST_COLUMNS))
    assert len(columns(many)[0]) == MOST_COLUMNS
    with pytest.raises(UsageError, match=f"more than 200 keys up to line {MOST_COLUMNS + 1}"):
        columns(many + '{"one more": ""}')


def test_a_text_that_no_csv_could_hold_is_refused() -> None:
    limit = csv.field_size_limit()
    long, whole = records(f'{{"a": "{"x" * (limit + 1)}"}}\n{{"a": "{"x" * limit}", "b": "y"}}')
    assert long.problem is not None
    assert (long.problem.code, whole.problem) == ("too_long", None)


def test_objects_may_have_their_keys_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "_MOST_LAYOUTS", 2)
    orders = list(permutations("abc")) * 2
    found = records("".join(json.dumps({key: f"{key}!" for key in order}) + "\n" for order in orders))
    assert [one.cells for one in found] == [["a!", "b!", "c!"]] * len(orders)


def test_a_file_that_changes_meanwhile_is_an_error() -> None:
    lines = Lines(io.BytesIO(b'{"b": "1"}\n'), DIALECT, "m")
    with pytest.raises(UsageError, match="line 1 changed while it was read"):
        list(json_records(lines, ["a"], "m"))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), TEXTS | st.booleans() | st.none()), min_size=1),
    st.booleans(),
)
def test_whatever_a_writer_of_json_writes_comes_out_again(
    objects: list[dict[str, str | bool | None]], ascii_only: bool
) -> None:
    text = "".join(json.dumps(one, ensure_ascii=ascii_only) + "\n" for one in objects)
    names, _ = columns(text)
    words = {True: "true", False: "false", None: ""}
    wanted = [
        [value if isinstance(value, str) else words[value] for value in (one.get(name) for name in names)]
        for one in objects
    ]
    found = records(text)
    assert [list(one.cells) for one in found] == wanted
    lines = text.encode().splitlines(keepends=True)
    assert [one.offset for one in found] == [len(b"".join(lines[:at])) for at in range(len(lines))]
