"""How a manifest is written: encodings, delimiters, and files that are no manifest."""

from __future__ import annotations

import codecs
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import KNOWN
from mediapipe.manifest.dialect import Dialect, find_dialect
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.source import Source

HEADER = "recording_file,external_id,caller_name"
ROW = "a.wav,1,Müller"


def found(tmp_path: Path, content: bytes, name: str = "m.csv", **options: str) -> Dialect:
    path = tmp_path / name
    path.write_bytes(content)
    return find_dialect(Source(path), KNOWN, ManifestOptions(**options))


def refused(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(UsageError) as caught:
        found(tmp_path, content)
    assert str(tmp_path / "m.csv") in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mark", "codec", "encoding", "word"),
    [
        (b"", "utf-8", "utf-8", "UTF-8"),
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig", "UTF-8 by its mark"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16", "UTF-16 by its mark"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16", "UTF-16 by its mark"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32", "UTF-32 by its mark"),
        (b"", "cp1252", "cp1252", "Windows-1252, because byte"),
    ],
)
def test_an_encoding_is_found_and_said(
    tmp_path: Path, mark: bytes, codec: str, encoding: str, word: str
) -> None:
    dialect = found(tmp_path, mark + f"{HEADER}\r\n{ROW}\r\n".encode(codec))
    assert (dialect.encoding, dialect.delimiter, dialect.skip) == (encoding, ",", 0)
    assert dialect.why.startswith(word)
    assert dialect.why.endswith("columns separated by comma")


