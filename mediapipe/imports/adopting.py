"""Rows that another ledger has imported: found in the account, and taken over into this ledger.

Nothing is sent. A row is adopted when exactly as many listed calls fit as there are rows that may have made
them; one that may be there but is not sure to be is recorded as uncertain, so that no import sends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import anyio.to_thread

from mediapipe.errors import ItemError, Transient
from mediapipe.imports.feed import FRESH
from mediapipe.imports.intents import Intent, marker_of
from mediapipe.imports.lookup import Lookup
from mediapipe.imports.matching import Ambiguous, Created, Matched, Missing, digits, match
from mediapipe.imports.reconciling import Looked, Near, Reconciler, outcome_of, uploads_at
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import State, Want
from mediapipe.line import Entry, Finished, Job
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from mediapipe.verdicts import about

PAGE = 64


def _who(row: CallRow) -> str:
    return digits(row.fields.get("caller_id", ""))


@dataclass(slots=True)
class Adoption:
    """The source and the stage of an adoption. ``sink`` gets rows that are not claimed: nothing is there."""

    looks: Reconciler
    ear: Ear
    rows: Iterator[CallRow]
    times: Counter[tuple[str, int]]
    """How many rows of the manifest have this caller at this second."""
    sink: Callable[[CallRow, Outcome], None]
    offered: Callable[[CallRow], None]
    twins: list[CallRow] = field(default_factory=list)
    _known: Near = field(default_factory=dict)
    """What the ledger has made already of callers and times of the manifest."""

    async def pages(self) -> AsyncGenerator[Sequence[Entry[Looked]], None]:
        """Yield the rows that are there, or may be; those with a twin in the manifest come last, together."""
        lookup = Lookup(self.looks.api, margin=self.looks.margin)
        wide = int(self.looks.rules.time_slack.total_seconds() // 60) + 1
        steps = range(-wide, wide + 1)
        places = {(who, second // 60 + step) for who, second in self.times for step in steps}
        self._known = await uploads_at(self.looks.ledger, self.looks.scope, places)
        while page := await anyio.to_thread.run_sync(lambda: list(islice(self.rows, PAGE))):
            good = [row for row in page if not row.problems]
            states = await self.looks.ledger.peek(self.looks.scope, [row.external_id for row in good])
            entries = []
            for row in good:
                if states.get(row.external_id, State.NEW) not in FRESH:
                    entries.append(self._entry(row, Looked(self._intent(row), Missing(), settled=True)))
                elif self._has_twin(row):
                    self.twins.append(row)
                else:
                    entries += await self._looked([row], lookup)
            if entries:
                yield entries
        for group in self._groups():
            if entries := await self._looked(group, lookup):
                yield entries

    async def settle(self, job: Job[Looked]) -> Finished:
        """Record what was found: the one stage of an adoption."""
        seen = job.payload
        outcome = outcome_of(seen, self.looks.lag)
        intent = seen.intent
        if isinstance(seen.result, Matched):
            proof = "marker" if seen.result.by_marker else "likely"
            intent = replace(intent, call_id=seen.result.call.call_id, proof=proof)
            reason = "adopted_by_marker" if seen.result.by_marker else "adopted"
            outcome = replace(outcome, reason=reason)
        return Finished(outcome, intent.as_detail())

    async def _looked(self, rows: Sequence[CallRow], lookup: Lookup) -> list[Entry[Looked]]:
        intents = [await self._heard(row) for row in rows]
        rules = replace(self.looks.rules, created=Created.IGNORED)  # they were made before this run
        try:
            seen = [await lookup.of(intent) for intent in intents]
        except (Transient, ItemError) as error:
            for row in rows:
                self.sink(row, about(row, Verdict.FAILED, "not_looked_up", str(error)))
            return []
        calls = {call.call_id: call for one in seen for call in one.calls}
        why_not = next((one.why_not for one in seen if one.why_not), "")
        # What this ledger has made already is not there to be adopted.
        keys = {intent.key for intent in intents}
        others = [one for one in self._known.get(_who(rows[0]), ()) if one.key not in keys]
        found = match(intents, others, list(calls.values()), rules)
        entries = []
        for row, intent in zip(rows, intents, strict=True):
            result = found[intent.key]
            if why_not:
                self.sink(row, about(row, Verdict.FAILED, "not_looked_up", why_not))
            elif isinstance(result, Matched | Ambiguous):
                entries.append(self._entry(row, Looked(intent, result, settled=True)))
            else:
                self.sink(row, about(row, Verdict.PENDING, "not_there", "no such call is listed"))
        return entries

    def _entry(self, row: CallRow, seen: Looked) -> Entry[Looked]:
        self.offered(row)
        return Entry(Want(row.external_id, at=row.at), seen, source=row.recording)

    def _intent(self, row: CallRow) -> Intent:
        assert row.at is not None  # noqa: S101  # a row without problems has a date
        return Intent(
            row.external_id, row.at, row.fields, marker=marker_of(self.looks.scope, row.external_id)
        )

    async def _heard(self, row: CallRow) -> Intent:
        """Return the intent of a row with what its audio says, where that stands here and can be read."""
        intent = self._intent(row)
        if not row.file:
            return replace(intent, source=row.recording.partition("?")[0])
        path = Path(row.file)
        facts = (await self.ear.listen(row, path)).facts
        if facts is None:
            return replace(intent, duration_s=row.duration_s, source=row.file)
        stat = await anyio.Path(path).stat()
        return replace(
            intent,
            duration_s=facts.seconds,
            sha256=facts.sha256,
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            source=row.file,
        )

    def _has_twin(self, row: CallRow) -> bool:
        assert row.at is not None  # noqa: S101
        slack = int(2 * self.looks.rules.time_slack.total_seconds()) + 1
        second, who = int(row.at.timestamp()), _who(row)
        return sum(self.times[who, second + step] for step in range(-slack, slack + 1)) > 1

    def _groups(self) -> list[list[CallRow]]:
        reach = 2 * self.looks.rules.time_slack + timedelta(seconds=1)
        groups: list[list[CallRow]] = []
        for row in sorted(self.twins, key=lambda one: (_who(one), one.fields["call_date"])):
            last = groups[-1][-1] if groups else None
            near = (
                last is not None
                and _who(last) == _who(row)
                and row.at
                and last.at
                and row.at - last.at <= reach
            )
            if near:
                groups[-1].append(row)
            else:
                groups.append([row])
        return groups
