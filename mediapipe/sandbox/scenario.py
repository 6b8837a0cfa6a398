"""Fault scenarios: which faults are on, how often, and the draw that decides for one request.

A scenario is a TOML file::

    seed = 7                      # optional; of the draws

    [[fault]]
    name = "recording_500"        # a name of mediapipe.sandbox.faults.FAULTS
    rate = 0.1                    # of the matching requests (default: all)

    [[fault]]
    name = "list_429"
    first = 3                     # only the first three that match
    seconds = 2                   # the Retry-After, the wait or the delay, as the fault means it

Further keys: ``skip`` (leave the first N matching requests alone), ``calls`` (only these call ids), ``days``
(only list windows touching these UTC days), ``amount`` (a page size, a number of calls), ``target`` (a base
URL), ``seed``.
"""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any


class Draw(StrEnum):
    """What one draw of a fault decides about."""

    REQUEST = "request"
    """Every request is drawn anew: a retry may pass."""
    ONCE = "once"
    """Every call is hit at most once, at its first matching request."""
    STICKY = "sticky"
    """A call that is hit stays hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault switched on. See the module's docstring for the meaning of each key."""

    name: str
    rate: float = 1.0
    first: int | None = None
    skip: int = 0
    calls: frozenset[int] = frozenset()
    days: frozenset[str] = frozenset()
    seconds: float | None = None
    amount: int | None = None
    target: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"fault {self.name}: rate must be between 0 and 1")
        if (self.first is not None and self.first < 0) or self.skip < 0:
            raise ValueError(f"fault {self.name}: first and skip must not be negative")

    @classmethod
    def of(cls, table: Mapping[str, Any], seed: int = 0) -> FaultRule:
        """Build a rule from a TOML or JSON table; an unknown key is a ValueError."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(table) - known)
        if unknown or "name" not in table:
            problem = f"unknown key {', '.join(unknown)}" if unknown else "a fault needs a name"
            raise ValueError(f"{problem}; the keys are {', '.join(sorted(known))}")
        values = {"seed": seed, **table}
        try:
            values["calls"] = frozenset(int(call) for call in values.get("calls", ()))
            values["days"] = frozenset(str(day) for day in values.get("days", ()))
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"fault {table['name']}: {error}") from None

    def as_table(self) -> dict[str, Any]:
        """Return the rule as plain JSON values."""
        table = asdict(self)
        return {**table, "calls": sorted(self.calls), "days": sorted(self.days)}


def load_scenario(path: Path) -> tuple[FaultRule, ...]:
    """Read a scenario file; a ValueError names what is wrong with it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    return rules_of(tables)


def rules_of(tables: Mapping[str, Any]) -> tuple[FaultRule, ...]:
    """Build the rules of a parsed scenario: ``{"seed": 7, "fault": [{…}, …]}``."""
    unknown = sorted(set(tables) - {"seed", "fault"})
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown)}; a scenario has seed and fault")
    return tuple(FaultRule.of(table, int(tables.get("seed", 0))) for table in tables.get("fault", ()))


@dataclass(slots=True)
class Switch:
    """A rule with its memory: how many requests it saw and hit, and its own dice."""

    rule: FaultRule
    draw: Draw
    dice: Random = field(init=False)
    seen: int = 0
    hits: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    """What a fault has to remember between requests."""
    _met: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = Random(f"{self.rule.seed}:{self.rule.name}")  # noqa: S311 - a reproducible draw

    def fires(self, call_id: int | None) -> bool:
        """Draw for one matching request, which is about ``call_id`` if about any call."""
        rule = self.rule
        if rule.calls and call_id not in rule.calls:
            return False
        if self.draw is Draw.STICKY and call_id is not None:
            return self._sticks(call_id)
        self.seen += 1
        if self.seen <= rule.skip or (rule.first is not None and self.hits >= rule.first):
            return False
        if self.draw is Draw.ONCE and call_id is not None:
            if call_id in self._met:
                return False
            self._met.add(call_id)
        if self.dice.random() >= rule.rate:
            return False
        self.hits += 1
        return True

    def _sticks(self, call_id: int) -> bool:
        rule = self.rule
        if call_id not in self._met:
            share = zlib.crc32(f"{rule.seed}:{rule.name}:{call_id}".encode()) / 2**32
            if share >= rule.rate or (rule.first is not None and len(self._met) >= rule.first):
                return False
            self._met.add(call_id)
        self.hits += 1
        return True
