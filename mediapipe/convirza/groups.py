"""The account's groups: ``GET /v3/groups/list``. How it answers is not documented: it is read liberally."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediapipe.convirza.session import Answer, Session
from mediapipe.errors import Rejected, Transient

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

        Raises as ``Session.get`` does; ``Transient`` also for an answer that holds no groups, and for a list
        without an end: a part of the groups would make the others look unknown.
        """
        found: dict[str, Group | None] = {}
        offset = 0
        for _ in range(MOST_PAGES):
            raw = await self._page(offset)
            page = {name: _group(record) for record in raw if (name := _first(record, _ID))}
            if page.keys() <= found.keys():  # the end, or a list that ignores the offset
                return tuple(group for group in found.values() if group is not None)
            found.update(page)
            offset += len(raw)
        raise Transient(f"list groups: no end after {MOST_PAGES} pages", code="unreadable_answer")

    async def _page(self, offset: int) -> list[Any]:
        """Return the records from ``offset`` on; behind the last there may be nothing that is a list."""

        def read(answer: Answer) -> list[Any]:
            found = _records(answer.body)
            if found is None and not offset:
                raise Transient("list groups: the answer holds no list of groups", code="unreadable_answer")
            return found or []

        query = {"limit": PAGE, "offset": offset}
        try:
            return await self._session.get("/groups/list", query, doing="list groups", read=read)
        except Rejected as error:
            if offset and error.code == "http_404":
                return []
            raise


def _records(body: object) -> list[Any] | None:
    """Return the records of an answer, wherever the list stands in it."""
    data = body.get("data", body) if isinstance(body, Mapping) else body
    if isinstance(data, Mapping):
        data = next((data[name] for name in _LISTS if isinstance(data.get(name), list)), None)
    return data if isinstance(data, list) else None


def _group(record: Mapping[str, Any]) -> Group | None:
    """Return the group of a record that has an id; None for one that is gone."""
    if str(record.get("status", "")).strip().lower() in _GONE or record.get("deleted") is True:
        return None
    return Group(_first(record, _ID), _first(record, _EXT), _first(record, _NAME))


def _first(record: object, names: tuple[str, ...]) -> str:
    if not isinstance(record, Mapping):
        return ""
    for name in names:
        value = record.get(name)
        if isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""
