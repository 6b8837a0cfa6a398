"""Is the run that holds these claims alive? A file lock says so: the kernel frees it with the process.

Every run holds a lock file for as long as it lives. Another run on the same machine that finds claims
of a dead one takes them over at once; claims from other machines are left to their leases.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_NAME = "alive.lock"


def new_run_id(now: datetime | None = None) -> str:
    """Return a fresh run id that sorts by time: ``20260214T031500Z-1a2b3c4d``."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def owner_of(run_id: str) -> str:
    """Return the ledger owner for a run: host, process and run id."""
    return f"{socket.gethostname()}/{os.getpid()}/{run_id}"


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Hold the run's lock file in ``folder`` while the body runs."""
    lock = FileLock(folder / LOCK_NAME, thread_local=False)
    lock.acquire(timeout=0)
    try:
        yield
    finally:
        lock.release()


def is_dead(owner: str, runs: Path) -> bool:
    """Tell whether ``owner`` provably died: a run of this host whose lock file stands free.

    False when in doubt: another host, or a run whose folder is not here.
    """
    host, _, rest = owner.partition("/")
    run_id = rest.partition("/")[2]
    path = runs / run_id / LOCK_NAME
    if host != socket.gethostname() or not run_id or "/" in run_id or not path.exists():
        return False
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    lock.release()
    return True
