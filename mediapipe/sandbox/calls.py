"""Calls as the sandbox keeps them, and the book that finds them by id and by time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any, NamedTuple

SAMPLE_RATE = 8000
"""Hertz of every synthesised recording."""


class Recording(NamedTuple):
    """A call's recording: facts only, the bytes are made or read when somebody asks.

    ``seconds`` is the playing time, ``available_ms`` the instant (Unix milliseconds) it appears in the API.
    ``stored`` names uploaded audio kept by the sandbox; empty means synthesised from the call's id.
    """

    recording_id: int
    seconds: float
    channels: int
    container: str
    available_ms: int
    stored: str = ""


class Call(NamedTuple):
    """One call.

    ``missing_as`` is how its ``recording_details`` look without a recording: ``absent``, ``null``, ``empty``
    or ``no_url``. ``origin`` is ``sample``, ``insert`` or ``upload``. ``created_ms`` is when the platform
    made its record of the call; 0 stands for the start.

    A named tuple and not a dataclass because a sandbox may hold 100,000 of them and builds them at start.
    """

    call_id: int
    started_ms: int
    duration: int
    disposition: str
    caller_id: str
    phone_number: str
    ring_to: str
    org_unit_id: int
    campaign_id: int
    route_id: int
    is_outbound: bool
    recording: Recording | None
    missing_as: str = "absent"
    origin: str = "sample"
    tags: tuple[str, ...] = ()
    custom_sources: tuple[tuple[int, str], ...] = ()
    created_ms: int = 0

    @property
    def ended_ms(self) -> int:
        """The end of the call in Unix milliseconds."""
        return self.started_ms + self.duration * 1000

    def available(self, now_ms: int) -> Recording | None:
        """Return the recording when it exists at ``now_ms``."""
        recording = self.recording
        return recording if recording is not None and recording.available_ms <= now_ms else None

    def as_json(self) -> dict[str, Any]:
        """Return the call as plain JSON values; :func:`call_of` reads them back."""
        values = self._asdict()
        values["recording"] = None if self.recording is None else self.recording._asdict()
        return values


def call_of(values: dict[str, Any]) -> Call:
    """Rebuild a call from :meth:`Call.as_json`, also one of an older version."""
    recording = values["recording"]
    return Call(
        **{
            **values,
            "recording": None if recording is None else Recording(**recording),
            "tags": tuple(values["tags"]),
            "custom_sources": tuple((int(slot), str(name)) for slot, name in values["custom_sources"]),
        }
    )


class CallBook:
    """Every call, sorted by start and id. Windows are found by bisection, ids by a dictionary.

    Safe to read from another thread than the one that writes; writers take the lock.
    """

    def __init__(self, calls: Iterable[Call]) -> None:
        self._calls = sorted(calls, key=lambda call: (call.started_ms, call.call_id))
        self._starts = [call.started_ms for call in self._calls]
        self._by_id = {call.call_id: call for call in self._calls}
        self._lock = Lock()
        self._next_id = max(self._by_id, default=0) + 1

    @property
    def calls(self) -> Sequence[Call]:
        """All calls, oldest first."""
        return self._calls

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, call_id: int) -> Call | None:
        """Return the call, or None when there is none with this id."""
        return self._by_id.get(call_id)

    def window(self, start_ms: int, end_ms: int) -> list[Call]:
        """Return the calls that started at or after ``start_ms`` and before ``end_ms``, newest first."""
        with self._lock:
            found = self._calls[bisect_left(self._starts, start_ms) : bisect_left(self._starts, end_ms)]
        found.reverse()
        return found

    def new_id(self) -> int:
        """Return an id no call has had."""
        with self._lock:
            self._next_id += 1
            return self._next_id - 1

    def put(self, call: Call) -> None:
        """Add the call, or replace the one with its id."""
        with self._lock:
            old = self._by_id.get(call.call_id)
            if old is not None:
                where = self._where(old)
                del self._calls[where], self._starts[where]
            where = bisect_right(self._calls, (call.started_ms, call.call_id), key=_order)
            self._calls.insert(where, call)
            self._starts.insert(where, call.started_ms)
            self._by_id[call.call_id] = call
            self._next_id = max(self._next_id, call.call_id + 1)

    def _where(self, call: Call) -> int:
        return bisect_left(self._calls, _order(call), key=_order)


def _order(call: Call) -> tuple[int, int]:
    return call.started_ms, call.call_id
