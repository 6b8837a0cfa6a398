"""The Ray cluster of a run: joined, or started on this machine for as long as the run takes.

Without ``RAY_ADDRESS`` a cluster of this machine alone is started. Its workers inherit this process's
environment and with it all secrets; nodes of a cluster bring their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, redirect_stdout
from io import TextIOBase
from typing import Any

from mediapipe.engines.orders import LEDGER
from mediapipe.errors import UsageError
from mediapipe.settings import mask_dsn

log = logging.getLogger(__name__)


class _Log(TextIOBase):
    """Takes what Ray prints on stdout, which is for data alone."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("ray: %s", text.strip())
        return len(text)


def installed_ray() -> Any:
    """Return the package; raises ``UsageError`` where it is not installed: never a silent local run."""
    # Nobody is told of this run behind the user's back.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    factory = logging.getLogRecordFactory()
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--engine ray: ray is not installed ({error})", hint="pip install 'convirza-mediapipe[ray]'"
        ) from None
    finally:
        logging.setLogRecordFactory(factory)  # Ray's own puts a field of its own into every line
    return ray


@asynccontextmanager
async def joined(ray: Any, dsn: str | None = None) -> AsyncGenerator[bool, None]:
    """Join the cluster of ``RAY_ADDRESS``, or start one here; yields whether it is this machine alone.

    ``dsn`` is the ledger that the workers open themselves, None when they open none. Raises ``UsageError``
    for one that the nodes of the cluster cannot share.
    """
    ours, address = not ray.is_initialized(), os.environ.get("RAY_ADDRESS")
    logging.getLogger("ray").setLevel(logging.ERROR)
    with redirect_stdout(_Log()):
        if ours and not address:
            if dsn is not None and mask_dsn(dsn) != dsn:
                os.environ[LEDGER] = dsn  # workers inherit it, and it was not passed to Ray
            ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
        elif ours:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            if dsn is not None:
                check_ledger(dsn, len(nodes))
            yield len(nodes) == 1
        finally:
            if ours:
                ray.shutdown()


def check_ledger(dsn: str, nodes: int) -> None:
    """Refuse a ledger that so many nodes cannot share."""
    if dsn.startswith("postgresql"):
        return
    if nodes > 1:
        raise UsageError(
            f"--engine ray: {nodes} nodes cannot share a SQLite ledger",
            hint=f"give them a PostgreSQL one: {LEDGER}=postgresql://…",
        )
    log.warning("the workers share a SQLite ledger: fine on this machine, never with a second one")
