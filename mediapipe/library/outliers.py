"""Prompts that stand out from their set: callers hear one after the other, and notice. Pure.

Each is held against the set's median, in units of how much the set itself spreads; nothing is blocked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

SMALLEST_SET = 8
"""Prompts below which there is no set to stand out from."""
FAR = 4.0
"""Spreads (scaled median deviations) from the median that stand out."""


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that is compared: its name, its unit, and the least difference that anybody would hear."""

    name: str
    unit: str
    least: float
    digits: int = 1


TRAITS = (
    Trait("level", "dBFS before rendering", 6.0),
    Trait("pace", "syllables a second", 1.5),
    Trait("trailing silence", "s before rendering", 0.5, 2),
)


@dataclass(frozen=True, slots=True)
class Outlier:
    """A prompt that stands out by one trait, and the set's median of it."""

    key: str
    trait: Trait
    value: float
    usual: float

    def __str__(self) -> str:
        digits, unit = self.trait.digits, self.trait.unit
        return (
            f"{self.key}: {self.trait.name} {self.value:.{digits}f}, usual is {self.usual:.{digits}f} {unit}"
        )


def find_outliers(values: Mapping[str, Sequence[float | None]]) -> Iterator[Outlier]:
    """Yield what stands out. ``values`` are by key, in the order of ``TRAITS``; None is not compared."""
    for at, trait in enumerate(TRAITS):
        known = {key: one[at] for key, one in values.items()}
        found = {key: value for key, value in known.items() if value is not None and isfinite(value)}
        if len(found) < SMALLEST_SET:
            continue
        usual = median(found.values())
        spread = 1.4826 * median(abs(value - usual) for value in found.values())
        allowed = max(trait.least, FAR * spread)
        for key, value in found.items():
            if abs(value - usual) > allowed:
                yield Outlier(key, trait, value, usual)
