"""What is known of an upload once it has been tried: the table that sorts its answer. Pure.

An upload makes a call that is paid for, and nothing can be asked afterwards that would prove it. So an
answer is one of four: it was taken, it was refused for good, it provably had no effect, or nobody knows.
What is not in the table is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mediapipe.convirza.answers import read_json, read_problem
from mediapipe.errors import CredentialsError, Fatal
from mediapipe.pacing import retry_after


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform said that it has the call; ``already``: that it had it before."""

    already: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """No call was made of it, and never will be of it as it is."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Provably nothing happened; it may pass later. ``fatal`` is the error that has to stop the run."""

    code: str
    message: str
    retry_after: float | None = None
    fatal: Fatal | None = None


@dataclass(frozen=True, slots=True)
class Unsure:
    """A call may have been made, or not."""

    code: str
    message: str


Answer = Accepted | Refused | NotTaken | Unsure

_EXTERNAL_ID = re.compile(r"\bexternal[\s_-]*id\b", re.IGNORECASE)
_TWICE = re.compile(r"\bduplicated?\b|\balready\b|\bexists\b|\bnot unique\b", re.IGNORECASE)
_SOMETHING_ELSE = re.compile(r"\bnot exist|\bno such\b|\b(?:group|campaign|user)\b", re.IGNORECASE)


def sort_answer(status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool) -> Answer:
    """Return what a whole answer to an upload means. ``body`` must not hold what was sent in confidence.

    ``retry_503``: a 503 that names a time in Retry-After was refused before it acted.
    """
    wait = retry_after(headers)
    says = str(read_problem(status, body))
    match status:
        case _ if 200 <= status < 300:
            return _success(status, body)
        case 401:
            return NotTaken("credentials", says, fatal=CredentialsError(says, hint="check the v2 login"))
        case 403:
            return Refused("forbidden", says)
        case 408 | 425:
            return Unsure(f"http_{status}", says)
        case 413:
            return Refused("too_large_for_platform", says)
        case 429:
            return NotTaken("throttled", says, wait)
        case 503 if retry_503 and wait is not None:
            return NotTaken("http_503", says, wait)
        case _ if 300 <= status < 400:
            return Unsure("redirected", f"{says}: the platform redirected, which it never should")
        case 400 | 409 | 422 if _says_twice(says) and _of_the_call(body):
            return Accepted(already=True, said=says)
        case _ if 400 <= status < 500:
            return Refused(f"http_{status}", says)
        case _:
            return Unsure(f"http_{status}", says)


def _success(status: int, body: bytes) -> Answer:
    """Sort a 2xx: documented as empty, in older builds JSON with a ``result``; refusals come as 2xx too."""
    if not body.strip():
        return Accepted()
    parsed = read_json(body)
    result = parsed.get("result") if isinstance(parsed, Mapping) else None
    says = str(read_problem(status, body))
    if not isinstance(result, str) or not result.strip():
        return Unsure("unreadable_answer", says)
    if result.strip().lower() == "success":
        return Accepted()
    return Accepted(already=True, said=says) if _says_twice(says) else Refused("refused", says)


def _of_the_call(body: bytes) -> bool:
    """Return whether a refusal is in the platform's own words, and about the call and not the form."""
    parsed = read_json(body)
    return isinstance(parsed, Mapping) and not parsed.get("errors")


def _says_twice(text: str) -> bool:
    """Return whether a refusal says that a call with this external id is there; in doubt it does not."""
    return bool(_EXTERNAL_ID.search(text) and _TWICE.search(text) and not _SOMETHING_ELSE.search(text))
