"""What is known of an upload once it has been tried: the table that sorts its answer. Pure.

An upload makes a call that is paid for, and nothing can be asked afterwards that would prove it; or a prompt
that would stand in the library twice. So an answer is one of four: it was taken, it was refused for good, it
provably had no effect, or nobody knows. What is not in the table is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediapipe.convirza.answers import read_json, read_problem
from mediapipe.convirza.listed import made_id
from mediapipe.errors import CredentialsError, Fatal
from mediapipe.pacing import retry_after


@dataclass(frozen=True, slots=True)
class Accepted:
    """The platform said that it has it; ``already``: it had it before; ``made``: its id, where shown."""

    already: bool = False
    said: str = ""
    made: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was made of it, and never will be of it as it is."""

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
    """It may have been made, or not."""

    code: str
    message: str


Answer = Accepted | Refused | NotTaken | Unsure

_EXTERNAL_ID = re.compile(r"\bexternal[\s_-]*id\b", re.IGNORECASE)
_TWICE = re.compile(r"\bduplicated?\b|\balready\b|\bexists\b|\bnot unique\b", re.IGNORECASE)
_SOMETHING_ELSE = re.compile(r"\bnot exist|\bno such\b|\b(?:group|campaign|user)\b", re.IGNORECASE)


def sort_answer(status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool) -> Answer:
    """Return what a whole answer to a call's upload means. ``body`` holds nothing sent in confidence.

    ``retry_503``: a 503 that names a time in Retry-After was refused before it acted.
    """
    if 200 <= status < 300:
        return _success(status, body)
    says = str(read_problem(status, body))
    if status in {400, 409, 422} and _says_twice(says) and _of_the_call(body):
        return Accepted(already=True, said=says)
    return _failure(status, headers, says, "check the v2 login", retry_503)


def sort_prompt_answer(status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool) -> Answer:
    """Return what a whole answer to an upload of prompts means; arguments as in :func:`sort_answer`.

    A success has to be JSON: what it is made of is not documented, so the list has the last word anyway.
    """
    says = str(read_problem(status, body))
    if not 200 <= status < 300:
        return _failure(status, headers, says, "check the login", retry_503)
    parsed = read_json(body)
    if parsed is None:
        return Unsure("unreadable_answer", says)
    return _prompt_success(parsed, says) if isinstance(parsed, Mapping) else Accepted()


def _prompt_success(parsed: Mapping[str, Any], says: str) -> Answer:
    """Sort a 2xx in JSON: a refusal, or a failure behind it, may come as one."""
    result = parsed.get("result")
    if isinstance(result, str) and result.strip().lower() not in {"", "success"}:
        return Refused("refused", says)
    codes = [_code(parsed.get(key)) for key in ("code", "statusCode")]
    if any(code >= 400 for code in codes):
        # Whether a 5xx in an envelope comes before any effect is nowhere said.
        refused = all(code < 500 and code not in {401, 408, 425, 429} for code in codes)
        return Refused("refused", says) if refused else Unsure("unreadable_answer", says)
    if parsed.get("errors") or parsed.get("success") is False:
        return Unsure("unreadable_answer", says)
    return Accepted(made=made_id(parsed))


def _code(value: object) -> int:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _failure(status: int, headers: Mapping[str, str], says: str, hint: str, retry_503: bool) -> Answer:
    """Sort what is no success."""
    wait = retry_after(headers)
    match status:
        case 401:
            return NotTaken("credentials", says, fatal=CredentialsError(says, hint=hint))
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
