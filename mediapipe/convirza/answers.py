"""What an answer means: every known error shape, sorted by what to do next. Pure.

The known shapes: E1 ``{statusCode, message, error, requestId}``, E2
``{message, errors: [{name, message, …}]}``, E3 ``{result: "error", err}``, E4 ``{result: "error",
data: "text"}``, E5 ``{code, message, request_id}``, E6 HTML or nothing from a proxy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Throttled, Transient
from mediapipe.pacing import retry_after
from mediapipe.redact import quote_body, redact

TRANSIENT_STATUSES = frozenset({408, 425, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})
_MOST_FIELDS = 10
NO_RECORDS = "no records found"
"""V2 answers an empty list with this in an error shape."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What an error body says: text, request id, and the names of the fields it complains of."""

    message: str
    request_id: str = ""
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [self.message]
        if self.fields:
            parts.append(f"fields: {', '.join(self.fields)}")
        if self.request_id:
            parts.append(f"request id {self.request_id}")
        return "; ".join(parts)


def read_json(body: bytes) -> Any | None:
    """Return the parsed body, or None when it is not JSON (or nested beyond all reason)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_problem(status: int, body: bytes) -> Problem:
    """Return what an error body of any known shape says, redacted."""
    parsed = read_json(body)
    if not isinstance(parsed, Mapping):
        text = quote_body(body)
        return Problem(f"HTTP {status}" + (f": {text}" if text else " with an empty body"))
    data = parsed.get("data")
    candidates = (
        parsed.get("message"),
        parsed.get("err"),
        parsed.get("error_message"),
        data if isinstance(data, str) else None,
        parsed.get("error"),
        parsed.get("error_description"),
    )
    texts = [text for text in map(_text, candidates) if text]
    errors = parsed.get("errors")
    entries = [entry for entry in errors if isinstance(entry, Mapping)] if isinstance(errors, list) else []
    fields = tuple(redact(str(entry["name"]))[:100] for entry in entries[:_MOST_FIELDS] if entry.get("name"))
    details = [text for text in (_text(entry.get("message")) for entry in entries) if text]
    message = "; ".join([texts[0] if texts else f"HTTP {status}", *details[:5]])
    request_id = parsed.get("request_id") or parsed.get("requestId") or ""
    # Redact before cutting: a cut could leave half a secret that no pattern knows.
    return Problem(f"{redact(message)[:500]} (HTTP {status})", redact(str(request_id))[:100], fields)


def _text(value: object) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return "; ".join(_text(item) for item in value if isinstance(item, str))
    return ""


def failure(status: int, headers: Mapping[str, str], body: bytes, *, doing: str) -> MediapipeError | None:
    """Return the error an answer stands for, or None for a success. ``doing`` names the request for people.

    401 is not sorted here: the session renews the token once before it asks.
    """
    if 200 <= status < 300:
        return _refusal_in_success(status, headers, body, doing)
    problem = f"{doing}: {read_problem(status, body)}"
    if status == 429:
        return Throttled(problem, retry_after=retry_after(headers))
    if status in TRANSIENT_STATUSES:
        return Transient(problem, code=f"http_{status}", retry_after=retry_after(headers))
    if status == 401:
        return CredentialsError(problem, hint="log in again: check CONVIRZA_EMAIL and the password")
    if status == 403:
        return CredentialsError(problem, code="forbidden", hint="the login lacks the permission for this")
    if 300 <= status < 400:
        return Failed(f"{problem}: the API redirected, which it never should", code="redirected")
    return Rejected(problem, code=f"http_{status}")


def _refusal_in_success(
    status: int, headers: Mapping[str, str], body: bytes, doing: str
) -> MediapipeError | None:
    parsed = read_json(body)
    if not isinstance(parsed, Mapping):
        return None
    result = parsed.get("result")
    refused = isinstance(result, str) and result.strip().lower() not in {"", "success"}
    code = parsed.get("code")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 10:
        code = int(code)
    refused = refused or (isinstance(code, int) and not isinstance(code, bool) and code >= 400)
    if not refused:
        return None
    problem = read_problem(status, body)
    if NO_RECORDS in problem.message.lower():
        return None
    if code == 429:
        return Throttled(f"{doing}: {problem}", retry_after=retry_after(headers))
    if isinstance(code, int) and code in TRANSIENT_STATUSES:
        return Transient(f"{doing}: {problem}", code=f"http_{code}")
    return Rejected(f"{doing}: {problem}", code="refused")
