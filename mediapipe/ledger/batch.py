"""Execute a batch of operations in one transaction, with as few statements as can be.

Operations of one kind become one statement, whoever asked. Only rows that meet the same item twice
need a second statement (a *wave*), because a statement may touch a row once. Receipts go first and
claims last, so that a claim sees what this very batch let go.

A batch that fails on what one operation brought along is rolled back and repeated one operation per
transaction: the culprit gets its error, its neighbours their results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from mediapipe.errors import MediapipeError
from mediapipe.ledger import border, statements
from mediapipe.ledger.interface import State
from mediapipe.ledger.operations import (
    ClaimItems,
    IntendItem,
    Operation,
    Other,
    RenewClaims,
    Row,
    RowKey,
    SettleItems,
)

_CONFLICT_TRIES = 8
Kind = TypeVar("Kind")
Tagged = tuple[int, int, Row]
"""Index of the operation, index of the row in it, the row."""


class Executor:
    """Runs batches on an engine; called from one worker thread at a time."""

    def __init__(self, engine: Engine, secrets: tuple[str, ...] = ()) -> None:
        self._engine = engine.execution_options(ledger_write=True)
        self._secrets = secrets

    def __call__(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """Execute operations; one answer each, in order: its result or the exception it alone met."""
        try:
            return self._together(operations)
        except Exception as error:
            if len(operations) > 1 and border.is_about_data(error):
                return [self._alone(operation) for operation in operations]
            raise self._translated(error) from error

    def _alone(self, operation: Operation) -> Any:
        try:
            return self._together([operation])[0]
        except Exception as error:
            failure = self._translated(error)
            if failure is not error:
                failure.__cause__ = error
            return failure

    def _translated(self, error: Exception) -> Exception:
        foreign = not isinstance(error, MediapipeError) and border.is_foreign(error)
        return border.translated(error, self._secrets) if foreign else error

    def _together(self, operations: Sequence[Operation]) -> Sequence[Any]:
        """Run one transaction, again when it merely collided with another process's."""
        for attempt in range(_CONFLICT_TRIES):
            try:
                with self._engine.begin() as connection:
                    return perform(connection, operations)
            except Exception as error:
                if not border.is_conflict(error) or attempt == _CONFLICT_TRIES - 1:
                    raise
            time.sleep(0.01 * 2**attempt)
        raise AssertionError("unreachable")


def perform(connection: Connection, operations: Sequence[Operation]) -> list[Any]:
    """Execute operations inside the connection's transaction; one result each, in order."""
    results: list[Any] = [None] * len(operations)
    _settle(connection, list(_of_kind(operations, SettleItems)), results)
    _mark(connection, list(_of_kind(operations, IntendItem)), statements.intend, results)
    _mark(connection, list(_of_kind(operations, RenewClaims)), statements.renew, results)
    for index, other in _of_kind(operations, Other):
        results[index] = other.run(connection)
    _claim(connection, list(_of_kind(operations, ClaimItems)), results)
    return results


def _of_kind(operations: Iterable[Operation], kind: type[Kind]) -> Iterator[tuple[int, Kind]]:
    for index, operation in enumerate(operations):
        if isinstance(operation, kind):
            yield index, operation


def _waves(tagged: Iterable[Tagged]) -> list[dict[RowKey, Tagged]]:
    """Distribute rows so that no item is twice in one wave; the first row of an item comes first."""
    waves: list[dict[RowKey, Tagged]] = []
    seen: dict[RowKey, int] = {}
    for entry in tagged:
        key = (entry[2]["scope"], entry[2]["key"])
        turn = seen.get(key, 0)
        seen[key] = turn + 1
        if turn == len(waves):
            waves.append({})
        waves[turn][key] = entry
    return waves


def _tagged(operations: Iterable[tuple[int, Any]]) -> Iterator[Tagged]:
    for index, operation in operations:
        for position, row in enumerate(operation.rows):
            yield index, position, row


def _settle(connection: Connection, found: list[tuple[int, SettleItems]], results: list[Any]) -> None:
    """Record receipts, then close what those that counted replace."""
    settles = dict(found)
    closes: dict[RowKey, Row] = {}
    for index in settles:
        results[index] = set()
    for wave in _waves(_tagged(found)):
        rows = (row for _, _, row in wave.values())
        for scope, key in statements.settle(connection.dialect.name).run(connection, rows):
            index, position, _ = wave[scope, key]
            results[index].add(position)
            closes.update(((row["scope"], row["key"]), row) for row in settles[index].closes[position])
    if closes:
        statements.close(connection.dialect.name).run(connection, closes.values())


def _mark(
    connection: Connection,
    found: list[tuple[int, Kind]],
    statement: Callable[[str], statements.Statement],
    results: list[Any],
) -> None:
    """Run an update whose answer is the positions of the rows that stood."""
    for index, _ in found:
        results[index] = set()
    for wave in _waves(_tagged(found)):
        rows = (row for _, _, row in wave.values())
        for scope, key in statement(connection.dialect.name).run(connection, rows):
            index, position, _ = wave[scope, key]
            results[index].add(position)


def _claim(connection: Connection, found: list[tuple[int, ClaimItems]], results: list[Any]) -> None:
    """Claim; answer with two dicts by key: the rows that were won, and the others as they stand."""
    dialect = connection.dialect.name
    groups: dict[Hashable, list[tuple[int, ClaimItems]]] = {}
    for index, claim in found:
        results[index] = ({}, {})
        groups.setdefault((claim.takes, claim.intend), []).append((index, claim))
    for members in groups.values():
        takes = sorted(state.value for state in members[0][1].takes | {State.NEW})
        statement = statements.claim(dialect, members[0][1].intend)
        for wave in _waves(_tagged(members)):
            # In the order of keys: see operations.claim_rows.
            rows = [wave[key][2] for key in sorted(wave)]
            for won in statement.run(connection, rows, takes=takes):
                results[wave.pop((won.scope_id, won.key))[0]][0][won.key] = won
            if wave:
                lost = ({"scope": scope, "key": key} for scope, key in wave)
                for kept in statements.refused(dialect).run(connection, lost):
                    results[wave[kept.scope_id, kept.key][0]][1][kept.key] = kept
