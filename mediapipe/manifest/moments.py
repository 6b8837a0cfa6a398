"""When a call was, from what a cell says: an instant beyond doubt or a problem; never now, never a guess."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Dst = Literal["error", "earlier", "later"]

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)\s?(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_USUAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:Z|[+-](?:0\d|1[0-5]):[0-5]\d)", re.ASCII)
"""What the standard library reads as it stands, and as we do."""
_OTHER = (
    (
        re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}.*", re.DOTALL),
        "ambiguous_date",
        "its day and month are not told apart",
    ),
    (re.compile(r"\d{4}-\d\d-\d\d"), "date_only", "has no time of the day"),
    (re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+"), "spoilt_number", "is no date any more"),
    (re.compile(r"\d{5}(?:[.,]\d+)?"), "excel_date", "is how a spreadsheet counts days"),
    (re.compile(r"\d{9,10}(?:\.\d+)?"), "epoch_date", "counts seconds"),
    (re.compile(r"\d{12,13}"), "epoch_date", "counts milliseconds"),
)
_FORM = "write 2026-02-14T18:20:12-07:00, or without offset and say --tz"
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
_TWO = tuple(f"{number:02}" for number in range(60))


class NotAMoment(ValueError):
    """A cell says no instant that can be sent: ``code``, what it is, and what to do."""

    def __init__(self, code: str, what: str, hint: str = _FORM) -> None:
        super().__init__(what)
        self.code, self.what, self.hint = code, what, hint


def read_moment(text: str, tz: str | None, dst: Dst, now: datetime) -> datetime:
    """Return the instant in a filled cell, in UTC; raises :class:`NotAMoment`.

    ``tz`` is the zone of local times, None when nobody said one; ``dst`` which of two instants is meant
    where clocks were set back, and on which side of the gap where they were set forward.
    """
    moment = _usual(text) if _USUAL.fullmatch(text) else None
    if moment is None:
        moment = _any(text, tz, dst)
    if moment < OLDEST:
        raise NotAMoment(
            "date_too_old", "is before 1990", "a default of the old system? say when the call was"
        )
    if moment > now + AHEAD:
        raise NotAMoment("date_in_future", "lies in the future", "say when the call was")
    return moment


def _usual(text: str) -> datetime | None:
    """Return the instant in a cell that is written as most are, None where it is no instant."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _any(text: str, tz: str | None, dst: Dst) -> datetime:
    match = _ISO.fullmatch(text)
    if match is None:
        raise _otherwise(text)
    day, clock, offset = match.groups()
    # To the millisecond: that is what the platform keeps, and what an upload is found again by.
    whole, _, fraction = clock.replace(",", ".").partition(".")
    try:
        local = datetime.fromisoformat(f"{day}T{whole}")
        local += timedelta(milliseconds=int(fraction.ljust(3, "0")[:3])) if fraction else timedelta()
        return (local - _offset(offset)).replace(tzinfo=UTC) if offset else _in_zone(local, tz, dst)
    except OverflowError:
        raise NotAMoment("not_a_date", "is out of all bounds") from None
    except NotAMoment:
        raise
    except ValueError as error:
        raise NotAMoment("not_a_date", f"is no date: {error}") from None


def api_text(moment: datetime) -> str:
    """Return an instant in UTC as the upload takes it, since the year 1000: ``2026-02-14T18:20:12.000Z``."""
    # isoformat takes more than twice as long: it asks the zone for its offset.
    day = f"{moment.year}-{_TWO[moment.month]}-{_TWO[moment.day]}"
    clock = f"{_TWO[moment.hour]}:{_TWO[moment.minute]}:{_TWO[moment.second]}"
    return f"{day}T{clock}.{moment.microsecond // 1000:03}Z"


@lru_cache(maxsize=256)
def _offset(text: str) -> timedelta:
    if text in ("Z", "z", "UTC"):
        return timedelta()
    hours, minutes = int(text[1:3]), int(text[-2:]) if len(text) > 3 else 0
    if hours > 15 or minutes > 59:
        raise ValueError(f"{text} is no offset from UTC")
    span = timedelta(hours=hours, minutes=minutes)
    return -span if text[0] == "-" else span


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _in_zone(local: datetime, tz: str | None, dst: Dst) -> datetime:
    if tz is None:
        raise NotAMoment(
            "no_offset", "does not say in which zone it is", "add an offset such as -07:00, or say --tz"
        )
    zone = _zone(tz)
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        return early
    if dst == "error":
        there = early.astimezone(zone).replace(tzinfo=None) == local
        what = f"is two instants in {tz}" if there else f"does not exist in {tz}: clocks were set forward"
        raise NotAMoment(
            "dst_fold" if there else "dst_gap", what, "add an offset, or say --dst earlier or later"
        )
    return min(early, late) if dst == "earlier" else max(early, late)


def _otherwise(text: str) -> NotAMoment:
    for pattern, code, what in _OTHER:
        if pattern.fullmatch(text):
            return NotAMoment(code, what)
    return NotAMoment("not_a_date", "is no date that can be read")
