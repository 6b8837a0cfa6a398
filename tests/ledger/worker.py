"""A process that uses a ledger and says so, for tests that run several or kill one.

    python -m tests.ledger.worker contend DSN OWNER COUNT   claim keys 0…COUNT-1 against others
    python -m tests.ledger.worker churn   DSN OWNER         work until killed

Every line on stdout tells of a write that the ledger acknowledged.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta

import anyio

from mediapipe.ledger.interface import OPEN_STATES, Claim, Receipt, Scope, State, Want
from mediapipe.ledger.open import open_ledger
from mediapipe.ledger.sql import SqlLedger

SCOPE = Scope("job", "host/account", "dest")
LEASE = timedelta(minutes=5)


def say(*words: str) -> None:
    # One write, so that a kill leaves whole lines or none.
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def contend(ledger: SqlLedger, count: int) -> None:
    keys = [str(number) for number in range(count)]
    random.shuffle(keys)
    for first in range(0, count, 17):
        wants = [Want(key) for key in keys[first : first + 17]]
        for answer in await ledger.claim(SCOPE, wants, run_id="r", lease=LEASE, takes=OPEN_STATES):
            if isinstance(answer, Claim):
                say("claimed", answer.key)


async def churn(ledger: SqlLedger) -> None:
    async def work(name: str) -> None:
        number = 0
        while True:
            number += 1
            base = f"{name}-{number}"
            wants = [Want(f"{base}-{part}") for part in ("a", "b", "old")]
            claims = await ledger.claim(SCOPE, wants, run_id="r", lease=LEASE, takes=OPEN_STATES)
            say("claimed", base)
            first, second, _ = (claim for claim in claims if isinstance(claim, Claim))
            await ledger.intend(first, {"base": base})
            say("intended", base)
            receipts = [Receipt(first, State.DONE, closes=[f"{base}-old"]), Receipt(second, State.FAILED)]
            if not await ledger.settle(receipts, run_id="r"):
                say("settled", base)

    async with anyio.create_task_group() as group:
        for name in ("t0", "t1", "t2", "t3"):
            group.start_soon(work, f"{ledger.owner}-{name}")


async def main(what: str, dsn: str, owner: str, *rest: str) -> None:
    async with await open_ledger(dsn, owner=owner) as ledger:
        say("open")
        if what == "contend":
            await contend(ledger, int(rest[0]))
        else:
            await churn(ledger)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
