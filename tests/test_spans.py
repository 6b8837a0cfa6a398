from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.spans import Span, parse_instant, show, windows, zone

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
DENVER = ZoneInfo("America/Denver")
moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


def parse(text: str, tz: str = "UTC", now: datetime = NOW) -> datetime:
    return parse_instant(text, flag="--from", tz=ZoneInfo(tz), now=now)


@settings(deadline=None)
@given(start=moments, length=st.timedeltas(timedelta(), timedelta(days=20)), longest=st.integers(600, 90_000))
def test_windows_cover_the_span_exactly_and_never_cross_midnight(
    start: datetime, length: timedelta, longest: int
) -> None:
    span = Span(start, start + length)
    pieces = list(windows(span, timedelta(seconds=longest)))
    if not length:
        assert pieces == []
        return
    assert pieces[0].start == span.start
    assert pieces[-1].end == span.end
    assert all(a.end == b.start for a, b in pairwise(pieces))
    for piece in pieces:
        assert timedelta() < piece.end - piece.start <= min(timedelta(seconds=longest), timedelta(days=1))
        assert (piece.end - timedelta(microseconds=1)).date() == piece.start.date()


@pytest.mark.parametrize("longest", [timedelta(), timedelta(seconds=-1)])
def test_windows_refuse_a_length_that_never_advances(longest: timedelta) -> None:
    with pytest.raises(ValueError, match="longest"):
        next(windows(Span(NOW, NOW + timedelta(days=1)), longest))


def test_windows_reach_the_last_day_there_is() -> None:
    end = datetime(9999, 12, 31, 23, tzinfo=UTC)
    assert list(windows(Span(end - timedelta(hours=2), end), timedelta(days=1)))[-1].end == end


@settings(deadline=None)
@given(start=moments, seconds=st.integers(61, 90_000))
def test_halves_make_the_whole_on_a_millisecond(start: datetime, seconds: int) -> None:
    span = Span(start, start + timedelta(seconds=seconds))
    left, right = span.halves()
    assert (left.start, left.end, right.end) == (span.start, right.start, span.end)
    assert left.start < left.end < right.end
    assert left.end.microsecond % 1000 == 0


def test_a_span_holds_its_start_but_not_its_end() -> None:
    span = Span(NOW, NOW + timedelta(hours=1))
    assert span.start in span
    assert span.end not in span


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-01", "2026-02-01T00:00:00+00:00"),
        ("2026-02-01T10:00:00Z", "2026-02-01T10:00:00+00:00"),
        ("2026-02-01T10:00:00-07:00", "2026-02-01T17:00:00+00:00"),
        ("now", "2026-03-10T15:30:00+00:00"),
        (" NOW ", "2026-03-10T15:30:00+00:00"),
        ("-1d", "2026-03-09T15:30:00+00:00"),
        ("-6h", "2026-03-10T09:30:00+00:00"),
        ("-2W", "2026-02-24T15:30:00+00:00"),
        ("-90m", "2026-03-10T14:00:00+00:00"),
        ("yesterday", "2026-03-09T00:00:00+00:00"),
        ("today", "2026-03-10T00:00:00+00:00"),
    ],
)
def test_every_form_names_its_instant(text: str, expected: str) -> None:
    assert parse(text) == datetime.fromisoformat(expected)


def test_words_and_bare_dates_are_midnight_in_the_zone() -> None:
    late = datetime(2026, 3, 10, 3, tzinfo=UTC)  # still the 9th in Denver, which has changed its clocks
    assert parse("today", "America/Denver", late) == datetime(2026, 3, 9, 6, tzinfo=UTC)
    assert parse("yesterday", "America/Denver", late) == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert parse("2026-07-01", "America/Denver") == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert parse("2026-07-01T08:00", "America/Denver") == datetime(2026, 7, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize("wall", ["2026-03-08T02:30:00", "2026-11-01T01:30:00"])
def test_a_wall_time_that_is_no_single_instant_is_refused(wall: str) -> None:
    with pytest.raises(UsageError, match="clock change"):
        parse(wall, "America/Denver")
    assert parse(wall + "-07:00", "America/Denver").tzinfo is UTC


@pytest.mark.parametrize(
    ("day", "name", "expected"),
    [
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),  # its midnight does not exist
        ("2025-11-02", "America/Havana", "2025-11-02T04:00:00+00:00"),  # its midnight comes twice: the first
    ],
)
def test_a_day_begins_even_where_clocks_change_at_midnight(day: str, name: str, expected: str) -> None:
    assert parse(day, name) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "1d",
        "-1y",
        "- 1d",
        "2026-13-01",
        "2026-02-30",
        "10:00",
        "-99999999999d",
        "-9999999w",
        "-" + "9" * 5000 + "d",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-10:00",
    ],
)
def test_what_is_no_time_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--from"):
        parse(text)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_an_instant_in_utc_or_a_usage_error(text: str) -> None:
    try:
        moment = parse(text, "America/Denver")
    except UsageError:
        return
    assert moment.utcoffset() == timedelta()


@settings(deadline=None)
@given(
    st.integers(1, 9999), st.integers(1, 12), st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Denver"])
)
def test_any_date_is_an_instant_or_a_usage_error(year: int, month: int, name: str) -> None:
    try:
        assert parse(f"{year:04d}-{month:02d}-01", name).tzinfo is UTC
    except UsageError:
        assert year in {1, 9999}


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../etc/passwd", "America", "a\0b", "/etc/localtime"])
def test_an_unknown_zone_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="--tz"):
        zone(name)


def test_a_known_zone_is_found() -> None:
    assert zone("America/Denver") == DENVER


@settings(deadline=None)
@given(moments)
def test_what_is_shown_names_the_same_second(moment: datetime) -> None:
    text = show(moment)
    shown = datetime.fromisoformat(text)
    shown = shown if shown.tzinfo else shown.replace(tzinfo=UTC)
    assert abs(shown - moment) < timedelta(milliseconds=1)
    assert ("T" not in text) == (moment.time() == time())
