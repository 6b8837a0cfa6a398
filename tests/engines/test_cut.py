"""How a span becomes shares of work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.engines.cut import LISTING, MOST_SHARDS, Counted, Share, shares
from mediapipe.shards import Shard
from mediapipe.spans import Span

BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def counted(*calls: int | None) -> list[Counted]:
    return [Counted(Span(BEGIN + n * DAY, BEGIN + (n + 1) * DAY), one) for n, one in enumerate(calls)]


def days(start: int, end: int) -> Span:
    return Span(BEGIN + start * DAY, BEGIN + end * DAY)


def test_quiet_days_are_put_together_and_busy_ones_shared_by_hash() -> None:
    found = list(shares(counted(10, 20, 900, 30, None, 40), 200))
    assert found == [
        Share(days(0, 2)),
        *(Share(days(2, 3), shard) for shard in Shard(1, 5).all()),
        Share(days(3, 5)),
        Share(days(5, 6)),
    ]


def test_a_year_without_calls_is_still_several_workers_listing() -> None:
    assert len(list(shares(counted(*[0] * 365)))) > 5


def test_one_window_is_never_listed_by_too_many() -> None:
    assert len(list(shares(counted(10_000_000)))) == MOST_SHARDS


def test_windows_that_do_not_touch_stay_apart() -> None:
    one, _, other = counted(1, 1, 1)
    assert list(shares([one, other])) == [Share(one.span), Share(other.span)]


@given(st.lists(st.none() | st.integers(0, 5_000), max_size=40), st.integers(60, 3_000))
def test_shares_cover_every_window_once_in_order(calls: list[int | None], size: int) -> None:
    found = list(shares(counted(*calls), size))
    spans = list(dict.fromkeys(share.span for share in found))
    at = BEGIN
    for span in spans:
        assert span.start == at
        at = span.end
        own = [share.shard for share in found if share.span == span]
        first = own[0]
        assert own == ([None] if first is None else list(first.all()))
        if first is None and span.end - span.start > DAY:
            days_of = range((span.start - BEGIN).days, (span.end - BEGIN).days)
            assert sum((calls[day] or 0) + LISTING for day in days_of) <= size
    assert at == BEGIN + len(calls) * DAY
