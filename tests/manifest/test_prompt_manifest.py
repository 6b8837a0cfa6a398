"""Prompt manifests however they are written: each row typed, and each fault with its code and its place."""

from __future__ import annotations

import io
import json
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.library.names import LONGEST
from mediapipe.library.words import PromptType
from mediapipe.manifest import prompts
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.prompts import PromptManifest, PromptRow, read_prompts
from mediapipe.manifest.roots import Root

HEADER = "file,type,name,language,profile"


def read(folder: Path, content: str | bytes, **options: object) -> PromptManifest:
    for name in ("a.wav", "b.wav"):
        (folder / name).touch()
    path = folder / "p.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_prompts(path, Root(folder), options=ManifestOptions.model_validate(options))


def one(folder: Path, line: str) -> PromptRow:
    (row,) = read(folder, f"{HEADER}\n{line}").rows
    return row


def codes(row: PromptRow) -> list[tuple[str, str]]:
    return [(problem.code, problem.column) for problem in row.problems]


def refused(folder: Path, content: str | bytes, **options: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read(folder, content, **options)
    assert "p.csv" in caught.value.message
    return caught.value


ROWS = [
    ["file", "type", "name", "language"],
    ["a.wav", "Prompt", "Grüezi, Welt", "de"],
    ["b.wav", "WHISPER", "x", ""],
]


def as_csv(delimiter: str) -> str:
    return "\r\n".join(delimiter.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in ROWS)


WRITINGS = {
    "commas": as_csv(",").encode(),
    "a byte order mark": b"\xef\xbb\xbf" + as_csv(",").encode(),
    "semicolons": as_csv(";").encode("cp1252"),
    "tabs of a spreadsheet": as_csv("\t").encode("utf-16"),
    "big-endian": b"\xfe\xff" + as_csv(",").encode("utf-16-be"),
    "lines of JSON": "\n".join(json.dumps(dict(zip(ROWS[0], row, strict=True))) for row in ROWS[1:]).encode(),
    "sep": ("sep=;\n" + as_csv(";")).encode(),
    "old line ends": as_csv(",").replace("\r\n", "\r").encode(),
}


@pytest.mark.parametrize("writing", WRITINGS)
def test_however_it_is_written(tmp_path: Path, writing: str) -> None:
    first, second = read(tmp_path, WRITINGS[writing]).rows
    assert not first.problems + second.problems
    assert (first.type, first.name, first.base, first.language) == (
        PromptType.PROMPT, "Grüezi, Welt-de", "Grüezi, Welt", "de",
    )  # fmt: skip
    assert (first.path, first.file) == (str(tmp_path / "a.wav"), "a.wav")
    assert (second.key, second.row) == ("whisper/x", 2)


def test_it_may_come_from_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    stdin = io.BytesIO(f"{HEADER}\na.wav,prompt,x,,".encode())
    (row,) = read_prompts(Path("-"), Root(tmp_path), stdin=stdin).rows
    assert (row.key, row.problems) == ("prompt/x", ())


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER).rows == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ""),
        (b"\xef\xbb\xbf", ""),
        (b"\n\n\n", ""),
        ("file,type\n", "no column name"),
        ("file,typ,name\n", "no column type, but 'typ'"),
        ("file,type,name,Name\n", "more than one column 'name'"),
        (b"PK\x03\x04" + bytes(60), ""),
        ("a.wav,prompt,x\n", "no column"),
    ],
)
def test_a_file_that_no_row_could_be_read_from(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in refused(tmp_path, content).message


def test_an_unknown_column_is_a_warning_or_an_error(tmp_path: Path) -> None:
    content = "file,type,name,mood,reason,message,\na.wav,prompt,x,glad,,,"
    found = read(tmp_path, content)
    assert found.warnings == ("manifest: column 'mood' is not known and is passed over",)
    assert not found.rows[0].problems
    assert "'mood'" in refused(tmp_path, content, strict=True).message


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (",prompt,x,,", [("missing_value", "file")]),
        ("a.wav,,x,,", [("missing_value", "type")]),
        ("a.wav,prompt,,,", [("missing_value", "name")]),
        (",,,,en", [("missing_value", "file"), ("missing_value", "type"), ("missing_value", "name")]),
        ("a.wav,promt,x,,", [("bad_type", "type")]),
        ("a.wav,prompt,x,English,", [("bad_language", "language")]),
        ("gone.wav,prompt,x,,", [("no_such_file", "file")]),
        ("../p.csv,prompt,x,,", [("outside_root", "file")]),
        ("/etc/passwd,prompt,x,,", [("outside_root", "file")]),
        ("link.wav,prompt,x,,", [("outside_root", "file")]),
        ("sub,prompt,x,,", [("not_a_file", "file")]),
        ("C:\\a.wav,prompt,x,,", [("windows_path", "file")]),
        (f"{'x' * 5000}.wav,prompt,x,,", [("no_such_file", "file")]),
        ("a\x00.wav,prompt,x,,", [("no_such_file", "file")]),
        (f"a.wav,prompt,{'x' * LONGEST},,", []),
        (f"a.wav,prompt,{'x' * (LONGEST + 1)},,", [("name_too_long", "name")]),
        (f"a.wav,prompt,{'x' * LONGEST},en,", [("name_too_long", "name")]),
        ("a.wav,prompt,...,,", [("missing_value", "name")]),
        ("a.wav,prompt,\u3164,,", [("missing_value", "name")]),
        ("a.wav,prompt,\u200b,,", [("missing_value", "name")]),
        ("a.wav,prompt,x", [("ragged_row", "")]),
        ("a.wav,prompt,x,,,,", [("ragged_row", "")]),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, line: str, expected: list[tuple[str, str]]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.wav").symlink_to("/etc/hostname")
    row = one(tmp_path, line)
    assert codes(row) == expected
    assert row.place == "row 1 (line 2)"
    assert all(str(problem).isprintable() for problem in row.problems)


def test_half_a_character_is_no_text(tmp_path: Path) -> None:
    row = '{"file": "\\ud800.wav", "type": "prompt", "name": "x\\udfff"}'
    (found,) = read(tmp_path, row).rows
    assert codes(found) == [("not_text", "")]
    assert found.key == "row 1"


def test_a_row_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    """And collides with no other: neither has a name."""
    first, second = read(tmp_path, f"{HEADER}\na.wav,prompt,,en,\na.wav,prompt,...,en,").rows
    assert (first.key, second.key) == ("row 1", "row 2")
    assert codes(first) == codes(second) == [("missing_value", "name")]


def test_help_with_words_that_are_nearly_right(tmp_path: Path) -> None:
    assert "did you mean whisper?" in str(one(tmp_path, "a.wav,wisper,x,,").problems[0])
    assert "write prompt, whisper, voicemail or survey" in str(one(tmp_path, "a.wav,ding,x,,").problems[0])
    assert "'a.wav'" in str(one(tmp_path, "A.wav,prompt,x,,").problems[0])


def test_a_name_that_is_brought_into_form_is_said(tmp_path: Path) -> None:
    row = one(tmp_path, "a.wav,prompt,Welcome.wav,en-us,")
    assert (row.name, row.base, row.language) == ("Welcome-en-US", "Welcome", "en-US")
    assert row.notes == ("is called 'Welcome-en-US' on the platform, not 'Welcome.wav'",)
    assert not one(tmp_path, "a.wav,prompt,Welcome,,").notes


COLLIDING = [
    ("Welcome", "WELCOME", "\uff37ELCOME"),
    ("café", "cafe\u0301", "CAFÉ"),
    ("x", "x.wav", "x.wav.mp3"),
    ("a/b", "a:b", "a-b"),
    ("x", "x\u200b", "x\ufe0f"),
]


@pytest.mark.parametrize("trio", COLLIDING)
def test_three_that_could_be_taken_for_each_other_all_say_so(tmp_path: Path, trio: tuple[str, ...]) -> None:
    lines = [f"a.wav,prompt,{name},," for name in trio]
    rows = read(tmp_path, "\n".join([HEADER, *lines, "a.wav,whisper,Welcome,,", "b.wav,prompt,other,,"])).rows
    for row in rows[:3]:
        assert codes(row) == [("name_collision", "name")]
        others = [each.place for each in rows[:3] if each is not row]
        assert all(place in str(row.problems[0]) for place in others)
    assert not rows[3].problems + rows[4].problems


def test_a_language_makes_two_of_one_name(tmp_path: Path) -> None:
    lines = ["a.wav,prompt,x,en,", "b.wav,prompt,x,es,", "a.wav,prompt,x-EN,,"]
    first, second, third = read(tmp_path, "\n".join([HEADER, *lines])).rows
    assert not second.problems
    assert codes(first) == codes(third) == [("name_collision", "name")]


def test_many_that_collide_are_told_in_a_few_words(tmp_path: Path) -> None:
    rows = read(tmp_path, "\n".join([HEADER, *["a.wav,prompt,x,,"] * 500])).rows
    assert all("and 496 more" in str(row.problems[0]) for row in rows)
    assert max(len(str(row.problems[0])) for row in rows) < 400


def test_cells_that_failed_are_given_back_as_they_stood(tmp_path: Path) -> None:
    row = one(tmp_path, 'gone.wav , prompt," a ""name""",,')
    assert list(row.cells) == ["gone.wav ", " prompt", ' a "name"', "", ""]


def test_blanks_around_a_file_are_passed_over_unless_its_name_has_them(tmp_path: Path) -> None:
    assert one(tmp_path, " a.wav ,prompt,x,,").file == "a.wav"
    (tmp_path / " a.wav ").touch()
    row = one(tmp_path, " a.wav ,prompt,x,,")
    assert (row.file, row.path) == (" a.wav ", str(tmp_path / " a.wav "))
    assert one(tmp_path, "a.wav,prompt,x,,").path == str(tmp_path / "a.wav")


def test_ten_thousand_rows_are_read_at_once(tmp_path: Path) -> None:
    lines = [f"a.wav,prompt,name {number},," for number in range(10_000)]
    begun = perf_counter()
    assert not read(tmp_path, "\n".join([HEADER, *lines])).faulty
    assert perf_counter() - begun < 10


def test_ten_thousand_of_one_name_are_too(tmp_path: Path) -> None:
    """Not the square of them: who looks for the others of each goes through all of them."""
    begun = perf_counter()
    rows = read(tmp_path, "\n".join([HEADER, *["a.wav,prompt,x,,"] * 10_000])).rows
    assert len(rows) == 10_000
    assert perf_counter() - begun < 10


def test_more_rows_than_any_account_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "MOST_ROWS", 3)
    assert "more than 3 rows" in refused(tmp_path, "\n".join([HEADER, *["a.wav,prompt,x,,"] * 4])).message


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=6), max_size=6))
def test_whatever_stands_in_it_no_row_is_lost_and_nothing_breaks(
    tmp_path: Path, cells: list[list[str]]
) -> None:
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    text = "\n".join([HEADER, *lines])
    found = read(tmp_path, text.encode("utf-8", "surrogatepass"), encoding="utf-8")
    blank = sum(all(not cell.strip() for cell in row) for row in cells)
    assert len(cells) - blank <= len(found.rows) <= len(cells)
    for row in found.rows:
        assert row.key
        assert row.problems or (row.path and row.type and row.name)


def test_a_language_that_ends_like_audio_is_refused_under_a_pattern_with_a_dot(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    path = tmp_path / "p.csv"
    path.write_text("file,type,name,language\na.wav,prompt,x,aac\na.wav,prompt,y,en\n", "utf-8")
    first, second = read_prompts(path, Root(tmp_path), pattern="{name}.{language}").rows
    assert codes(first) == [("bad_language", "language")]
    assert "audio extension" in str(first.problems[0])
    assert (second.name, second.problems) == ("y.en", ())
    assert [row.name for row in read_prompts(path, Root(tmp_path)).rows] == ["x-aac", "y-en"]
