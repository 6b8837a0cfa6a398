from __future__ import annotations

import email.utils
import os
import time
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.errors import Failed, Throttled, Transient
from mediapipe.pacing import (
    AdaptiveLimit,
    ByteBudget,
    ByteRate,
    Pacer,
    Pause,
    RateLimit,
    RetryPolicy,
    retry_after,
)


@pytest.fixture
def far_zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-1", None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30.0),
        ("Wed, 99 Oct 2015 07:28:30 GMT", None),
    ],
)
@pytest.mark.usefixtures("far_zone")
def test_retry_after_reads_seconds_and_dates_in_any_time_zone(raw: str, seconds: float | None) -> None:
    now = email.utils.parsedate_to_datetime("Wed, 21 Oct 2015 07:28:00 GMT").timestamp()
    assert retry_after({"retry-after": raw}, now) == seconds
    assert retry_after({"Retry-After": raw}, now) == seconds


def test_a_retry_after_date_is_measured_on_the_clock_of_the_answer() -> None:
    headers = {"date": "Wed, 21 Oct 2015 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}
    assert retry_after(headers) == 30.0


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_retry_after_is_a_wait_or_nothing(raw: str) -> None:
    seconds = retry_after({"retry-after": raw, "date": raw})
    assert seconds is None or 0 <= seconds < float("inf")


def attempts_of(policy: RetryPolicy, error: Exception, *, succeed_at: int = 10**6) -> tuple[int, float]:
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries >= succeed_at:
            return tries
        raise error

    began = time.monotonic()
    if succeed_at < 10**6:
        assert anyio.run(policy.run, work) == succeed_at
    else:
        with pytest.raises(type(error)):
            anyio.run(policy.run, work)
    return tries, time.monotonic() - began


QUICK = RetryPolicy(attempts=4, wait_initial=0.001, wait_max=0.002, total=5.0)


def test_a_passing_fault_is_repeated_up_to_the_bound() -> None:
    assert attempts_of(QUICK, Transient())[0] == 4
    assert attempts_of(QUICK, Throttled())[0] == 4
    assert attempts_of(QUICK, Transient(), succeed_at=3)[0] == 3


@pytest.mark.parametrize("error", [Failed("no"), ValueError("bug"), OSError("bug")])
def test_nothing_but_a_passing_fault_is_repeated(error: Exception) -> None:
    assert attempts_of(QUICK, error)[0] == 1


def test_cancellation_is_never_repeated() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await anyio.sleep(5)

    async def main() -> None:
        with anyio.move_on_after(0.02) as scope:
            await QUICK.run(work)
        assert scope.cancelled_caught

    anyio.run(main)
    assert tries == 1


def test_time_bounds_the_repeats_too() -> None:
    policy = RetryPolicy(attempts=10_000, wait_initial=0.01, wait_max=0.01, total=0.1)
    tries, took = attempts_of(policy, Transient())
    assert 2 <= tries <= 12
    assert took < 2


def test_a_named_wait_is_obeyed() -> None:
    tries, took = attempts_of(QUICK, Transient(retry_after=0.15), succeed_at=2)
    assert tries == 2
    assert took >= 0.15


def test_a_named_wait_beyond_patience_is_not_waited_for() -> None:
    tries, took = attempts_of(QUICK, Transient(retry_after=QUICK.total + 1))
    assert tries == 1
    assert took < 2


def test_a_named_wait_of_nothing_does_not_burn_the_attempts_at_once() -> None:
    policy = RetryPolicy(attempts=3, wait_initial=0.05, wait_max=0.2, total=5.0)
    assert attempts_of(policy, Transient(retry_after=0.0))[1] >= 0.1


def test_pause_keeps_the_longest_end() -> None:
    async def main() -> None:
        pause = Pause()
        began = time.monotonic()
        pause.hold(0.15)
        pause.hold(0.01)
        await pause.wait()
        assert time.monotonic() - began >= 0.15
        assert pause.count == 2

    anyio.run(main)


def test_pause_that_grows_while_waited_for_is_waited_for_to_its_new_end() -> None:
    async def main() -> None:
        pause = Pause()
        began = time.monotonic()
        pause.hold(0.05)
        async with anyio.create_task_group() as group:
            group.start_soon(pause.wait)
            await anyio.sleep(0.02)
            pause.hold(0.15)
        assert time.monotonic() - began >= 0.16

    anyio.run(main)


def test_one_throttled_request_holds_everybody_back() -> None:
    async def main() -> None:
        pacer = Pacer(AdaptiveLimit(4), Pause())
        starts: list[float] = []

        async def ask() -> None:
            async with pacer.turn():
                starts.append(time.monotonic())

        with pytest.raises(Throttled):
            async with pacer.turn():
                raise Throttled(retry_after=0.15)
        refused = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask)
        assert min(starts) - refused >= 0.14

    anyio.run(main)


