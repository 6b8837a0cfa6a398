"""Encodings that are told: taken at their word, but never against the bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest.encodings import decode_head, find_encoding, is_utf8
from mediapipe.manifest.source import Source

TEXT = "external_id;Straße\n1;Müller\n"


def told(path: Path, content: bytes, name: str) -> tuple[str, int, str]:
    path.write_bytes(content)
    return find_encoding(Source(path), content[:65_536], name)


@pytest.mark.parametrize(
    ("name", "codec", "encoding"),
    [
        ("cp1252", "cp1252", "cp1252"),
        ("Latin 1", "latin-1", "iso8859-1"),
        ("ISO-8859-15", "iso-8859-15", "iso8859-15"),
        ("UTF8", "utf-8", "utf-8"),
        ("utf-8-sig", "utf-8", "utf-8-sig"),
        ("utf-16-le", "utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be", "utf-16-be"),
        ("cp037", "cp037", "cp037"),
        ("gb18030", "gb18030", "gb18030"),
    ],
)
def test_an_encoding_is_as_told(tmp_path: Path, name: str, codec: str, encoding: str) -> None:
    assert told(tmp_path / "m", TEXT.encode(codec), name) == (encoding, 0, f"{encoding} as told")


@pytest.mark.parametrize(
    ("name", "mark", "codec", "encoding"),
    [
        ("utf-8", codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        ("utf-16", codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        ("utf-32", codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    ],
)
def test_a_mark_of_its_own_is_no_part_of_the_text(
    tmp_path: Path, name: str, mark: bytes, codec: str, encoding: str
) -> None:
    content = mark + TEXT.encode(codec)
    assert told(tmp_path / "m", content, name)[:2] == (encoding, len(mark))
    assert decode_head(encoding, content) == TEXT


@pytest.mark.parametrize(
    "name", ["", "utf-9", "base64", "rot13", "undefined", "a\0b", "ütf", "x" * 5000, "hex", "zlib"]
)
def test_what_is_no_encoding_of_text_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"manifest\.encoding says .*: no encoding of text \(such as utf-8"):
        told(tmp_path / "m", TEXT.encode(), name)


@pytest.mark.parametrize(
    ("name", "codec"), [("utf-8", "cp1252"), ("ascii", "utf-8"), ("shift_jis", "cp1252")]
)
@pytest.mark.parametrize("at", [0, 70_000, 1 << 20])
def test_bytes_that_are_not_in_it_are_an_error_and_never_sent_damaged(
    tmp_path: Path, name: str, codec: str, at: int
) -> None:
    text = "x" * at + "\n"
    with pytest.raises(UsageError, match=f"byte {at + 1} is not in {name}, which the setting"):
        told(tmp_path / "m", text.encode() + "ü\n".encode(codec), name)


def test_which_end_comes_first_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the file has no mark: say utf-16-le or utf-16-be"):
        told(tmp_path / "m", TEXT.encode("utf-16-le"), "utf-16")


@given(
    st.binary(max_size=60), st.sampled_from(["utf-8", "utf-16", "cp1252", "punycode", "utf-7", "hz", "gbk"])
)
def test_any_bytes_are_in_it_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "told"
    try:
        encoding, _, _ = told(path, content, name)
    except UsageError:
        return
    content.decode(encoding.removesuffix("-sig"))


def test_all_of_a_file_decides(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"x" * 3_000_000 + "ü".encode())
    assert is_utf8(Source(tmp_path / "m"))
    (tmp_path / "m").write_bytes(b"x" * 3_000_000 + "ü".encode()[:1])
    assert not is_utf8(Source(tmp_path / "m"))
