"""What sending would take: bytes, requests, time; with what was assumed for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mediapipe.durations import format_duration, format_size
from mediapipe.items import Outcome, Verdict


@dataclass(slots=True)
class Estimate:
    """What sending the good rows would take.

    A split recording is several requests. The time is the longer one of pacing and line, which go on at
    once. Both speeds are assumptions, and are said with the figures.
    """

    requests_per_second: float
    bytes_per_second: int
    bytes: int = 0
    requests: int = 0
    audio_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one row, if it would be sent."""
        if outcome.verdict is Verdict.DONE and outcome.audio is not None:
            self.bytes += outcome.bytes
            self.requests += outcome.audio["plan"].get("parts", 1)
            self.audio_s += outcome.audio["facts"]["duration_s"]

    @property
    def seconds(self) -> float:
        """The time in seconds."""
        return max(self.requests / self.requests_per_second, self.bytes / self.bytes_per_second)

    def as_json(self) -> dict[str, Any]:
        """Return the figures, and what was assumed for them."""
        return {
            "bytes": self.bytes,
            "requests": self.requests,
            "audio_s": round(self.audio_s, 1),
            "seconds": round(self.seconds, 1),
            "requests_per_second": self.requests_per_second,
            "bytes_per_second": self.bytes_per_second,
        }

    def __str__(self) -> str:
        took = format_duration(timedelta(seconds=math.ceil(self.seconds)))
        return (
            f"to be sent: {format_size(self.bytes)} in {self.requests:,} requests, about {took} if the line"
            f" carries {format_size(self.bytes_per_second)} a second (audio.uplink) and"
            f" {self.requests_per_second:g} requests a second are made (pace.requests_per_second)"
        )
