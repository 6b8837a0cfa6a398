"""What sending would take: bytes, requests, time; with what was assumed for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mediapipe.durations import format_duration, format_size
from mediapipe.items import Outcome, Verdict

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast sending goes: limits a second, and what a day leaves of them.

    ``line`` names the setting that ``bytes_per_second`` comes from. ``hours`` are those of a day in which
    uploads begin, ``per_day`` how many there may be.
    """

    requests_per_second: float
    bytes_per_second: int
    line: str = "audio.uplink"
    hours: float = 24.0
    per_day: int | None = None


@dataclass(slots=True)
class Estimate:
    """What sending the good rows would take.

    The time is the longest that pacing, line and days make of it. The speeds are assumptions, and are said
    with the figures.
    """

    pace: Pace
    bytes: int = 0
    requests: int = 0
    audio_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one row, if it would be sent."""
        if outcome.verdict is Verdict.DONE and outcome.audio is not None:
            self.bytes += outcome.bytes
            self.requests += 1
            self.audio_s += outcome.audio["facts"]["duration_s"]

    @property
    def seconds(self) -> float:
        """The time in seconds, from the first upload to the last."""
        pace = self.pace
        busy = max(self.requests / pace.requests_per_second, self.bytes / pace.bytes_per_second)
        whole_days = int(busy // (pace.hours * 3600))
        seconds = busy + whole_days * (24 - pace.hours) * 3600
        waits = math.ceil(self.requests / pace.per_day) - 1 if pace.per_day else 0
        return max(seconds, waits * DAY_S)

    def as_json(self) -> dict[str, Any]:
        """Return the figures, and what was assumed for them."""
        return {
            "bytes": self.bytes,
            "requests": self.requests,
            "audio_s": round(self.audio_s, 1),
            "seconds": round(self.seconds, 1),
            "requests_per_second": self.pace.requests_per_second,
            "bytes_per_second": self.pace.bytes_per_second,
        }

    def __str__(self) -> str:
        pace, took = self.pace, format_duration(timedelta(seconds=math.ceil(self.seconds)))
        said = (
            f"to be sent: {format_size(self.bytes)} in {self.requests:,} requests, about {took} if"
            f" {format_size(pace.bytes_per_second)} a second go out ({pace.line}) and"
            f" {pace.requests_per_second:g} requests a second are made (pace.requests_per_second)"
        )
        if pace.hours < 24:
            said += f", {pace.hours:g} hours a day (--between)"
        return said + (f", {pace.per_day:,} uploads a day (--daily-budget)" if pace.per_day else "")
