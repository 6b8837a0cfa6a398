"""One request budget for all workers of a run: where turns are given out, and how a worker asks for one.

The gate itself is a plain object that lives in one process (for Ray an actor); workers reach it through
three functions that an engine supplies, so nothing here knows of any engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import anyio

from mediapipe.pacing import Pause, RateLimit, RequestBudget


@dataclass(frozen=True, slots=True)
class Turn:
    """In how many seconds a request may start, and whether the run is to begin nothing more."""

    delay: float
    stopping: bool


class Gate:
    """Gives out turns at one rate to all who ask; a pause that one of them was told holds for all."""

    def __init__(self, per_second: float) -> None:
        self._rate, self._pause = RateLimit(per_second), Pause()
        self._stopping = False

    def turn(self) -> Turn:
        """Give out the next turn: not before a pause in force is over."""
        return Turn(max(self._rate.reserve(), self._pause.left), self._stopping)

    def hold(self, seconds: float) -> None:
        """Let nobody start a request for so long."""
        self._pause.hold(seconds)

    def stop(self) -> None:
        """Let nobody begin anything more."""
        self._stopping = True

    def stopping(self) -> bool:
        """Tell whether the run is to begin nothing more."""
        return self._stopping


@dataclass(frozen=True, slots=True)
class Reach:
    """How a worker reaches the gate. ``hold`` tells it of a pause and does not wait for an answer."""

    turn: Callable[[], Awaitable[Turn]]
    hold: Callable[[float], Any]
    stopping: Callable[[], Awaitable[bool]]


class SharedPause(Pause):
    """A pause that the other workers of the run keep as well."""

    def __init__(self, reach: Reach) -> None:
        super().__init__()
        self._reach = reach

    def hold(self, seconds: float) -> None:
        """Make everybody in this run wait."""
        super().hold(seconds)
        self._reach.hold(seconds)


class SharedRate:
    """Turns from the gate; remembers when it said that the run is stopping."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self.stopping = False

    async def acquire(self) -> None:
        """Wait for this caller's turn among all workers."""
        turn = await self._reach.turn()
        self.stopping = self.stopping or turn.stopping
        if turn.delay > 0:
            await anyio.sleep(turn.delay)


def shared_budget(reach: Reach) -> tuple[RequestBudget, SharedRate]:
    """Return the budget that a worker's clients are opened with, and its rate, which knows of a stop."""
    rate = SharedRate(reach)
    return RequestBudget(SharedPause(reach), rate), rate
