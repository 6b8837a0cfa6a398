"""The migrations lead to the schema the code knows, once, and never touch a newer one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, Text, create_engine, inspect, text

from mediapipe.errors import LedgerUnavailable
from mediapipe.ledger import schema
from mediapipe.ledger.migrations import MIGRATIONS, migrate, version
from mediapipe.ledger.open import connect, parse

pytest_plugins = ["tests.postgres.fixtures"]


def described(engine: Engine) -> dict[str, Any]:
    """Return tables, columns, keys and indexes as the database reports them."""
    inspector = inspect(engine)
    tables: dict[str, Any] = {}
    for name in inspector.get_table_names():
        columns = {
            column["name"]: (
                str(column["type"]),
                getattr(column["type"], "collation", None) if isinstance(column["type"], Text) else None,
                column["nullable"],
                column["default"],
                bool(column.get("identity")),
            )
            for column in inspector.get_columns(name)
        }
        indexes = {
            str(index["name"]): (
                index["column_names"],
                bool(index["unique"]),
                str(index.get("dialect_options", {}).get(f"{engine.dialect.name}_where")),
            )
            for index in inspector.get_indexes(name)
        }
        tables[name] = (columns, inspector.get_pk_constraint(name)["constrained_columns"], indexes)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
            tables["compact"] = {name for name, sql in rows if "WITHOUT ROWID" in sql}
    return tables


def fresh(request: pytest.FixtureRequest, name: str, tmp_path: Any) -> str:
    """Return the DSN of another empty database of the same kind."""
    if name == "sqlite":
        return str(tmp_path / "other.db")
    dsn: str = request.getfixturevalue("postgres").new_database()
    return dsn


def test_migrations_from_scratch_are_the_schema(
    ledger_dsn: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    migrated, _ = connect(ledger_dsn)
    made = create_engine(parse(fresh(request, migrated.dialect.name, tmp_path)))
    schema.metadata.create_all(made)
    assert described(migrated) == described(made)
    assert set(inspect(migrated).get_table_names()) == set(schema.metadata.tables)
    assert len(MIGRATIONS) == schema.SCHEMA_VERSION
    migrated.dispose()
    made.dispose()


def test_opening_again_changes_nothing(ledger_dsn: str) -> None:
    engine, _ = connect(ledger_dsn)
    before = described(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert version(connection) == schema.SCHEMA_VERSION
    assert described(engine) == before
    engine.dispose()


def test_many_open_an_empty_ledger_at_once(ledger_dsn: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        engines = [engine for engine, _ in pool.map(connect, [ledger_dsn] * 8)]
    with engines[0].connect() as connection:
        assert version(connection) == schema.SCHEMA_VERSION
    for engine in engines:
        engine.dispose()


def test_a_newer_ledger_is_refused(ledger_dsn: str) -> None:
    engine, _ = connect(ledger_dsn)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ledger_meta SET value = '99' WHERE name = 'schema'"))
    engine.dispose()
    with pytest.raises(LedgerUnavailable, match="version 99") as caught:
        connect(ledger_dsn)
    assert caught.value.code == "ledger_newer"


def test_a_later_migration_runs_alone(ledger_dsn: str) -> None:
    engine, _ = connect(ledger_dsn)
    migrate(engine, (*MIGRATIONS, ("ALTER TABLE ledger_runs ADD COLUMN note TEXT",)))
    assert "note" in {column["name"] for column in inspect(engine).get_columns("ledger_runs")}
    with engine.connect() as connection:
        assert version(connection) == schema.SCHEMA_VERSION + 1
    engine.dispose()


def test_a_migration_that_fails_leaves_the_version_before(ledger_dsn: str) -> None:
    engine, _ = connect(ledger_dsn)
    before = described(engine)
    broken = (*MIGRATIONS, ("CREATE TABLE half (a TEXT)", "CREATE NONSENSE"))
    with pytest.raises(Exception, match="NONSENSE"):
        migrate(engine, broken)
    assert described(engine) == before
    engine.dispose()
