"""Small drawings: two waveforms on one scale, and a set's levels before and after."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.audio.facts import AudioFacts, Envelope
from mediapipe.report.small_waves import (
    COLUMNS,
    GAP,
    LANE,
    STRIP,
    WIDTH,
    Waves,
    draw_evenness,
    draw_waves,
)
from tests.facts import facts


def shaped(seconds: float, *high: int) -> AudioFacts:
    """Return facts of a recording whose buckets reach this high, and half as low."""
    one = facts(seconds, 1)
    assert one.quality is not None
    side = Envelope(seconds / len(high), (tuple(-value // 2 for value in high),), (high,))
    return replace(one, quality=replace(one.quality, envelope=side))


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


def drawn(source: AudioFacts, made: AudioFacts | None = None, cut: float = 0.0) -> Waves:
    waves = draw_waves(source, made, cut)
    assert waves is not None
    return waves


def test_what_was_rendered_stands_below_the_source_where_it_was_cut_from() -> None:
    waves = drawn(shaped(4.0, 10, 100, 100, 10), shaped(2.0, 100, 100), 1.0)
    assert (waves.start, waves.stop, waves.seconds) == (WIDTH / 4, WIDTH * 3 / 4, 4.0)
    source, rendered = points(waves.source), points(waves.rendered)
    assert (min(x for x, _ in source), max(x for x, _ in source)) == (0, WIDTH)
    assert (min(x for x, _ in rendered), max(x for x, _ in rendered)) == (waves.start, waves.stop)
    assert all(0 <= y <= LANE for _, y in source)
    assert all(LANE + GAP <= y <= waves.height for _, y in rendered)
    assert waves.said == "Waveforms of the source, 4.00 s, and of what was rendered, 2.00 s"


def test_both_are_drawn_on_one_scale_of_level() -> None:
    waves = drawn(shaped(1.0, 127), shaped(1.0, 63))
    above = LANE / 2 - min(y for _, y in points(waves.source))
    below = waves.below + LANE / 2 - min(y for _, y in points(waves.rendered))
    assert above == pytest.approx(LANE / 2, abs=0.2)
    assert below / above == pytest.approx(63 / 127, abs=0.02)


def test_channels_are_drawn_as_one_and_no_peak_is_lost() -> None:
    one = facts(10.0, 2)
    assert one.quality is not None
    left, right = (0,) * 1000, tuple(127 if at == 700 else 0 for at in range(1000))
    side = Envelope(0.01, ((0,) * 1000, (0,) * 1000), (left, right))
    path = points(drawn(replace(one, quality=replace(one.quality, envelope=side))).source)
    assert len(path) <= 2 * (COLUMNS + 1)
    highest = min(path, key=lambda point: point[1])
    assert highest[1] == pytest.approx(0, abs=0.2)
    assert highest[0] == pytest.approx(705, abs=5)


def test_nothing_rendered_leaves_the_lower_half_empty() -> None:
    waves = drawn(facts(2.0))
    assert (waves.rendered, waves.start, waves.stop) == ("", 0, WIDTH)
    assert draw_waves(facts(2.0, drawn=False), None) is None
    assert draw_waves(facts(2.0, samples=0), None) is None
    assert drawn(facts(2.0), facts(2.0, drawn=False)).rendered == ""


@given(
    st.lists(st.integers(0, 127), min_size=1, max_size=1_000),
    st.lists(st.integers(0, 127), min_size=1, max_size=1_000),
    st.floats(0.1, 600),
    st.floats(0, 1),
)
def test_any_pair_stays_inside(high: list[int], low: list[int], seconds: float, cut: float) -> None:
    # An encoder may make more of it than was there.
    waves = drawn(shaped(seconds, *high), shaped(seconds, *low), cut * seconds)
    for path, top in ((waves.source, 0), (waves.rendered, waves.below)):
        assert all(0 <= x <= WIDTH and top - 0.5 <= y <= top + LANE + 0.5 for x, y in points(path))


def bars(path: str) -> list[tuple[float, float]]:
    """Return where each bar begins, and how high it is."""
    return [(float(x), float(h)) for x, h in re.findall(r"M(-?[\d.]+),\d+v-([\d.]+)", path)]


def test_levels_far_apart_come_together() -> None:
    even = draw_evenness([-30.0, -22.0, -18.0, -18.1], [-22.0, -22.1, -21.9, -22.0])
    assert even is not None
    assert [tick.label for tick in even.ticks] == ["-35", "-30", "-25", "-20", "-15"]
    assert (even.ticks[0].x, even.ticks[-1].x) == (0, WIDTH)
    before, after = bars(even.before), bars(even.after)
    assert [height for _, height in before] == [(STRIP - 4) / 2, (STRIP - 4) / 2, STRIP - 4]
    assert len(after) == 1
    assert after[0] == pytest.approx((before[1][0], STRIP - 4)), "the same level stands at the same place"
    assert even.said == (
        "Active levels of the set: \u221230.0 to \u221218.0 dBFS before rendering, "
        "\u221222.1 to \u221221.9 dBFS after it"
    )


def test_a_lonely_prompt_is_seen_beside_hundreds_and_silence_has_an_edge_of_its_own() -> None:
    even = draw_evenness([-20.0] * 500 + [-120.0], [-22.0] * 500)
    assert even is not None
    assert [height for _, height in bars(even.before)] == [2.0, STRIP - 4]
    assert all(0 <= x <= WIDTH for x, _ in bars(even.before))
    assert draw_evenness([-20.0], [-22.0]) is None
