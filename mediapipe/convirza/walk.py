"""Walk one window of the calls list so that no call is skipped, whatever the list does meanwhile.

Offset paging over a moving list skips rows: a call that vanishes in front shifts the next page, and
the order is not documented. So: advance by the number received, stop only on an empty page, and walk
again until two walks agree with each other and with the platform's ``total``. One walk is enough
when the whole window came on one page: that is a snapshot.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

from mediapipe.convirza.models import Call, Page
from mediapipe.errors import Transient
from mediapipe.spans import Span

MOST_PAGES = 20_000
"""No window has so many pages: the list grows while it is walked, or the platform plays with us."""

SHORTEST_WINDOW = timedelta(minutes=1)
"""A window is not split below this: more calls than that in a minute are walked as they are."""

ListPage = Callable[[Span, int], Awaitable[Page]]
"""``(span as asked of the platform, offset) → page``."""


@dataclass(frozen=True, slots=True)
class Walked:
    """The end of a walk: whether the window settled, how many calls it has, and what was wrong if not."""

    settled: bool
    calls: int
    walks: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TooMany:
    """The window holds more calls than a walk should span: split it. Nothing was handed over."""

    total: int


_MOVED = -1


@dataclass(slots=True)
class _Walk:
    """What one pass over the pages saw."""

    ids: set[str] = field(default_factory=set)
    totals: set[int | None] = field(default_factory=set)
    pages: int = 0
    repeats: int = 0
    """Calls that came on a second page: the order moved, or the offset is ignored."""
    repeated_page: bool = False
    unreadable: int = 0

    @property
    def total(self) -> int | None:
        """The one total all pages gave; None when none gave one, -1 when it moved."""
        totals = self.totals - {None}
        return _MOVED if len(totals) > 1 else next(iter(totals), None)


@dataclass(frozen=True, slots=True)
class Walker:
    """How a window is walked.

    ``margin`` widens what is asked of the platform on both sides: its ends may be exclusive, and it may
    compare another time stamp than ``call_started``.
    """

    list_page: ListPage
    max_calls: int
    attempts: int
    margin: timedelta = timedelta(minutes=5)

    async def walk(self, span: Span) -> AsyncGenerator[tuple[Call, ...] | TooMany | Walked, None]:
        """Yield pages of calls, then how it ended.

        A call comes once, and again when it has a recording that it had not. Calls of the margins are
        among them: the caller sorts them out.

        Raises what ``list_page`` raises.
        """
        asked = Span(span.start - self.margin, span.end + self.margin)
        given: dict[str, str | None] = {}
        before: _Walk | None = None
        seen: set[str] = set()
        reason = ""
        for number in range(1, self.attempts + 1):
            this = _Walk()
            async with aclosing(self._pages(asked, this)) as pages:
                async for page in pages:
                    if number == 1 and this.pages == 1 and self._splittable(span, page):
                        yield TooMany(page.total or 0)
                        return
                    news = tuple(call for call in page.calls if _is_news(call, given))
                    given.update((call.call_id, call.recording_id) for call in news)
                    if news:
                        yield news
            if before is None or this.total != before.total:
                seen = set()  # calls came or went: what was seen before may be gone, and stands for nobody
            reason = _unsettled(this, before, seen)
            if not reason:
                yield Walked(True, len(seen | this.ids), number)
                return
            before = this
            seen |= this.ids
        yield Walked(False, len(given), self.attempts, reason)

    async def _pages(self, asked: Span, this: _Walk) -> AsyncGenerator[Page, None]:
        offset = 0
        while True:
            page = await self.list_page(asked, offset)
            this.pages += 1
            # Behind the last row a window function (COUNT(*) OVER ()) has no row to say the total on.
            if page.length or page.total or not offset:
                this.totals.add(page.total)
            if not page.length:
                return
            this.unreadable += page.unreadable
            there = {call.call_id for call in page.calls}
            fresh = there - this.ids
            this.repeats += len(there) - len(fresh)
            if this.pages >= MOST_PAGES:
                raise Transient("the list grows faster than it can be walked", code="endless_list")
            if (
                not fresh and page.calls
            ):  # the same calls again: the offset is ignored, or the list moved under us
                this.repeated_page = True
                return
            this.ids |= fresh
            yield page
            offset += page.length

    def _splittable(self, span: Span, page: Page) -> bool:
        return (page.total or 0) > self.max_calls and span.end - span.start > SHORTEST_WINDOW


def _is_news(call: Call, given: dict[str, str | None]) -> bool:
    if call.call_id not in given:
        return True
    return call.recording_id is not None and given[call.call_id] != call.recording_id


def _unsettled(this: _Walk, before: _Walk | None, seen: set[str]) -> str:
    """Return why the walks so far do not settle the window, or ``""`` when they do.

    They do when the last two found the same calls, as many as the total says; or, in a list whose order
    never holds still, when all walks since the total last changed (``seen``: those before this one)
    together found as many as it says and this one found nothing new. Without a total, two walks have to
    find the same calls and none of them twice: a server that ignores the offset, or an order that moves,
    shows some twice.
    """
    total = this.total
    if this.unreadable:
        return f"{this.unreadable} records of the list are no calls that can be read"
    if total == _MOVED:
        return "the total moved during the walk"
    if total is None:
        if this.repeats:
            return "calls came twice and no total is given: the order moves, or the offset is ignored"
        same = before is not None and before.ids == this.ids and not before.repeats
        return "" if same else "two walks in a row did not find the same calls, and no total is given"
    if total == len(this.ids) and (this.pages <= 2 or (before is not None and before.ids == this.ids)):
        return ""
    if len(seen) == total and this.ids <= seen:
        return ""
    if total != len(this.ids):
        ignored = "; the platform seems to ignore the offset" if this.repeated_page else ""
        return f"the platform says {total} calls, the walk found {len(this.ids)}{ignored}"
    return "two walks in a row did not find the same calls"
