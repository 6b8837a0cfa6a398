from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.manifest.moments import NotAMoment, api_text, read_moment

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEW_YORK = "America/New_York"


def read(text: str, tz: str | None = None, dst: str = "error") -> datetime:
    return read_moment(text, tz, dst, NOW)  # type: ignore[arg-type]


def code(text: str, tz: str | None = None, dst: str = "error") -> str:
    with pytest.raises(NotAMoment) as caught:
        read(text, tz, dst)
    assert caught.value.hint
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2026-02-14T18:20:12Z", "2026-02-14T18:20:12.000Z"),
        ("2026-02-14 18:20:12 UTC", "2026-02-14T18:20:12.000Z"),
        ("2026-02-14T18:20:12-07:00", "2026-02-15T01:20:12.000Z"),
        ("2026-02-14T18:20:12-0700", "2026-02-15T01:20:12.000Z"),
        ("2026-02-14T18:20+05:30", "2026-02-14T12:50:00.000Z"),
        ("2026-02-14T18:20:12.345678Z", "2026-02-14T18:20:12.345Z"),
        ("2026-02-14T18:20:12,5Z", "2026-02-14T18:20:12.500Z"),
    ],
)
def test_an_instant_with_an_offset_is_sent_as_utc(text: str, sent: str) -> None:
    assert api_text(read(text)) == sent


# Item 5 of the field notes: how dates lie.
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2026-02-14 18:20", "no_offset"),
        ("03/04/26", "ambiguous_date"),
        ("3/4/2026 10:15", "ambiguous_date"),
        ("14.02.2026 18:20", "ambiguous_date"),
        ("2026-02-14", "date_only"),
        ("45678.5", "excel_date"),
        ("1771093212", "epoch_date"),
        ("1771093212000", "epoch_date"),
        ("1.77109E+09", "spoilt_number"),
        ("2030-01-01T00:00:00Z", "date_in_future"),
        ("1970-01-01T00:00:00Z", "date_too_old"),
        ("2026-02-30T00:00:00Z", "not_a_date"),
        ("2026-02-14T24:00:00Z", "not_a_date"),
        ("2026-02-14T23:59:60Z", "not_a_date"),
        ("0000-01-01T00:00:00Z", "not_a_date"),
        ("0001-01-01T00:00:00+14:00", "not_a_date"),
        ("\uff12\uff10\uff12\uff16-02-14T18:20:12Z", "not_a_date"),
        ("2026-02-14T18:20:12+25:00", "not_a_date"),
        ("yesterday", "not_a_date"),
    ],
)
def test_what_is_no_instant_beyond_doubt_is_refused(text: str, wrong: str) -> None:
    assert code(text) == wrong


def test_a_local_time_is_read_in_the_zone_that_was_said() -> None:
    assert read("2026-02-14 18:20:12", "America/Denver") == datetime(2026, 2, 15, 1, 20, 12, tzinfo=UTC)
    assert read("2026-07-14 18:20:12", "Europe/Berlin") == datetime(2026, 7, 14, 16, 20, 12, tzinfo=UTC)


def test_an_hour_that_exists_twice_is_two_instants() -> None:
    assert code("2025-11-02 01:30", NEW_YORK) == "dst_fold"
    assert read("2025-11-02 01:30", NEW_YORK, "earlier") == datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    assert read("2025-11-02 01:30", NEW_YORK, "later") == datetime(2025, 11, 2, 6, 30, tzinfo=UTC)
    assert read("2025-11-02 01:30:00-04:00", NEW_YORK) == datetime(2025, 11, 2, 5, 30, tzinfo=UTC)


def test_an_hour_that_does_not_exist_is_an_error_unless_told() -> None:
    assert code("2025-03-09 02:30", NEW_YORK) == "dst_gap"
    assert read("2025-03-09 02:30", NEW_YORK, "earlier") == datetime(2025, 3, 9, 6, 30, tzinfo=UTC)
    assert read("2025-03-09 02:30", NEW_YORK, "later") == datetime(2025, 3, 9, 7, 30, tzinfo=UTC)


moments = st.datetimes(datetime(1990, 1, 2), datetime(2026, 11, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_every_instant_survives_whatever_its_offset(moment: datetime, minutes: int) -> None:
    there = moment.astimezone(ZoneInfo("UTC")) + timedelta(minutes=minutes)
    sign, ahead = ("-" if minutes < 0 else "+"), divmod(abs(minutes), 60)
    text = f"{there.replace(tzinfo=None).isoformat()}{sign}{ahead[0]:02}:{ahead[1]:02}"
    assert read(text) == moment
    assert read(api_text(moment)) == moment


@given(
    st.from_regex(
        r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](Z|[+-][01][0-9]:[0-6][0-9])\Z"
    )
)
@settings(max_examples=300)
def test_the_usual_way_to_write_a_date_is_read_as_any_other_is(text: str) -> None:
    """The same text with a fraction goes the long way."""
    at = 19
    said: list[object] = []
    for one in (text, f"{text[:at]}.000{text[at:]}"):
        try:
            said.append(read(one))
        except NotAMoment as error:
            said.append((error.code, error.what))
    assert said[0] == said[1]


# Clocks go from the first wall time to the second.
CHANGES = [
    (NEW_YORK, datetime(2025, 11, 2, 1), "dst_fold", 5),
    ("Europe/Berlin", datetime(2025, 10, 26, 2), "dst_fold", 0),
    (NEW_YORK, datetime(2025, 3, 9, 2), "dst_gap", 6),
    ("Europe/Berlin", datetime(2025, 3, 30, 2), "dst_gap", 0),
]


@pytest.mark.parametrize(("zone", "begin", "wrong", "hour"), CHANGES)
@given(seconds=st.integers(0, 3599))
def test_each_second_of_a_change_of_clocks_is_what_was_said(
    zone: str, begin: datetime, wrong: str, hour: int, seconds: int
) -> None:
    span = timedelta(seconds=seconds)
    text = (begin + span).isoformat()
    assert code(text, zone) == wrong
    first = begin.replace(hour=hour, tzinfo=UTC) + span
    assert read(text, zone, "earlier") == first
    assert read(text, zone, "later") == first + timedelta(hours=1)


@pytest.mark.parametrize(("zone", "begin", "wrong", "hour"), CHANGES)
def test_the_seconds_before_and_after_a_change_are_one_instant(
    zone: str, begin: datetime, wrong: str, hour: int
) -> None:
    for there in (begin - timedelta(seconds=1), begin + timedelta(hours=1)):
        assert len({read(there.isoformat(), zone, dst) for dst in ("error", "earlier", "later")}) == 1


@given(moments)
def test_what_a_zone_shows_is_read_back_as_one_of_its_instants(moment: datetime) -> None:
    shown = moment.astimezone(ZoneInfo(NEW_YORK)).replace(tzinfo=None).isoformat()
    assert moment in {read(shown, NEW_YORK, "earlier"), read(shown, NEW_YORK, "later")}


@given(st.text(max_size=30))
def test_no_text_whatever_crashes(text: str) -> None:
    for tz in (None, NEW_YORK):
        with suppress(NotAMoment):
            read(text, tz)
