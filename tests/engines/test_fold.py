"""Reports of many shares become one: every item once, the worst end of all."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.engines.fold import REACH, Report, Stopped, Sum, best, folded
from mediapipe.errors import CredentialsError, DiskFull, ExitCode, PlatformDown
from mediapipe.items import Outcome, Verdict
from mediapipe.spans import Span

BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: int) -> Span:
    return Span(BEGIN + number * DAY, BEGIN + (number + 1) * DAY)


def some(*keys: str, verdict: Verdict = Verdict.DONE) -> list[Outcome]:
    return [Outcome(key, verdict) for key in keys]


def test_an_item_of_two_neighbours_counts_once_with_the_best_that_became_of_it() -> None:
    shares = [
        (day(0), some("a") + some("seam", verdict=Verdict.FAILED)),
        (day(1), some("seam") + some("b", verdict=Verdict.PENDING)),
        (day(2), some("c")),
    ]
    found = {one.key: one.verdict for one in folded(shares)}
    assert found == {"a": "done", "seam": "done", "b": "pending", "c": "done"}
    assert len(list(folded(shares))) == 4


@pytest.mark.parametrize("first", [Verdict.DONE, Verdict.SKIPPED])
def test_what_the_rest_repeats_counts_once_wherever_it_was(first: Verdict) -> None:
    shares = [(day(n), some(f"k{n}", verdict=first)) for n in range(9)]
    found = list(folded(shares, some("k0", "k5", "old", verdict=Verdict.DONE)))
    assert {one.key: one.verdict for one in found}["k5"] is Verdict.DONE
    assert sorted(one.key for one in found) == [*(f"k{n}" for n in range(9)), "old"]


def test_shards_of_one_window_do_not_push_each_other_out() -> None:
    shares = [(day(0), some("a")), (day(0), some("b")), (day(1), some("a", "b"))]
    assert sorted(one.key for one in folded(shares)) == ["a", "b"]


def test_only_neighbours_are_kept_in_memory() -> None:
    gave: list[str] = []

    def lines(number: int) -> list[Outcome]:
        gave.append(f"read {number}")
        return some(f"k{number}")

    def shares():  # type: ignore[no-untyped-def]
        for number in range(5):
            yield day(number), lines(number)

    gave.extend(one.key for one in folded(shares()))
    assert gave.index("k0") < gave.index("read 3"), "the first is let go before the last is read"


@given(st.lists(st.lists(st.integers(0, 3)), max_size=5), st.lists(st.integers(0, 20)))
def test_every_item_comes_once_and_none_is_made_up(shares: list[list[int]], rest: list[int]) -> None:
    # An item's number says how far from its own day it was listed: not farther than a neighbour.
    parts = [(day(n), some(*(f"{n + one // 2}" for one in keys))) for n, keys in enumerate(shares)]
    late = some(*(str(one) for one in rest))
    keys = [one.key for one in folded(parts, late)]
    assert sorted(keys) == sorted({one.key for _, part in parts for one in part} | {one.key for one in late})


def test_reach_is_twice_the_margin_of_a_window() -> None:
    from mediapipe.convirza.walk import Walker

    margin = Walker.__dataclass_fields__["margin"].default
    assert 2 * margin == REACH


def test_an_effect_of_this_run_says_most() -> None:
    done, skipped, failed = (Outcome("k", verdict) for verdict in ("done", "skipped", "failed"))  # type: ignore[arg-type]
    assert best(failed, done) is best(done, skipped) is done
    assert {best(Outcome("k", one), Outcome("k", Verdict.DONE)).verdict for one in Verdict} == {Verdict.DONE}


def test_a_fatal_crosses_processes_with_its_exit_code() -> None:
    for error in (CredentialsError("no", code="x", hint="h"), PlatformDown("down"), DiskFull("full")):
        again = pickle.loads(pickle.dumps(Stopped.of(error))).as_error()  # noqa: S301
        assert (again.code, again.message, again.hint) == (error.code, error.message, error.hint)
        assert again.exit_code is error.exit_code


def test_sums_add_and_credentials_decide() -> None:
    lost = {"start": "2026-02-01", "end": "2026-02-02", "reason": "busy"}
    total = Sum()
    total.add(Report(0, windows=2, requests=5, unsettled=(lost,)))
    total.add(Report(1, windows=1, refetches=3, unsettled=(lost,), stopped=Stopped.of(PlatformDown("down"))))
    total.add(Report(2, interrupted=True, stopped=Stopped.of(CredentialsError("no"))))
    total.add(Report(3, stopped=Stopped.of(DiskFull("full"))))
    assert (total.findings.windows, total.requests, total.refetches, total.interrupted) == (3, 5, 3, True)
    assert total.findings.unsettled == [lost], "two shards of one window say the same"
    assert total.stopped
    assert total.stopped.exit_code is ExitCode.CREDENTIALS
