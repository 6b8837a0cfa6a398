"""Lines and where their bytes begin, in any encoding, however they fall into what is read at a time."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest import lines as lines_module
from mediapipe.manifest.dialect import Dialect
from mediapipe.manifest.lines import LONGEST_LINE, MOST_LINES, Lines

CODECS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be", "cp1252", "cp037", "gb18030"]
MARKS = {"utf-8-sig": 3, "utf-16": 2, "utf-32": 4}


def opened(content: bytes, codec: str = "utf-8") -> Lines:
    dialect = Dialect(codec, ",", 0, "", MARKS.get(codec, 0))
    return Lines(io.BytesIO(content), dialect, "manifest m.csv")


@given(
    parts=st.lists(
        st.tuples(st.text("aé€😀\u2028\x85\x0b\x1c ,", max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
    ),
    last=st.text("aé", max_size=3),
    codec=st.sampled_from(CODECS),
    chunk=st.integers(1, 9),
)
def test_every_line_comes_with_its_number_and_its_first_byte(
    parts: list[tuple[str, str]], last: str, codec: str, chunk: int
) -> None:
    if codec in ("cp1252", "cp037"):
        drop = {ord(char): "x" for char in "€😀\u2028\x85\x0b\x1c"}
        parts = [(text.translate(drop), end) for text, end in parts]
    wanted = list(io.StringIO("".join(text + end for text, end in parts) + last, newline=""))
    patch = pytest.MonkeyPatch()
    patch.setattr(lines_module, "_CHUNK", chunk)
    try:
        lines = opened("".join(wanted).encode(codec), codec)
        before = ""
        for number, (text, line) in enumerate(zip(lines.read(), wanted, strict=True), 1):
            assert (text, lines.number, lines.start, lines.held) == (line, number, number, [line])
            assert lines.offset == len(before.encode(codec)) or (
                number == 1 and lines.offset == MARKS.get(codec, 0)
            )
            before += line
            lines.let_go()
    finally:
        patch.undo()


def test_a_row_may_have_several_lines() -> None:
    lines = opened(b"a\nbc\nd\n")
    read = lines.read()
    next(read)
    lines.let_go()
    next(read)
    next(read)
    assert (lines.number, lines.start, lines.offset, lines.held) == (3, 2, 2, ["bc\n", "d\n"])


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_is_not_without_end(end: str) -> None:
    longest = "x" * (LONGEST_LINE - len(end)) + end
    assert list(opened(longest.encode()).read()) == [longest]
    lines = opened(b"first\n" + ("x" + longest).encode() + b"\nnext")
    read = lines.read()
    assert next(read) == "first\n"
    with pytest.raises(UsageError, match=r"m\.csv: line 2 is longer than 1,048,576"):
        next(read)


def test_a_row_has_not_any_number_of_lines() -> None:
    lines = opened(b"first\n" + b"x\n" * (MOST_LINES + 1))
    read = lines.read()
    next(read)
    lines.let_go()
    with pytest.raises(
        UsageError, match=r"the row that begins on line 2 does not end .* begins with byte 6\)"
    ):
        list(read)
    assert lines.number == MOST_LINES + 2


def test_bytes_that_cannot_be_read_are_marked_and_counted() -> None:
    lines = opened(b"M\x81ller\nnext", "cp1252")
    read = lines.read()
    assert next(read) == "M\ufffdller\n"
    lines.let_go()
    next(read)
    assert lines.offset == 7
