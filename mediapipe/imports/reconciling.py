"""What became of uploads that nobody knows the end of: the source and the stage of every reconciliation.

An upload is looked up twice at the most: at once, and again when it has been out for as long as a call may
take to be listed. What is proven and what is only likely is kept apart, and nothing here ever sends.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TypeAlias, assert_never

import anyio

from mediapipe.convirza.v3 import V3
from mediapipe.errors import ItemError, Transient
from mediapipe.imports.intents import Intent, intent_of_item
from mediapipe.imports.learning import FACT, SAMPLE, learn
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Ambiguous, Created, Matched, Missing, Result, Rules, digits, match
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Ledger, Scope, State, Want
from mediapipe.line import Entry, Finished, Job

log = logging.getLogger(__name__)

OPEN = frozenset({State.UNCERTAIN, State.INTENDED, State.PENDING})
"""States of an upload whose end is not known: the ones a reconciliation takes."""
PAGE = 64


@dataclass(frozen=True, slots=True)
class Unseen:
    """The list could not be read, so nothing is known."""

    why: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen of one upload; ``settled`` when it has been out long enough for that to count."""

    intent: Intent
    result: Result | Unseen
    settled: bool


Near: TypeAlias = dict[str, list[Intent]]
"""Uploads by the digits of their caller."""

Place: TypeAlias = tuple[str, int]
"""The digits of a caller, and a minute since 1970."""


@dataclass(slots=True)
class Reconciler:
    """Looks uploads up. ``lag`` is how long a call may take to be listed, ``margin`` how far is looked."""

    api: V3
    ledger: Ledger
    scope: Scope
    rules: Rules
    lag: timedelta
    margin: timedelta
    reach: timedelta = timedelta(0)
    """How long after it began an upload may have made its call."""
    wait: bool = True
    """Whether to wait for the lag of young uploads; else they stay uncertain."""
    expect: Callable[[int], None] | None = None
    absent: set[str] = field(default_factory=set)
    """Keys that were looked for long enough and are not listed."""

    def now(self) -> datetime:
        """Return the time by the platform's clock."""
        return datetime.now(UTC) + timedelta(seconds=self.api.clock_skew)

    async def pages(self, keys: Collection[str] | None = None) -> AsyncGenerator[Sequence[Entry[Looked]]]:
        """Yield the open uploads (those of ``keys``, or all), each with what is known of it."""
        wanted = [one async for one in self._open() if keys is None or one.key in keys]
        if not wanted:
            return
        if self.expect is not None:
            self.expect(len(wanted))
        # Those that are looked for are among them; each look leaves its own out.
        others = await uploads_at(self.ledger, self.scope, places_of(wanted, self.rules.time_slack))
        await self._learn()
        young: list[Intent] = []
        async for seen in self._looks(wanted, others):
            if self.wait and not (seen.settled or self._is_sure(seen.result)):
                young.append(seen.intent)
                continue
            others.setdefault(caller_of(seen.intent), []).append(_known(seen))
            yield [self._entry(seen)]
        if not young:
            return
        await self._wait_for(young)
        async for seen in self._looks(young, others):
            yield [self._entry(seen)]

    def _is_sure(self, result: Result | Unseen) -> bool:
        """Tell whether another look cannot change it: an old call may pass for one not listed yet."""
        if not isinstance(result, Matched):
            return False
        return result.by_marker or self.rules.created is not Created.IGNORED

    async def _open(self) -> AsyncGenerator[Intent]:
        async for page in self.ledger.items(self.scope, states=OPEN):
            for item in page:
                intent = intent_of_item(item)
                if intent is None:
                    log.warning("%s is open and nothing is recorded of it", item.key)
                else:
                    yield intent

    async def _accepted(self) -> AsyncGenerator[Intent]:
        """Yield a few uploads that the platform accepted by its own answer, and had the time to list."""
        found = 0
        async for page in self.ledger.items(self.scope, states={State.DONE}):
            for item in page:
                intent = intent_of_item(item)
                listed = intent is not None and (intent.latest or intent.at) + self.lag <= self.now()
                if intent is not None and intent.proof == "answer" and listed:
                    yield intent
                    found += 1
                    if found == SAMPLE:
                        return

    async def _learn(self) -> None:
        """Find out what a call's creation says, once for each account, unless the user has said it."""
        if self.rules.created is not Created.UNKNOWN:
            return
        known = await self.ledger.recall(self.scope, FACT)
        if known is not None:
            self.rules = replace(self.rules, created=Created[known])
            return
        accepted = [one async for one in self._accepted()]
        learned = await learn(accepted, Lookup(self.api, margin=self.margin), self.rules)
        if learned is not Created.UNKNOWN:
            log.info("call_created of an upload: %s", learned.value)
            await self.ledger.remember(self.scope, FACT, learned.name)
            self.rules = replace(self.rules, created=learned)

    async def _wait_for(self, young: Iterable[Intent]) -> None:
        ready = max(one.latest or one.at for one in young) + self.lag
        seconds = min((ready - self.now()).total_seconds(), self.lag.total_seconds())
        if seconds > 0:
            log.info("waiting %.0f s: a call may take so long to be listed", seconds)
            await anyio.sleep(seconds)

    async def _looks(self, wanted: Sequence[Intent], others: Near) -> AsyncGenerator[Looked]:
        lookup = Lookup(self.api, margin=self.margin, reach=self.reach)
        for group in _groups(wanted, self.rules.time_slack):
            looked_at, result = self.now(), dict[str, Result | Unseen]()
            try:
                seen = [await lookup.of(intent) for intent in group]
                looked_at = min(one.at for one in seen)
                why_not = next((one.why_not for one in seen if one.why_not), "")
                calls = {call.call_id: call for one in seen for call in one.calls}
                rivals = [one for one in others.get(caller_of(group[0]), ()) if one.key not in _keys(group)]
                result |= match(group, rivals, list(calls.values()), self.rules)
            except (Transient, ItemError) as error:
                why_not = str(error)
            for intent in group:
                found = result.get(intent.key, Unseen(why_not))
                if why_not and not (isinstance(found, Matched) and found.by_marker):
                    found = Unseen(why_not)  # there may be more calls, and then it would be another answer
                old = intent.latest is None or looked_at >= intent.latest + self.lag
                yield Looked(intent, found, old)

    def _entry(self, seen: Looked) -> Entry[Looked]:
        if isinstance(seen.result, Missing) and seen.settled:
            self.absent.add(seen.intent.key)
        want = Want(seen.intent.key, at=seen.intent.at)
        return Entry(want, seen, source=seen.intent.source)

    async def settle(self, job: Job[Looked]) -> Finished:
        """Say what is known: the one stage of a reconciliation. Whatever is not known stays as it is."""
        seen = job.payload
        if dict(job.claim.detail) != seen.intent.as_detail():
            outcome = Outcome(
                job.claim.key, Verdict.UNCERTAIN, "changed", "it changed while it was looked up"
            )
        else:
            outcome = outcome_of(seen, self.lag)
        outcome = replace(outcome, attempts=job.claim.attempts)
        return Finished(outcome, _known(seen).as_detail() if outcome.verdict is Verdict.DONE else None)


