"""Prompts that stand out from their set: by what anybody would hear, and never for want of a figure."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.library.outliers import SMALLEST_SET, TRAITS, find_outliers

LEVEL, PACE, TAIL = range(3)


def a_set(trait: int, *values: float | None) -> dict[str, tuple[float | None, ...]]:
    return {
        f"prompt/{number}": tuple(value if at == trait else None for at in range(3))
        for number, value in enumerate(values)
    }


@pytest.mark.parametrize(
    ("trait", "usual", "odd", "said"),
    [
        (LEVEL, -20.0, -32.0, "level -32.0, usual is -20.0 dBFS before rendering"),
        (PACE, 4.0, 8.0, "pace 8.0, usual is 4.0 syllables a second"),
        (TAIL, 0.2, 1.25, "trailing silence 1.25, usual is 0.20 s before rendering"),
    ],
)
def test_what_stands_out_is_named(trait: int, usual: float, odd: float, said: str) -> None:
    (found,) = find_outliers(a_set(trait, *[usual] * SMALLEST_SET, odd))
    assert str(found) == f"prompt/{SMALLEST_SET}: {said}"


@pytest.mark.parametrize(("trait", "usual"), [(LEVEL, -20.0), (PACE, 4.0), (TAIL, 0.2)])
def test_what_nobody_would_hear_does_not(trait: int, usual: float) -> None:
    near = usual + TRAITS[trait].least * 0.99
    assert not list(find_outliers(a_set(trait, *[usual] * SMALLEST_SET, near)))


def test_a_few_are_no_set() -> None:
    assert not list(find_outliers(a_set(LEVEL, *[-20.0] * (SMALLEST_SET - 2), -60.0)))
    assert not list(find_outliers(a_set(LEVEL, *[-20.0] * (SMALLEST_SET - 2), -60.0, None, None)))
    assert not list(find_outliers({}))


def test_a_set_that_spreads_by_itself_has_none() -> None:
    assert not list(find_outliers(a_set(LEVEL, *(-40.0 + 3 * at for at in range(12)))))


def test_silence_has_no_level_and_hides_no_other() -> None:
    """Minus infinity dB, of prompts without a sound, and no number at all."""
    odd = [-math.inf] * 5 + [math.nan] * 5
    (found,) = find_outliers(a_set(LEVEL, *[-20.0] * SMALLEST_SET, -50.0, *odd))
    assert found.key == f"prompt/{SMALLEST_SET}"
    assert found.usual == -20.0


@given(st.lists(st.none() | st.floats(), max_size=30))
def test_whatever_was_measured_the_answer_is_a_number(values: list[float | None]) -> None:
    for found in find_outliers(a_set(LEVEL, *values)):
        assert math.isfinite(found.value)
        assert abs(found.value - found.usual) > TRAITS[LEVEL].least
