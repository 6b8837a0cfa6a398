"""What the ledger is asked, as functions of a connection; nothing here changes a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, union_all

from mediapipe.ledger import statements
from mediapipe.ledger.interface import Item, Run, Scope, State
from mediapipe.ledger.schema import facts, items, runs, scopes
from mediapipe.ledger.statements import NOTHING, now
from mediapipe.ledger.values import from_micros, from_micros_or_none, load_detail

PAGE = 500
"""Items per page: small enough to hold no snapshot for long, large enough to cost nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which items a page is taken from; bounds in microseconds."""

    states: Collection[State]
    not_run: str = ""
    start: int | None = None
    end: int | None = None


def scope_id(connection: Connection, scope: Scope) -> int | None:
    """Return the number of a scope, None while nothing was written about it."""
    found: int | None = connection.scalar(
        select(scopes.c.id).where(
            scopes.c.job == scope.job,
            scopes.c.account == scope.account,
            scopes.c.destination == scope.destination,
        )
    )
    return found


def all_scopes(connection: Connection) -> list[Scope]:
    """Return the scopes that have items or runs, by name."""
    has_items = select(items.c.key).where(items.c.scope_id == scopes.c.id).exists()
    has_runs = select(runs.c.seq).where(runs.c.scope_id == scopes.c.id).exists()
    query = select(scopes.c.job, scopes.c.account, scopes.c.destination).where(has_items | has_runs)
    return sorted((Scope(*row) for row in connection.execute(query)), key=str)


def holders(connection: Connection, number: int) -> frozenset[str]:
    """Return the owners with a living lease."""
    query = (
        select(items.c.owner)
        .where(
            items.c.scope_id == number,
            items.c.owner != "",
            items.c.lease > NOTHING,
            items.c.lease > now(connection.dialect.name),
        )
        .distinct()
    )
    return frozenset(connection.scalars(query))


def states(connection: Connection, number: int, keys: Sequence[str]) -> dict[str, State]:
    """Return the states of the known ones among distinct ``keys``."""
    rows = ({"scope": number, "key": key} for key in keys)
    found = statements.peek(connection.dialect.name).run(connection, rows)
    return {row.key: State(row.state) for row in found}


def page(connection: Connection, number: int, selection: Selection, after: str | None) -> list[Item]:
    """Return the next items in order of keys; ``after`` is the last key seen."""
    parts = [_of_state(number, state, selection, after) for state in sorted(selection.states)]
    if not parts:
        return []
    # One ordered walk of the index per state, merged: asked for all states at once, the databases
    # sort everything that is left anew for each page.
    merged = union_all(*(select(part.subquery()) for part in parts)).order_by("key").limit(PAGE)
    rows = connection.execute(merged if len(parts) > 1 else parts[0])
    return [_item(row) for row in rows.mappings()]


def _of_state(number: int, state: State, selection: Selection, after: str | None) -> Select[Any]:
    """Return the query for the next items in one state."""
    c = items.c
    query = select(items).where(c.scope_id == number, c.state == state.value)
    if after is not None:
        query = query.where(c.key > after)
    if selection.not_run:
        query = query.where(c.run_id != selection.not_run)
    if selection.start is not None:
        query = query.where(c.at >= selection.start)
    if selection.end is not None:
        query = query.where(c.at < selection.end)
    return query.order_by(c.key).limit(PAGE)


def _item(row: RowMapping) -> Item:
    return Item(
        key=row["key"],
        subject=row["subject"],
        at=from_micros_or_none(row["at"]),
        state=State(row["state"]),
        reason=row["reason"],
        message=row["message"],
        attempts=row["attempts"],
        run_id=row["run_id"],
        first_seen=from_micros(row["first_seen"]),
        updated=from_micros(row["updated"]),
        detail=load_detail(row["detail"]),
    )


def counts(connection: Connection, number: int) -> dict[State, int]:
    """Return how many items stand in each state; states without items are left out."""
    query = select(items.c.state, func.count()).where(items.c.scope_id == number).group_by(items.c.state)
    return {State(state): count for state, count in connection.execute(query)}


def latest_runs(connection: Connection, limit: int) -> list[Run]:
    """Return runs, newest first."""
    query = (
        select(runs, scopes.c.job, scopes.c.account, scopes.c.destination)
        .join_from(runs, scopes, runs.c.scope_id == scopes.c.id)
        .order_by(runs.c.seq.desc())
        .limit(limit)
    )
    return [_run(row) for row in connection.execute(query).mappings()]


def _run(row: RowMapping) -> Run:
    numbers: dict[str, int] = json.loads(row["counts"])
    return Run(
        run_id=row["run_id"],
        scope=Scope(row["job"], row["account"], row["destination"]),
        owner=row["owner"],
        started=from_micros(row["started"]),
        finished=from_micros_or_none(row["finished"]),
        exit_code=row["exit_code"],
        counts=numbers,
        bytes=row["bytes"],
    )


def fact(connection: Connection, number: int, name: str) -> str | None:
    """Return a remembered fact."""
    found: str | None = connection.scalar(
        select(facts.c.value).where(facts.c.scope_id == number, facts.c.name == name)
    )
    return found
