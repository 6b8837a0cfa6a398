"""The one redactor: what a secret looks like in text, and what stands in its place.

Used at the logging border, in error messages that quote a far side, and for API records that are
kept. Convirza's signed URLs carry ``secret=`` and ``access=`` (not ``X-Amz-*``), so a redactor for
AWS alone would miss them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

# A key that ends in one of these holds a secret: v3_token, foo-secret, aws_secret_access_key …
_KEY = (
    r"(?:[A-Za-z0-9_-]{0,64}(?:secret|token|password|passwd|signature|credential|secret_access_key|api_?key)"
    r"|access|sig|awsaccesskeyid|authorization)"
)
_VALUE = r"[^\s&\"'<>]+"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # scheme://user:password@host; up to the last @, because a password may hold @ and / itself
    (
        re.compile(
            r"(?i)((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{0,256}):(?!\*\*\*@)[^\s\"'<>]{0,1024}@"
        ),
        rf"\1:{MASK}@",
    ),
    # "key": "value" in JSON or a Python repr, with escapes inside
    (re.compile(rf'(?i)(["\']{_KEY}["\']\s{{0,9}}:\s{{0,9}})"(?:[^"\\]|\\.)*"?'), rf'\1"{MASK}"'),
    (re.compile(rf"(?i)([\"']{_KEY}[\"']\s*:\s*)'(?:[^'\\]|\\.)*'?"), rf"\1'{MASK}'"),
    # Authorization: Bearer …
    (re.compile(rf"(?i)\b(bearer\s+)(?!\*\*\*)(?=\S{{8}}){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"\b([Bb]asic\s+)(?!\*\*\*)(?=\S{{8}})(?=\S*[0-9A-Z=]){_VALUE}"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(authorization\s*[:=]\s*)(?!\*\*\*)(?!bearer\b)\S+(?:\s+\S+)?"), rf"\1{MASK}"),
    # key=value in queries, form bodies and our own messages; also percent-encoded, and key: value
    (re.compile(rf"(?i)(?<![A-Za-z0-9_-])({_KEY}=)(?!\*\*\*){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(?<![A-Za-z0-9_-])({_KEY}%3D)(?!\*\*\*)(?:(?!%26)[^\s&\"'<>])+"), rf"\1{MASK}"),
    (re.compile(rf"(?i)\b((?:password|passwd|client_secret)\s*:\s*)(?!\*\*\*){_VALUE}"), rf"\1{MASK}"),
)


# Most text holds none of the first or none of the second, and call records are full of text.
_MARKS = ("=", ":", "%", "bearer", "basic")
_WORDS = (
    *("secret", "token", "passw", "signature", "credential", "apikey", "api_key"),
    *("access", "sig", "authorization", "bearer", "basic", "@"),
)

_ALIKE = {0x130: "i", 0x131: "i", 0x17F: "s", 0x212A: "k"}
"""Letters beyond ASCII that a pattern which ignores case takes for one of it."""


def _is_harmless(text: str) -> bool:
    """Tell whether no pattern can find anything; far quicker than asking them."""
    low = (text if text.isascii() else text.translate(_ALIKE)).lower()
    return not any(mark in low for mark in _MARKS) or not any(word in low for word in _WORDS)


def redact(text: str) -> str:
    """Return ``text`` with every secret replaced by ``***``; idempotent."""
    if _is_harmless(text):
        return text
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
    clean = dict(record)
    details = clean.get("recording_details")
    if isinstance(details, Mapping):
        clean["recording_details"] = {k: v for k, v in details.items() if k not in VOLATILE_RECORDING_FIELDS}
    # Most records hold no secret besides, which one look at all of their text tells.
    return clean if _all_harmless(clean) else {key: redact_values(value) for key, value in clean.items()}


def _all_harmless(record: Mapping[str, Any]) -> bool:
    """Tell whether no string in a record can hold anything; False where that cannot be told at once."""
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):  # a number that JSON has not, or a type
        return False
    # Names of fields are no values: a record that calls a field "access" would never pass.
    low = (text if text.isascii() else text.translate(_ALIKE)).lower()
    return not any(word in low for word in _WORDS)


def redact_values(value: Any) -> Any:
    """Return data of JSON's types with every secret in its strings masked."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number, and readers of a sidecar refuse it
    if isinstance(value, Mapping):
        return {key: redact_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value