def test_those_who_wait_for_their_rate_are_held_back_too() -> None:
    async def main() -> None:
        pause = Pause()
        pacer = Pacer(AdaptiveLimit(8), pause, RateLimit(20, burst=0))
        starts: list[float] = []

        async def ask() -> None:
            async with pacer.turn():
                starts.append(time.monotonic())

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(ask)
            await anyio.sleep(0.02)
            begun = len(starts)
            held = time.monotonic()
            pause.hold(0.4)
        assert begun < 6
        assert min(starts[begun:]) - held >= 0.39
        gaps = [b - a for a, b in zip(starts[begun:], starts[begun + 1 :], strict=False)]
        assert min(gaps) > 0.02  # nor do they all start at once when it is over

    anyio.run(main)


def test_an_unnamed_throttling_pauses_for_the_default() -> None:
    async def main() -> None:
        pause = Pause()
        pacer = Pacer(AdaptiveLimit(1), pause)
        with pytest.raises(Throttled):
            async with pacer.turn():
                raise Throttled
        assert 0.5 < pause._until - time.monotonic() <= Pacer.UNNAMED_PAUSE

    anyio.run(main)


def test_an_absurd_named_wait_does_not_stop_the_run_for_a_day() -> None:
    async def main() -> None:
        pause = Pause()
        pacer = Pacer(AdaptiveLimit(1), pause)
        with pytest.raises(Throttled):
            async with pacer.turn():
                raise Throttled(retry_after=86_400)
        assert pause._until - time.monotonic() <= Pacer.LONGEST_PAUSE

    anyio.run(main)


@pytest.mark.parametrize(("rate", "burst"), [(50.0, 0.0), (50.0, 3.0), (20.0, None), (1.0, None)])
def test_starts_never_exceed_the_rate_and_its_burst(rate: float, burst: float | None) -> None:
    async def main() -> None:
        limit = RateLimit(rate, burst)
        allowed = max(1.0, burst if burst is not None else min(rate, 5.0))
        starts: list[float] = []

        async def start() -> None:
            await limit.acquire()
            starts.append(time.monotonic())

        with anyio.move_on_after(0.25):
            async with anyio.create_task_group() as group:
                for _ in range(12):
                    group.start_soon(start)
        for first in range(len(starts)):
            for last in range(first, len(starts)):
                span = starts[last] - starts[first]
                assert last - first + 1 <= allowed + rate * (span + 0.02)

    anyio.run(main)


def test_a_rate_has_to_be_positive() -> None:
    with pytest.raises(ValueError):
        RateLimit(0)
    with pytest.raises(ValueError):
        ByteRate(0)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=20), st.sampled_from([10_000, 50_000]))
@settings(deadline=None, max_examples=8)
def test_bytes_never_go_faster_than_the_rate_over_all_who_send(sizes: list[int], rate: int) -> None:
    allowed: list[tuple[float, int]] = []

    async def main() -> None:
        limit = ByteRate(rate)
        half = len(sizes) // 2

        async def send(parts: list[int]) -> None:
            for size in parts:
                await limit.allow(size)
                allowed.append((time.monotonic(), size))

        async with anyio.create_task_group() as group:
            group.start_soon(send, sizes[:half])
            group.start_soon(send, sizes[half:])

    since = time.monotonic()
    anyio.run(main)
    before = 0
    for at, size in allowed:
        # All that went before has had its time, but for what may go at once.
        assert before <= (at - since + 0.25) * rate + max(sizes)
        before += size
    assert time.monotonic() - since < sum(sizes) / rate + 2