@pytest.mark.parametrize("at", [0, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_one_odd_byte_anywhere_decides_and_its_place_is_named(tmp_path: Path, at: int) -> None:
    text = f"{HEADER}\n".encode() + b"x" * at
    dialect = found(tmp_path, text + b"\xfc\n")
    assert dialect.encoding == "cp1252"
    assert f"byte {len(text)} is no UTF-8" in dialect.why


def test_a_character_cut_by_the_end_of_a_chunk_or_of_the_head_is_no_damage(tmp_path: Path) -> None:
    for size in ((1 << 20) - 1, 65_535):
        text = HEADER + "\n" + "x" * (size - len(HEADER) - 1) + "é\n"
        assert found(tmp_path, text.encode()).encoding == "utf-8"


def test_a_character_cut_by_the_end_of_the_file_is(tmp_path: Path) -> None:
    assert found(tmp_path, f"{HEADER}\nM".encode() + b"\xc3").encoding == "cp1252"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel workbook"),
        (b"\x1f\x8brest", "gzip data is damaged"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"(\xb5/\xfdrest", "zstd"),
        (b'[{"external_id": "1"}]', "is one JSON array"),
        (b'\xef\xbb\xbf [ {"external_id": "1"}]', "is one JSON array"),
        (b"", "is empty"),
        (b"\n \n\r\n", "is empty"),
        (HEADER.encode("utf-16-le"), "UTF-16 without its mark"),
        (codecs.BOM_UTF16_LE + b"a\0b", "its mark says UTF-16, but byte 4 is not"),
        (codecs.BOM_UTF8 + b"a\xfcb", "its mark says UTF-8, but byte 4 is not"),
        (b'sep="\na"b', "sep="),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_word_on_what_to_do(
    tmp_path: Path, content: bytes, words: str
) -> None:
    assert words in refused(tmp_path, content)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        find_dialect(Source(tmp_path / "none.csv"), KNOWN)
    with pytest.raises(UsageError, match="is not a file"):
        find_dialect(Source(tmp_path), KNOWN)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_delimiter_is_the_one_that_gives_columns_we_know(tmp_path: Path, mark: str) -> None:
    header = HEADER.replace(",", mark)
    assert found(tmp_path, f"{header}\n".encode()).delimiter == mark
    # Many of another one inside names that nobody knows, or inside quotes, do not change that.
    odd = {",": ";", ";": ",", "\t": ","}[mark] * 9
    assert found(tmp_path, f'{header}{mark}"a{odd}b"\n'.encode()).delimiter == mark
    assert found(tmp_path, f"{header}{mark}a{odd}b\n".encode()).delimiter == mark


def test_blank_lines_before_the_header_do_not_matter(tmp_path: Path) -> None:
    assert found(tmp_path, b"\r\n;;\r\nexternal_id;recording_file\r\n").delimiter == ";"


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=;,,"])
def test_a_first_line_may_say_the_delimiter(tmp_path: Path, line: str) -> None:
    dialect = found(tmp_path, f"{line}\r\na,b;c,d\r\n".encode())
    assert (dialect.delimiter, dialect.skip) == (";", 1)
    assert "semicolon, as its first line says" in dialect.why
    assert dialect.as_json() == {"form": "csv", "encoding": "utf-8", "delimiter": ";", "why": dialect.why}


@pytest.mark.parametrize(
    ("told", "mark", "words"),
    [
        ("tab", "\t", "tab, as told"),
        ("\\t", "\t", "tab, as told"),
        ("\t", "\t", "tab, as told"),
        ("Semicolon", ";", "semicolon, as told"),
        ("|", "|", "'|', as told"),
        ("§", "§", "'§', as told"),
    ],
)
def test_a_delimiter_that_is_told_is_not_questioned(tmp_path: Path, told: str, mark: str, words: str) -> None:
    dialect = found(tmp_path, b"sep=,\nexternal_id,recording_file\n", delimiter=told)
    assert (dialect.delimiter, dialect.skip) == (mark, 1)
    assert dialect.why.endswith(f"columns separated by {words}")


@pytest.mark.parametrize("told", ["", "tabs", '"', "\n", "\r", "\0", ",,", "\x1f"])
def test_what_cannot_stand_between_columns_is_refused(tmp_path: Path, told: str) -> None:
    with pytest.raises(UsageError, match=r"manifest\.delimiter is .* which cannot stand between columns"):
        found(tmp_path, HEADER.encode(), delimiter=told)


def test_gzip_is_told_by_its_bytes_and_said(tmp_path: Path) -> None:
    packed = gzip.compress(f"{HEADER}\n{ROW}\n".encode())
    for name in ("m.csv.gz", "m.csv"):
        dialect = found(tmp_path, packed, name)
        assert (dialect.encoding, dialect.delimiter) == ("utf-8", ",")
        assert dialect.why == "gzip of UTF-8; columns separated by comma"
    # What a browser has unpacked on the way keeps its name.
    assert found(tmp_path, f"{HEADER}\n".encode(), "m.csv.gz").why.startswith("UTF-8;")
    with pytest.raises(UsageError, match="is compressed twice"):
        found(tmp_path, gzip.compress(packed), "m.csv.gz.gz")


@pytest.mark.parametrize("name", ["m.jsonl", "m.NDJSON", "m.csv", "-odd"])
def test_json_lines_are_told_by_their_first_byte_or_their_name(tmp_path: Path, name: str) -> None:
    for mark, codec in ((b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")):
        dialect = found(tmp_path, mark + '\r\n {"external_id": "ü"}\n'.encode(codec), name, delimiter=";")
        assert (dialect.is_json, dialect.delimiter, dialect.mark) == (True, "", len(mark))
        assert dialect.why.endswith("; one JSON object per line")
        assert dialect.as_json()["form"] == "jsonl"
    assert found(tmp_path, b"nothing of the kind", "m.jsonl.gz").is_json


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("sep", [False, True])
def test_comments_may_stand_before_the_header(tmp_path: Path, mark: str, sep: bool) -> None:
    comments = ["# a, b; c\td", "", '"# saved by a spreadsheet",,,', " #", ";;;", "# external_id is needed"]
    head = [f"sep={mark}"] if sep else []
    header = HEADER.replace(",", mark)
    dialect = found(tmp_path, "\r\n".join([*head, *comments, header, "#1,2,3"]).encode())
    assert (dialect.delimiter, dialect.skip) == (mark, len(head) + len(comments))


@pytest.mark.parametrize("header", ["#,external_id,recording_file", "#external_id;recording_file"])
def test_a_header_that_begins_like_a_comment_is_one(tmp_path: Path, header: str) -> None:
    assert found(tmp_path, f"# comment\n{header}\n".encode()).skip == 1


@pytest.mark.parametrize("mark", ['"', "", "x", "\0"])
def test_a_head_that_cannot_be_parsed_is_left_to_the_reader(tmp_path: Path, mark: str) -> None:
    assert found(tmp_path, f"a;b;{mark}{'x' * 200_000}{mark}\n\n".encode()).delimiter == ";"
    assert found(tmp_path, f'a;"b"c;{mark}'.encode()).delimiter == ";"


def test_our_own_failed_rows_are_read_as_written_whatever_is_told_of_other_files(tmp_path: Path) -> None:
    options = {"encoding": "cp1252", "delimiter": ";"}
    ours = f"{HEADER},reason,message\n{ROW},x,y\n"
    dialect = found(tmp_path, ours.encode(), **options)
    assert (dialect.encoding, dialect.delimiter, dialect.failed) == ("utf-8", ",", True)
    # Saved again by a spreadsheet they are somebody's export like any other.
    dialect = found(tmp_path, ours.replace(",", ";").encode("cp1252"), **options)
    assert (dialect.encoding, dialect.delimiter, dialect.failed) == ("cp1252", ";", True)
    dialect = found(tmp_path, ours.encode("cp1250"), encoding="cp1250")
    assert (dialect.encoding, dialect.delimiter, dialect.failed) == ("cp1250", ",", True)
    for header in (f"{HEADER},message,reason", f"reason,message,{HEADER}", f"{HEADER},Reason,Message"):
        assert not found(tmp_path, f"{header}\n".encode()).failed


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    try:
        dialect = find_dialect(Source(path), KNOWN)
    except UsageError:
        return
    data.decode(dialect.encoding, "replace")
