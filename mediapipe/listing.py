"""Which recordings a run works on: listed windows that settle, then what earlier runs left open.

Closed windows of the calls list are walked until they settle. Calls with a recording are handed over
at once, the others when the window has settled; after the windows, items that earlier runs left open
are asked for by id. A window whose calls are all settled counts as covered; the watermark is the end of
the contiguous coverage. A shard (:mod:`mediapipe.shards`) lists all of it and hands over its own calls.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mediapipe.convirza.grants import Grants
from mediapipe.convirza.models import Call
from mediapipe.convirza.v3 import V3
from mediapipe.convirza.walk import TooMany, Walked, Walker
from mediapipe.covering import Coverage
from mediapipe.errors import ItemError, PlatformDown, Transient, UsageError
from mediapipe.layout import item_key, safe_call_id
from mediapipe.ledger.interface import OPEN_STATES, Item, Ledger, Scope, Want
from mediapipe.line import Batch, Entry
from mediapipe.relist import Relist, span_of
from mediapipe.shards import Shard
from mediapipe.spans import Span, show, windows

log = logging.getLogger(__name__)

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the start of a call that says none: the same on every run, so that its key stays the same."""

OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No call is older: a year that a pen slipped on would be walked day by day, and stay as the anchor."""

CLOCK_SLACK = timedelta(minutes=10)
"""How far the platform's clock may be behind ours before the end of a window counts as its future."""

WINDOWS_LOST_IN_A_ROW = 3
"""After so many windows that could not be listed at all, the platform counts as down."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What travels down the line: never a URL. ``recording_id`` is None while there is no recording."""

    call_id: str
    recording_id: str | None
    started: datetime
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """The job's settings. Times as timedelta; see the settings' descriptions."""

    window: timedelta
    window_max_calls: int
    walk_attempts: int
    page_size: int
    waiting_age: timedelta
    url_budget: int


@dataclass(frozen=True, slots=True)
class Request:
    """What this run covers. ``exact``: the user named the span, so only its open items are asked again."""

    span: Span
    exact: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """One part of a run that is shared out: some of its windows or, with ``rest``, what comes after them.

    ``whole`` is what the run covers altogether; the ids of all who work on it begin with ``family``.
    """

    request: Request
    whole: Span
    family: str
    rest: bool = False


@dataclass(slots=True)
class Findings:
    """What a run learned besides its outcomes. ``walked_to`` is how far the windows got.

    ``waits_for`` are the shards that hold the watermark of this one's archive.
    """

    windows: int = 0
    unsettled: list[dict[str, str]] = field(default_factory=list)
    walked_to: datetime | None = None
    watermark: datetime | None = None
    waits_for: tuple[Shard, ...] = ()


def resolve_span(
    start: datetime | None,
    end: datetime | None,
    *,
    watermark: datetime | None,
    now: datetime,
    lookback: timedelta,
    settle: timedelta,
) -> Request:
    """Return what a run covers: the span the user named, else from the watermark less the look-back.

    The end is cut to ``now - settle``: what is younger may still change.
    """
    latest = now - settle
    exact = start is not None
    if start is None:
        if end is not None:
            raise UsageError("--to is given without --from")
        if watermark is None:
            raise UsageError(
                "no earlier run reached a watermark for this account and destination",
                hint="say where to begin, once: --from 2026-01-01",
            )
        start = watermark - lookback
    stop = min(end, latest) if end is not None else latest
    if start < OLDEST:
        raise UsageError(f"--from ({show(start)}) is before {show(OLDEST)}", hint="is it a slip of the pen?")
    if end is not None and end <= start:
        raise UsageError(f"--to ({show(end)}) is not after --from ({show(start)})")
    if stop <= start:
        raise UsageError(
            f"the span is empty: it begins at {show(start)} and may reach {show(latest)} at the most",
            hint="the last minutes are left alone until calls have settled (archive.settle)",
        )
    return Request(Span(start, stop), exact, now)


