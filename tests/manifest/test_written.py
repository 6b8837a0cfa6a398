"""Whatever is in a cell, it is read back as it was written."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest.written import csv_text

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from('\r\n,"; \t'))


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width))))
def test_rows_come_back(rows: list[list[str]]) -> None:
    assert list(csv.reader(io.StringIO(csv_text(rows), newline=""), strict=True)) == rows


def test_what_needs_no_quotes_has_none() -> None:
    assert csv_text([["a", "b c"], ["", "d"]]) == "a,b c\n,d"
    assert csv_text([]) == ""
    assert csv_text([["a\rb"]]) == '"a\rb"'
