"""Open a ledger from its DSN: a SQLite file or a PostgreSQL database.

SQLite keeps its write-ahead log in shared memory beside the file, so the file must lie on a local
disk: on a network filesystem (NFS, SMB) its locks are not reliable and a ledger may be damaged. Several
processes of one machine may share a file; several machines share a PostgreSQL database.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from anyio import to_thread
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text

from mediapipe.errors import LedgerUnavailable, UsageError
from mediapipe.ledger.border import translating
from mediapipe.ledger.migrations import migrate
from mediapipe.ledger.sql import SqlLedger
from mediapipe.redact import redact

LOCK_SECONDS = 30
"""How long a write waits for other processes before it gives up."""

CONNECT_SECONDS = 10

_SQLITE_OLDEST = (3, 38, 0)
"""The first SQLite with RETURNING, UPDATE … FROM and, always, JSON."""

_FORMS = "a path, sqlite:///path or postgresql://user:password@host/database"


async def open_ledger(dsn: str, *, owner: str) -> SqlLedger:
    """Open the ledger that ``dsn`` names, created or migrated where needed.

    ``owner`` names this process among all that share the ledger and must differ between them.
    Raises :class:`UsageError` for a DSN of another form or a missing driver,
    :class:`LedgerUnavailable` when the database cannot be opened.
    """
    engine, secrets = await to_thread.run_sync(connect, dsn, LOCK_SECONDS)
    return SqlLedger(engine, owner, secrets)


def is_there(dsn: str) -> bool:
    """Tell whether opening this ledger would find something: a SQLite file that does not exist is not."""
    url = parse(dsn)
    return url.drivername != "sqlite" or (bool(url.database) and Path(str(url.database)).exists())


def connect(dsn: str, lock_seconds: float = LOCK_SECONDS) -> tuple[Engine, tuple[str, ...]]:
    """Return an engine on a migrated database, and the secrets to keep out of messages. Blocks."""
    url = parse(dsn)
    secrets = (str(url.password),) if url.password else ()
    with translating(secrets):
        engine = _sqlite(url, lock_seconds) if url.drivername == "sqlite" else _postgresql(url, lock_seconds)
    try:
        with translating(secrets):
            _check_encoding(engine)
            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine, secrets


def parse(dsn: str) -> URL:
    """Return the DSN as SQLAlchemy's URL, with the driver named. Raises :class:`UsageError`."""
    scheme, mark, rest = dsn.partition("://")
    if not mark:
        return URL.create("sqlite", database=_path(dsn, dsn))
    if scheme == "sqlite":
        # Taken apart by hand: a path may hold '?', '%' and '#', which have no meaning here.
        return URL.create("sqlite", database=_path(rest.removeprefix("/"), dsn))
    if scheme in ("postgresql", "postgres"):
        try:
            url = make_url(f"postgresql+psycopg://{rest}")
        except Exception:
            # What the parser says may quote a password that was taken for a port.
            raise UsageError(
                "the ledger's DSN cannot be read", hint="write special characters of a password as %XX"
            ) from None
        if importlib.util.find_spec("psycopg") is None:
            raise UsageError(
                "a PostgreSQL ledger needs the driver psycopg",
                hint="pip install 'convirza-mediapipe[postgres]'",
            )
        return url
    raise UsageError(f"not a ledger: {redact(scheme)}://…", hint=f"give {_FORMS}")


def _path(path: str, dsn: str) -> str:
    if not path or path.startswith(":memory:"):
        raise UsageError(f"not a ledger: {dsn!r} names no file", hint=f"give {_FORMS}")
    return str(Path(path).expanduser().absolute())


def _sqlite(url: URL, lock_seconds: float) -> Engine:
    """Return an engine on a file, created readable by its user only when it is new."""
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        wanted = ".".join(map(str, _SQLITE_OLDEST))
        raise LedgerUnavailable(
            f"this Python has SQLite {sqlite3.sqlite_version}, the ledger needs {wanted}",
            hint="use a newer Python build, or a PostgreSQL ledger",
        )
    path = Path(str(url.database))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of this one.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600))
    except IsADirectoryError:
        raise UsageError(f"the ledger {path} is a folder", hint="name a file in it") from None
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": lock_seconds})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver's own transactions begin late and without the write lock; see `start`.
        connection.isolation_level = None
        _to_wal(connection, lock_seconds)
        connection.execute("PRAGMA synchronous = FULL").close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        write = connection.get_execution_options().get("ledger_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _to_wal(connection: sqlite3.Connection, lock_seconds: float) -> None:
    """Have a write-ahead log. Who opens a new file beside others is refused at once, without any wait."""
    until = time.monotonic() + lock_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _postgresql(url: URL, lock_seconds: float) -> Engine:
    options = url.query.get("options", "")
    given = options if isinstance(options, str) else " ".join(options)
    ours = f"-c synchronous_commit=on -c lock_timeout={int(lock_seconds * 1000)}"
    return create_engine(
        url.difference_update_query(["options"]),
        hide_parameters=True,
        # A connection that broke while nobody used it is replaced instead of failing a run.
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "mediapipe",
            "options": f"{given} {ours}".strip(),
        },
    )


def _check_encoding(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise UsageError(
            f"the ledger's database is encoded in {encoding}", hint="create it with ENCODING 'UTF8'"
        )