def outcome_of(seen: Looked, lag: timedelta) -> Outcome:
    """Return what is to be reported of an upload that was looked up."""
    intent, result = seen.intent, seen.result
    item = Outcome(
        intent.key,
        Verdict.PENDING if intent.proof == "answer" else Verdict.UNCERTAIN,
        source=intent.source,
        sha256=intent.sha256,
        sent_sha256=intent.sent_sha256,
        bytes=intent.bytes,
    )
    match result:
        case Matched(call=call, by_marker=proven):
            said = f"call {call.call_id}"
            if intent.by_url and not call.recorded:
                return replace(
                    item,
                    verdict=Verdict.PENDING,
                    reason="not_fetched",
                    message=f"{said} has no recording yet",
                )
            if intent.proof == "answer":
                return replace(
                    item, verdict=Verdict.DONE, reason="fetched", message=f"{said} has its recording"
                )
            how = "proven by its marker" if proven else "likely: numbers, time and length agree"
            reason = "matched_by_marker" if proven else "matched"
            return replace(item, verdict=Verdict.DONE, reason=reason, message=f"{said}, {how}")
        case Missing():
            if intent.proof == "answer":
                return replace(item, reason="not_fetched", message="accepted, and not listed yet")
            if not seen.settled:
                return replace(item, reason="not_listed_yet", message="not listed, and sent a moment ago")
            hint = "--resend-uncertain sends it again after one more look"
            said = f"no such call is listed {lag.total_seconds():,.0f} s and more after it was sent ({hint})"
            return replace(item, reason="absent", message=said)
        case Ambiguous(call_ids=ids, why=why):
            shown = ", ".join(ids[:10]) + (" and more" if len(ids) > 10 else "")
            reason = "not_fetched" if item.verdict is Verdict.PENDING else "ambiguous"
            return replace(item, reason=reason, message=f"{why}: call {shown}")
        case Unseen(why=why):
            reason = "not_fetched" if item.verdict is Verdict.PENDING else "not_looked_up"
            return replace(item, reason=reason, message=why)
        case _ as never:
            assert_never(never)


def _known(seen: Looked) -> Intent:
    if not isinstance(seen.result, Matched):
        return seen.intent
    proof = seen.intent.proof or ("marker" if seen.result.by_marker else "likely")
    return replace(seen.intent, call_id=seen.result.call.call_id, proof=proof)


def caller_of(intent: Intent) -> str:
    """Return the caller of an upload as it is compared."""
    return digits(intent.fields.get("caller_id", ""))


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def places_of(wanted: Iterable[Intent], slack: timedelta) -> set[Place]:
    """Return where the uploads stand that may have made a call of one of these."""
    wide = int(slack.total_seconds() // 60) + 1
    steps = range(-wide, wide + 1)
    return {(caller_of(one), _minute(one.at) + step) for one in wanted for step in steps}


async def uploads_at(ledger: Ledger, scope: Scope, places: Collection[Place]) -> Near:
    """Return the ledger's uploads at these places; one walk through all it has."""
    near: Near = {}
    if not places:
        return near
    async for page in ledger.items(scope, states=OPEN | {State.DONE}):
        for item in page:
            intent = intent_of_item(item)
            if intent is not None and (caller_of(intent), _minute(intent.at)) in places:
                near.setdefault(caller_of(intent), []).append(intent)
    return near


def _keys(intents: Iterable[Intent]) -> set[str]:
    return {intent.key for intent in intents}


def _groups(wanted: Iterable[Intent], slack: timedelta) -> list[list[Intent]]:
    """Return uploads of one caller that are so close in time that a call may belong to any, by time."""
    groups: list[list[Intent]] = []
    ordered = sorted(wanted, key=lambda one: (caller_of(one), one.at, one.key))
    for _, same in groupby(ordered, key=caller_of):
        for intent in same:
            last = groups[-1][-1] if groups else None
            near = (
                last is not None and caller_of(last) == caller_of(intent) and intent.at - last.at <= 2 * slack
            )
            if near:
                groups[-1].append(intent)
            else:
                groups.append([intent])
    return sorted(groups, key=lambda group: group[0].at)
