"""Counting many things by size or by name, in a memory that does not grow with them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a plot: what it stands for, and how many."""

    label: str
    count: int


@dataclass(slots=True)
class Buckets:
    """Counts numbers between fixed edges; below the first and from the last on are buckets too.

    ``labels`` name the edges, one each.
    """

    edges: Sequence[float]
    labels: Sequence[str]
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        """Count one number."""
        self.counts[bisect_right(self.edges, value)] += 1

    def bars(self) -> list[Bar]:
        """Return the buckets from the first to the last that is not empty, named by their edges."""
        pairs = zip(self.labels, self.labels[1:], strict=False)
        between = [f"{low} to {high}" for low, high in pairs]
        names = [f"under {self.labels[0]}", *between, f"{self.labels[-1]} and more"]
        return [Bar(names[at], self.counts[at]) for at in self._shown()]

    def marks(self) -> list[str]:
        """Return the labels of the edges around the bars, one more than these; an open end has none."""
        edges = ["", *self.labels, ""]
        shown = self._shown()
        return edges[shown.start : shown.stop + 1] if shown else []

    def _shown(self) -> range:
        filled = [at for at, count in enumerate(self.counts) if count]
        return range(filled[0], filled[-1] + 1) if filled else range(0)


@dataclass(slots=True)
class Names:
    """Counts words. Past ``most`` different ones, new ones count as others."""

    most: int = 40
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str) -> None:
        """Count one word."""
        if name not in self.counts and len(self.counts) >= self.most:
            name = OTHER
        self.counts[name] = self.counts.get(name, 0) + 1

    def bars(self, shown: int = 10) -> list[Bar]:
        """Return the most frequent words, the rest of them summed up at the end."""
        named = [(name, count) for name, count in self.counts.items() if name != OTHER]
        named.sort(key=lambda pair: (-pair[1], pair[0]))
        rest = sum(count for _, count in named[shown:]) + self.counts.get(OTHER, 0)
        bars = [Bar(name, count) for name, count in named[:shown]]
        return [*bars, Bar(OTHER, rest)] if rest else bars
