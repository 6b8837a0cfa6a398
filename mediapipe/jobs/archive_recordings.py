"""``archive run``: copy every recording of a span into the store, miss none, overwrite none.

The source is a :class:`~mediapipe.listing.Listing`. One stage: take a fresh signed URL, transfer, say
what became of it. Workers that share a run do the same: a shard (``--shard``) is a run of its own, a piece
is a part of one that somebody else plans and reports.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from mediapipe.convirza.models import Call
from mediapipe.covering import Coverage
from mediapipe.errors import ExitCode, Failed, Transient
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.ledger.interface import Settled, State
from mediapipe.line import Ending, Entry, Finished, Job, Line, Sink, Stage
from mediapipe.listing import UNDATED, Findings, Listing, Piece, Recording, Request, resolve_span
from mediapipe.pipeline import rehearse, run
from mediapipe.report.summary import exit_code
from mediapipe.services import ArchiveServices, prove_destination, release_dead
from mediapipe.shards import Shard
from mediapipe.spans import Span, show
from mediapipe.transfer import Kept, Transfer

log = logging.getLogger(__name__)

JOB = "archive.run"
TAKES = frozenset(State) - {State.DONE}
"""Everything but a done recording is worked on again: an absent one may have appeared."""
LINGER_S = 0.02
"""Receipts of so many seconds share a transaction; what a crash leaves without one is adopted."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for: a span or none, and whether only to say what would be done.

    ``shard`` works on its own calls only; a ``piece`` says its span itself.
    """

    now: datetime
    start: datetime | None = None
    end: datetime | None = None
    dry_run: bool = False
    allow_overwrite_unsafe: bool = False
    shard: Shard | None = None
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How an archive run ended and what it learned. ``refetches`` counts calls fetched again for a URL."""

    ending: Ending
    tally: Tally
    request: Request
    findings: Findings
    requests: int
    refetches: int
    exit_code: ExitCode


class ArchiveRecordings:
    """The job as data for the pipeline."""

    def __init__(self, services: ArchiveServices, request: Request, run_id: str, ask: Ask) -> None:
        self._services, self._request, self._run_id = services, request, run_id
        self._piece = ask.piece
        self.listing = Listing(
            api=services.platform.v3,
            grants=services.grants,
            ledger=services.ledger,
            scope=services.scope,
            request=request,
            rules=services.rules,
            run_id=run_id,
            rehearsal=ask.dry_run,
            shard=ask.shard,
            piece=ask.piece,
        )

    def line(
        self, expect: Callable[[int], None] | None = None, stop: Callable[[], bool] | None = None
    ) -> Line[Recording]:
        """Return the line for the pipeline; ``expect`` is told each page's size, ``stop`` asked before."""

        async def pages() -> AsyncGenerator[Sequence[Entry[Recording]], None]:
            async with aclosing(self.listing.pages()) as listed:
                async for page in listed:
                    if stop is not None and stop():
                        return
                    if expect is not None:
                        expect(len(page))
                    self._services.expect(len(page))
                    yield page

        return Line(
            scope=self._services.scope,
            run_id=self._run_id,
            source=pages,
            stages=[Stage("archive", self._archive, self._services.workers)],
            takes=TAKES,
            intend=True,
            linger=LINGER_S,
            settled=None if self._piece is None else self._settled,
        )

    async def _settled(self, entry: Entry[Recording], settled: Settled) -> Outcome:
        """Say that an item had its effect in this run also when a worker had it that was lost since."""
        assert self._piece is not None  # noqa: S101
        ours = settled.run_id.startswith(self._piece.family) and settled.reason != "present"
        return Outcome(
            settled.key,
            Verdict.DONE if ours else Verdict.SKIPPED,
            message=settled.detail.get("object", "") if ours else "",
            source=entry.source,
            sha256=settled.detail.get("sha256", ""),
            bytes=int(settled.detail.get("bytes", 0) or 0),
        )

    async def _archive(self, job: Job[Recording]) -> Finished:
        recording, tries = job.payload, job.claim.attempts
        if recording.recording_id is None:
            return self._without_recording(job)
        present = await self._services.existing.of(
            recording.call_id, recording.recording_id, recording.started
        )
        said = ""
        call = await self._services.grants.take(recording.call_id)
        for _ in range(self._services.rules.url_budget):
            if call is None or call.grant is None:
                # It was listed with a recording: that it shows none now is no reason to stop asking.
                raise Failed("the recording was listed and is not there any more", code="recording_gone")
            if call.recording_id != recording.recording_id:
                raise Failed(
                    "the call has another recording now; the next run takes it", code="recording_changed"
                )
            result = await self._services.transfer(self._task(call, recording, present))
            if isinstance(result, Kept):
                return _kept(job.claim.key, result, tries)
            said = f"{result.reason}: {result.message}"
            call = await self._services.grants.renew(recording.call_id)
        raise Failed(
            f"{self._services.rules.url_budget} signed URLs in a row did not work ({said})",
            code="url_expired",
        )

    def _task(self, call: Call, recording: Recording, present: tuple[str, ...]) -> Transfer:
        assert call.grant is not None and recording.recording_id is not None  # noqa: S101, PT018
        return Transfer(
            call_id=recording.call_id,
            recording_id=recording.recording_id,
            started=recording.started,
            record=call.record,
            url=call.grant.url,
            claimed_duration_s=call.claimed_duration_s,
            claimed_bytes=call.claimed_bytes,
            present=present,
        )

    def _without_recording(self, job: Job[Recording]) -> Finished:
        """Say pending or, past the waiting age, absent; an item that could not be asked for has failed."""
        recording, tries = job.payload, job.claim.attempts
        key = job.claim.key
        if recording.why_none == "not_reached":
            raise Transient("the call could not be asked for again", code="not_reached")
        if recording.why_none == "recording_gone":
            raise Failed("the recording was listed and is not there any more", code="recording_gone")
        age = self._request.now - recording.started
        old = recording.started != UNDATED and age > self._services.rules.waiting_age
        reason = recording.why_none or ("no_recording" if old else "no_recording_yet")
        message = f"the call started {show(recording.started)}"
        verdict = Verdict.ABSENT if old else Verdict.PENDING
        return Finished(
            Outcome(key, verdict, reason, message, source=f"call {recording.call_id}", attempts=tries)
        )


