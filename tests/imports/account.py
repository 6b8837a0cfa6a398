"""An account in memory that lists its calls, and the uploads that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from mediapipe.convirza.models import Page, instant, read_call
from mediapipe.convirza.v3 import V3
from mediapipe.errors import MediapipeError
from mediapipe.imports.intents import Intent
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Rules
from mediapipe.ledger.interface import Scope

NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)
SENT = datetime(2026, 11, 20, 8, tzinfo=UTC)
SCOPE = Scope("calls.import", "host/account", "host/v2")
RULES = Rules(timedelta(seconds=2))
MARGIN = timedelta(minutes=5)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def intent(key: str = "a", at: datetime = NOON, **more: Any) -> Intent:
    """Return an upload, as it is recorded."""
    fields = {"caller_id": "18015551234", "tracking_number": "18015560000"}
    return replace(Intent(key, at, fields, duration_s=60.0, begun=SENT, latest=SENT), **more)


def record(call_id: str, at: datetime = NOON, created: object = SENT, **more: Any) -> dict[str, Any]:
    """Return a call as the platform lists it; ``created`` by default when it was uploaded."""
    said = created.isoformat() if isinstance(created, datetime) else created
    usual = {
        "call_id": call_id,
        "call_started": at.isoformat(),
        "caller_id": "8015551234",
        "phone_number": "8015560000",
        "duration": 60,
        "call_detail": {"call_created": said},
        "recording_details": {"recording_id": 1, "url": "https://r.example/1?secret=x"},
    }
    return usual | more


@dataclass
class Account:
    """Lists calls by ``stamp``. ``restless``: no two totals are the same. ``before`` is told of a request."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    restless: bool = False
    error: MediapipeError | None = None
    before: Callable[[int], None] | None = None
    stamp: Callable[[Mapping[str, Any]], object] = lambda raw: raw["call_started"]
    asked: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    clock_skew: float = 0.0

    @property
    def v3(self) -> V3:
        """The account as what asks it takes it."""
        return cast(V3, self)

    def lookup(self, **more: Any) -> Lookup:
        """Return a fresh look."""
        return Lookup(self.v3, margin=MARGIN, **more)

    async def list_calls(self, start: datetime, end: datetime, *, limit: int, offset: int) -> Page:
        self.asked.append((start, end, offset))
        if self.before is not None:
            self.before(len(self.asked))
        if self.error is not None:
            raise self.error
        there = [raw for raw in self.calls if start.timestamp() <= self._when(raw) <= end.timestamp()]
        page = (read_call(raw, server_time=0.0) for raw in there[offset : offset + limit])
        return Page(tuple(page), len(there) + self.restless * len(self.asked))

    def _when(self, raw: Mapping[str, Any]) -> float:
        when = instant(self.stamp(raw))
        assert when is not None
        return when

    def hours(self) -> Iterator[datetime]:
        """Yield the beginnings of what was asked, without the margin."""
        return (start + MARGIN for start, _, offset in self.asked if not offset)
