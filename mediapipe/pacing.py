"""When to ask, how many at once, and when to ask again: the only place that waits or retries.

* :class:`RetryPolicy` repeats idempotent work on ``Transient``; everything else passes through.
  A POST that creates something is never given to it.
* :class:`Pause` is one wait shared by all workers, set when the far side answers 429.
* :class:`RateLimit` spaces request starts; :class:`AdaptiveLimit` is AIMD concurrency.
* :class:`Pacer` puts them around one request.
* :class:`ByteBudget` bounds the bytes that are spooled at one time.

stamina does the retrying: it bounds count and time, adds jitter and can be switched off in tests.
"""

from __future__ import annotations

import email.utils
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol, TypeVar

import anyio
import stamina
import stamina.instrumentation

from mediapipe.errors import Throttled, Transient

log = logging.getLogger(__name__)

T = TypeVar("T")


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for (seconds or an HTTP date), or None.

    Unreadable and negative values count as absent: the caller's own backoff applies. A date is measured
    on the clock of the answer itself, when it has a ``Date``: ours may be wrong by minutes.
    """
    raw = (headers.get("retry-after") or headers.get("Retry-After") or "").strip()
    if not raw:
        return None
    try:
        seconds = float(raw)
    except ValueError:
        moment = http_date(raw)
        if moment is None:
            return None
        if now is None:
            now = http_date(headers.get("date") or headers.get("Date") or "")
        seconds = max(0.0, moment - (time.time() if now is None else now))
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def http_date(raw: str) -> float | None:
    """Return an HTTP date as Unix seconds, or None when it cannot be read."""
    try:
        moment = email.utils.parsedate_to_datetime(raw)
        # Without a zone (or with -0000) it is UTC all the same, never this machine's time.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


RETRIES_UNSAID = 3


def _say(details: stamina.instrumentation.RetryDetails) -> None:
    # One failed try is everyday; the third in a row is worth a line in the morning.
    level = logging.INFO if details.retry_num >= RETRIES_UNSAID else logging.DEBUG
    log.log(
        level, "try %d failed, again in %.1f s: %s", details.retry_num, details.wait_for, details.caused_by
    )


# In place of stamina's own line, which speaks of callables and their arguments.
stamina.instrumentation.set_on_retry_hooks([_say])


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long idempotent work is repeated on ``Transient``. Times in seconds."""

    attempts: int = 8
    wait_initial: float = 0.25
    wait_max: float = 30.0
    total: float = 300.0

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return ``work()``'s result, or raise its last error when the bounds are reached."""
        began = time.monotonic()
        try:
            return await work()  # most work succeeds at once, and need not pay for what repeats it
        except Transient as error:
            spent = time.monotonic() - began
            if spent >= self.total:
                raise
            return await self._again(work, error, spent)

    async def _again(self, work: Callable[[], Awaitable[T]], error: Transient, spent: float) -> T:
        """Go on behind a first try that failed after ``spent`` seconds."""
        failed: Transient | None = error
        attempts = stamina.retry_context(
            on=self._wait_for,
            attempts=self.attempts,
            timeout=self.total - spent,
            wait_initial=self.wait_initial,
            wait_max=self.wait_max,
            wait_jitter=min(1.0, 2 * self.wait_initial),
        )
        async for attempt in attempts:
            with attempt:
                if failed is not None:
                    first, failed = failed, None
                    raise first
                return await work()
        raise AssertionError("stamina yields at least one attempt")

    def _wait_for(self, error: Exception) -> bool | float:
        if not isinstance(error, Transient):
            return False
        # Below our own first wait the backoff applies, and grows: "at once" would burn every attempt.
        if error.retry_after is None or error.retry_after < self.wait_initial:
            return True
        # A far side that names a time beyond our patience is not waited for; the item fails with its words.
        return error.retry_after if error.retry_after <= self.total else False


