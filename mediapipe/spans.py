"""Spans of time: what ``--from`` and ``--to`` mean, and how a span is cut into windows. Pure.

All instants are timezone-aware and in UTC once parsed; a span is ``[start, end)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mediapipe.errors import UsageError

_RELATIVE = re.compile(r"-(\d+)([wdhm])")
_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_WORDS = {"yesterday": -1, "today": 0, "tomorrow": 1}
ALLOWED = "2026-02-01, a full ISO 8601 instant, -1d / -6h / -2w, yesterday, today or now"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """``[start, end)`` in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"{show(self.start)} to {show(self.end)}"

    def halves(self) -> tuple[Span, Span]:
        """Cut in the middle, on a whole millisecond (the API's resolution)."""
        middle = self.start + (self.end - self.start) / 2
        middle = middle.replace(microsecond=middle.microsecond // 1000 * 1000)
        return Span(self.start, middle), Span(middle, self.end)

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def show(moment: datetime) -> str:
    """Return an instant as people read it: the date alone when it is midnight UTC."""
    moment = moment.astimezone(UTC)
    if moment.time() == time():
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds" if not moment.microsecond else "milliseconds").replace(
        "+00:00", "Z"
    )


def zone(name: str) -> ZoneInfo:
    """Return the named time zone, or raise ``UsageError``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"--tz: no such time zone: {name!r}", hint="an IANA name such as America/Denver"
        ) from None


def parse_instant(text: str, *, flag: str, tz: ZoneInfo, now: datetime) -> datetime:
    """Return the instant ``text`` names, in UTC.

    A bare date is midnight in ``tz``; an instant without offset is wall time in ``tz``; ``-1d`` counts
    back from ``now``; ``yesterday`` is that day's midnight. A wall time that does not exist or exists
    twice (DST) is refused: say the offset.
    """
    text = text.strip()
    lowered = text.lower()
    if lowered == "now":
        return now.astimezone(UTC)
    if lowered in _WORDS:
        day = now.astimezone(tz).date() + timedelta(days=_WORDS[lowered])
        return _from_wall(datetime.combine(day, time()), tz, flag, text)
    try:
        if match := _RELATIVE.fullmatch(lowered):
            return now.astimezone(UTC) - int(match[1]) * _UNITS[match[2]]
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else _from_wall(moment, tz, flag, text)
    except (ValueError, OverflowError):  # no time, or one outside the years 1 to 9999
        raise UsageError(f"{flag}: {text[:80]!r} is not a time", hint=f"use {ALLOWED}") from None


def _from_wall(wall: datetime, tz: ZoneInfo, flag: str, text: str) -> datetime:
    early, late = wall.replace(tzinfo=tz, fold=0), wall.replace(tzinfo=tz, fold=1)
    if early.utcoffset() != late.utcoffset() and wall.time() != time():
        raise UsageError(
            f"{flag}: {text!r} does not exist or exists twice in {tz.key} (clock change)",
            hint="give the offset, as in 2026-03-08T02:30:00-07:00",
        )
    return early.astimezone(UTC)


def windows(span: Span, longest: timedelta) -> Iterator[Span]:
    """Cut a span at UTC midnights, then into pieces of at most ``longest``."""
    if longest <= timedelta():
        raise ValueError("longest must be above 0")
    start = span.start
    while start < span.end:
        left = datetime.combine(start.date(), time(), UTC) - start + timedelta(days=1)
        end = start + min(span.end - start, left, longest)
        yield Span(start, end)
        start = end
