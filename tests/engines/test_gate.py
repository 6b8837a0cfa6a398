"""One request budget for several workers."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from mediapipe.engines.gate import Gate, Reach, Turn, shared_budget
from mediapipe.errors import Throttled
from mediapipe.pacing import AdaptiveLimit, Pacer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def reach(gate: Gate) -> Reach:
    async def turn() -> Turn:
        await anyio.lowlevel.checkpoint()
        return gate.turn()

    async def stopping() -> bool:
        return gate.stopping()

    return Reach(turn, gate.hold, stopping)


def pacer(gate: Gate) -> Pacer:
    budget, _ = shared_budget(reach(gate))
    return Pacer(AdaptiveLimit(4), budget.pause, budget.rate)


async def ask(pacer: Pacer, times: int, stamps: list[float]) -> None:
    for _ in range(times):
        async with pacer.turn():
            stamps.append(time.monotonic())


async def test_workers_together_keep_to_one_rate() -> None:
    gate, stamps = Gate(50), []  # type: tuple[Gate, list[float]]
    began = time.monotonic()
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask, pacer(gate), 15, stamps)
    # 60 requests, of which 5 may go at once: 55 gaps of 20 ms.
    assert len(stamps) == 60
    assert time.monotonic() - began >= 1.05


async def test_a_429_of_one_worker_holds_all() -> None:
    gate = Gate(1000)
    one, other = pacer(gate), pacer(gate)
    with pytest.raises(Throttled):
        async with one.turn():
            raise Throttled("429", retry_after=0.4)
    stamps: list[float] = []
    began = time.monotonic()
    await ask(other, 1, stamps)
    assert stamps[0] - began >= 0.35


async def test_a_worker_learns_of_a_stop_with_its_next_turn() -> None:
    gate = Gate(1000)
    budget, rate = shared_budget(reach(gate))
    await budget.rate.acquire()
    assert not rate.stopping
    gate.stop()
    assert not rate.stopping
    await budget.rate.acquire()
    assert rate.stopping
    assert await reach(gate).stopping()


def test_a_turn_crosses_processes() -> None:
    import pickle

    given: Any = pickle.loads(pickle.dumps(Turn(0.5, True)))  # noqa: S301
    assert given == Turn(0.5, True)