class Pause:
    """One wait shared by all workers: nobody starts a request before it is over."""

    def __init__(self) -> None:
        self._until = 0.0
        self.count = 0

    def hold(self, seconds: float) -> None:
        """Make everybody wait ``seconds`` from now; a longer wait in force stays."""
        self.count += 1
        self._until = max(self._until, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds that everybody still has to wait, 0 when none."""
        return max(0.0, self._until - time.monotonic())

    @property
    def in_force(self) -> bool:
        """Whether everybody has to wait just now."""
        return self.left > 0

    async def wait(self) -> None:
        """Return when no pause is in force."""
        while (left := self._until - time.monotonic()) > 0:  # noqa: ASYNC110  # the end may move while we sleep
            await anyio.sleep(left)


class Turns(Protocol):
    """What spaces request starts, for this process or for many."""

    async def acquire(self) -> None:
        """Wait for this caller's turn."""
        ...


class RateLimit:
    """At most ``per_second`` starts a second, evenly spaced; a burst of one second's worth is allowed."""

    def __init__(self, per_second: float, burst: float | None = None) -> None:
        if per_second <= 0:
            raise ValueError("per_second must be above 0")
        self._gap = 1.0 / per_second
        # A start that is due at once is the first of the burst.
        self._slack = max(0.0, (burst if burst is not None else min(per_second, 5.0)) - 1.0) * self._gap
        self._next = 0.0

    async def acquire(self) -> None:
        """Wait for this caller's turn."""
        delay = self.reserve()
        if delay > 0:
            await anyio.sleep(delay)

    def reserve(self) -> float:
        """Take a turn; return in how many seconds it comes."""
        now = time.monotonic()
        turn = max(self._next, now - self._slack)
        self._next = turn + self._gap
        return max(0.0, turn - now)


@dataclass(frozen=True, slots=True)
class RequestBudget:
    """How often one service may be asked, and the pause after it said 429: both for all who share it."""

    pause: Pause
    rate: Turns


class ByteRate:
    """At most ``per_second`` bytes a second over all who send; a quarter of a second may go at once."""

    def __init__(self, per_second: int) -> None:
        if per_second <= 0:
            raise ValueError("per_second must be above 0")
        self._rate = per_second
        self._next = 0.0

    async def allow(self, size: int) -> None:
        """Wait until ``size`` bytes may be sent."""
        now = time.monotonic()
        turn = max(self._next, now - 0.25)
        self._next = turn + size / self._rate
        if turn > now:
            await anyio.sleep(turn - now)


class AdaptiveLimit:
    """AIMD concurrency between 1 and ``maximum``.

    Grows by one after as many successes as there are slots; halves on a throttling or a failing
    far side, at most once per ``calm`` seconds so that one burst of refusals counts once.
    """

    def __init__(self, maximum: int, *, start: int | None = None, calm: float = 1.0) -> None:
        self._maximum = max(1, maximum)
        self._limiter = anyio.CapacityLimiter(min(self._maximum, start or self._maximum))
        self._calm = calm
        self._successes = 0
        self._last_cut = -math.inf

    @property
    def slots(self) -> int:
        """How many may work at once just now."""
        return int(self._limiter.total_tokens)

    def succeeded(self) -> None:
        """Note one success."""
        if self.slots >= self._maximum:
            return
        self._successes += 1
        if self._successes >= self.slots:
            self._successes = 0
            self._limiter.total_tokens = self.slots + 1

    def struggled(self) -> None:
        """Note that the far side throttled or failed."""
        now = time.monotonic()
        if now - self._last_cut >= self._calm:
            self._last_cut = now
            self._successes = 0
            self._limiter.total_tokens = max(1, self.slots // 2)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot; learns from how the body ends."""
        async with self._limiter:
            try:
                yield
            except Transient:
                self.struggled()
                raise
            else:
                self.succeeded()


class Pacer:
    """Everything that may delay one request to one service: shared pause, rate, adaptive concurrency."""

    #: Seconds everybody waits after a 429 that names no time.
    UNNAMED_PAUSE = 1.0
    #: Seconds everybody waits at the most: a 429 that names a day fails its own item, not the run's patience.
    LONGEST_PAUSE = 300.0

    def __init__(self, limit: AdaptiveLimit, pause: Pause, rate: Turns | None = None) -> None:
        self.limit = limit
        self.pause = pause
        self._rate = rate

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it; a ``Throttled`` from the body pauses everybody."""
        async with self.limit.slot():
            await self._own_time()
            try:
                yield
            except Throttled as error:
                named = self.UNNAMED_PAUSE if error.retry_after is None else error.retry_after
                self.pause.hold(min(named, self.LONGEST_PAUSE))
                raise

    async def _own_time(self) -> None:
        while True:
            await self.pause.wait()
            if self._rate is None:
                return
            await self._rate.acquire()
            if not self.pause.in_force:  # one that began while we waited for our turn holds us back too
                return


class ByteBudget:
    """At most ``total`` bytes reserved at one time; a single larger reservation passes when alone."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._used = self._waiting = 0
        self._freed = anyio.Condition()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Hold ``size`` bytes of the budget while the body runs."""
        share = min(max(0, size), self._total)
        if self._waiting or self._used + share > self._total:
            await self._take_when_free(share)
        else:
            self._used += share
        try:
            yield
        finally:
            self._used -= share
            if self._waiting:
                with anyio.CancelScope(shield=True):
                    async with self._freed:
                        self._freed.notify_all()

    async def _take_when_free(self, share: int) -> None:
        self._waiting += 1
        try:
            async with self._freed:
                while self._used + share > self._total:
                    await self._freed.wait()
                self._used += share
        finally:
            self._waiting -= 1
