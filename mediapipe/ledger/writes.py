"""The rarer writes: runs, scopes, releases, facts. Functions of a connection inside a transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, update
from sqlalchemy.dialects import postgresql, sqlite

from mediapipe.ledger import reads
from mediapipe.ledger.interface import Scope
from mediapipe.ledger.schema import facts, items, runs, scopes
from mediapipe.ledger.statements import NOTHING, now


def insert_new(
    connection: Connection, table: Table, unique: Sequence[str], values: Mapping[str, Any]
) -> None:
    """Insert a row unless one with the same ``unique`` columns is there."""
    maker = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(maker(table).values(**values).on_conflict_do_nothing(index_elements=list(unique)))


def ensure_scope(connection: Connection, scope: Scope) -> int:
    """Return the scope's number, given one when it is new."""
    found = reads.scope_id(connection, scope)
    if found is None:
        values = {"job": scope.job, "account": scope.account, "destination": scope.destination}
        insert_new(connection, scopes, ["job", "account", "destination"], values)
        found = reads.scope_id(connection, scope)
        assert found is not None  # noqa: S101  (it was inserted by us or by another a moment ago)
    return found


def begin_run(connection: Connection, number: int, run_id: str, owner: str) -> None:
    """Record that a run started; once, however often it is asked."""
    values = {
        "run_id": run_id,
        "scope_id": number,
        "owner": owner,
        "started": now(connection.dialect.name),
        "counts": "{}",
        "bytes": 0,
    }
    insert_new(connection, runs, ["run_id"], values)


def end_run(
    connection: Connection, run_id: str, exit_code: int, counts: Mapping[str, int], size: int
) -> None:
    """Record how a run ended."""
    finished = now(connection.dialect.name)
    values = {"finished": finished, "exit_code": exit_code, "counts": json.dumps(dict(counts)), "bytes": size}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(**values))


def release(connection: Connection, number: int, owner: str) -> int:
    """End the leases of an owner; return how many.

    The owner's name is taken off the rows: should it be alive after all, its writes are refused.
    """
    held = (items.c.scope_id == number, items.c.owner == owner, items.c.lease > NOTHING)
    return connection.execute(update(items).where(*held).values(owner="", lease=0)).rowcount


def remember(connection: Connection, number: int, name: str, value: str) -> None:
    """Keep a fact, in place of an earlier value."""
    maker = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = maker(facts).values(scope_id=number, name=name, value=value)
    changes = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=["scope_id", "name"], set_=changes))
