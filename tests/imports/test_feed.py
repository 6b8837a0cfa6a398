from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.imports.feed import wait_for_hours

DAY = datetime(2026, 3, 4)


@pytest.mark.parametrize(
    ("clock", "hours", "seconds"),
    [
        ((23, 0), (22 * 60, 6 * 60), 0),
        ((5, 59), (22 * 60, 6 * 60), 0),
        ((6, 0), (22 * 60, 6 * 60), 16 * 3600),
        ((21, 59), (22 * 60, 6 * 60), 60),
        ((9, 0), (8 * 60, 17 * 60), 0),
        ((7, 0), (8 * 60, 17 * 60), 3600),
        ((17, 0), (8 * 60, 17 * 60), 15 * 3600),
        ((3, 0), None, 0),
    ],
)
def test_uploads_begin_within_the_hours_only(
    clock: tuple[int, int], hours: tuple[int, int] | None, seconds: float
) -> None:
    assert wait_for_hours(DAY.replace(hour=clock[0], minute=clock[1]), hours) == seconds


@given(st.integers(0, 86_399), st.integers(0, 1439), st.integers(0, 1439))
def test_after_the_wait_it_is_time(second: int, start: int, end: int) -> None:
    if start == end:
        return
    now = DAY + timedelta(seconds=second)
    wait = wait_for_hours(now, (start, end))
    assert 0 <= wait <= 86_400
    assert wait_for_hours(now + timedelta(seconds=wait), (start, end)) == pytest.approx(0, abs=1e-6)
