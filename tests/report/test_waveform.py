"""Drawings of recordings: every channel, a scale of time, every fault where it is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.audio.facts import Envelope, Finding, Level
from mediapipe.report.waveform import (
    COLUMNS,
    LANE,
    LEFT,
    MOST_LANES,
    RIGHT,
    WIDTH,
    Waveform,
    channel_name,
    draw,
)
from tests.facts import clipped, facts

INSIDE = WIDTH - LEFT - RIGHT


def drawn(*findings: Finding, seconds: float = 60.0, channels: int = 2, **more: float) -> Waveform:
    picture = draw(facts(seconds, channels, **more), findings)
    assert picture is not None
    return picture


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


def test_each_channel_has_its_lane_and_stays_in_it() -> None:
    picture = drawn()
    assert [lane.name for lane in picture.lanes] == ["1 left", "2 right"]
    for lane in picture.lanes:
        assert lane.path.startswith("M")
        assert lane.path.endswith("Z")
        for x, y in points(lane.path):
            assert LEFT <= x <= WIDTH - RIGHT + 0.1
            assert lane.top <= y <= lane.top + LANE
    assert picture.lanes[0].top + LANE < picture.lanes[1].top


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=1_000), st.floats(0.05, 100_000))
def test_any_envelope_fits(values: list[int], seconds: float) -> None:
    one = facts(seconds, 1)
    assert one.quality is not None
    side = Envelope(
        seconds / len(values), (tuple(min(v, 0) for v in values),), (tuple(max(v, 0) for v in values),)
    )
    picture = draw(replace(one, quality=replace(one.quality, envelope=side)), ())
    assert picture is not None
    path = points(picture.lanes[0].path)
    assert len(path) <= 2 * (COLUMNS + 1)
    assert max(x for x, _ in path) <= WIDTH - RIGHT + 0.1
    assert 2 <= len(picture.ticks) <= 12
    assert all(LEFT <= tick.x <= WIDTH - RIGHT + 0.1 for tick in picture.ticks)


def test_a_peak_is_never_lost_when_buckets_are_put_together() -> None:
    one = facts(60.0, 1)
    assert one.quality is not None
    high = [0] * 999
    high[501] = 127
    side = Envelope(60 / 999, ((0,) * 999,), (tuple(high),))
    picture = draw(replace(one, quality=replace(one.quality, envelope=side)), ())
    assert picture is not None
    (lane,) = picture.lanes
    assert min(y for _, y in points(lane.path)) == pytest.approx(lane.top + 3, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.5, ["0.00 s", "0.05 s"]),
        (8, ["0.0 s", "1.0 s"]),
        (60, ["0:00", "0:10"]),
        (282, ["0:00", "0:30"]),
        (3_600, ["0:00:00", "0:10:00"]),
        (40 * 3_600, ["0:00:00", "4:00:00"]),
        (160 * 3_600, ["0:00:00", "16:00:00"]),
    ],
)
def test_the_scale_of_time_is_in_round_steps(seconds: float, labels: list[str]) -> None:
    assert [tick.label for tick in drawn(seconds=seconds).ticks[:2]] == labels


def test_a_fault_is_marked_where_it_is() -> None:
    picture = drawn(Finding("long_silence", "silent", start_s=30.0, end_s=45.0))
    (mark,) = picture.marks
    assert (mark.number, mark.whole, mark.serious) == (1, False, False)
    assert mark.x == pytest.approx(LEFT + INSIDE / 2)
    assert mark.width == pytest.approx(INSIDE / 4)
    assert (mark.top, mark.top + mark.height) == (picture.top, picture.floor), "both channels"
    assert mark.text == "1. silent"


def test_a_fault_of_one_channel_shades_it_from_end_to_end() -> None:
    picture = drawn(Finding("dead_channel", "dead", Level.BLOCK, channel=1))
    (mark,) = picture.marks
    assert (mark.top, mark.height) == (picture.lanes[1].top, LANE)
    assert (mark.x, mark.width) == pytest.approx((LEFT, INSIDE))
    assert (mark.whole, mark.serious) == (True, True)


def test_a_fault_of_the_file_as_such_only_has_its_number() -> None:
    (mark,) = drawn(Finding("extension_mismatch", "named wrong")).marks
    assert (mark.number, mark.width) == (1, 0)
    assert mark.badge[1] < drawn().top


def test_every_clipped_place_is_marked_and_the_first_has_the_number() -> None:
    one = clipped(facts(), 1, (1.0, 1.1), (20.0, 20.2), (59.9, 60.0))
    picture = draw(one, [Finding("clipping", "clipped", channel=1, start_s=1.0, end_s=1.1)])
    assert picture is not None
    assert [mark.number for mark in picture.marks] == [1, 0, 0]
    assert {mark.top for mark in picture.marks} == {picture.lanes[1].top}
    assert picture.marks[1].x == pytest.approx(LEFT + INSIDE / 3)
    assert all(mark.width >= 3 for mark in picture.marks), "a thousandth of a second can be seen"
    assert all(mark.x + mark.width <= WIDTH - RIGHT + 0.1 for mark in picture.marks)


@pytest.mark.parametrize(("declared", "share"), [(120.0, 1 / 2), (6_000.0, 1 / 4)])
def test_what_is_missing_at_the_end_has_its_place(declared: float, share: float) -> None:
    gone = Finding("partial", "cut off", Level.BLOCK)
    said = Finding("header_duration", "differs", start_s=60.0, end_s=60.0)
    picture = drawn(gone, said, declared_s=declared)
    first, second = picture.marks
    assert first.x == pytest.approx(LEFT + INSIDE * share)
    assert first.x + first.width == pytest.approx(WIDTH - RIGHT)
    assert second.width == 0, "the same stretch is not coloured twice"
    assert max(x for x, _ in points(picture.lanes[0].path)) == pytest.approx(first.x, abs=0.2)


def test_numbers_do_not_stand_on_each_other() -> None:
    many = [Finding(f"code_{number}", "x", channel=number % 2) for number in range(6)]
    many += [Finding("all", "y"), Finding("all", "z")]
    badges = [mark.badge for mark in drawn(*many).marks]
    for at, (x, y) in enumerate(badges):
        for other_x, other_y in badges[:at]:
            assert y != other_y or abs(x - other_x) >= 20


def test_a_fault_of_a_channel_that_is_not_drawn_is_left_to_the_words() -> None:
    picture = drawn(Finding("dead_channel", "dead", channel=11), channels=12)
    assert len(picture.lanes) == MOST_LANES
    assert picture.marks == ()


def test_without_an_envelope_there_is_no_picture() -> None:
    assert draw(facts(drawn=False), ()) is None
    assert draw(replace(facts(), quality=None), ()) is None
    empty = facts()
    assert empty.quality is not None
    assert (
        draw(replace(empty, quality=replace(empty.quality, envelope=Envelope(1.0, ((),), ((),)))), ()) is None
    )


def test_channels_are_called_as_people_and_messages_call_them() -> None:
    names = [channel_name(number, count) for number, count in ((0, 1), (0, 2), (1, 2), (2, 6))]
    assert names == ["mono", "1 left", "2 right", "ch 3"]