class Listing:
    """The source of an archive run: :meth:`pages` for the pipeline, :attr:`findings` once it ran."""

    def __init__(
        self,
        *,
        api: V3,
        grants: Grants,
        ledger: Ledger,
        scope: Scope,
        request: Request,
        rules: Rules,
        run_id: str,
        rehearsal: bool = False,
        shard: Shard | None = None,
        piece: Piece | None = None,
    ) -> None:
        self._rehearsal, self._shard, self._piece = rehearsal, shard, piece
        self.coverage = Coverage(ledger, scope, shard)
        self._api, self._grants, self._ledger, self._scope = api, grants, ledger, scope
        self._request, self._rules, self._run_id = request, rules, run_id
        self._lost_in_a_row = 0
        self.findings = Findings()
        # Neighbouring windows are asked for with a margin, so a call may be listed by several: for each
        # window whose margin still reaches into the next one, its end and what was handed over.
        self._relist = Relist({})
        self._bounds, self._exact = piece.whole if piece else request.span, request.exact
        self._lost: list[Span] = []
        self._handed: list[tuple[datetime, dict[str, str | None]]] = []

    async def pages(self) -> AsyncGenerator[Sequence[Entry[Recording]], None]:
        """Yield entries, page by page; raises ``PlatformDown`` when window after window cannot be listed."""
        piece = self._piece
        if piece is None or piece.rest:
            self._relist = await Relist.of(self._ledger, self._scope, self._shard)
        if piece is None or not piece.rest:
            for day in windows(self._request.span, self._rules.window):
                async for entries in self._split(day):
                    yield entries
                self.findings.walked_to = day.end
        if piece is None or piece.rest:
            async for entries in self._marked(self._relist):
                yield entries
            async for entries in self._left_open():
                yield entries

    async def _split(self, day: Span) -> AsyncGenerator[Sequence[Entry[Recording]], None]:
        """Hand over a window's calls; one that holds too many is halved."""
        stack = [day]
        while stack:
            window = stack.pop()
            async with aclosing(self._window(window)) as pages:
                async for page in pages:
                    if isinstance(page, TooMany):
                        log.info("window %s holds %d calls: split", window, page.total)
                        stack.extend(reversed(window.halves()))
                    else:
                        yield page

    async def _marked(self, relist: Relist) -> AsyncGenerator[Sequence[Entry[Recording]], None]:
        """List again the days that an import put calls into; those of this run's own span were listed."""
        for day in sorted(relist.marks):
            span = span_of(day)
            listed = self._request.span.start <= span.start and span.end <= self._request.span.end
            if not listed or self._piece is not None:
                log.info("listing %s again: calls were imported into it", span)
                self._bounds, self._exact = span, True
                for window in windows(span, self._rules.window):
                    async for page in self._split(window):
                        yield page
        whole = [day for day in relist.marks if not any(_overlap(span_of(day), one) for one in self._lost)]
        if whole and not self._rehearsal:
            await relist.clear(self._ledger, self._scope, whole, self._run_id)

    async def _window(self, window: Span) -> AsyncGenerator[Sequence[Entry[Recording]] | TooMany, None]:
        """Hand over one window's calls: those with a recording at once, the others when it has settled."""
        rules = self._rules
        walker = Walker(
            lambda asked, offset: self._api.list_calls(
                asked.start, asked.end, limit=rules.page_size, offset=offset
            ),
            rules.window_max_calls,
            rules.walk_attempts,
        )
        batch = Batch(lambda: self._covered(window))
        without: dict[str, Call] = {}
        self._handed = [last for last in self._handed if last[0] + 2 * walker.margin >= window.start]
        self._handed.append((window.end, {}))
        ending: Walked | None = None
        try:
            async with aclosing(walker.walk(window)) as events:
                async for event in events:
                    if isinstance(event, TooMany):
                        self._handed.pop()
                        yield event
                        return
                    if isinstance(event, Walked):
                        ending = event
                        continue
                    for call in event:
                        self._relist.saw(call)
                    entries = [
                        self._entry(call, batch)
                        for call in event
                        if self._owns(call.call_id)
                        and self._mine(call, window, walker.margin)
                        and self._sort(call, without)
                    ]
                    if entries:
                        yield entries
        except (Transient, ItemError) as error:
            self._unsettled(window, f"could not be listed: {error}")
            await self._count_lost(error)
        else:
            self._lost_in_a_row = 0
        if without:
            yield [self._entry(call, batch) for call in without.values()]
        self.findings.windows += 1
        if ending is None:
            return
        if not ending.settled:
            self._unsettled(window, f"not settled after {ending.walks} walks: {ending.reason}")
            return
        await batch.seal()

    def _owns(self, call_id: str) -> bool:
        return self._shard is None or self._shard.owns(call_id)

    def _mine(self, call: Call, window: Span, margin: timedelta) -> bool:
        """Tell whether a listed call was asked for and not handed over before.

        A call from the margin is taken by the window that lists it first: by which of its times the
        platform lists a call is not documented, so the window it started in may never show it. One
        whose start lies elsewhere altogether is taken as well, not missed. Only what the margin shows
        beyond the ends of the whole span is left alone; a start that nobody named is no such end.
        """
        span = self._bounds
        beyond = call.started is not None and (
            span.end <= call.started < window.end + margin
            or (self._exact and window.start - margin <= call.started < span.start)
        )
        return not beyond and not any(
            call.call_id in handed and handed[call.call_id] == call.recording_id for _, handed in self._handed
        )

    def _sort(self, call: Call, without: dict[str, Call]) -> bool:
        """Keep calls without a recording back; tell whether the call can be handed over now."""
        if call.recording_id is None:
            without[call.call_id] = call
            return False
        without.pop(call.call_id, None)
        return True

    def _entry(
        self, call: Call, batch: Batch | None, *, key: str = "", why_none: str = ""
    ) -> Entry[Recording]:
        if self._handed:
            self._handed[-1][1][call.call_id] = call.recording_id
        self._grants.offer(call)
        started = call.started or UNDATED
        want = Want(key or item_key(call.call_id, call.recording_id), call.call_id, started)
        closes = (safe_call_id(call.call_id),) if call.recording_id is not None else ()
        recording = Recording(call.call_id, call.recording_id, started, why_none)
        return Entry(want, recording, batch, closes, source=f"call {call.call_id}")

    async def _count_lost(self, error: Transient | ItemError) -> None:
        """Count a window that could not be listed; after a few in a row, ask whether anything can."""
        self._lost_in_a_row += 1
        if self._lost_in_a_row < WINDOWS_LOST_IN_A_ROW:
            return
        newest = Span(self._request.span.end - timedelta(minutes=1), self._request.span.end)
        try:
            await self._api.list_calls(newest.start, newest.end, limit=1, offset=0)
        except (Transient, ItemError):
            message = f"{self._lost_in_a_row} windows in a row could not be listed: {error}"
            raise PlatformDown(message) from error
        self._lost_in_a_row = 0  # some days are ill, not the platform: the others must not wait for them

    def _unsettled(self, window: Span, reason: str) -> None:
        log.error("window %s: %s", window, reason)
        self._lost.append(window)
        self.findings.walked_to = max(window.end, self.findings.walked_to or window.end)
        lost = {"start": show(window.start), "end": show(window.end), "reason": reason}
        self.findings.unsettled.append(lost)

    async def _covered(self, window: Span) -> None:
        if self._rehearsal:
            return
        theirs = self._request.now + timedelta(seconds=self._api.clock_skew)
        if window.end > theirs + CLOCK_SLACK:
            # What lies ahead of the platform's clock has not happened: covering it would lose it later.
            self._unsettled(window, f"it lies ahead of the platform's clock ({show(theirs)}): is ours right?")
            return
        self.findings.watermark = await self.coverage.cover(window.start, window.end)

    async def _left_open(self) -> AsyncGenerator[Sequence[Entry[Recording]], None]:
        """Ask again, by id, for what earlier runs left open and this run's windows did not list."""
        span = self._request.span if self._request.exact else None
        pages = self._ledger.items(
            self._scope,
            states=OPEN_STATES,
            not_run=self._run_id,
            start=span.start if span else None,
            end=span.end if span else None,
        )
        async for page in pages:
            for item in page:
                if self._piece is not None and item.run_id.startswith(self._piece.family):
                    continue  # others who work on the same run left it open a moment ago
                if not self._owns(item.subject or item.key):
                    continue
                entry = await self._ask_again(item)
                if entry is not None:
                    yield [entry]

    async def _ask_again(self, item: Item) -> Entry[Recording] | None:
        call_id = item.subject or item.key
        try:
            call = await self._api.get_call(call_id)
        except (Transient, ItemError) as error:
            log.warning("call %s could not be asked for again: %s", call_id, error)
            call = Call(call_id, item.at, None, None, {})
            return self._entry(call, None, key=item.key, why_none="not_reached")
        had_one = item.key != safe_call_id(call_id)
        if call is None:
            gone = Call(call_id, item.at, None, None, {})
            reason = "recording_gone" if had_one else "call_not_found"
            return self._entry(gone, None, key=item.key, why_none=reason)
        if call.recording_id is None:
            return self._entry(call, None, key=item.key, why_none="recording_gone" if had_one else "")
        entry = self._entry(call, None)
        closes = entry.closes if item.key == entry.want.key else (*entry.closes, item.key)
        return replace(entry, closes=closes)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
