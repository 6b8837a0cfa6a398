"""The first pass over a manifest: everything counted, a fair sample kept, nothing else."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.imports.validation import MOST, PAGE, Validated, validate
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.problems import Problem

BEGIN = datetime(2026, 2, 14, 12, tzinfo=UTC)


def good(number: int, **fields: str) -> CallRow:
    at = BEGIN + timedelta(seconds=number)
    return CallRow(number, number + 1, f"x-{number}", fields=fields or {"group_id": "1201"}, at=at)


def bad(number: int, *problems: Problem) -> CallRow:
    said = problems or (Problem("missing", "is missing", "caller_id"),)
    return CallRow(number, number + 1, f"x-{number}", problems=said, at=BEGIN)


def word(text: str, column: str = "disposition") -> Problem:
    return Problem("unmapped_value", "is no word of the API", column, text)


def found(rows: Iterable[CallRow], sample: int = 0, **more: Any) -> tuple[Validated, list[CallRow]]:
    refused: list[CallRow] = []

    async def refuse(bad_ones: Sequence[CallRow]) -> None:
        refused.extend(bad_ones)

    def source() -> Generator[CallRow, None, None]:
        yield from rows

    async def main() -> Validated:
        return await validate(source(), refuse, sample=sample, **more)

    return anyio.run(main), refused


# ── what is counted ─────────────────────────────────────────────────────────────────────────


def test_every_row_is_counted_and_each_bad_one_refused_once() -> None:
    rows = [bad(n) if n % 3 == 0 else good(n) for n in range(2 * PAGE + 10)]
    expected: list[int] = []
    result, refused = found(rows, expect=expected.append)
    assert refused == [row for row in rows if row.problems]
    assert (result.rows, result.bad, result.good) == (len(rows), len(refused), len(rows) - len(refused))
    assert expected == [PAGE, PAGE, 10]


def test_a_manifest_without_rows_is_one() -> None:
    result, refused = found([], sample=5)
    assert (result.rows, result.good, result.sample, result.notes(), refused) == (0, 0, [], [], [])


def test_the_days_are_those_of_the_platforms_zone() -> None:
    """A call of the evening in Utah is one of the next day there."""
    evening = datetime(2026, 2, 14, 23, tzinfo=timezone(timedelta(hours=-7)))
    rows = [good(1), CallRow(2, 3, "x", at=evening), CallRow(3, 4, "y", at=None), bad(4)]
    assert found(rows)[0].days == {date(2026, 2, 14), date(2026, 2, 15)}


def test_groups_are_counted_as_good_rows_want_them() -> None:
    rows = [
        good(1, group_id="1"),
        good(2, group_id="1"),
        good(3, group_ext_id="E"),
        good(4, group_id="1", group_ext_id="E"),
        bad(5),
    ]
    assert found(rows)[0].wanted_groups == {("1", ""): 2, ("", "E"): 1, ("1", "E"): 1}


def test_words_without_a_meaning_are_named_the_most_frequent_first() -> None:
    rows = [*(bad(n, word("vm"), word("cell", "line_type")) for n in range(3)), bad(4, word("completed"))]
    rows.append(bad(5, Problem("missing", "is missing", "caller_id")))
    notes = found(rows)[0].notes()
    assert [note.partition(" is not")[0] for note in notes] == [
        "disposition 'vm' in 3 rows",
        "line_type 'cell' in 3 rows",
        "disposition 'completed' in 1 rows",
    ]
    assert "[manifest.values.disposition]" in notes[0]


def test_a_frequent_word_is_counted_to_the_end_however_many_others_there_are() -> None:
    rows = [bad(n, word(str(n)), word("vm")) for n in range(MOST + 50)]
    result = found(rows)[0]
    assert len(result.unmapped) == MOST
    assert len(result.notes()) == 20
    assert result.notes()[0].startswith(f"disposition 'vm' in {MOST + 50:,} rows")


def test_a_frequent_group_is_counted_to_the_end_however_many_others_there_are() -> None:
    rows = [good(0, group_id="1201"), *(good(n, group_id=str(n + 5000)) for n in range(MOST + 50))]
    result = found([*rows, good(0, group_id="1201")])[0]
    assert len(result.wanted_groups) == MOST
    assert result.wanted_groups["1201", ""] == 2


# ── the sample ──────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 12))
def test_a_sample_is_of_good_rows_each_once(kinds: list[bool], size: int) -> None:
    result = Validated(size)
    for number, is_good in enumerate(kinds):
        result.add(good(number) if is_good else bad(number))
    assert len(result.sample) == min(size, result.good)
    assert len({row.row for row in result.sample}) == len(result.sample)
    assert not any(row.problems for row in result.sample)


def test_a_sample_is_the_same_for_the_same_manifest() -> None:
    rows = [bad(n) if n % 7 == 0 else good(n) for n in range(3_000)]
    first, again = found(rows, sample=20)[0], found(iter(rows), sample=20)[0]
    assert first.sample == again.sample
    assert first.sample != rows[1:21]


def test_a_sample_is_drawn_evenly_from_the_whole_manifest() -> None:
    """A thousand of twenty thousand: each twentieth of the rows gives about as many as the others."""
    result = Validated(1_000)
    for number in range(20_000):
        result.add(good(number))
    parts = Counter(row.row // 1_000 for row in result.sample)
    assert len(parts) == 20
    assert all(25 <= drawn <= 80 for drawn in parts.values()), parts


# ── memory ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [good, bad])
def test_ten_times_the_rows_take_no_more_memory(make: Any) -> None:
    def peak(rows: int) -> int:
        async def forget(_: Sequence[CallRow]) -> None:
            """Keep nothing."""

        async def main() -> None:
            made = (make(n % 86_400) for n in range(rows))
            await validate(made, forget, sample=8)

        tracemalloc.start()
        try:
            anyio.run(main)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2_000)
    assert peak(20_000) < peak(2_000) + 200_000
