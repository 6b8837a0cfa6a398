"""The engine: bounded streams, one task group, and the ledger protocol around every effect.

A job is data for it: a source of entries and a line of stages. Items go down the line, outcomes come
out at the end, nothing travels back up::

    source ─pages─► feed ─claims─► stage ─► … ─► stage ─outcomes─► settle ─► sink
                     │ settled already: skipped ────────────────────►│
                     │ held elsewhere: asked again at the end        │ receipts, one commit per handful

* ``feed`` claims a page of items in one commit, and with ``intend`` makes the intent durable too:
  before any stage sees an item, the ledger knows that its effect may begin.
* A heartbeat keeps the leases of everything in flight alive.
* ``settle`` writes receipts, then counts; a :class:`Batch` whose items are all settled reports so.
* The first SIGINT or SIGTERM drains: no new item starts, those in hand finish, the rest is given
  back. The second stops at once. Either way the ledger is right and the next run goes on.
* ``Fatal`` cancels the group; anything else that a stage raises is that one item's outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Generic, TypeAlias, TypeVar

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from mediapipe.errors import Fatal, LedgerUnavailable, MediapipeError
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Claim, Held, Ledger, Receipt, Settled, State
from mediapipe.line import STATES, Ending, Entry, Finished, Job, Line, Sink, Stage
from mediapipe.running import Drain, attempt, deciding

log = logging.getLogger(__name__)

T = TypeVar("T")

SETTLE_BATCH = 256
CLEANUP_S = 10.0
HELD_POLL_S = 0.5


async def run(line: Line[T], ledger: Ledger, sink: Sink, *, signals: bool = False) -> Ending:
    """Work the line until its source is empty; see the module's rules.

    ``sink`` is called once per item, after its receipt is durable. ``signals`` installs the handlers for
    draining (main thread only).
    """
    return await _Run(line, ledger, sink).work(signals=signals)


async def rehearse(line: Line[T], ledger: Ledger, sink: Sink) -> Ending:
    """Walk the source and say what ``run`` would do; writes nothing anywhere."""
    counted: set[str] = set()
    try:
        async with aclosing(line.source()) as pages:
            async for page in pages:
                fresh = {entry.want.key: entry for entry in page if entry.want.key not in counted}
                counted.update(fresh)
                states = await ledger.peek(line.scope, list(fresh))
                for key, entry in fresh.items():
                    sink(_foreseen(entry, states.get(key, State.NEW), line.takes))
    except Fatal as error:
        return Ending(fatal=error)
    return Ending()


def _foreseen(entry: Entry[T], state: State, takes: Collection[State]) -> Outcome:
    if state is State.NEW or state in takes:
        return Outcome(entry.want.key, Verdict.PENDING, "dry_run", "would be worked on")
    return Outcome(entry.want.key, _verdict_of(state), state.value)


def _verdict_of(state: State) -> Verdict:
    """Return how an item that is left alone counts."""
    if state is State.INTENDED:
        return Verdict.UNCERTAIN
    return Verdict.SKIPPED if state in {State.DONE, State.CLOSED} else Verdict(state.value)


@dataclass(slots=True)
class _Flight(Generic[T]):
    """What is in hand: claimed, not settled. ``ended`` is the last word on it, until that is recorded."""

    entry: Entry[T]
    claim: Claim
    begun: bool = False
    ended: Finished | None = None


_Done: TypeAlias = tuple[_Flight[T] | None, Finished]
"""What goes to the receipts; without a flight it was settled before this run."""


@dataclass(slots=True)
class _Run(Generic[T]):
    line: Line[T]
    ledger: Ledger
    sink: Sink
    flights: dict[str, _Flight[T]] = field(default_factory=dict)
    held: dict[str, tuple[Entry[T], Held]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    """Keys that had their outcome and would be taken again; of all others the ledger says so."""
    drain: Drain = field(default_factory=Drain)

    async def work(self, *, signals: bool) -> Ending:
        fatal: Fatal | None = None
        hard = False
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._main, group, name="line")
                group.start_soon(self._heartbeat, name="heartbeat")
                if signals:
                    group.start_soon(self.drain.listen, group.cancel_scope, name="signals")
            hard = self.drain.begun and any(flight.begun for flight in self.flights.values())
        except* Fatal as errors:
            fatal = deciding(errors)
            hard = True
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CLEANUP_S):
                await self._give_back()
        if hard and fatal is None:
            log.warning("stopped at once; what was under way will be looked up by the next run")
        return Ending(interrupted=self.drain.begun, fatal=fatal)

    async def _main(self, group: TaskGroup) -> None:
        stages = self.line.stages
        done_in, done_out = anyio.create_memory_object_stream[_Done[T]](SETTLE_BATCH)
        first_in, first_out = anyio.create_memory_object_stream[Job[T]](stages[0].workers)
        # The receiving ends are closed last: when one task fails, the others see their cancellation, not a
        # broken stream.
        with ExitStack() as receivers:
            receivers.enter_context(done_out)
            async with anyio.create_task_group() as line:
                line.start_soon(self._settle, done_out, name="settle")
                line.start_soon(self._feed, first_in, done_in.clone(), name="feed")
                receive = receivers.enter_context(first_out)
                for stage in stages:
                    send, following = anyio.create_memory_object_stream[Job[T]](stage.workers)
                    for number in range(stage.workers):
                        line.start_soon(
                            self._worker, stage, receive.clone(), send.clone(), done_in.clone(),
                            name=f"{stage.name}-{number}",
                        )  # fmt: skip
                    send.close()
                    receive = receivers.enter_context(following)
                receive.close()  # nothing comes out of the last stage
                done_in.close()
        group.cancel_scope.cancel()  # heartbeat and signals have nothing left to do

    # ── feed ────────────────────────────────────────────────────────────────────────────────

    async def _feed(
        self, send: MemoryObjectSendStream[Job[T]], done: MemoryObjectSendStream[_Done[T]]
    ) -> None:
        async with send, done:
            with self.drain.feeding:
                async with aclosing(self.line.source()) as pages:
                    async for page in pages:
                        await self._offer(page, send, done)
                await self._ask_held_again(send, done)

    async def _offer(
        self,
        page: Sequence[Entry[T]],
        send: MemoryObjectSendStream[Job[T]],
        done: MemoryObjectSendStream[_Done[T]],
        *,
        again: bool = False,
    ) -> None:
        """Claim a page and send on what was granted. ``again``: its entries are counted in already."""
        fresh = {entry.want.key: entry for entry in page if not self._known(entry.want.key)}
        if not fresh:
            return
        # Shielded, and no await between the answer and taking note of it: a cancelled feed must leave no
        # claim unknown, or items that nobody began would stay intended.
        with anyio.CancelScope(shield=True):
            answers = await self.ledger.claim(
                self.line.scope,
                [entry.want for entry in fresh.values()],
                run_id=self.line.run_id,
                lease=self.line.lease,
                takes=self.line.takes,
                intend=self.line.intend,
            )
        ready: list[Job[T]] = []
        for entry, answer in zip(fresh.values(), answers, strict=True):
            if entry.batch and not again and not isinstance(answer, Settled):
                entry.batch.enter()
            if isinstance(answer, Claim):
                self.flights[answer.key] = _Flight(entry, answer)
                ready.append(Job(entry, answer, entry.payload))
            elif isinstance(answer, Held):
                self.held[answer.key] = (entry, answer)
        for entry, answer in zip(fresh.values(), answers, strict=True):
            if isinstance(answer, Settled):
                if answer.run_id != self.line.run_id:  # else this run has counted it already
                    await done.send((None, Finished(await self._as_before(entry, answer))))
                if entry.batch and again:
                    await entry.batch.leave()
        for job in ready:
            await send.send(job)

    async def _as_before(self, entry: Entry[T], settled: Settled) -> Outcome:
        if self.line.settled is None:
            return _as_before(settled)
        item = Outcome(settled.key, Verdict.FAILED, source=entry.source)
        look = self.line.settled
        found = await attempt("look", item, lambda: look(entry, settled))
        return found.outcome if isinstance(found, Finished) else found

    def _known(self, key: str) -> bool:
        """Tell whether an item came before in this run: it is worked on once and counted once."""
        return key in self.flights or key in self.held or key in self.counted

    async def _ask_held_again(
        self, send: MemoryObjectSendStream[Job[T]], done: MemoryObjectSendStream[_Done[T]]
    ) -> None:
        """Ask again for what another run holds, for one lease: it finishes, or its lease runs out."""
        patience = anyio.current_time() + self.line.lease.total_seconds() + HELD_POLL_S
        pause = HELD_POLL_S
        while self.held and anyio.current_time() < patience:
            await anyio.sleep(min(pause, max(answer.seconds for _, answer in self.held.values()) + 0.1))
            pause = min(2 * pause, self.line.lease.total_seconds() / 4)
            waiting, self.held = list(self.held.values()), {}
            for at in range(0, len(waiting), SETTLE_BATCH):
                page = [entry for entry, _ in waiting[at : at + SETTLE_BATCH]]
                await self._offer(page, send, done, again=True)
        for entry, answer in self.held.values():
            message = f"another run is working on it ({answer.owner})"
            outcome = Outcome(entry.want.key, Verdict.PENDING, "held_elsewhere", message)
            await done.send((None, Finished(outcome)))

    # ── stages ──────────────────────────────────────────────────────────────────────────────

    async def _worker(
        self,
        stage: Stage[T],
        receive: MemoryObjectReceiveStream[Job[T]],
        send: MemoryObjectSendStream[Job[T]],
        done: MemoryObjectSendStream[_Done[T]],
    ) -> None:
        async with receive, send, done:
            async for job in receive:
                flight = self.flights.get(job.claim.key)
                if flight is None or (self.drain.begun and not flight.begun):
                    continue  # given back at the end
                flight.begun = True
                result = await _attempt(stage, job)
                if isinstance(result, Finished):
                    flight.ended = result
                    await done.send((flight, result))
                else:
                    await send.send(Job(job.entry, job.claim, result))

    # ── settle ──────────────────────────────────────────────────────────────────────────────

    async def _settle(self, done: MemoryObjectReceiveStream[_Done[T]]) -> None:
        async for first in done:
            handful = [first]
            if self.line.linger and first[0] is not None and not self.drain.begun:
                await anyio.sleep(self.line.linger)
            while len(handful) < SETTLE_BATCH:
                try:
                    handful.append(done.receive_nowait())
                except (anyio.WouldBlock, anyio.EndOfStream):
                    break
            await self._record(handful)
            for _, finished in handful:
                if finished.fatal is not None:
                    raise finished.fatal

    async def _record(self, handful: Sequence[_Done[T]]) -> None:
        receipts = [_receipt(flight, finished) for flight, finished in handful if flight is not None]
        if receipts:
            for lost in await self.ledger.settle(receipts, run_id=self.line.run_id):
                log.warning("%s was taken over by another run; its own outcome stands", lost.claim.key)
                self.counted.add(lost.claim.key)
        for flight, finished in handful:
            if flight is not None:
                del self.flights[flight.claim.key]
                if STATES[finished.outcome.verdict] in self.line.takes:
                    self.counted.add(flight.claim.key)
            named = finished.outcome
            if flight is not None and not named.source:
                named = replace(named, source=flight.entry.source)
            self.sink(named)
            if flight is not None and flight.entry.batch:
                await flight.entry.batch.leave()

    # ── around ──────────────────────────────────────────────────────────────────────────────

    async def _heartbeat(self) -> None:
        while True:
            await anyio.sleep(self.line.lease.total_seconds() / 3)
            claims = [flight.claim for flight in self.flights.values()]
            for lost in await self.ledger.renew(claims, self.line.lease) if claims else ():
                log.warning("the lease on %s was lost to another run", lost.key)
            if self.line.guards and await self.ledger.renew(self.line.guards, self.line.lease):
                raise LedgerUnavailable(
                    "another run took over what this one had to itself", code="ledger_lost"
                )

    async def _give_back(self) -> None:
        """Record what ended, return what was never begun to the state it had, end the leases of the rest."""
        ended = [(flight, flight.ended) for flight in self.flights.values() if flight.ended is not None]
        untouched = [flight.claim for flight in self.flights.values() if not flight.begun]
        try:
            await self._record(ended)
            if untouched:
                receipts = [Receipt(claim, claim.before) for claim in untouched]
                await self.ledger.settle(receipts, run_id=self.line.run_id)
            await self.ledger.release(self.line.scope, self.ledger.owner)
        except MediapipeError as error:
            log.warning("claims could not be given back; their leases run out by themselves: %s", error)


async def _attempt(stage: Stage[T], job: Job[T]) -> T | Finished:
    item = Outcome(job.claim.key, Verdict.FAILED, attempts=job.claim.attempts)
    return await attempt(stage.name, item, lambda: stage.work(job))


def _receipt(flight: _Flight[T], finished: Finished) -> Receipt:
    outcome = finished.outcome
    state = STATES[outcome.verdict]
    # Only an effect replaces other rows: a pending row is not closed by a failed download.
    closes = flight.entry.closes if state is State.DONE else ()
    return Receipt(flight.claim, state, outcome.reason, outcome.message, finished.detail, closes)


def _as_before(settled: Settled) -> Outcome:
    detail = settled.detail
    return Outcome(
        settled.key,
        _verdict_of(settled.state),
        settled.reason if settled.state is not State.DONE else "",
        source=detail.get("source", ""),
        sha256=detail.get("sha256", ""),
        bytes=int(detail.get("bytes", 0) or 0),
    )
