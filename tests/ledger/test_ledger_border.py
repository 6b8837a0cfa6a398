"""No foreign error crosses the ledger's border."""

from __future__ import annotations

import errno
import inspect
import sqlite3

import psycopg
import psycopg.errors
import pytest
from sqlalchemy import exc

from mediapipe.errors import DiskFull, LedgerUnavailable
from mediapipe.ledger.border import is_about_data, is_conflict, translated, translating


def classes(module: object, base: type[BaseException]) -> list[type[BaseException]]:
    return [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, base)]


SQLALCHEMY = classes(exc, exc.SQLAlchemyError)
DRIVERS = [
    *classes(sqlite3, sqlite3.Error),
    *classes(psycopg, psycopg.Error),
    *classes(psycopg.errors, psycopg.Error),
]


def bare(kind: type[BaseException]) -> BaseException:
    """Make an error without going through constructors that all want something else."""
    error = kind.__new__(kind)
    error.args = ("it broke at postgresql://user:pa55@host/db",)
    for name, value in {"orig": None, "statement": "SELECT 1", "params": {}, "detail": []}.items():
        if isinstance(error, exc.SQLAlchemyError):
            setattr(error, name, value)
    if isinstance(error, exc.StatementError):
        error.hide_parameters, error.ismulti, error.code = True, False, None
    if isinstance(error, exc.DBAPIError):
        error.connection_invalidated = False
    return error


@pytest.mark.parametrize("kind", SQLALCHEMY + DRIVERS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_foreign_error_is_translated(kind: type[BaseException]) -> None:
    with pytest.raises((LedgerUnavailable, DiskFull)) as caught, translating(("pa55",)):
        raise bare(kind)
    assert "pa55" not in str(caught.value)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("kind", DRIVERS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_driver_error_is_translated_in_its_wrapping(kind: type[BaseException]) -> None:
    wrapped = exc.DBAPIError("SELECT 1", {}, bare(kind))
    assert isinstance(translated(wrapped), LedgerUnavailable | DiskFull)


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("broken")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (of_sqlite(sqlite3.SQLITE_FULL), "disk_full"),
        (of_sqlite(sqlite3.SQLITE_BUSY), "ledger_busy"),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), "ledger_busy"),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), "ledger_damaged"),
        (of_sqlite(sqlite3.SQLITE_NOTADB), "ledger_damaged"),
        (of_sqlite(sqlite3.SQLITE_READONLY_DIRECTORY), "ledger_access"),
        (of_sqlite(sqlite3.SQLITE_IOERR), "ledger"),
        (OSError(errno.ENOSPC, "no space"), "disk_full"),
        (OSError(errno.EDQUOT, "quota"), "disk_full"),
        (PermissionError(errno.EACCES, "no"), "ledger_access"),
        (psycopg.errors.DiskFull("full"), "disk_full"),
        (psycopg.errors.LockNotAvailable("locked"), "ledger_busy"),
        (psycopg.errors.AdminShutdown("bye"), "ledger_lost"),
        (psycopg.errors.InvalidPassword("no"), "ledger_access"),
        (psycopg.errors.InsufficientPrivilege("no"), "ledger_access"),
        (psycopg.errors.DataCorrupted("bad page"), "ledger_damaged"),
        (psycopg.OperationalError("server closed the connection unexpectedly"), "ledger_lost"),
    ],
    ids=repr,
)
def test_codes_and_hints(error: Exception, code: str) -> None:
    found = translated(exc.DBAPIError("SELECT 1", {}, error) if not isinstance(error, OSError) else error)
    assert found.code == code
    assert found.hint or code == "ledger"


def test_our_own_and_programming_errors_pass() -> None:
    for error in (LedgerUnavailable("x"), ValueError("x"), KeyError("x")):
        with pytest.raises(type(error)) as caught, translating():
            raise error
        assert caught.value is error


def test_who_is_to_blame() -> None:
    """Data that one operation brought may be singled out; a database that is gone may not."""
    for error in (ValueError("x"), psycopg.errors.NotNullViolation(), sqlite3.IntegrityError()):
        assert is_about_data(error)
    for error in (
        of_sqlite(sqlite3.SQLITE_BUSY),
        psycopg.errors.AdminShutdown(),
        OSError(),
        psycopg.OperationalError(),
    ):
        assert not is_about_data(error)
    assert is_conflict(exc.DBAPIError("x", {}, psycopg.errors.DeadlockDetected()))
    assert not is_conflict(psycopg.errors.AdminShutdown())
