"""The border where a database's errors become the project's own.

Everything that SQLAlchemy, a driver or the operating system raises inside :func:`translating` leaves
as :class:`LedgerUnavailable` or :class:`DiskFull`, redacted, with a hint where there is one.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from mediapipe.errors import DiskFull, LedgerUnavailable
from mediapipe.redact import MASK, redact

_BUSY_HINT = "another process holds the ledger for long; see what else runs, then run again"
_CORRUPT_HINT = (
    "the ledger file is damaged or not a ledger: restore it from a copy, or name another with --ledger"
)
_LOST_HINT = "the ledger's database was not reachable; run again when it is, nothing is lost"
_ACCESS_HINT = "check the ledger's path and who may write there"

_SQLITE_HINTS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: ("ledger_busy", _BUSY_HINT),
    sqlite3.SQLITE_LOCKED: ("ledger_busy", _BUSY_HINT),
    sqlite3.SQLITE_CORRUPT: ("ledger_damaged", _CORRUPT_HINT),
    sqlite3.SQLITE_NOTADB: ("ledger_damaged", _CORRUPT_HINT),
    sqlite3.SQLITE_READONLY: ("ledger_access", _ACCESS_HINT),
    sqlite3.SQLITE_CANTOPEN: ("ledger_access", _ACCESS_HINT),
    sqlite3.SQLITE_PERM: ("ledger_access", _ACCESS_HINT),
    sqlite3.SQLITE_AUTH: ("ledger_access", _ACCESS_HINT),
}

_STATE_HINTS: tuple[tuple[str, str, str], ...] = (
    ("55P03", "ledger_busy", _BUSY_HINT),
    ("57014", "ledger_busy", _BUSY_HINT),
    ("40", "ledger_busy", _BUSY_HINT),
    ("08", "ledger_lost", _LOST_HINT),
    ("57P", "ledger_lost", _LOST_HINT),
    ("53", "ledger_lost", _LOST_HINT),
    ("28", "ledger_access", "the database refused the login; check user and password of the ledger's DSN"),
    ("3D", "ledger_missing", "create the database first, or name another with --ledger"),
    ("42501", "ledger_access", "the database user may not do this; see its grants"),
    ("25006", "ledger_access", "the database is read-only; name its primary server"),
    ("XX", "ledger_damaged", "the database reports damage; see its own log"),
)
"""Prefixes of PostgreSQL's SQLSTATE codes."""

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY_STATES = frozenset({"40001", "40P01"})


def is_conflict(error: BaseException) -> bool:
    """Tell a transaction that only collided with another one and may simply be run again."""
    return _sqlstate(_innermost(error)) in _RETRY_STATES


def is_about_data(error: BaseException) -> bool:
    """Tell an error that one operation brought along from one that would meet all of them."""
    cause = _innermost(error)
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return False
    if isinstance(cause, sqlite3.OperationalError):
        return False
    state = _sqlstate(cause)
    if state is not None:
        return state[:2] in ("22", "23", "42", "54")
    names = {kind.__name__ for kind in type(cause).__mro__}
    return not names & {"OperationalError", "OSError", "TimeoutError", "InternalError"}


def translated(error: BaseException, secrets: tuple[str, ...] = ()) -> LedgerUnavailable | DiskFull:
    """Return what to raise instead of a database's or the system's error."""
    cause = _innermost(error)
    text = " ".join(redact(str(cause)).split()) or type(cause).__name__
    for secret in secrets:
        text = text.replace(secret, MASK)
    if _is_full(cause):
        return DiskFull(f"no room for the ledger: {text}", hint=DiskFull.hint)
    code, hint = _advice(error, cause)
    return LedgerUnavailable(f"ledger: {text}", code=code, hint=hint)


@contextmanager
def translating(secrets: tuple[str, ...] = ()) -> Iterator[None]:
    """Translate whatever a database or the system raises inside."""
    try:
        yield
    except (exc.SQLAlchemyError, OSError) as error:
        raise translated(error, secrets) from error
    except Exception as error:
        if is_foreign(error):
            raise translated(error, secrets) from error
        raise


def is_foreign(error: BaseException) -> bool:
    """Tell an error of a database or its driver; psycopg is optional, so it is known by its name."""
    if isinstance(error, exc.SQLAlchemyError | sqlite3.Error | sqlite3.Warning | OSError):
        return True
    return any(kind.__module__.partition(".")[0] == "psycopg" for kind in type(error).__mro__)


def _innermost(error: BaseException) -> BaseException:
    """Return the driver's own error inside SQLAlchemy's wrapping."""
    while isinstance(error, exc.StatementError) and error.orig is not None:
        error = error.orig
    return error


def _sqlstate(cause: BaseException) -> str | None:
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) else None


def _is_full(cause: BaseException) -> bool:
    if isinstance(cause, OSError):
        return cause.errno in _FULL_ERRNOS
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF == sqlite3.SQLITE_FULL
    return _sqlstate(cause) == "53100"


def _advice(error: BaseException, cause: BaseException) -> tuple[str, str]:
    """Return code and hint."""
    if isinstance(cause, sqlite3.Error):
        primary = (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF
        return _SQLITE_HINTS.get(primary, ("ledger", ""))
    if isinstance(cause, OSError):
        return "ledger_access", _ACCESS_HINT
    state = _sqlstate(cause)
    if state is not None:
        for prefix, code, hint in _STATE_HINTS:
            if state.startswith(prefix):
                return code, hint
    elif isinstance(error, exc.OperationalError) or type(cause).__name__ == "OperationalError":
        # psycopg gives no SQLSTATE when the connection was never made or broke.
        return "ledger_lost", _LOST_HINT
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return "ledger_lost", _LOST_HINT
    return "ledger", ""
