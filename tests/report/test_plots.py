"""Bars and where they go: inside the picture, as long as their counts, and said in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.report.counting import Bar
from mediapipe.report.plots import WIDTH, lying, standing

COUNTS = st.lists(st.integers(0, 10**7), min_size=1, max_size=12).filter(any)


def bars(counts: list[int]) -> list[Bar]:
    return [Bar(f"bar {number}", count) for number, count in enumerate(counts)]


@given(COUNTS)
def test_standing_bars_are_as_high_as_their_counts_and_stay_inside(counts: list[int]) -> None:
    plot = standing("Length", bars(counts), [""] * (len(counts) + 1), unit="files")
    top = int(plot.ticks[-1].label.replace(",", ""))
    scale = plot.ticks[0].at - plot.ticks[-1].at
    assert top >= max(counts)
    for box, count in zip(plot.boxes, counts, strict=True):
        assert box.height == pytest.approx(scale * count / top)
        assert box.y + box.height == pytest.approx(plot.foot)
        assert plot.left <= box.x <= box.x + box.width <= WIDTH
        assert 0 <= box.text_y < plot.height


@given(COUNTS)
def test_lying_bars_are_as_long_as_their_counts_and_stay_inside(counts: list[int]) -> None:
    plot = lying("Format", bars(counts), unit="files")
    longest = max(box.width for box in plot.boxes)
    for box, count in zip(plot.boxes, counts, strict=True):
        assert box.width == pytest.approx(max(1.0, longest * count / max(counts)))
        assert box.x + box.width < WIDTH
        assert 0 <= box.y < box.y + box.height <= plot.height


def test_the_scale_of_one_has_no_half() -> None:
    assert [tick.label for tick in standing("x", bars([1]), ["", ""], unit="f").ticks] == ["0", "1"]
    assert [tick.label for tick in standing("x", bars([1_900]), ["", ""], unit="f").ticks] == [
        "0",
        "1,000",
        "2,000",
    ]


def test_edges_are_named_where_they_are_and_every_second_one_where_it_is_narrow() -> None:
    few = standing("x", bars([1, 2]), ["", "5 s", "9 s"], unit="f")
    assert [foot.label for foot in few.feet] == ["5 s", "9 s"]
    assert few.feet[0].at == pytest.approx(few.boxes[1].x - 1)
    marks = [str(number) for number in range(11)]
    assert [foot.label for foot in standing("x", bars([1] * 10), marks, unit="f").feet] == marks[::2]


def test_a_plot_says_itself_in_words() -> None:
    plot = lying("Format", [Bar("wav", 1_200), Bar("mp3", 0), Bar("ogg", 3)], unit="recordings")
    assert plot.said == "Format, in recordings. wav: 1,200; ogg: 3."
