"""Several processes on one ledger, and processes that are killed in the middle of writing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import pytest

from mediapipe.ledger.interface import Item, State
from mediapipe.ledger.open import open_ledger
from tests.ledger.worker import SCOPE

pytest_plugins = ["tests.postgres.fixtures"]

ROOT = Path(__file__).parents[2]


def start(what: str, dsn: str, owner: str, *rest: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.ledger.worker", what, dsn, owner, *rest]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def everything(dsn: str) -> dict[str, Item]:
    found: dict[str, Item] = {}
    async with await open_ledger(dsn, owner="reader") as ledger:
        async for page in ledger.items(SCOPE, states=set(State)):
            found.update((item.key, item) for item in page)
    return found


def test_processes_share_out_the_items(ledger_dsn: str) -> None:
    """They open an empty ledger at the same moment, so they also race for its migration."""
    processes = [start("contend", ledger_dsn, f"p{number}", "300") for number in range(3)]
    outputs = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    claimed = Counter(line for output in outputs for line in output if line.startswith("claimed"))
    assert claimed == {f"claimed {number}": 1 for number in range(300)}


@pytest.mark.parametrize("turn", range(3))
def test_what_was_acknowledged_survives_kill_9(ledger_dsn: str, turn: int) -> None:
    """After each kill everything acknowledged is there, nothing is there by half."""
    said: list[str] = []
    for life in range(3):
        process = start("churn", ledger_dsn, f"w{turn}-{life}")
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(random.uniform(0.05, 0.4))
        process.kill()
        said += process.communicate(timeout=30)[0].splitlines()
        _check(anyio.run(everything, ledger_dsn), said)
    assert any(line.startswith("settled") for line in said)


def _check(found: dict[str, Item], said: list[str]) -> None:
    for line in said:
        word, base = line.split()
        first = found[f"{base}-a"]
        if word == "intended":
            assert first.state in (State.INTENDED, State.DONE), line
            assert first.detail == {"base": base}
        if word == "settled":
            assert first.state is State.DONE, line
    for base in {key.rpartition("-")[0] for key in found}:
        states = [found[f"{base}-{part}"].state for part in ("a", "b", "old")]
        settled = [State.DONE, State.FAILED, State.CLOSED]
        assert states == settled or (
            states[0] in (State.NEW, State.INTENDED) and states[1:] == [State.NEW] * 2
        )
