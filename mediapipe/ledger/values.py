"""Values on their way into and out of the database: instants, keys, texts, details. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from mediapipe.errors import Rejected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

MAX_KEY_BYTES = 2000
"""PostgreSQL refuses index entries beyond a third of its 8 KiB pages."""


def to_micros(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970, exactly."""
    if at.tzinfo is None:
        raise ValueError("the ledger takes timezone-aware instants only")
    return (at - _EPOCH) // _MICROSECOND


def to_micros_or_none(at: datetime | None) -> int | None:
    """Return :func:`to_micros`, or None."""
    return None if at is None else to_micros(at)


def from_micros(micros: int) -> datetime:
    """Return the instant in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def from_micros_or_none(micros: int | None) -> datetime | None:
    """Return :func:`from_micros`, or None."""
    return None if micros is None else from_micros(micros)


def span_micros(span: timedelta) -> int:
    """Return a span of time in microseconds."""
    return span // _MICROSECOND


def checked_key(key: str) -> str:
    """Return a key that every database can hold, compare and index.

    Raises :class:`Rejected` before anything is written, so that one odd key of a manifest cannot
    fail a transaction that others share.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Rejected("an item's key holds half a surrogate pair", code="bad_key") from None
    if "\0" in key:
        raise Rejected("an item's key holds a NUL character", code="bad_key")
    if size > MAX_KEY_BYTES:
        raise Rejected(f"an item's key is longer than {MAX_KEY_BYTES} bytes", code="bad_key")
    return key


def clean_text(text: str) -> str:
    """Return free text with what PostgreSQL cannot store (NUL, lone surrogates) replaced.

    Messages quote far sides, so anything may stand in them.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def dump_detail(detail: Mapping[str, str]) -> str:
    """Return ``detail`` as JSON in ASCII, in which any string can be stored."""
    return json.dumps(dict(detail), separators=(",", ":")) if detail else "{}"


def load_detail(text: str) -> dict[str, str]:
    """Return what :func:`dump_detail` was given."""
    if text == "{}":
        return {}
    loaded: dict[str, str] = json.loads(text)
    return loaded
