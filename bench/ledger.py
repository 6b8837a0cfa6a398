"""How fast the ledger takes intent and receipt, beside bare ``sqlite3`` with the same durability.

    python bench/ledger.py [--items 50000] [--tasks 64] [--dsn postgresql://…]

Each task claims (with intent) and settles batches of 1 to 50 items; everything is on disk when the
call returns (SQLite: WAL, synchronous=FULL). The peer writes the same number of rows in two bare
``executemany`` transactions per batch of 500, with nothing to decide: a bound no ledger can pass.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import anyio

from mediapipe.ledger.interface import OPEN_STATES, Claim, Receipt, Scope, State, Want
from mediapipe.ledger.open import open_ledger

SCOPE = Scope("archive", "platform-api.convirza.com/default", "s3://bucket/prefix")
LEASE = timedelta(minutes=5)


async def ledger_seconds(
    dsn: str, total: int, tasks: int, largest: int = 50
) -> tuple[float, tuple[int, int]]:
    """Return how long all tasks took, and how many operations went into how many commits."""
    keys = iter([f"{number}-{number * 7}" for number in range(total)])
    chance = random.Random(1)

    async def work() -> None:
        while batch := [key for _, key in zip(range(chance.randint(1, largest)), keys, strict=False)]:
            claims = await ledger.claim(
                SCOPE,
                [Want(key, key) for key in batch],
                run_id="run",
                lease=LEASE,
                takes=OPEN_STATES,
                intend=True,
            )
            receipts = [
                Receipt(claim, State.DONE, detail={"sha256": "0" * 64, "bytes": "300000"})
                for claim in claims
                if isinstance(claim, Claim)
            ]
            if len(receipts) != len(batch) or await ledger.settle(receipts, run_id="run"):
                raise AssertionError("a claim was refused")

    async with await open_ledger(dsn, owner="bench") as ledger:
        await ledger.begin("run", SCOPE)
        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(tasks):
                group.start_soon(work)
        return time.perf_counter() - started, ledger.commits


def bare_seconds(path: Path, total: int, batch: int = 500) -> float:
    """Return how long plain ``executemany`` takes for an insert and an update of each row."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE item (key TEXT PRIMARY KEY, state TEXT, detail TEXT) WITHOUT ROWID")
    started = time.perf_counter()
    for first in range(0, total, batch):
        keys = [f"{number}-{number * 7}" for number in range(first, min(first + batch, total))]
        for statement, rows in (
            ("INSERT INTO item VALUES (?, 'intended', '')", [(key,) for key in keys]),
            ("UPDATE item SET state = 'done', detail = ? WHERE key = ?", [("x" * 100, key) for key in keys]),
        ):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, rows)
            connection.execute("COMMIT")
    spent = time.perf_counter() - started
    connection.close()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--largest", type=int, default=50, help="items per claim, at most")
    parser.add_argument("--dsn", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dsn = options.dsn or str(Path(folder, "ledger.db"))
        spent, (operations, commits) = anyio.run(
            ledger_seconds, dsn, options.items, options.tasks, options.largest
        )
        bare = bare_seconds(Path(folder, "bare.db"), options.items)
    print(
        f"ledger       {options.items / spent:>9,.0f} pairs/s  ({operations} operations, {commits} commits)"
    )
    print(f"bare sqlite3 {options.items / bare:>9,.0f} pairs/s")
    print(f"ratio        {bare / spent:>9.2f}")


if __name__ == "__main__":
    main()
