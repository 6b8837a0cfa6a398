"""The form of ``POST /v2/call/upload``: which fields there are, and what is wrong with the ones given.

Two kinds of wrong, answered differently: a field that breaks the schema (shape E2), and a value that breaks a
rule of the business (shape E3, with status 200). The texts are the platform's, irregular spaces included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from mediapipe.sandbox.records import ROOT_UNIT, UNITS

_INTEGERS = ("group_id", "caller_id", "tracking_number", "ring_to", "channel_id", "campaign_id", "zip_code")
_BOOLEANS = ("swap_channels", "is_outbound", "transcribe")
_STRINGS = (
    *("recording_url", "call_date", "group_ext_id", "external_id", "disposition", "line_type", "assign_to"),
    *(f"custom_source_type_{slot}" for slot in range(1, 6)),
    *("company_name", "city", "caller_name", "address", "state", "tag_name"),
)
FIELDS = frozenset((*_INTEGERS, *_BOOLEANS, *_STRINGS))
"""Every field but the file."""

DISPOSITIONS = ("ANSWERED", "NO ANSWER", "BUSY")
"""The ones an upload may carry; the list filter knows more."""

_REQUIRED = ("call_date", "caller_id")
_MISSING = "Value is required but was not provided"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")
_CHANNELS = range(1, 21)


def schema_problems(fields: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (field, problem) for every field that breaks the schema."""
    problems = [(name, _MISSING) for name in _REQUIRED if name not in fields]
    if "group_id" not in fields and "group_ext_id" not in fields:
        problems.append(("group_id", _MISSING))
    for name, value in fields.items():
        if name in _INTEGERS and not re.fullmatch(r"\d+", value):
            problems.append((name, "Expected type integer but found type string"))
        elif name in _BOOLEANS and value not in ("true", "false"):
            problems.append((name, "Expected type boolean but found type string"))
        elif name in _STRINGS and value.strip() in ("", "null"):
            problems.append((name, _MISSING))
    return problems


def rule_problem(fields: Mapping[str, str]) -> str:
    """Return the text of the first business rule that is broken, or nothing."""
    if call_date_ms(fields["call_date"]) is None:
        return "Failed to upload File. Please enter valid date and time."
    if "group_id" in fields and int(fields["group_id"]) not in UNITS:
        return "You are unauthorized for this group."
    if len(fields.get("tracking_number", "0000000000")) < 10:
        return "Please enter valid tracking number."
    if len(fields.get("ring_to", "0000000000")) < 10:
        return "Failed to upload File . Please enter valid ring to."
    if fields.get("disposition", "ANSWERED") not in DISPOSITIONS:
        return "Invalid disposition."
    if int(fields.get("channel_id", 4)) not in _CHANNELS:
        return "Invalid channel id"
    if len(fields.get("zip_code", "")) > 5:
        return "Please enter valid zip code."
    return ""


def call_date_ms(text: str) -> int | None:
    """Return the instant in Unix milliseconds, or None when it is not one in UTC, marked by ``Z``."""
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None


def unit_of(fields: Mapping[str, str]) -> int:
    """Return the organizational unit of the upload; an unknown external id means the account's."""
    if "group_id" in fields:
        return int(fields["group_id"])
    found = re.fullmatch(r"EXT-(\d+)", fields.get("group_ext_id", ""))
    return int(found[1]) if found and int(found[1]) in UNITS else ROOT_UNIT
