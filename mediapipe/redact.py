"""The one redactor: what a secret looks like in text, and what stands in its place.

Used at the logging border, in error messages that quote a far side, and for API records that are
kept. Convirza's signed URLs carry ``secret=`` and ``access=`` (not ``X-Amz-*``), so a redactor for
AWS alone would miss them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_QUERY_KEYS = (
    r"secret|access|signature|sig|token|password|client_secret|refresh_token|access_token|frontend_token|"
    r"x-amz-signature|x-amz-security-token|x-amz-credential|awsaccesskeyid"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # key=value in queries, form bodies and our own messages
    (re.compile(rf"(?i)\b({_QUERY_KEYS})=(?!\*\*\*)[^&\s\"'<>\\,;)]+"), rf"\1={MASK}"),
    # "key": "value" in JSON or a Python repr
    (re.compile(rf"(?i)([\"'](?:{_QUERY_KEYS})[\"']\s*:\s*[\"'])(?!\*\*\*)[^\"']+"), rf"\1{MASK}"),
    # Authorization: Bearer …
    (re.compile(r"(?i)\b(bearer|basic)\s+(?!\*\*\*)[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^/\s:@]+):(?!\*\*\*)[^@/\s]+@"), rf"\1:{MASK}@"),
)


def redact(text: str) -> str:
    """Return ``text`` with every secret replaced by ``***``; idempotent."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def quote_body(body: bytes | str, limit: int = 200) -> str:
    """Return the start of a far side's body, redacted and on one line, fit for an error message."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    # Redact before cutting: a cut could leave half a secret that no pattern knows.
    flat = " ".join(redact(text[: limit * 20]).split())
    return flat if len(flat) <= limit else flat[:limit] + "…"


# Fields of a call record that are credentials or change with every fetch.
VOLATILE_RECORDING_FIELDS = frozenset({"url", "expires_at"})


def without_grants(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an API call record without signed URLs, fit to be kept in a sidecar.

    Strings elsewhere in the record that happen to hold a signed URL are redacted too.
    """
    clean = {key: _clean(value) for key, value in record.items()}
    details = clean.get("recording_details")
    if isinstance(details, dict):
        clean["recording_details"] = {k: v for k, v in details.items() if k not in VOLATILE_RECORDING_FIELDS}
    return clean


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
