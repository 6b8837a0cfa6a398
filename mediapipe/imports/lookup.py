"""What the platform lists at the time of a call: cells of an hour, each walked once until it settles.

The list is asked without filters: in which form it compares numbers is not documented, and a filter that
misses would make a call look absent. It may be sorted by another time than the call's start, so a call is
looked for at the time of its upload as well.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from mediapipe.convirza.models import Call, instant
from mediapipe.convirza.v3 import V3
from mediapipe.convirza.walk import TooMany, Walked, Walker
from mediapipe.imports.intents import Intent
from mediapipe.imports.matching import Listed
from mediapipe.spans import Span

CELL = timedelta(hours=1)
PAGE = 200
_KEPT = 64
_NEVER_SPLIT = 10**12


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls of some cells, as they were at ``at`` (the platform's clock) or later.

    ``why_not`` says why there may be more, empty when the list held still.
    """

    calls: tuple[Listed, ...]
    at: datetime
    why_not: str = ""


class Lookup:
    """Looks at cells and keeps them: what was seen is as old as the object. Make a new one to look again.

    ``margin`` is looked at on both sides of a cell; ``reach`` is how long after it began an upload may have
    made its call.
    """

    def __init__(
        self, api: V3, *, margin: timedelta, reach: timedelta = timedelta(0), attempts: int = 6
    ) -> None:
        self._api, self._margin, self._attempts = api, margin, attempts
        self._reach = max(margin, reach)
        self._cells: OrderedDict[datetime, Seen] = OrderedDict()
        self._lock = anyio.Lock()

    async def of(self, intent: Intent) -> Seen:
        """Return the calls around an upload's call and around the upload itself, each once.

        Raises what the list raises: ``Transient``, ``Rejected``, ``CredentialsError``.
        """
        cells = {_cell(intent.at)}
        if intent.begun is not None and intent.latest is not None:
            # Of one that was sent twice with days between, the two beginnings are enough.
            for begun in {intent.begun, intent.latest}:
                steps = range(int((_cell(begun + self._reach) - _cell(begun)) / CELL) + 1)
                cells |= {_cell(begun) + step * CELL for step in steps}
        return await self._seen(sorted(cells))

    async def at(self, moment: datetime) -> Seen:
        """Return the calls around one instant."""
        return await self._seen([_cell(moment)])

    async def _seen(self, cells: list[datetime]) -> Seen:
        seen = [await self._look(cell) for cell in cells]
        found = {call.call_id: call for one in seen for call in one.calls}
        why_not = next((one.why_not for one in seen if one.why_not), "")
        return Seen(tuple(found.values()), min(one.at for one in seen), why_not)

    async def _look(self, cell: datetime) -> Seen:
        async with self._lock:
            if cell not in self._cells:
                self._cells[cell] = await self._walk(cell)
                if len(self._cells) > _KEPT:
                    self._cells.popitem(last=False)
            return self._cells[cell]

    async def _walk(self, cell: datetime) -> Seen:
        walker = Walker(
            lambda asked, offset: self._api.list_calls(asked.start, asked.end, limit=PAGE, offset=offset),
            _NEVER_SPLIT,
            self._attempts,
            self._margin,
        )
        began = datetime.now(UTC)
        found: dict[str, Listed] = {}
        why_not = "the list of calls was not read to its end"
        async with aclosing(walker.walk(Span(cell, cell + CELL))) as events:
            async for event in events:
                if isinstance(event, Walked):
                    why_not = (
                        "" if event.settled else f"the list of calls does not hold still: {event.reason}"
                    )
                elif not isinstance(event, TooMany):
                    found.update((call.call_id, listed(call)) for call in event)
        # By the skew that is known now: before the first answer of all there was none.
        return Seen(tuple(found.values()), began + timedelta(seconds=self._api.clock_skew), why_not)


def _cell(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def listed(call: Call) -> Listed:
    """Return what of a call an upload can be compared with; everything in it may be missing or odd."""
    raw = call.raw
    detail = raw.get("call_detail")
    created = instant(detail.get("call_created")) if isinstance(detail, Mapping) else None
    lengths = (_number(raw.get("duration")), call.claimed_duration_s)
    return Listed(
        call.call_id,
        call.started,
        datetime.fromtimestamp(created, UTC) if created is not None and 0 <= created < 1e11 else None,
        _text(raw.get("caller_id")),
        _text(raw.get("phone_number")),
        _text(raw.get("ring_to")),
        tuple(length for length in lengths if length),
        _sources(raw.get("custom_sources")),
        call.recording_id is not None,
        _text(raw.get("org_unit_id")),
        _text(raw.get("disposition")),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _text(value: object) -> str:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _sources(value: object) -> tuple[str, ...]:
    """Return the names of a call's custom sources, whatever slot they stand in."""
    if not isinstance(value, Mapping):
        return ()
    entries: list[Any] = [one for one in value.values() if isinstance(one, Mapping)]
    return tuple(_text(one.get("custom_source_name")) for one in entries if one.get("custom_source_name"))
