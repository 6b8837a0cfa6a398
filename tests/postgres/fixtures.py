"""Fixtures over a real PostgreSQL. A test module asks for them with

pytest_plugins = ["tests.postgres.fixtures"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres.server import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server per test process; ask it for a ``new_database()``."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def sqlite_dsn(tmp_path: Path) -> str:
    """The DSN of a ledger file that does not exist yet."""
    return str(tmp_path / "state" / "ledger.db")


@pytest.fixture
def postgres_dsn(postgres: Postgres) -> str:
    """The DSN of an empty database."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_dsn(request: pytest.FixtureRequest) -> str:
    """The DSN of an empty ledger, on every database there is."""
    name = "sqlite_dsn" if request.param == "sqlite" else "postgres_dsn"
    dsn: str = request.getfixturevalue(name)
    return dsn
