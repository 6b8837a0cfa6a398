"""A call as the API shows it: the record of ``GET /v3/conversations/calls``, field by field.

Records are built as text. The part that does not change from fetch to fetch is kept for the calls asked for
last; the signed URL is new each time.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from mediapipe.sandbox.calls import Call, Recording

INCLUDES = ("tags", "comments", "custom_sources", "call_flow", "recordings", "transcription")
"""The names the ``include`` parameter accepts."""

ROOT_UNIT = 1200
UNITS = {1200: "Sandbox Services", 1201: "Roofing Division", 1202: "Solar Division", 1203: "Windows Division"}
"""The account's organizational units; the first holds the others."""

_KEPT = 4096
_EPOCH = date(1970, 1, 1)
_MINUTES = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60)]
_encode = json.JSONEncoder(separators=(",", ":")).encode
_CREATED = "2026-01-01T12:00:00.000Z"

SignUrl = Callable[[Call, Recording], tuple[str, int]]
"""Makes a signed URL and its expiry in Unix seconds."""


def iso(ms: int) -> str:
    """Return Unix milliseconds as the API writes instants: ``2026-02-14T18:20:12.000Z``."""
    day, rest = divmod(ms, 86_400_000)
    minute, rest = divmod(rest, 60_000)
    return f"{_day(day)}T{_MINUTES[minute]}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def file_stem(call: Call) -> str:
    """Return the recording's file name without extension, as the platform forms it."""
    return f"{call.call_id:x}U4NX_{call.started_ms}"


class RecordWriter:
    """Writes call records as JSON text."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, frozenset[str]], tuple[Call, str]] = OrderedDict()

    def write(self, call: Call, include: frozenset[str], now_ms: int, sign: SignUrl) -> str:
        """Return the record of ``call`` with the included parts, as seen at ``now_ms``."""
        head = self._head(call, include - {"recordings"})
        details = self._details(call, now_ms, sign) if "recordings" in include else ""
        return f"{head[:-1]},{details}}}" if details else head

    def _head(self, call: Call, include: frozenset[str]) -> str:
        key = (call.call_id, include)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is call:
            return kept[1]
        text = _encode(_record(call, include))
        self._kept[key] = (call, text)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return text

    def _details(self, call: Call, now_ms: int, sign: SignUrl) -> str:
        recording = call.available(now_ms)
        if recording is not None:
            url, expires = sign(call, recording)
            facts = recording_facts(call, recording)
            # Neither the URL nor the facts hold a character that JSON would escape.
            return f'"recording_details":{{"url":"{url}","expires_at":{expires},{facts}}}'
        match call.missing_as:
            case "null":
                return '"recording_details":null'
            case "empty":
                return '"recording_details":{}'
            case "no_url":
                return f'"recording_details":{{"filename":"{file_stem(call)}","format":"wav"}}'
            case _:
                return ""


def recording_facts(call: Call, recording: Recording) -> str:
    """Return the constant fields of ``recording_details`` as JSON text without braces.

    They describe the WAV the platform started from, also when it serves an MP3, as the vendor's sample does.
    """
    minutes, seconds = divmod(recording.seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    kilobytes = int(recording.seconds * 16_000 * recording.channels / 1024)
    layout = "stereo" if recording.channels == 2 else "mono"
    return (
        f'"recording_id":{recording.recording_id},"filename":"{file_stem(call)}","channel_layout":"{layout}",'
        f'"frequency":"8000 Hz","format":"wav","duration":"{hours:02d}:{minutes:02d}:{seconds:05.2f}",'
        f'"bitrate":"{128 * recording.channels} kb/s","size":"{kilobytes}kB"'
    )


def _record(call: Call, include: frozenset[str]) -> dict[str, Any]:
    """Return everything but ``recording_details``."""
    started = iso(call.started_ms)
    answered = call.disposition in ("ANSWERED", "TRANSFERRED")
    record: dict[str, Any] = {
        "call_id": call.call_id,
        "provisioned_route_id": call.route_id,
        "org_unit_id": call.org_unit_id,
        "disposition": call.disposition,
        "duration": call.duration,
        "caller_id": call.caller_id,
        "phone_number": call.phone_number,
        "ring_to": call.ring_to,
        "default_ring_to": call.ring_to,
        "repeat_call": call.call_id % 5 == 0,
        "call_started": started,
        "campaign_id": call.campaign_id,
        "campaign_name": f"Campaign {call.campaign_id}",
        "campaign_ext_id": f"EXT-{call.campaign_id}",
        "user_id": 1001,
        "group_name": UNITS.get(call.org_unit_id, ""),
        "ai_caller_identity": None,
        "voiceagent_data": {},
        "call_detail": _detail(call, started),
        "indicators": [],
        "summary": "The caller asked for an appointment." if answered else "",
    }
    for name, part in _PARTS.items():
        if name in include:
            record[name] = part(call)
    return record


def _detail(call: Call, started: str) -> dict[str, Any]:
    return {
        "bill_second": call.duration,
        "call_value": call.call_id % 90,
        "dni_log_id": None,
        "is_outbound": call.is_outbound,
        "cdr_source": "API" if call.origin == "upload" else "CE",
        "call_ended": iso(call.ended_ms),
        "analytic_status": "complete",
        "call_mine_status": "mined",
        "call_created": iso(call.created_ms) if call.created_ms else started,
        "mined_timestamp": iso(call.ended_ms + 120_000),
        "ring_to_name": "Sales Team",
        "channel_id": 4,
        "channel_category": "Digital",
        "channel_sub_category": "Paid Search",
        "channel": "Digital > Paid Search",
    }


def _tags(call: Call) -> list[dict[str, Any]]:
    names = call.tags or (("Lead",) if call.call_id % 3 == 0 else ())
    return [
        {
            "tag_id": number,
            "ct_user_id": 1001,
            "call_tag_created": iso(call.ended_ms),
            "tag_name": name,
            "tag_created": _CREATED,
            "tag_active": True,
        }
        for number, name in enumerate(names, 1)
    ]


def _comments(call: Call) -> list[dict[str, Any]]:
    if call.call_id % 7:
        return []
    return [
        {
            "note_id": call.call_id + 500,
            "call_id": call.call_id,
            "note": "Customer asked for pricing details.",
            "created_on": iso(call.ended_ms + 600_000),
            "updated_on": iso(call.ended_ms + 720_000),
            "ct_user_id": 2001,
            "first_name": "Alex",
            "last_name": "Smith",
        }
    ]


def _custom_sources(call: Call) -> dict[str, Any]:
    sources = call.custom_sources or (((1, "Google Ads"),) if call.call_id % 2 else ())
    return {
        f"custom_source_type_{slot}": {
            "custom_source_id": 440 + slot,
            "custom_source_name": name,
            "custom_source_created": _CREATED,
        }
        for slot, name in sources
    }


def _call_flow(call: Call) -> dict[str, Any]:
    return {"provisioned_route_id": call.route_id, "call_flow_name": f"Flow {call.route_id}"}


def _transcription(call: Call) -> str | None:
    return "Caller: I need a roof inspection." if call.disposition == "ANSWERED" else None


_PARTS: dict[str, Callable[[Call], Any]] = {
    "tags": _tags,
    "comments": _comments,
    "custom_sources": _custom_sources,
    "call_flow": _call_flow,
    "transcription": _transcription,
}
