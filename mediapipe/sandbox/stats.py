"""What the sandbox was asked: counters for tests and for a curious user, and the names of its endpoints."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DROPPED = "dropped"
"""Stands for the status of a request whose connection was dropped before an answer."""


class Endpoint(StrEnum):
    """The endpoints a client can ask; the names stand in the statistics."""

    TOKEN = "token"  # noqa: S105
    REFRESH = "refresh"
    REVOKE = "revoke"
    V2_TOKEN = "v2_token"  # noqa: S105
    LIST = "list"
    CALL = "call"
    RECORDING = "recording"
    GROUPS = "groups"
    UPLOAD = "upload"
    PROMPT_UPLOAD = "prompt_upload"
    PROMPT_LIST = "prompt_list"
    PROMPT_DELETE = "prompt_delete"
    V2_PROMPT = "v2_prompt"
    V2_WHISPER = "v2_whisper"
    V2_AUDIO_LIST = "v2_audio_list"
    V2_AUDIO = "v2_audio"
    ROUTES = "routes"
    ROUTE = "route"

    @property
    def is_v2(self) -> bool:
        """Whether the endpoint speaks the older generation's error shapes."""
        return self in _V2


_V2 = {
    Endpoint.V2_TOKEN,
    Endpoint.UPLOAD,
    Endpoint.V2_PROMPT,
    Endpoint.V2_WHISPER,
    Endpoint.V2_AUDIO_LIST,
}


@dataclass(slots=True)
class Stats:
    """Counters of one sandbox since its start."""

    requests: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Answers by endpoint and status; a dropped connection counts as ``dropped``."""
    recording_fetches: Counter[int] = field(default_factory=Counter)
    """Requests for recording bytes by call id, whatever the answer."""
    recording_bytes: int = 0
    call_fetches: Counter[int] = field(default_factory=Counter)
    """Requests by id, by call id."""
    recordings_host_authorization: int = 0
    """Requests to the recordings host that carried an Authorization header: a client must send none."""
    logins: Counter[str] = field(default_factory=Counter)
    """Granted logins by API generation, ``v2`` and ``v3``."""
    refreshes: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    def enter(self) -> None:
        """Count a request in."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self, endpoint: Endpoint, status: int) -> None:
        """Count a request out; status 0 is a dropped connection."""
        self.in_flight -= 1
        self.requests[endpoint][str(status) if status else DROPPED] += 1

    def total(self, endpoint: Endpoint) -> int:
        """Return how many requests the endpoint has answered or dropped."""
        return self.requests[endpoint].total() if endpoint in self.requests else 0

    def as_json(self) -> dict[str, Any]:
        """Return the counters as plain JSON values."""
        return {
            "requests": {endpoint: dict(counts) for endpoint, counts in self.requests.items()},
            "logins": dict(self.logins),
            "refreshes": self.refreshes,
            "recording_fetches": {str(call): n for call, n in self.recording_fetches.items()},
            "recording_bytes": self.recording_bytes,
            "call_fetches": {str(call): n for call, n in self.call_fetches.items()},
            "recordings_host_authorization": self.recordings_host_authorization,
            "peak_in_flight": self.peak_in_flight,
        }
