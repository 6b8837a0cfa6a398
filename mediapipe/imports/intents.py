"""What an upload is about to make: recorded in the ledger before its first byte leaves. Pure.

After a crash or a lost answer it is all there is to find the call by, so it holds everything a listed call
can be compared with, and nothing that is a credential: an address stands there without its query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mediapipe.ledger.interface import Item, Scope

MARK = "mediapipe-"


@dataclass(frozen=True, slots=True)
class Intent:
    """One upload. Lengths in seconds, sizes in bytes, instants in UTC.

    ``at`` is the call's date; ``begun`` when the first attempt was about to send, ``latest`` when the latest
    one was, or when it was given up without an answer, all by the platform's clock. ``sha256`` is that of the
    source, empty where none passed through here. ``size`` and ``mtime_ns`` are of the source file, to tell
    without reading it whether it changed.
    """

    key: str
    at: datetime
    fields: Mapping[str, str] = field(default_factory=dict)
    duration_s: float | None = None
    sha256: str = ""
    sent_sha256: str = ""
    size: int = 0
    mtime_ns: int = 0
    bytes: int = 0
    source: str = ""
    marker: str = ""
    begun: datetime | None = None
    latest: datetime | None = None
    run_id: str = ""
    by_url: bool = False
    call_id: str = ""
    proof: str = ""

    def again(self, earlier: Intent) -> Intent:
        """Return this attempt as one that follows an earlier one, whose call may still turn up."""
        return replace(self, begun=earlier.begun or self.begun)

    def as_detail(self) -> dict[str, str]:
        """Return it as the ledger keeps it: text by name, empty ones left out."""
        detail = {
            "at": _text(self.at),
            "caller": self.fields.get("caller_id", ""),
            "fields": json.dumps(self.fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
            "duration": "" if self.duration_s is None else f"{self.duration_s:.3f}",
            "sha256": self.sha256,
            "sent_sha256": self.sent_sha256,
            "size": str(self.size or ""),
            "mtime_ns": str(self.mtime_ns or ""),
            "bytes": str(self.bytes or ""),
            "source": self.source,
            "marker": self.marker,
            "begun": _text(self.begun),
            "latest": _text(self.latest),
            "run": self.run_id,
            "by_url": "yes" if self.by_url else "",
            "call_id": self.call_id,
            "proof": self.proof,
        }
        return {name: value for name, value in detail.items() if value}


def intent_of(key: str, detail: Mapping[str, str]) -> Intent | None:
    """Return what the ledger keeps of an upload, None for an item that never came so far."""
    if "fields" not in detail:
        return None
    return Intent(
        key,
        datetime.fromisoformat(detail["at"]),
        json.loads(detail["fields"]),
        float(detail["duration"]) if "duration" in detail else None,
        detail.get("sha256", ""),
        detail.get("sent_sha256", ""),
        int(detail.get("size", 0)),
        int(detail.get("mtime_ns", 0)),
        int(detail.get("bytes", 0)),
        detail.get("source", ""),
        detail.get("marker", ""),
        _moment(detail.get("begun")),
        _moment(detail.get("latest")),
        detail.get("run", ""),
        detail.get("by_url") == "yes",
        detail.get("call_id", ""),
        detail.get("proof", ""),
    )


def intent_of_item(item: Item) -> Intent | None:
    """Return the intent that stands in a ledger row."""
    return intent_of(item.key, item.detail)


def marker_of(scope: Scope, key: str) -> str:
    """Return the marker of a call: the same whenever it is sent, another for every call and account."""
    return MARK + hashlib.blake2b(f"{scope}\0{key}".encode(), digest_size=10).hexdigest()


def differences(recorded: Intent, fields: Mapping[str, str], sha256: str) -> list[str]:
    """Say what differs between what was recorded and what a manifest says now, both values shown.

    An empty ``sha256``, here or there, is not compared.
    """
    names = sorted(recorded.fields.keys() | fields.keys())
    found = [
        f"{name} was {_shown(recorded.fields.get(name))} and is {_shown(fields.get(name))}"
        for name in names
        if recorded.fields.get(name) != fields.get(name)
    ]
    if sha256 and recorded.sha256 and sha256 != recorded.sha256:
        found.append(f"the audio was {recorded.sha256[:16]}… and is {sha256[:16]}…")
    return found


def _shown(value: str | None) -> str:
    return "not sent" if value is None else repr(value[:80])


def _text(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
