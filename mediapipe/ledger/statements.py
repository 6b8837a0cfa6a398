"""The SQL of the hot path: claim, mark (intend and settle), close, renew; once per database.

Each takes any number of rows as ONE parameter, a JSON array, which the database unfolds (SQLite
``json_each`` over arrays, PostgreSQL ``json_to_recordset``). So ten thousand wants are one statement and
one round trip, the text of the statement never changes with their number, and a batch of a single
row costs nothing extra. A row may appear once per statement; ``batch`` sees to that.

Leases and times are the database's own clock. Owner and fence stand in every WHERE clause.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Text,
    bindparam,
    case,
    cast,
    column,
    extract,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from mediapipe.ledger.interface import State
from mediapipe.ledger.schema import items

_TYPES: dict[str, TypeEngine[Any]] = {
    name: Text() for name in ("key", "subject", "owner", "run", "state", "reason", "message", "detail")
} | {name: BigInteger() for name in ("scope", "at", "lease", "fence")}

_CLAIM = ("scope", "key", "subject", "at", "owner", "run", "lease")
_NAMED = ("scope", "key")
_INTEND = ("scope", "key", "owner", "fence", "detail")
_SETTLE = ("scope", "key", "owner", "fence", "state", "reason", "message", "detail", "run")
_CLOSE = ("scope", "key", "run")
_RENEW = ("scope", "key", "owner", "fence", "lease")

NOTHING = literal_column("0", BigInteger())
"""Spelled out, not bound: a partial index is used only when its condition stands in the query."""


def now(dialect: str) -> ColumnElement[int]:
    """Return the database's clock in microseconds since 1970 (SQLite: to the millisecond)."""
    if dialect == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
    days = func.julianday("now") - literal_column("2440587.5")
    return cast(func.round(days * 86_400_000) * 1000, BigInteger)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement over many rows; ``names`` are the columns a row must have."""

    text: Executable
    names: tuple[str, ...]

    def run(self, connection: Connection, rows: Iterable[Mapping[str, Any]], **more: Any) -> Any:
        """Execute for all rows at once; return the cursor."""
        folded: list[Any]
        if connection.dialect.name == "postgresql":
            folded = [{name: row[name] for name in self.names} for row in rows]
        else:
            folded = [[row[name] for name in self.names] for row in rows]
        text = json.dumps(folded, separators=(",", ":"))
        return connection.execute(self.text, {"rows": text, **more})


def _unfolded(dialect: str, names: tuple[str, ...]) -> FromClause:
    """Return the JSON parameter ``rows`` as a table with these columns."""
    rows = bindparam("rows", type_=Text)
    if dialect == "postgresql":
        columns = [column(name, _TYPES[name]) for name in names]
        table = func.json_to_recordset(cast(rows, JSON)).table_valued(*columns)
        return table.render_derived(name="given", with_types=True)
    each = func.json_each(rows).table_valued("value", name="each_row")
    return select(
        *(
            func.json_extract(each.c.value, literal_column(f"'$[{place}]'"), type_=_TYPES[name]).label(name)
            for place, name in enumerate(names)
        )
    ).subquery("given")


@cache
def claim(dialect: str, intend: bool) -> Statement:
    """Claim rows; give back those that were won. Parameters: ``rows``, ``takes`` (state texts).

    ``found`` keeps the state the claim met, because RETURNING only shows what became of a row.
    """
    given = _unfolded(dialect, _CLAIM)
    clock = now(dialect)
    first = State.INTENDED if intend else State.NEW
    nothing = literal("", Text)
    values: dict[str, Any] = {
        "scope_id": given.c.scope,
        "key": given.c.key,
        "subject": given.c.subject,
        "at": given.c.at,
        "state": literal(first.value, Text),
        "found": literal(State.NEW.value, Text),
        "reason": nothing,
        "message": nothing,
        "detail": literal("{}", Text),
        "attempts": literal(1, BigInteger),
        "run_id": given.c.run,
        "first_seen": clock,
        "updated": clock,
        "owner": given.c.owner,
        "fence": literal(1, BigInteger),
        "lease": clock + given.c.lease,
    }
    maker = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # SQLite takes ON CONFLICT after a SELECT only when the SELECT has a WHERE clause.
    insert = maker(items).from_select(list(values), select(*values.values()).where(true()))
    new = insert.excluded
    changes: dict[str, Any] = {
        "subject": case((new.subject != "", new.subject), else_=items.c.subject),
        "at": func.coalesce(new.at, items.c.at),
        "found": items.c.state,
        "attempts": items.c.attempts + 1,
        "run_id": new.run_id,
        "updated": new.updated,
        "owner": new.owner,
        "fence": items.c.fence + 1,
        "lease": new.lease,
    }
    if intend:
        changes["state"] = new.state
    free = or_(items.c.lease <= clock, items.c.owner == new.owner)
    takes = items.c.state.in_(bindparam("takes", expanding=True))
    c = items.c
    statement = insert.on_conflict_do_update(
        index_elements=["scope_id", "key"], set_=changes, where=takes & free
    ).returning(c.scope_id, c.key, c.fence, c.attempts, c.found, c.subject, c.at, c.detail)
    return Statement(statement, _CLAIM)


@cache
def refused(dialect: str) -> Statement:
    """Read the rows that a claim did not win: what they are, and for how long someone holds them."""
    given = _unfolded(dialect, _NAMED)
    c = items.c
    wait = (c.lease - now(dialect)).label("wait")
    statement = select(c.scope_id, c.key, c.state, c.owner, c.run_id, c.reason, c.detail, wait).join_from(
        given, items, (c.scope_id == given.c.scope) & (c.key == given.c.key)
    )
    return Statement(statement, _NAMED)


@cache
def peek(dialect: str) -> Statement:
    """Read the states of rows."""
    given = _unfolded(dialect, _NAMED)
    same = (items.c.scope_id == given.c.scope) & (items.c.key == given.c.key)
    return Statement(select(items.c.key, items.c.state).join_from(given, items, same), _NAMED)


@cache
def intend(dialect: str) -> Statement:
    """Set INTENDED on rows whose claim still stands; give back their keys."""
    given = _unfolded(dialect, _INTEND)
    statement = (
        update(items)
        .where(*_still_owned(given), items.c.lease > NOTHING)
        .values(
            state=State.INTENDED.value,
            detail=func.coalesce(given.c.detail, items.c.detail),
            updated=now(dialect),
        )
        .returning(items.c.scope_id, items.c.key)
    )
    return Statement(statement, _INTEND)


@cache
def settle(dialect: str) -> Statement:
    """Record receipts and let go of their claims; give back the keys of those that counted.

    A receipt that was recorded already counts again (a caller that was cut off asks twice); another
    state for a claim that was let go does not.
    """
    given = _unfolded(dialect, _SETTLE)
    statement = (
        update(items)
        .where(*_still_owned(given), or_(items.c.lease > NOTHING, items.c.state == given.c.state))
        .values(
            state=given.c.state,
            reason=given.c.reason,
            message=given.c.message,
            detail=func.coalesce(given.c.detail, items.c.detail),
            run_id=given.c.run,
            updated=now(dialect),
            lease=0,
        )
        .returning(items.c.scope_id, items.c.key)
    )
    return Statement(statement, _SETTLE)


@cache
def close(dialect: str) -> Statement:
    """Set CLOSED on rows that exist, whoever holds them: what replaces them is settled."""
    given = _unfolded(dialect, _CLOSE)
    statement = (
        update(items)
        .where(
            items.c.scope_id == given.c.scope,
            items.c.key == given.c.key,
            items.c.state != State.CLOSED.value,
        )
        .values(state=State.CLOSED.value, run_id=given.c.run, updated=now(dialect), lease=0)
    )
    return Statement(statement, _CLOSE)


@cache
def renew(dialect: str) -> Statement:
    """Prolong leases; give back the keys whose claim was not lost.

    A claim that its owner settled meanwhile is not lost, but stays let go.
    """
    given = _unfolded(dialect, _RENEW)
    held = items.c.lease > NOTHING
    statement = (
        update(items)
        .where(*_still_owned(given), or_(held, items.c.state != State.CLOSED.value))
        .values(lease=case((held, now(dialect) + given.c.lease), else_=0))
        .returning(items.c.scope_id, items.c.key)
    )
    return Statement(statement, _RENEW)


def _still_owned(given: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that nobody took the item over."""
    return (
        items.c.scope_id == given.c.scope,
        items.c.key == given.c.key,
        items.c.owner == given.c.owner,
        items.c.fence == given.c.fence,
    )
