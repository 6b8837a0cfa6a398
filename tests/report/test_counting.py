"""Counting by size and by name: nothing lost, memory bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.report.counting import OTHER, Bar, Buckets, Names

EDGES, LABELS = (1, 5, 60), ("1 s", "5 s", "1 min")


def buckets(*values: float) -> Buckets:
    found = Buckets(EDGES, LABELS)
    for value in values:
        found.add(value)
    return found


def test_a_number_on_an_edge_belongs_above_it() -> None:
    assert buckets(0.99, 1, 4.9, 5, 60, 1e9).bars() == [
        Bar("under 1 s", 1),
        Bar("1 s to 5 s", 2),
        Bar("5 s to 1 min", 1),
        Bar("1 min and more", 2),
    ]


def test_empty_ends_are_not_shown_but_gaps_are() -> None:
    found = buckets(2, 100)
    assert [bar.count for bar in found.bars()] == [1, 0, 1]
    assert found.marks() == ["1 s", "5 s", "1 min", ""]
    assert buckets(0).marks() == ["", "1 s"]
    assert (buckets().bars(), buckets().marks()) == ([], [])


@given(st.lists(st.floats(0, 1e6)))
def test_every_number_is_in_one_bucket_and_marks_stand_around_bars(values: list[float]) -> None:
    found = buckets(*values)
    assert sum(bar.count for bar in found.bars()) == len(values)
    assert len(found.marks()) == (len(found.bars()) + 1 if values else 0)


@given(st.lists(st.text(max_size=2)), st.integers(1, 5), st.integers(1, 5))
def test_every_word_is_counted_and_few_are_kept(words: list[str], most: int, shown: int) -> None:
    names = Names(most)
    for word in words:
        names.add(word)
    bars = names.bars(shown)
    assert sum(bar.count for bar in bars) == len(words)
    assert len(names.counts) <= most + 1
    assert len(bars) <= shown + 1


def test_the_most_frequent_word_is_first_and_the_rest_last() -> None:
    names = Names()
    for word in ("b", "a", "c", "c", "a", "d"):
        names.add(word)
    assert names.bars(2) == [Bar("a", 2), Bar("c", 2), Bar(OTHER, 2)]
