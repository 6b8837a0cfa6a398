"""``calls import``: historical recordings into the platform, each once.

All rows are validated first; then a line of one stage sends what was not sent before; then every upload of
this manifest whose end is not known is looked up. What the platform has and what it may have is kept apart
throughout: see the state machine in ``architecture.md``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from mediapipe.errors import CredentialsError, ItemError, PlatformDown, Transient
from mediapipe.exclusive import alone, still_ours
from mediapipe.groups import resolve
from mediapipe.import_services import ImportServices
from mediapipe.imports.canary import sight
from mediapipe.imports.feed import FRESH, Feed
from mediapipe.imports.intents import intent_of, intent_of_item
from mediapipe.imports.preflight import listen_to_all, sent_today, tell_groups, there_already, unknown
from mediapipe.imports.reconciling import OPEN, Looked
from mediapipe.imports.results import Result
from mediapipe.imports.sending import Sender, changes
from mediapipe.imports.validation import validate
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.ledger.interface import Claim, Scope, Settled, State
from mediapipe.line import Ending, Entry, Line, Sink, Stage
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.pipeline import run
from mediapipe.relist import mark
from mediapipe.report.summary import exit_code
from mediapipe.services import release_dead
from mediapipe.verdicts import Judged, about, unheard

log = logging.getLogger(__name__)

JOB = "calls.import"
WAITING = frozenset({"not_fetched"})
"""Reasons of pending rows that are looked up again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for. ``insist``: import although the rows seem to be there already."""

    manifest: CallManifest
    root: Root
    tz: str | None = None
    all_or_nothing: bool = False
    resend_uncertain: bool = False
    insist: bool = False


@dataclass(slots=True)
class ImportCalls:
    """One import. ``sink`` gets each row's outcome once, ``failed`` the rows to be run again."""

    services: ImportServices
    ask: Ask
    run_id: str
    sink: Sink
    failed: Callable[[CallRow, Outcome], None]
    expect: Callable[[int], None] | None = None
    signals: bool = False
    result: Result = field(default_factory=Result)
    _in_hand: dict[str, CallRow] = field(default_factory=dict)
    _open: dict[str, tuple[Outcome, CallRow]] = field(default_factory=dict)
    """Rows whose upload's end is not known: they are reported when that was looked up."""
    _told: set[str] = field(default_factory=set)
    """Keys of good rows that had their outcome before the line began."""
    _refused: int = 0
    """Rows that had it because of their problems."""

    async def work(self) -> Result:
        """Do it all. Raises ``Fatal`` for what comes before the first row is worked on."""
        services, result = self.services, self.result
        result.validated = await validate(
            self._rows(), self._refuse, sample=services.look_first, expect=self.expect
        )
        for note in result.validated.notes():
            log.warning("%s", note)

        async def free(scope: Scope) -> int:
            return await release_dead(services.ledger, scope, services.runs_dir)

        async with alone("import", services.ledger, services.scope, self.run_id, free) as lock:
            await free(services.scope)
            await services.ledger.begin(self.run_id, services.scope)
            await self._import(lock)
            ending = result.ending
            result.exit_code = exit_code(
                result.tally, unproven=result.unproven, interrupted=ending.interrupted, fatal=ending.fatal
            )
            counts, size = result.tally.counts(), result.tally.bytes
            await services.ledger.end(self.run_id, exit_code=result.exit_code, counts=counts, size=size)
        return result

    async def _import(self, lock: Claim) -> None:
        feed, absent = await self._feed(), frozenset[str]()
        if obstacle := await self._obstacle():
            feed.held, self.result.stopped = obstacle, obstacle[1]
        else:
            await self._hear_the_clock()
            await self._mark()
            if self.ask.resend_uncertain:
                absent = await self._look_before_resending(lock)
        feed.resend = absent
        sender = Sender(self.services.tools, self.run_id, absent)
        if feed.held is None and self.services.canary and not self._over:
            await self._let_canaries_sing(feed, sender, lock)
        if not self._over:
            await self._run(self._line(sender, feed.pages, lock), self._take)
        self._judge_login(sender)
        await self._look_up(lock)
        if feed.held is None:
            await self._mark()  # midnight may have passed

    # ── before anything is sent ─────────────────────────────────────────────────────────────

    def _rows(self) -> Generator[CallRow, None, None]:
        slot = self.services.tools.marker_slot
        return self.ask.manifest.rows(self.ask.root, tz=self.ask.tz, marker_slot=slot)

    async def _refuse(self, rows: Sequence[CallRow]) -> None:
        """Count rows with problems, but for those of which a call was or may have been made."""
        ledger, scope = self.services.ledger, self.services.scope
        states = await ledger.peek(scope, [row.external_id for row in rows if row.has_key])
        for row in rows:
            if not row.has_key or states.get(row.external_id, State.NEW) in FRESH:
                self._refused += 1
                self._count(unheard(row).outcome, row)

    async def _feed(self) -> Feed:
        services = self.services
        limits = services.limits
        if services.max_duration is not None:
            limits.ends = anyio.current_time() + services.max_duration.total_seconds()
        if services.daily_budget is not None:
            sent = await sent_today(services.ledger, services.scope)
            limits.budget = max(0, services.daily_budget - sent)
        return Feed(
            self._rows(), services.ledger, services.scope, limits, self._hold, self._offered, self._is_counted
        )

    def _offered(self, row: CallRow) -> None:
        self._in_hand[row.external_id] = row

    def _hold(self, row: CallRow, code: str, words: str) -> None:
        self._count(about(row, Verdict.PENDING, code, words), row)

    def _is_counted(self, row: CallRow, fresh: bool) -> bool:
        """Tell whether a row has had its outcome; a fresh one whose group is not known has it now."""
        if not row.has_key or row.external_id in self._told or (fresh and row.problems):
            return True
        groups = self.result.groups
        wrong = groups.problem(row.fields) if groups is not None and fresh else ""
        if wrong:
            self._count(about(row, Verdict.REJECTED, "unknown_group", f"{row.place}: {wrong}"), row)
        return bool(wrong)

    async def _obstacle(self) -> tuple[str, str] | None:
        """Return code and words of what forbids to send anything."""
        found, services, whole = self.result.validated, self.services, self.ask.all_or_nothing
        if whole and self._refused:
            return "all_or_nothing", f"{self._refused:,} rows have problems, and --all-or-nothing was said"
        if services.list_groups is not None and found.wanted_groups:
            self.result.groups = await resolve(services.list_groups, found.wanted_groups)
            tell_groups(self.result.groups)
            if whole and self.result.groups.unresolved:
                return "all_or_nothing", "some groups are not known, and --all-or-nothing was said"
        if whole and (silent := await self._listen()):
            return "all_or_nothing", f"{silent:,} recordings cannot be sent, and --all-or-nothing was said"
        if not self.ask.insist and (sample := await unknown(services.ledger, services.scope, found.sample)):
            tools = services.tools
            there = await there_already(
                tools.v3, services.ledger, services.scope, sample, tools.match, tools.margin
            )
            if there:
                self.result.there, self.result.unproven = there, True
                return "there_already", (
                    f"{len(there)} of {len(sample)} rows that were looked up seem to be in the account"
                    " already, and this ledger knows nothing of them: use the ledger that imported them,"
                    " or take them over with 'mediapipe calls reconcile --adopt MANIFEST', or say --insist"
                )
        return None

    async def _hear_the_clock(self) -> None:
        """Ask v3 for anything: its answer tells the platform's clock, by which uploads are found again."""
        now = datetime.now(UTC)
        try:
            await self.services.tools.v3.list_calls(now - timedelta(minutes=1), now, limit=1, offset=0)
        except (Transient, ItemError) as error:
            problem = f"calls cannot be listed, so no upload could be looked up: {error}"
            raise PlatformDown(problem) from error

    async def _listen(self) -> int:
        """Decode all audio, refuse what cannot be sent, and return how many that are."""

        def refuse(row: CallRow, judged: Judged) -> None:
            self._told.add(row.external_id)
            self._count(judged.outcome, row)

        tools = self.services.tools
        self.result.ending = await listen_to_all(
            self._rows(), tools.ledger, tools.scope, tools.ear, tools.originals, refuse,
            workers=self.services.workers, signals=self.signals,
        )  # fmt: skip
        return len(self._told)

    async def _mark(self) -> None:
        """Have the archives of this ledger list the days again that the calls fall into."""
        services, found = self.services, self.result.validated
        if found.good:
            now = datetime.now(UTC)
            days, until = found.days | {now.date()}, now + services.relist_for
            relisted = await mark(services.ledger, services.scope.account, days, until, self.run_id)
            self.result.relisted = relisted

    # ── sending ─────────────────────────────────────────────────────────────────────────────

    def _line(
        self,
        sender: Sender,
        source: Callable[[], AsyncGenerator[Sequence[Entry[CallRow]], None]],
        lock: Claim,
    ) -> Line[CallRow]:
        again = {State.UNCERTAIN, State.INTENDED} if sender.absent else set()
        return Line(
            scope=self.services.scope,
            run_id=self.run_id,
            source=source,
            stages=[Stage("import", sender.send, self.services.workers)],
            takes=FRESH | again,
            settled=self._as_before,
            guards=(lock,),
        )

    async def _run(self, line: Line[Any], sink: Sink) -> None:
        for lock in line.guards:
            await still_ours(self.services.ledger, lock)
        ending = await run(line, self.services.ledger, sink, signals=self.signals)
        before = self.result.ending
        self.result.ending = Ending(before.interrupted or ending.interrupted, before.fatal or ending.fatal)

    @property
    def _over(self) -> bool:
        return self.result.ending.interrupted or self.result.ending.fatal is not None

    async def _as_before(self, entry: Entry[CallRow], settled: Settled) -> Outcome:
        """Say what becomes of a row that was sent before: nothing, unless it is another call by now."""
        row, recorded = entry.payload, intent_of(settled.key, settled.detail)
        differ = await changes(recorded, row) if recorded else []
        said = f"it was sent as another call: {'; '.join(differ)}"
        if settled.state is State.DONE and differ:
            return about(row, Verdict.REJECTED, "conflict", f"{row.place}: {said}")
        verdict = {State.DONE: Verdict.SKIPPED, State.PENDING: Verdict.PENDING}.get(
            settled.state, Verdict.UNCERTAIN
        )
        outcome = about(row, verdict, settled.reason or "interrupted", "an earlier run did not learn its end")
        if verdict is Verdict.SKIPPED:
            outcome = about(row, verdict)
        if differ:
            outcome = replace(outcome, warnings=(*outcome.warnings, Remark("conflict", said)))
        if recorded is not None:
            outcome = replace(outcome, sha256=recorded.sha256, sent_sha256=recorded.sent_sha256)
        return outcome

    async def _let_canaries_sing(self, feed: Feed, sender: Sender, lock: Claim) -> None:
        """Send a few rows and look for them; hold the others unless all show up as they were meant."""
        services, tools = self.services, self.services.tools
        await self._run(self._line(sender, lambda: feed.pages(services.canary), lock), self._take)
        if self._over:
            return
        sent = []
        async for page in tools.ledger.items(tools.scope, states={State.DONE, State.PENDING}):
            intents = (intent_of_item(item) for item in page if item.run_id == self.run_id)
            sent += [intent for intent in intents if intent is not None]
        patience = max(services.lag, timedelta(seconds=1))
        self.result.canaries = await sight(
            tools.v3, sent, tools.match, margin=tools.margin, patience=patience
        )
        if all(one.fine for one in self.result.canaries) and (sent or not feed.begun):
            log.info("%d canaries show up as they were meant", len(sent))
            return
        self.result.unproven = True
        self.result.stopped = "the canaries did not show up as they were meant; no others were sent"
        feed.held = "canary", self.result.stopped

    def _judge_login(self, sender: Sender) -> None:
        """Count refusals for want of permission as the login's, when nothing else came of it."""
        if sender.forbidden and not sender.accepted and self.result.ending.fatal is None:
            hint = "uploads need an ADMIN login of the account"
            fatal = CredentialsError("nothing could be uploaded with this login", code="forbidden", hint=hint)
            self.result.ending = replace(self.result.ending, fatal=fatal)

    # ── looking up ──────────────────────────────────────────────────────────────────────────

    def _lookup(
        self, source: Callable[[], Any], stage: Stage[Looked], run_id: str, lock: Claim
    ) -> Line[Looked]:
        return Line(
            scope=self.services.scope,
            run_id=run_id,
            source=source,
            stages=[stage],
            takes=OPEN,
            guards=(lock,),
        )

    async def _look_before_resending(self, lock: Claim) -> frozenset[str]:
        """Settle what can be proven; return the keys of what is missing and may be sent again."""
        looks = self.services.reconciler()
        # Under a name of its own: what it settles is still to be reported by this run.
        stage = Stage("look", looks.settle, 1)
        await self._run(self._lookup(looks.pages, stage, f"{self.run_id}.look", lock), lambda outcome: None)
        return frozenset(looks.absent)

    async def _look_up(self, lock: Claim) -> None:
        """Look every upload up whose end is not known, and report it."""
        if self._open and not self._over:
            looks, keys = self.services.reconciler(), set(self._open)
            stage = Stage("reconcile", looks.settle, 1)
            await self._run(
                self._lookup(lambda: looks.pages(keys), stage, self.run_id, lock), self._take_looked_up
            )
        for outcome, row in self._open.values():
            self._count(outcome, row)
        self._open.clear()

    # ── outcomes ────────────────────────────────────────────────────────────────────────────

    def _take(self, outcome: Outcome) -> None:
        row = self._in_hand.pop(outcome.key)
        outcome = replace(outcome, row=row.row, source=outcome.source or row.recording)
        waiting = outcome.verdict is Verdict.PENDING and outcome.reason in WAITING
        if outcome.verdict is Verdict.UNCERTAIN or waiting:
            self._open[outcome.key] = outcome, row
        else:
            self._count(outcome, row)

    def _take_looked_up(self, outcome: Outcome) -> None:
        before, row = self._open.pop(outcome.key)
        verdict = outcome.verdict
        if verdict is Verdict.DONE and not before.attempts:
            verdict = Verdict.SKIPPED  # it had its effect in an earlier run
        said = replace(before, verdict=verdict, reason=outcome.reason, message=outcome.message)
        self._count(replace(said, bytes=outcome.bytes), row)

    def _count(self, outcome: Outcome, row: CallRow) -> None:
        self.result.tally.add(outcome)
        self.result.proofs.add(outcome)
        if outcome.verdict in (Verdict.REJECTED, Verdict.FAILED):
            self.failed(row, outcome)
        self.sink(outcome)
