from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.estimate import DAY_S, Estimate, Pace
from mediapipe.items import Outcome, Verdict

AUDIO = {"facts": {"duration_s": 60.0}, "plan": {"kind": "as_is"}}


def test_only_what_would_be_sent_counts() -> None:
    estimate = Estimate(Pace(1.0, 1_000))
    estimate.add(Outcome("a", Verdict.DONE, bytes=500, audio=AUDIO))
    estimate.add(Outcome("b", Verdict.REJECTED, bytes=500, audio=AUDIO))
    estimate.add(Outcome("c", Verdict.PENDING, bytes=500))
    assert (estimate.bytes, estimate.requests, estimate.audio_s) == (500, 1, 60.0)


def test_the_time_is_that_of_the_narrower_of_pace_and_line() -> None:
    assert Estimate(Pace(2.0, 1_000), bytes=10_000, requests=4).seconds == 10.0
    paced = Estimate(Pace(2.0, 1_000_000), bytes=10_000, requests=40)
    assert paced.seconds == 20.0
    assert str(paced).startswith("to be sent: 10.0 kB in 40 requests, about 20s if 1.0 MB a second go out")
    assert "(audio.uplink)" in str(paced)
    assert "--between" not in str(paced)


def test_hours_and_budgets_make_days_of_it() -> None:
    nights = Estimate(Pace(1.0, 1_000, "imports.bytes_per_second", hours=8.0), requests=10 * 3600)
    assert nights.seconds == 26 * 3600, "8 hours of the first night, 16 of waiting, 2 of the second"
    assert "8 hours a day (--between)" in str(nights)
    budget = Estimate(Pace(1.0, 1_000, per_day=100), requests=201)
    assert budget.seconds == 2 * DAY_S
    assert "100 uploads a day (--daily-budget)" in str(budget)
    assert budget.as_json()["seconds"] == 2 * DAY_S
    assert Estimate(Pace(1.0, 1_000, per_day=100), requests=100).seconds == 100.0
    assert Estimate(Pace(1.0, 1_000, hours=8.0, per_day=5)).seconds == 0.0


@given(
    st.floats(0.1, 1_000),
    st.integers(1, 10**9),
    st.floats(0.25, 24),
    st.none() | st.integers(1, 10**6),
    st.integers(0, 10**7),
    st.integers(0, 10**13),
)
def test_no_limit_makes_it_quicker(rate, line, hours, per_day, requests, size) -> None:  # type: ignore[no-untyped-def]
    free = Estimate(Pace(rate, line), size, requests).seconds
    assert Estimate(Pace(rate, line, hours=hours, per_day=per_day), size, requests).seconds >= free >= 0
    more = Estimate(Pace(rate, line, hours=hours, per_day=per_day), size + 1, requests + 1).seconds
    assert more >= Estimate(Pace(rate, line, hours=hours, per_day=per_day), size, requests).seconds
    assert free == pytest.approx(max(requests / rate, size / line))
