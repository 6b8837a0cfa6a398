"""The lists of the prompt library and of routes, read liberally; what cannot be read is never left out.

The list is what proves an upload: an entry that were dropped in silence would look absent, and be sent again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from mediapipe.convirza.answers import NO_RECORDS
from mediapipe.errors import Transient
from mediapipe.library.words import Listed, PromptType

ID_KEYS = ("id", "recording_id", "media_id", "prompt_id", "reference_id")
"""Where a prompt's id may stand, the likeliest first."""

_NAME_KEYS = ("name", "file_name", "filename", "title")
_TYPE_KEYS = ("type", "recording_type")
_TYPES = frozenset(kind.value for kind in PromptType)
_SIZE_KEYS = ("size", "file_size", "bytes")
_UPLOADED_KEYS = ("uploaded_on", "created_at", "created")
_LIST_KEYS = ("items", "prompts", "media_prompts", "recordings", "result", "calls")
_TOTAL_KEYS = ("total", "total_count", "total_records", "count")


def first_of(record: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    """Return the first of the fields that holds text or a number, as text without outer blanks; else ""."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def read_listed(raw: object) -> Listed:
    """Return one entry of the library; raises ``Transient`` for what shows neither an id nor a name.

    Names are composed (NFC) and our own types in lower case: the same entry is the same in every list.
    """
    record = raw if isinstance(raw, Mapping) else {}
    prompt_id, name, kind = first_of(record, ID_KEYS), nfc(_name(record)), first_of(record, _TYPE_KEYS)
    if not prompt_id and not name:
        raise _unreadable("the platform sent an entry of its audio library that cannot be read")
    return Listed(
        prompt_id=prompt_id,
        type=kind.lower() if kind.lower() in _TYPES else kind,
        name=name,
        size=_size(record),
        uploaded=first_of(record, _UPLOADED_KEYS),
    )


def nfc(text: str) -> str:
    """Return a name in the one spelling it is compared in."""
    return unicodedata.normalize("NFC", text)


def read_list(body: object, keys: tuple[str, ...] = _LIST_KEYS) -> list[Any]:
    """Return the records of a list's answer, wherever in ``data`` they stand.

    Raises ``Transient`` (``unreadable_answer``) for anything else, also for null: it may stand for a list
    that could not be had.
    """
    if not isinstance(body, Mapping):
        raise _unreadable("the answer holds no list")
    if _says_none(body):
        return []
    data = body.get("data")
    if isinstance(data, Mapping):
        found = [data[key] for key in keys if isinstance(data.get(key), list)]
        if not found and read_total(body) == 0:
            return []
        # One that is empty beside one that is not is about something else.
        data = next((records for records in found if records), found[0] if found else None)
    if not isinstance(data, list):
        raise _unreadable("the answer holds no list")
    return data


def read_total(body: object) -> int | None:
    """Return how many records the whole list has, where an answer says so."""
    outer = body if isinstance(body, Mapping) else {}
    data = outer.get("data")
    for place in (data, outer.get("meta"), outer.get("pagination"), outer):
        text = first_of(place, _TOTAL_KEYS) if isinstance(place, Mapping) else ""
        if (number := _whole(text)) is not None:
            return number
    return None


def made_id(body: object) -> str:
    """Return the id of the one thing that an answer says was made, or ""."""
    if not isinstance(body, Mapping):
        return ""
    data = body.get("data")
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    inner = first_of(data, ID_KEYS) if isinstance(data, Mapping) else ""
    return inner or first_of(body, ID_KEYS)


def _name(record: Mapping[str, Any]) -> str:
    """Return the name as it is shown, blanks and all: it is compared exactly."""
    for key in _NAME_KEYS:
        text = record.get(key)
        if isinstance(text, str) and text.strip():
            return text
    return first_of(record, _NAME_KEYS)


def _size(record: Mapping[str, Any]) -> int | None:
    sizes = (_whole(first_of(record, (key,))) for key in _SIZE_KEYS)
    return next((size for size in sizes if size is not None), None)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _says_none(body: Mapping[str, Any]) -> bool:
    """Return whether this is the older generation's way to show an empty list: an error that says so."""
    result = body.get("result")
    if not isinstance(result, str) or result.strip().lower() in {"", "success"}:
        return False
    texts = (body.get("err"), body.get("data"), body.get("message"))
    return any(isinstance(text, str) and NO_RECORDS in text.lower() for text in texts)


def _unreadable(said: str) -> Transient:
    return Transient(said, code="unreadable_answer")