def _kept(key: str, kept: Kept, tries: int) -> Finished:
    """Return the outcome of a kept recording: one that stood there whole was an earlier run's effect."""
    verdict = Verdict.SKIPPED if kept.how == "present" else Verdict.DONE
    reason = "" if kept.how == "fetched" else kept.how
    detail = {"object": kept.key, "sha256": kept.sha256, "bytes": str(kept.size)}
    outcome = Outcome(
        key,
        verdict,
        reason,
        " ".join((kept.key, *(f"({warning})" for warning in kept.warnings))),
        sha256=kept.sha256,
        bytes=kept.size,
        attempts=tries,
    )
    return Finished(outcome, detail)


async def archive(
    services: ArchiveServices,
    ask: Ask,
    *,
    run_id: str,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
    stop: Callable[[], bool] | None = None,
) -> Result:
    """Run the job from span to receipts; raises ``UsageError`` for a span that makes no sense.

    ``expect`` is told how many more items each page of the listing adds, for a progress bar's total.
    ``stop`` is asked before each page: once it says so, no more is begun, as after a first signal.
    Everything else that stops the run is in the result, with the exit code it leads to.
    """
    request = await requested(services, ask)
    job, tally = ArchiveRecordings(services, request, run_id, ask), Tally()

    def count(outcome: Outcome) -> None:
        tally.add(outcome)
        sink(outcome)

    line, findings = job.line(expect, stop), job.listing.findings
    if ask.dry_run:
        ending = await rehearse(line, services.ledger, count)
    else:
        await _prepare(services, ask, request, job.listing.coverage, run_id)
        ending = await run(line, services.ledger, count, signals=signals)
    if stop is not None and stop():
        ending = replace(ending, interrupted=True)
    if (ending.fatal is not None or ending.interrupted) and not (ask.piece is not None and ask.piece.rest):
        _name_the_rest(findings, request)
    code = exit_code(
        tally, unproven=bool(findings.unsettled), interrupted=ending.interrupted, fatal=ending.fatal
    )
    if not ask.dry_run:
        await _finish(services, ask, job.listing, run_id, code, tally)
    requests, refetches = services.platform.v3.session.requests, services.grants.refetches
    return Result(ending, tally, request, findings, requests, refetches, code)


async def requested(services: ArchiveServices, ask: Ask) -> Request:
    """Return what a run covers; raises ``UsageError`` for a span that makes no sense."""
    if ask.piece is not None:
        return ask.piece.request
    return resolve_span(
        ask.start,
        ask.end,
        watermark=await services.ledger.watermark(services.scope),
        now=ask.now,
        lookback=services.lookback,
        settle=services.settle,
    )


async def _finish(
    services: ArchiveServices, ask: Ask, listing: Listing, run_id: str, code: ExitCode, tally: Tally
) -> None:
    """Record the end, and look once more at what the other shards have walked by now."""
    if ask.shard is not None and listing.findings.windows:
        listing.findings.watermark = await listing.coverage.fold()
        listing.findings.waits_for = listing.coverage.waits_for
    if ask.piece is None:
        await services.ledger.end(run_id, exit_code=code, counts=tally.counts(), size=tally.bytes)


def _name_the_rest(findings: Findings, request: Request) -> None:
    """Say which part of the span was not walked because the run was stopped."""
    rest = Span(findings.walked_to or request.span.start, request.span.end)
    if rest.start < rest.end:
        named = {
            "start": show(rest.start),
            "end": show(rest.end),
            "reason": "not walked: the run was stopped",
        }
        findings.unsettled.append(named)


async def _prepare(
    services: ArchiveServices, ask: Ask, request: Request, coverage: Coverage, run_id: str
) -> None:
    ledger, scope = services.ledger, services.scope
    await prepare_destination(services, ask)
    freed = await release_dead(ledger, scope, services.runs_dir)
    if freed:
        log.info("%d items of runs that died are taken over", freed)
    if ask.piece is None:
        await ledger.begin(run_id, scope)
        await coverage.begin(request.span.start)
    await coverage.sign(run_id)
    named = f" (shard {ask.shard})" if ask.shard is not None else ""
    log.info("archiving %s to %s%s", request.span, scope.destination, named)


async def prepare_destination(services: ArchiveServices, ask: Ask) -> None:
    """Show that the destination refuses to overwrite, unless the user said that it need not."""
    if ask.allow_overwrite_unsafe:
        log.warning("--allow-overwrite-unsafe: the destination is not asked to refuse overwriting")
        return
    tools = services.tools
    await prove_destination(tools.store, services.ledger, services.scope, tools.retry)
