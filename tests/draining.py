"""A run in a process of its own, to be signalled: ``python -m tests.draining FOLDER SECONDS [slow_claim]``.

Says on standard output what happens, one JSON object a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import anyio

from mediapipe.ledger.sql import SqlLedger
from mediapipe.line import Entry, Finished, Job
from mediapipe.pipeline import run
from tests.engine import Sunk, done, entries, ledger_in, line, numbered


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class SlowToAnswer:
    """A ledger whose claims are long under way when the answer comes."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    async def claim(self, *args: Any, **more: Any) -> list[Any]:
        answers = await self._ledger.claim(*args, **more)
        if args[1][0].key != "key-0000":
            say(claimed=len(answers))
            await anyio.sleep(0.5)
        return list(answers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def main(folder: Path, seconds: float, slow_claim: bool) -> None:
    async def work(job: Job[Any]) -> Finished:
        say(begun=job.claim.key)
        await anyio.sleep(seconds)
        return await done(job)

    async def source() -> AsyncGenerator[Sequence[Entry[Any]], None]:
        keys = numbered(40)
        if slow_claim:  # the second page is claimed while the first is in hand
            yield entries(*keys[:2])
            yield entries(*keys[2:])
        else:
            yield entries(*keys)

    sunk = Sunk()
    async with ledger_in(folder, "child") as ledger:
        used: Any = SlowToAnswer(ledger) if slow_claim else ledger
        ending = await run(line(source, work), used, sunk, signals=True)
    say(interrupted=ending.interrupted, fatal=str(ending.fatal), outcomes=sunk.keys)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), float(sys.argv[2]), "slow_claim" in sys.argv)
