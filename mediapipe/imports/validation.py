"""The first pass over a manifest: all problems of all rows, before anything is sent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

import anyio.to_thread

from mediapipe.manifest.calls import CallRow
from mediapipe.relist import day_of

PAGE = 512
MOST = 10_000
"""So many different words and groups are counted: a column of ids in their place has as many as rows."""


@dataclass(slots=True)
class Validated:
    """What the first pass found. ``wanted_groups`` counts rows by group_id and group_ext_id.

    ``sample`` are rows drawn evenly from all good ones, the same for the same manifest.
    """

    size: int
    rows: int = 0
    bad: int = 0
    days: set[date] = field(default_factory=set)
    wanted_groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    sample: list[CallRow] = field(default_factory=list)
    _draw: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311

    @property
    def good(self) -> int:
        """The number of rows without a problem."""
        return self.rows - self.bad

    def add(self, row: CallRow) -> None:
        """Take note of one row."""
        self.rows += 1
        if row.problems:
            self.bad += 1
            for problem in row.problems:
                if problem.code == "unmapped_value":
                    _count(self.unmapped, (problem.column, problem.value or ""))
            return
        if row.at is not None:
            self.days.add(day_of(row.at))
        group = row.fields.get("group_id", ""), row.fields.get("group_ext_id", "")
        _count(self.wanted_groups, group)
        if len(self.sample) < self.size:
            self.sample.append(row)
        elif self.size and (at := self._draw.randrange(self.good)) < self.size:
            self.sample[at] = row

    def notes(self) -> list[str]:
        """Say which words of the manifest have no meaning yet, the most frequent first."""
        return [
            f"{column} {value!r} in {number:,} rows is not mapped: [manifest.values.{column}]"
            for (column, value), number in self.unmapped.most_common(20)
        ]


def _count(counts: Counter[tuple[str, str]], pair: tuple[str, str]) -> None:
    if pair in counts or len(counts) < MOST:
        counts[pair] += 1


async def validate(
    rows: Generator[CallRow, None, None],
    refuse: Callable[[Sequence[CallRow]], Awaitable[None]],
    *,
    sample: int,
    expect: Callable[[int], None] | None = None,
) -> Validated:
    """Read all rows; ``refuse`` gets those that have problems. Memory stays flat, whatever their number."""
    found = Validated(sample)
    while page := await anyio.to_thread.run_sync(lambda: list(islice(rows, PAGE))):
        if expect is not None:
            expect(len(page))
        for row in page:
            found.add(row)
        if bad := [row for row in page if row.problems]:
            await refuse(bad)
    return found
