"""``archive run --engine ray``: a run cut into shares that a Ray cluster works on.

The driver resolves the span once, cuts it, hands out shares and folds their reports; each share is the same
job in a worker process. A worker that is lost takes nothing along: its share runs again, and the ledger says
what it had done. Nothing secret is passed to Ray (:mod:`mediapipe.engines.orders`).
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mediapipe.convirza.v3 import V3
from mediapipe.covering import Coverage
from mediapipe.engines.cluster import installed_ray, joined
from mediapipe.engines.cut import CALLS, Counted, Share, shares
from mediapipe.engines.fold import Report, Stopped, Sum, folded
from mediapipe.engines.gate import Gate, Reach, Turn
from mediapipe.engines.orders import Order, told
from mediapipe.engines.task import work
from mediapipe.errors import Fatal, ItemError, PlatformDown, Transient, UsageError
from mediapipe.items import Outcome, Tally
from mediapipe.jobs.archive_recordings import JOB, Ask, Result, prepare_destination, requested
from mediapipe.line import Ending, Sink
from mediapipe.listing import WINDOWS_LOST_IN_A_ROW, Piece, Request
from mediapipe.report.outcomes import read_outcomes
from mediapipe.report.rundir import write_failed
from mediapipe.report.summary import exit_code
from mediapipe.services import ArchiveServices, open_archive, release_dead
from mediapipe.settings import Settings, mask_dsn
from mediapipe.spans import Span, show, windows

log = logging.getLogger(__name__)

RETRIES = 3
"""Times that a share is given to another worker after its own was lost."""

POLL_SECONDS = 0.1
SHORTEST = 120.0
"""Seconds of a window that is not halved any more to be cut."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Where a run's outcomes go: ``sink`` gets each once, at the end; ``arrived`` as they come in."""

    folder: Path
    sink: Sink
    arrived: Sink
    expect: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run on Ray came to: the result as of any archive run, where to, and in how many shares."""

    result: Result
    destination: str
    shares: int


async def archive_with_ray(
    settings: Settings, ask: Ask, *, run_id: str, owner: str, telling: Telling, calls: int = CALLS
) -> Ran:
    """Run ``archive run`` on a Ray cluster in shares of about ``calls``, and fold what they report.

    Raises ``UsageError`` without ray, for a span that makes no sense, and for a ledger that the nodes of
    the cluster cannot share.
    """
    ray = installed_ray()
    async with open_archive(settings, JOB, owner) as services:
        request = await requested(services, ask)
        if not ask.dry_run:
            await prepare_destination(services, ask)
            await release_dead(services.ledger, services.scope, services.runs_dir)
            await services.ledger.begin(run_id, services.scope)
            await Coverage(services.ledger, services.scope).begin(request.span.start)
        driver = _Driver(ray, settings, ask, request, run_id, telling)
        cut: list[Share] = []
        try:
            cut += shares([one async for one in _counted(services, request)], calls)
            log.info("archiving %s to %s in %d shares", request.span, services.scope.destination, len(cut))
            async with joined(ray, settings.ledger_dsn) as driver.alone:
                await driver.run(cut)
        except UsageError:
            raise
        except Fatal as error:
            driver.stopped_by(error)
        return Ran(await driver.result(services), services.scope.destination, len(cut))


async def _counted(services: ArchiveServices, request: Request) -> AsyncGenerator[Counted, None]:
    """Ask how many calls each window holds, one call on a page; halve those that a walk would halve."""
    stack, lost = list(windows(request.span, services.rules.window))[::-1], 0
    while stack:
        window = stack.pop()
        # When the list cannot be asked, whoever works on a window finds out; not this loop, one by one.
        calls = await _total(services.platform.v3, window) if lost < WINDOWS_LOST_IN_A_ROW else None
        lost = lost + 1 if calls is None else 0
        long = (window.end - window.start).total_seconds() > SHORTEST
        if calls is not None and calls > services.rules.window_max_calls and long:
            stack.extend(reversed(window.halves()))
        else:
            yield Counted(window, calls)


async def _total(api: V3, window: Span) -> int | None:
    try:
        return (await api.list_calls(window.start, window.end, limit=1, offset=0)).total
    except (Transient, ItemError) as error:
        # Whoever works on it will see for itself, and say so if it cannot.
        log.warning("window %s could not be counted: %s", window, error)
        return None


@dataclass
class _Driver:
    """Hands out shares, takes reports in, and folds them."""

    ray: Any
    settings: Settings
    ask: Ask
    request: Request
    run_id: str
    telling: Telling
    alone: bool = True
    total: Sum = field(default_factory=Sum)
    parts: list[tuple[Share, Path]] = field(default_factory=list)
    rest: list[Path] = field(default_factory=list)
    signals: int = 0

    def stopped_by(self, error: Fatal) -> None:
        """Note an error of the driver itself: the counts so far are reported all the same."""
        self.total.add(Report(-1, stopped=Stopped.of(error)))
        if not self.parts:
            span = self.request.span
            self.total.findings.unsettled.append(_unproven(span, "not walked: the run was stopped"))

    async def run(self, cut: Sequence[Share]) -> None:
        """Work on all shares, then on what comes after the windows."""
        per_second = self.settings.pace.requests_per_second
        gate = self.ray.remote(num_cpus=0, max_restarts=RETRIES, max_task_retries=RETRIES)(Gate)
        actor = gate.remote(per_second)
        with self._listening():
            pieces = [Piece(self._only(share.span), self.request.span, self.run_id) for share in cut]
            numbered = list(enumerate(zip(cut, pieces, strict=True)))
            await self._hand_out(actor, [(n, share, piece) for n, (share, piece) in numbered])
            whole, last = Share(self.request.span), len(cut)
            rest = Piece(self.request, self.request.span, self.run_id, rest=True)
            await self._hand_out(actor, [(last, whole, rest)])

    def _only(self, span: Span) -> Request:
        return Request(span, self.request.exact, self.request.now)

    async def _hand_out(self, actor: Any, all_of_it: list[tuple[int, Share, Piece]]) -> None:
        task = self.ray.remote(num_cpus=1, max_retries=RETRIES)(archive_share)
        # Once for all shares: settings are the largest part of an order.
        plain = self.ray.put(self._told())
        waiting = {
            task.remote(self._order(number, share, piece), plain, actor): (number, share, piece)
            for number, share, piece in all_of_it
        }
        while waiting:
            if self.signals:
                actor.stop.remote()
            ready, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
            for one in ready:
                number, share, piece = waiting.pop(one)
                self._take(self._report(one, number, share, piece), share, piece, actor)
            await anyio.sleep(POLL_SECONDS if not ready else 0)

    def _told(self) -> dict[str, Any]:
        """Return what workers are told: each is one processor's worth, and starts no others unasked."""
        alone = {} if self.settings.archive.processes else {"archive.processes": 1}
        return told(self.settings) | alone

    def _order(self, number: int, share: Share, piece: Piece) -> Order:
        ask = Ask(
            self.ask.now,
            dry_run=self.ask.dry_run,
            allow_overwrite_unsafe=self.ask.allow_overwrite_unsafe,
            shard=share.shard,
            piece=piece,
        )
        state = str(self.settings.state_dir.expanduser().absolute()) if self.alone else None
        return Order(number, ask, {}, mask_dsn(self.settings.ledger_dsn) or "", state)

    def _report(self, one: Any, number: int, share: Share, piece: Piece) -> Report:
        """Return a share's report; of one whose workers were all lost, that it is not proven."""
        try:
            report: Report = self.ray.get(one)
        except self.ray.exceptions.RayError as error:
            log.error("share %d (%s): %s", number, share.span, str(error).partition("\n")[0])
            reason = f"its worker was lost {RETRIES + 1} times"
            return Report(number, unsettled=(_unproven(share.span, reason),))
        if report.interrupted and not report.windows and not report.unsettled and not piece.rest:
            return Report(
                number,
                unsettled=(_unproven(share.span, "not walked: the run was stopped"),),
                interrupted=True,
                stopped=report.stopped,
            )
        return report

    def _take(self, report: Report, share: Share, piece: Piece, actor: Any) -> None:
        self.total.add(report)
        if report.stopped is not None:
            actor.stop.remote()
        path = self.telling.folder / f"share-{report.number:04d}.jsonl"
        try:
            path.write_bytes(report.lines)
        except OSError as error:
            raise write_failed(path, error) from None
        outcomes = list(read_outcomes(path))
        self.telling.expect(len(outcomes))
        for outcome in outcomes:
            self.telling.arrived(outcome)
        if piece.rest:
            self.rest.append(path)
        else:
            self.parts.append((share, path))

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Drain on the first SIGINT or SIGTERM, and stop at once on the second."""

        def caught(number: int, frame: object) -> None:
            self.signals += 1
            name = signal.Signals(number).name
            if self.signals > 1:
                log.warning("%s again: stopping at once", name)
                raise KeyboardInterrupt
            log.warning("%s: finishing what is under way; once more stops at once", name)

        before = {number: signal.signal(number, caught) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def result(self, services: ArchiveServices) -> Result:
        """Fold all outcomes, record the end of the run, and say how it ended."""
        tally = Tally()
        for outcome in self._folded():
            tally.add(outcome)
            self.telling.sink(outcome)
        stopped, findings = self.total.stopped, self.total.findings
        fatal = None if stopped is None else stopped.as_error()
        interrupted = fatal is None and (self.total.interrupted or self.signals > 0)
        code = exit_code(tally, unproven=bool(findings.unsettled), interrupted=interrupted, fatal=fatal)
        if not self.ask.dry_run:
            await services.ledger.end(self.run_id, exit_code=code, counts=tally.counts(), size=tally.bytes)
            findings.watermark = await services.ledger.watermark(services.scope)
        findings.unsettled.sort(key=lambda one: one["start"])
        ending = Ending(interrupted, fatal)
        requests = self.total.requests + services.platform.v3.session.requests
        return Result(ending, tally, self.request, findings, requests, self.total.refetches, code)

    def _folded(self) -> Iterator[Outcome]:
        """Yield every item once, and clear away what the shares have brought."""
        self.parts.sort(key=lambda part: part[0].span)
        rest = [outcome for path in self.rest for outcome in read_outcomes(path)]
        yield from folded(((share.span, read_outcomes(path)) for share, path in self.parts), rest)
        for path in [path for _, path in self.parts] + self.rest:
            path.unlink()


def _unproven(span: Span, reason: str) -> dict[str, str]:
    return {"start": show(span.start), "end": show(span.end), "reason": reason}


def archive_share(order: Order, plain: dict[str, Any], actor: Any) -> Report:
    """Work on one share in a Ray worker."""
    ray = installed_ray()

    async def asked(method: Any) -> Any:
        try:
            return await method.remote()
        except ray.exceptions.RayError as error:
            raise PlatformDown(
                f"the run's request budget is gone: {str(error).partition(chr(10))[0]}", code="engine_lost"
            ) from None

    def reach() -> Reach:
        async def turn() -> Turn:
            given: Turn = await asked(actor.turn)
            return given

        async def stopping() -> bool:
            return bool(await asked(actor.stopping))

        return Reach(turn, actor.hold.remote, stopping)

    return work(Order(order.number, order.ask, plain, order.ledger, order.state_dir), reach)
