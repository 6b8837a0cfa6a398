"""The account's groups: ``GET /v3/groups/list``. How it answers is not documented: it is read liberally."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediapipe.convirza.session import Answer, Session
from mediapipe.errors import Transient

PAGE = 200
MOST_PAGES = 500
_LISTS = ("groups", "list", "items", "result", "data")
_ID = ("org_unit_id", "group_id", "id", "ouid")
_EXT = ("group_ext_id", "org_unit_ext_id", "ext_id", "external_id", "group_external_id")
_NAME = ("group_name", "org_unit_name", "name")
_GONE = frozenset({"deleted", "inactive", "disabled"})


@dataclass(frozen=True, slots=True)
class Group:
    """A group (an organizational unit) that calls can be put into."""

    group_id: str
    ext_id: str = ""
    name: str = ""


class Groups:
    """Reads the list of groups."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def list_groups(self) -> tuple[Group, ...]:
        """Return all groups the login sees, those left out that are deleted or inactive.

        Raises as ``Session.get`` does; ``Transient`` also for an answer that holds no groups.
        """
        found: dict[str, Group] = {}
        offset = 0
        for _ in range(MOST_PAGES):
            query = {"limit": PAGE, "offset": offset}
            raw = await self._session.get("/groups/list", query, doing="list groups", read=_records)
            page = [group for record in raw if (group := _group(record)) is not None]
            news = [group for group in page if group.group_id not in found]
            found.update((group.group_id, group) for group in news)
            offset += len(raw)
            if not news:  # the end, or a list that ignores the offset
                break
        return tuple(found.values())


def _records(answer: Answer) -> list[Any]:
    """Return the records of an answer, wherever the list stands in it."""
    data = answer.body.get("data", answer.body) if isinstance(answer.body, Mapping) else answer.body
    if isinstance(data, Mapping):
        data = next((data[name] for name in _LISTS if isinstance(data.get(name), list)), None)
    if not isinstance(data, list):
        raise Transient("list groups: the answer holds no list of groups", code="unreadable_answer")
    return data


def _group(record: object) -> Group | None:
    if not isinstance(record, Mapping):
        return None
    if str(record.get("status", "")).lower() in _GONE or record.get("deleted") is True:
        return None
    group_id = _first(record, _ID)
    return Group(group_id, _first(record, _EXT), _first(record, _NAME)) if group_id else None


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = record.get(name)
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""
