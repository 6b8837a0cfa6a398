"""Where an archived recording stands in its destination, and what its sidecar says. Pure.

The day is the UTC day of ``call_started``; the extension comes from the bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

DEFAULT_TEMPLATE = "recordings/year={year}/month={month}/day={day}/{call_id}-{recording_id}"
FIELDS = ("year", "month", "day", "hour", "call_id", "recording_id")
SIDECAR_SUFFIX = ".json"
SIDECAR_SCHEMA = 1

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]")
_LONGEST_ID = 72
"""Two ids with a dash and an extension have to fit in the 255 bytes of a part."""


def safe_id(value: object) -> str:
    """Return a far side's id fit for a path part and a ledger key: anything unusual is percent-encoded.

    One that is too long for a path part is named by its hash (``%h…``, which no encoding gives).
    """
    text = str(value)
    if _UNSAFE.search(text) or text.startswith("."):
        # Lone surrogates are legal in JSON, so an id may hold one.
        text = quote(text, safe="", errors="surrogatepass").replace(".", "%2E")
    return _shortened(text) or "%"


def safe_call_id(value: object) -> str:
    """Return a call's id as :func:`safe_id` does, without a dash: a key's first dash ends the call's id."""
    return _shortened(safe_id(value).replace("-", "%2D"))


def _shortened(encoded: str) -> str:
    if len(encoded) <= _LONGEST_ID:
        return encoded
    return "%h" + hashlib.sha256(encoded.encode()).hexdigest()


def item_key(call_id: str, recording_id: str | None) -> str:
    """Return the ledger and report key: ``<call_id>-<recording_id>``, or ``<call_id>`` without one."""
    call = safe_call_id(call_id)
    return call if recording_id is None else f"{call}-{safe_id(recording_id)}"


@dataclass(frozen=True, slots=True)
class Layout:
    """A key template such as :data:`DEFAULT_TEMPLATE`; settings have checked its fields."""

    template: str = DEFAULT_TEMPLATE

    def stem(self, call_id: str, recording_id: str, started: datetime) -> str:
        """Return the key without extension."""
        moment = started.astimezone(UTC)
        return self.template.format(
            year=f"{moment.year:04d}",
            month=f"{moment.month:02d}",
            day=f"{moment.day:02d}",
            hour=f"{moment.hour:02d}",
            call_id=safe_call_id(call_id),
            recording_id=safe_id(recording_id),
        )

    @property
    def dated(self) -> bool:
        """Whether recordings of different days stand in different folders."""
        return "{day}" in self.template[: self.template.rfind("/") + 1]


def sidecar(
    *,
    call_id: str,
    recording_id: str,
    key: str,
    sha256: str,
    size: int,
    media: Mapping[str, Any],
    warnings: tuple[str, ...],
    record: Mapping[str, Any],
) -> bytes:
    """Return the sidecar's bytes, a field a line; the same inputs give the same bytes, whenever written.

    ``record`` must be free of signed URLs. No field says when or by whom the sidecar was written, so
    that writing it again after a crash is no conflict; the store and the ledger know those times.
    """
    body = {
        "schema": SIDECAR_SCHEMA,
        "call_id": call_id,
        "recording_id": recording_id,
        "key": key,
        "sha256": sha256,
        "bytes": size,
        "duration_s": media.get("duration_s"),
        "media": dict(media),
        "warnings": list(warnings),
        "call_started": record.get("call_started"),
        "call": dict(record),
    }
    # Indented throughout it would not be written by the encoder in C, a tenth of a recording's time.
    text = "{\n" + ",\n".join(f' "{name}": {_ENCODER.encode(body[name])}' for name in sorted(body)) + "\n}\n"
    # Half an emoji (a lone surrogate) has no UTF-8 form; written as \udXXX it is JSON and comes back.
    return text.encode("utf-8", "backslashreplace")


def sidecar_agrees(raw: bytes, *, key: str, sha256: str, size: int) -> bool:
    """Tell whether existing sidecar bytes speak of this very recording."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and (body.get("key"), body.get("sha256"), body.get("bytes")) == (
        key,
        sha256,
        size,
    )
