"""Opening: forms of DSN, files, encodings, missing drivers, and what breaks later."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import stat
import threading
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from mediapipe.errors import DiskFull, LedgerUnavailable, UsageError
from mediapipe.ledger import open as opening
from mediapipe.ledger.interface import Scope
from mediapipe.ledger.open import connect, open_ledger
from tests.postgres.server import PASSWORD, Postgres, running_postgres

pytest_plugins = ["tests.postgres.fixtures"]
pytestmark = pytest.mark.anyio

SCOPE = Scope("job", "host/account")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "dsn",
    ["", ":memory:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://u:secret@h/d", "s3://b/k"],
)
async def test_what_is_no_ledger(dsn: str) -> None:
    with pytest.raises(UsageError) as caught:
        await open_ledger(dsn, owner="ann")
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
async def test_a_file_is_made_for_its_user_only(tmp_path: Path, form: str) -> None:
    path = tmp_path / "new" / "folder" / "led#ger ?100%.db"
    async with await open_ledger(form.format(path), owner="ann") as ledger:
        await ledger.remember(SCOPE, "a", "b")
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    assert sorted(os.listdir(path.parent)) == [path.name]


async def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for dsn, name in (("a.db", "a.db"), ("sqlite:///b.db", "b.db")):
        await (await open_ledger(dsn, owner="ann")).aclose()
        assert (tmp_path / name).exists()


async def test_sqlite_is_as_durable_as_it_can_be(tmp_path: Path) -> None:
    engine, _ = connect(str(tmp_path / "ledger.db"))
    with engine.begin() as connection:
        pragmas = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000}


async def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        await open_ledger(str(tmp_path), owner="ann")


async def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable):
        await open_ledger(str(tmp_path / "file" / "ledger.db"), owner="ann")


async def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"RIFF" * 2000)
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger(str(path), owner="ann")
    assert caught.value.code == "ledger_damaged"
    assert path.read_bytes() == b"RIFF" * 2000


async def test_a_file_that_was_damaged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with await open_ledger(str(path), owner="ann") as ledger:
        await ledger.remember(SCOPE, "a", "b")
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(LedgerUnavailable) as caught:
        async with await open_ledger(str(path), owner="ann") as ledger:
            await ledger.remember(SCOPE, "a", "c")
    assert caught.value.code == "ledger_damaged"


async def test_locked_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    monkeypatch.setattr(opening, "LOCK_SECONDS", 0.05)
    async with await open_ledger(str(path), owner="ann") as ledger:
        await ledger.remember(SCOPE, "a", "b")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.remember(SCOPE, "a", "c")
        assert caught.value.code == "ledger_busy"
        # Reading goes on, and so does writing once the other is gone.
        assert await ledger.recall(SCOPE, "a") == "b"
        other.close()
        await ledger.remember(SCOPE, "a", "c")


async def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with await open_ledger(str(path), owner="ann") as ledger:
        await ledger.remember(SCOPE, "a", "b")
        with ledger._engine.begin() as connection:
            pages = connection.scalar(text("PRAGMA page_count"))
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(DiskFull):
            await ledger.remember(SCOPE, "big", "x" * 1_000_000)
        await ledger.remember(SCOPE, "a", "c")
        assert await ledger.recall(SCOPE, "a") == "c"


async def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        await open_ledger("postgresql://u:secret@host/db", owner="ann")
    assert "[postgres]" in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    ["postgresql://user:sec/ret@host/db", "postgresql://user:se:cret@127.0.0.1:1/db", "postgresql://[::bad"],
)
async def test_a_password_is_never_shown(dsn: str) -> None:
    with pytest.raises((UsageError, LedgerUnavailable)) as caught:
        await open_ledger(dsn, owner="ann")
    for part in ("ret@", "cret", "sec/"):
        assert part not in str(caught.value)


async def test_nobody_listens() -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger("postgresql://user:secret@127.0.0.1:1/db", owner="ann")
    assert caught.value.code == "ledger_lost"


async def test_a_wrong_password(postgres: Postgres) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger(postgres.dsn(password="wr0ng-0ne"), owner="ann")
    assert "wr0ng-0ne" not in str(caught.value)


async def test_an_unknown_database(postgres: Postgres) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger(postgres.dsn("nowhere"), owner="ann")
    assert PASSWORD not in str(caught.value)


async def test_an_encoding_that_cannot_hold_every_key(postgres: Postgres) -> None:
    dsn = postgres.new_database("ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(UsageError, match="LATIN1"):
        await open_ledger(dsn, owner="ann")


async def test_postgresql_settings_and_own_options(postgres_dsn: str) -> None:
    engine, secrets = connect(f"{postgres_dsn}?options=-c%20work_mem%3D1234kB")
    with engine.connect() as connection:
        found = [
            connection.scalar(text(f"SHOW {name}"))
            for name in ("synchronous_commit", "lock_timeout", "work_mem", "application_name")
        ]
    engine.dispose()
    assert found == ["on", "30s", "1234kB", "mediapipe"]
    assert secrets == (PASSWORD,)


async def test_a_connection_that_broke_while_idle_is_replaced(postgres: Postgres, postgres_dsn: str) -> None:
    async with await open_ledger(postgres_dsn, owner="ann") as ledger:
        await ledger.remember(SCOPE, "a", "b")
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mediapipe'"
        )
        assert await ledger.recall(SCOPE, "a") == "b"
        await ledger.remember(SCOPE, "a", "c")


async def test_a_server_that_goes_away() -> None:
    with running_postgres() as server:
        ledger = await open_ledger(server.new_database(), owner="ann")
        await ledger.remember(SCOPE, "a", "b")
        server.process.kill()
        server.process.wait()
        for _ in range(2):
            with pytest.raises(LedgerUnavailable) as caught:
                await ledger.remember(SCOPE, "a", "c")
            assert caught.value.code == "ledger_lost"
            with pytest.raises(LedgerUnavailable):
                await ledger.recall(SCOPE, "a")
        await ledger.aclose()


@pytest.mark.parametrize("begin", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_new_file_that_another_is_just_making_is_waited_for(tmp_path: Path, begin: str) -> None:
    """Shards that are started together all find a new file, which is no write-ahead log yet."""
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE made (x)")
    other.execute(begin)
    other.execute("SELECT * FROM made").fetchall()
    timer = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
    timer.start()

    async def main() -> None:
        ledger = await open_ledger(f"sqlite:///{tmp_path}/l.db", owner="me")
        await ledger.aclose()

    anyio.run(main)
    timer.join()
    other.close()
