"""Which groups of a manifest the account has: asked once, before the first upload."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mediapipe.convirza.groups import Group
from mediapipe.errors import CredentialsError, ItemError, Transient


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A group that the account does not have, in how many rows, and the nearest that it has."""

    column: str
    value: str
    rows: int
    nearest: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is known of a manifest's groups. Not ``checked``: nothing is, and ``why_not`` says why."""

    checked: bool
    unresolved: tuple[Unresolved, ...] = ()
    why_not: str = ""
    _by_id: Mapping[str, Group] = field(default_factory=dict)
    _by_ext: Mapping[str, Group] = field(default_factory=dict)

    def problem(self, fields: Mapping[str, str]) -> str:
        """Return what is wrong with the group of a row, nothing when it is known or was not looked up."""
        if not self.checked:
            return ""
        group_id, ext_id = fields.get("group_id", ""), fields.get("group_ext_id", "")
        if group_id and group_id not in self._by_id:
            return f"group_id {group_id!r} is no group of the account"
        if ext_id and not group_id and self._by_ext and ext_id not in self._by_ext:
            return f"group_ext_id {ext_id!r} is no group of the account"
        other = self._by_ext.get(ext_id) if group_id and ext_id else None
        if other is not None and other.group_id != group_id:
            return f"group_id {group_id} and group_ext_id {ext_id!r} are two groups"
        return ""


async def resolve(
    list_groups: Callable[[], Awaitable[Sequence[Group]]], wanted: Mapping[tuple[str, str], int]
) -> Resolution:
    """Look the groups up that rows want; ``wanted`` counts rows by ``group_id`` and ``group_ext_id``.

    A login that may not list groups, or an answer that cannot be read, leaves them unchecked. An account
    that shows no external ids has none of them held against it.
    """
    try:
        groups = await list_groups()
    except CredentialsError as error:
        if error.code != "forbidden":
            raise
        return Resolution(False, why_not=f"the login may not list them ({error.message})")
    except (Transient, ItemError) as error:
        return Resolution(False, why_not=str(error))
    if not groups:
        return Resolution(False, why_not="the platform lists none")
    by_id = {group.group_id: group for group in groups}
    by_ext = {group.ext_id: group for group in groups if group.ext_id}
    found = Resolution(True, (), "", by_id, by_ext)
    missing: dict[tuple[str, str], int] = {}
    for (group_id, ext_id), rows in wanted.items():
        if found.problem({"group_id": group_id, "group_ext_id": ext_id}):
            named = ("group_id", group_id) if group_id else ("group_ext_id", ext_id)
            missing[named] = missing.get(named, 0) + rows
    unresolved = tuple(
        Unresolved(column, value, rows, _nearest(value, by_id if column == "group_id" else by_ext))
        for (column, value), rows in sorted(missing.items(), key=lambda pair: (-pair[1], pair[0]))
    )
    return Resolution(True, unresolved, "", by_id, by_ext)


def _nearest(value: str, known: Mapping[str, Group]) -> str:
    close = difflib.get_close_matches(value, list(known), n=1)
    return close[0] if close else ""
