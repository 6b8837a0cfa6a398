"""Which groups of a manifest the account has: asked once, before the first upload."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mediapipe.convirza.groups import Group
from mediapipe.errors import CredentialsError, ItemError, Transient

_SEARCHES = 20
_COMPARED = 2_000
"""Comparing letter by letter is slow, and the first twenty unknown groups show what is the matter."""

_UNKNOWN = "is no group of the account"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A group that rows cannot go to, in how many of them, why, and the nearest that the account has."""

    column: str
    value: str
    rows: int
    nearest: str = ""
    why: str = ""

    def __str__(self) -> str:
        near = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.column} {self.value!r}, in {self.rows:,} rows, {self.why}{near}"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is known of a manifest's groups. Not ``checked``: nothing is, and ``why_not`` says why."""

    checked: bool
    unresolved: tuple[Unresolved, ...] = ()
    why_not: str = ""
    _ids: frozenset[str] = frozenset()
    _by_ext: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Ids by external id: nothing says that a platform keeps those apart."""

    def problem(self, fields: Mapping[str, str]) -> str:
        """Return what is wrong with the group of a row, nothing when it is known or was not looked up."""
        wrong = self._wrong(fields.get("group_id", ""), fields.get("group_ext_id", ""))
        return f"{wrong[0]} {wrong[1]!r} {wrong[2]}" if wrong else ""

    def _wrong(self, group_id: str, ext_id: str) -> tuple[str, str, str] | None:
        """Return the column that is wrong, its value and why. External ids count where any are shown."""
        if not self.checked:
            return None
        if group_id and group_id not in self._ids:
            return "group_id", group_id, _UNKNOWN
        if not ext_id or not self._by_ext:
            return None
        there = self._by_ext.get(ext_id, frozenset())
        if not there:
            return "group_ext_id", ext_id, _UNKNOWN
        if group_id and group_id not in there:
            return "group_id", group_id, f"and group_ext_id {ext_id!r} are two groups"
        return None


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
    by_ext: dict[str, frozenset[str]] = {}
    for group in groups:
        if group.ext_id:
            by_ext[group.ext_id] = by_ext.get(group.ext_id, frozenset()) | {group.group_id}
    known = Resolution(True, (), "", frozenset(group.group_id for group in groups), by_ext)
    return Resolution(True, _unresolved(known, groups, wanted), "", known._ids, by_ext)


def _unresolved(
    known: Resolution, groups: Sequence[Group], wanted: Mapping[tuple[str, str], int]
) -> tuple[Unresolved, ...]:
    """Return what cannot be resolved, that of the most rows first."""
    missing: Counter[tuple[str, str, str]] = Counter()
    for (group_id, ext_id), rows in wanted.items():
        if (wrong := known._wrong(group_id, ext_id)) is not None:
            missing[wrong] += rows
    ordered = sorted(missing.items(), key=lambda pair: (-pair[1], pair[0]))
    found = []
    for at, ((column, value, why), rows) in enumerate(ordered):
        near = _nearest(column, value, groups) if why == _UNKNOWN and at < _SEARCHES else ""
        found.append(Unresolved(column, value, rows, near, why))
    return tuple(found)


def _nearest(column: str, value: str, groups: Sequence[Group]) -> str:
    """Return what was probably meant: the group of this name, or an id that looks like it."""
    pairs = [(group.group_id if column == "group_id" else group.ext_id, group.name) for group in groups]
    meant = value.casefold()
    named = [one for one, name in pairs if one and name.casefold() == meant]
    some = [one for one, _ in pairs if one][:_COMPARED]
    return (named or difflib.get_close_matches(value, some, n=1) or [""])[0]
