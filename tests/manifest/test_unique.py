"""Who was first: right for any texts, and small."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest.unique import FirstRows


@given(st.lists(st.text(max_size=3), max_size=60))
def test_it_says_what_a_dictionary_would(texts: list[str]) -> None:
    rows, first = FirstRows(), dict[str, int]()
    for row, text in enumerate(texts, 1):
        assert rows.first(text, row) == first.get(text)
        first.setdefault(text, row)


def test_it_grows_and_forgets_nobody() -> None:
    rows = FirstRows()
    for row in range(1, 20_001):
        assert rows.first(f"call-{row}", row) is None
    assert [rows.first(f"call-{row}", 99) for row in (1, 700, 20_000)] == [1, 700, 20_000]
    assert rows.first("call-20001", 20_001) is None


def test_the_mark_that_came_with_a_text_comes_back_whatever_grew_since() -> None:
    rows = FirstRows()
    for row in range(1, 5_001):
        assert rows.first_marked(f"\udc80{row}", row, row * 7) is None
    found = [rows.first_marked(f"\udc80{row}", 1, 1) for row in range(1, 5_001)]
    assert found == [(row, row * 7) for row in range(1, 5_001)]


def test_a_hundred_thousand_rows_take_less_than_60_bytes_each() -> None:
    tracemalloc.start()
    try:
        rows = FirstRows()
        for row in range(1, 100_001):
            rows.first(f"a rather long external id of some old system, number {row}", row)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 60 * 100_000