def test_aimd_halves_once_per_calm_time_and_grows_by_one() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(8, calm=0.05)
        assert limit.slots == 8
        limit.struggled()
        limit.struggled()
        assert limit.slots == 4
        await anyio.sleep(0.06)
        limit.struggled()
        assert limit.slots == 2
        limit.succeeded()
        assert limit.slots == 2
        limit.succeeded()
        assert limit.slots == 3
        for _ in range(200):
            limit.succeeded()
        assert limit.slots == 8
        for _ in range(5):
            await anyio.sleep(0.06)
            limit.struggled()
        assert limit.slots == 1

    anyio.run(main)


def test_a_slot_learns_from_passing_faults_only() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(4, calm=0.0)
        with pytest.raises(Failed):
            async with limit.slot():
                raise Failed("no")
        assert limit.slots == 4
        with pytest.raises(Transient):
            async with limit.slot():
                raise Transient
        assert limit.slots == 2

    anyio.run(main)


def test_never_more_at_once_than_slots_even_after_a_cut() -> None:
    async def main() -> None:
        limit = AdaptiveLimit(6, calm=0.0)
        inside = highest = 0

        async def work() -> None:
            nonlocal inside, highest
            async with limit.slot():
                inside += 1
                highest = max(highest, inside)
                await anyio.sleep(0.002)
                inside -= 1

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(work)
        assert highest == 6
        limit.struggled()
        limit.struggled()
        highest = 0
        limit.succeeded = lambda: None  # type: ignore[method-assign]  # hold still
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(work)
        assert highest == 1

    anyio.run(main)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=25), st.integers(1, 30))
def test_the_byte_budget_is_never_exceeded_and_always_given_back(
    jobs: list[tuple[int, bool]], total: int
) -> None:
    async def main() -> None:
        budget = ByteBudget(total)
        used = done = 0

        async def hold(size: int) -> None:
            nonlocal used, done
            async with budget.reserve(size):
                used += size
                assert used <= total or used == size  # a larger one passes alone
                await anyio.lowlevel.checkpoint()
                used -= size
            done += 1

        async def cancelled(size: int) -> None:
            with anyio.CancelScope() as scope:
                scope.cancel()
                async with budget.reserve(size):
                    await anyio.sleep(1)

        async with anyio.create_task_group() as group:
            for size, cancel in jobs:
                group.start_soon(cancelled if cancel else hold, size)
        assert done == sum(not cancel for _, cancel in jobs)
        assert budget._used == 0

    anyio.run(main)


def test_a_waiter_that_is_cancelled_leaves_the_budget_to_the_others() -> None:
    async def main() -> None:
        budget = ByteBudget(10)
        passed = anyio.Event()

        async def give_up() -> None:
            with anyio.move_on_after(0.01):
                async with budget.reserve(10):
                    raise AssertionError("never free")

        async def patient() -> None:
            async with budget.reserve(4):
                passed.set()

        async with anyio.create_task_group() as group:
            async with budget.reserve(8):
                group.start_soon(give_up)
                group.start_soon(patient)
                await anyio.sleep(0.03)
                assert not passed.is_set()
            with anyio.fail_after(2):
                await passed.wait()
        assert budget._used == 0

    anyio.run(main)


def test_a_body_that_fails_gives_its_bytes_back() -> None:
    async def main() -> None:
        budget = ByteBudget(10)
        for _ in range(3):
            with pytest.raises(Failed):
                async with budget.reserve(10):
                    raise Failed("no")
        assert budget._used == 0

    anyio.run(main)


@pytest.mark.filterwarnings("error")
def test_a_first_try_that_took_all_the_time_is_the_last_and_says_nothing_else() -> None:
    tries = [0]

    async def work() -> None:
        tries[0] += 1
        await anyio.sleep(0.05)
        raise Transient("slow")

    policy = RetryPolicy(attempts=5, wait_initial=0.001, wait_max=0.01, total=0.02)
    with pytest.raises(Transient):
        anyio.run(lambda: policy.run(work))
    assert tries == [1]
