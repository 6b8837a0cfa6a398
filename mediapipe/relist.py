"""Days that an archive has to list again because an import put calls into them.

An imported call carries a date of long ago, so it appears in a window that an archive has covered already,
and no watermark leads back there. The import marks such days before its first upload, for every archive of
the account that shares its ledger; the archive lists them with each run until it has seen every call that
the import made there, with its recording, or until the mark has run out. Where shards share the calls, each
notes for itself that it is through with a day; the mark goes when all have.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import anyio

from mediapipe.convirza.models import Call
from mediapipe.covering import scope_of, whole_of
from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
from mediapipe.shards import Shard
from mediapipe.spans import Span

ARCHIVE = "archive.run"
IMPORT = "calls.import"
RELIST = "archive.relist"
_LEASE = timedelta(seconds=15)
_TRIES = 20
_MADE = frozenset({State.DONE, State.PENDING, State.UNCERTAIN, State.INTENDED})
_SLACK_S = 2

Fingerprint = tuple[str, int]
"""The last ten digits of the caller, and the second the call started."""


def day_of(moment: datetime) -> date:
    """Return the day (UTC) of an instant."""
    return moment.astimezone(UTC).date()


def span_of(day: date) -> Span:
    """Return a day (UTC) as a span."""
    start = datetime.combine(day, time(), UTC)
    return Span(start, start + timedelta(days=1))


async def mark(
    ledger: Ledger, account: str, days: Collection[date], until: datetime, run_id: str
) -> dict[str, int]:
    """Mark days for every archive of the account that has covered them; return how many, by destination."""
    # What one shard has walked is as closed to it as what all have is to the archive.
    covered: dict[Scope, list[tuple[datetime, datetime]]] = {}
    for scope in await ledger.scopes():
        whole = whole_of(scope)
        if whole.job == ARCHIVE and whole.account == account:
            covered.setdefault(whole, []).extend(await ledger.coverage(scope))
    marked: dict[str, int] = {}
    for archive, spans in covered.items():
        wanted = [day for day in sorted(days) if _overlaps(span_of(day), spans)]
        if wanted:
            await _write(ledger, _marks(archive), dict.fromkeys(wanted, until), run_id)
            marked[archive.destination] = len(wanted)
    return marked


def _marks(archive: Scope) -> Scope:
    return Scope(RELIST, archive.account, archive.destination)


def _overlaps(day: Span, covered: Iterable[tuple[datetime, datetime]]) -> bool:
    return any(start < day.end and day.start < end for start, end in covered)


async def _write(
    ledger: Ledger, scope: Scope, days: Mapping[date, datetime], run_id: str, state: State = State.PENDING
) -> None:
    wants = [Want(day.isoformat(), at=span_of(day).start) for day in days]
    for _ in range(_TRIES):
        answers = await ledger.claim(scope, wants, run_id=run_id, lease=_LEASE, takes=frozenset(State))
        claims = [one for one in answers if isinstance(one, Claim)]
        details = {claim.key: {"until": days[date.fromisoformat(claim.key)].isoformat()} for claim in claims}
        receipts = [Receipt(claim, state, detail=details[claim.key]) for claim in claims]
        await ledger.settle(receipts, run_id=run_id)
        done = {claim.key for claim in claims}
        wants = [want for want in wants if want.key not in done]
        if not wants:
            return
        await anyio.sleep(1)


async def _read(ledger: Ledger, scope: Scope, state: State) -> dict[date, datetime]:
    """Return the days of a scope in a state, each with when its mark runs out."""
    found: dict[date, datetime] = {}
    async for page in ledger.items(scope, states={state}):
        for item in page:
            found[date.fromisoformat(item.key)] = datetime.fromisoformat(item.detail["until"])
    return found


@dataclass(slots=True)
class Relist:
    """The marks of one archive, or those a shard of it still has to list; which expected calls were seen."""

    marks: Mapping[date, datetime]
    expected: dict[date, set[Fingerprint]] = field(default_factory=dict)
    shard: Shard | None = None

    @classmethod
    async def of(cls, ledger: Ledger, archive: Scope, shard: Shard | None = None) -> Relist:
        """Read the marks of an archive, and what imports of the same ledger have made in those days."""
        marks = await _read(ledger, _marks(archive), State.PENDING)
        if shard is not None and marks:
            through = await _read(ledger, scope_of(_marks(archive), shard), State.DONE)
            # A day that was marked anew since then has another end: it has to be listed again.
            marks = {day: until for day, until in marks.items() if through.get(day) != until}
        relist = cls(marks, shard=shard)
        for scope in await ledger.scopes() if marks else ():
            if scope.job == IMPORT and scope.account == archive.account:
                await relist._expect(ledger, scope)
        return relist

    async def _expect(self, ledger: Ledger, scope: Scope) -> None:
        span = Span(span_of(min(self.marks)).start, span_of(max(self.marks)).end)
        async for page in ledger.items(scope, states=_MADE, start=span.start, end=span.end):
            for item in page:
                at, caller = item.at, item.detail.get("caller", "")
                if at is not None and day_of(at) in self.marks:
                    made = self.expected.setdefault(day_of(at), set())
                    made.add((_tail(caller), int(at.timestamp())))

    def saw(self, call: Call) -> None:
        """Note a listed call; one without a recording has to be seen again."""
        if call.started is None or call.recording_id is None:
            return
        expected = self.expected.get(day_of(call.started))
        if expected:
            caller, second = _tail(str(call.raw.get("caller_id", ""))), int(call.started.timestamp())
            expected.difference_update((caller, second + step) for step in range(-_SLACK_S, _SLACK_S + 1))

    async def clear(self, ledger: Ledger, archive: Scope, days: Collection[date], run_id: str) -> None:
        """Take the marks of listed days away: all was seen there, or the mark has run out."""
        now = datetime.now(UTC)
        # A day without expected calls was marked for what another ledger's reader cannot know: it runs out.
        over = {
            day for day in days if now > self.marks[day] or (day in self.expected and not self.expected[day])
        }
        through = {day: until for day, until in self.marks.items() if day in over}
        if through and self.shard is not None:
            await _write(ledger, scope_of(_marks(archive), self.shard), through, run_id, State.DONE)
            through = await self._all_through(ledger, archive, self.shard)
        current = await _read(ledger, _marks(archive), State.PENDING) if through else {}
        unchanged = {day: until for day, until in through.items() if current.get(day) == until}
        if unchanged:
            await _write(ledger, _marks(archive), unchanged, run_id, State.DONE)

    async def _all_through(self, ledger: Ledger, archive: Scope, shard: Shard) -> dict[date, datetime]:
        """Return the days that every shard is through with, as they were marked."""
        each = [
            set((await _read(ledger, scope_of(_marks(archive), one), State.DONE)).items())
            for one in shard.all()
        ]
        return dict(set.intersection(*each))


def _tail(number: str) -> str:
    return "".join(char for char in number if char in "0123456789")[-10:]
