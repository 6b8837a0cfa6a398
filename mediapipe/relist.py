"""Days that an archive has to list again because an import put calls into them.

An imported call carries a date of long ago, so it appears in a window that an archive has covered already,
and no watermark leads back there. The import marks such days before its first upload, for every archive of
the account that shares its ledger; the archive lists them with each run until it has seen every call that
the import made there, with its recording, or until the mark has run out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import anyio

from mediapipe.convirza.models import Call
from mediapipe.ledger.interface import Claim, Ledger, Receipt, Scope, State, Want
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
    marked: dict[str, int] = {}
    for scope in await ledger.scopes():
        if scope.job != ARCHIVE or scope.account != account:
            continue
        covered = await ledger.coverage(scope)
        wanted = [day for day in sorted(days) if _overlaps(span_of(day), covered)]
        if wanted:
            await _write(ledger, _marks(scope), dict.fromkeys(wanted, until), run_id)
            marked[scope.destination] = len(wanted)
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


@dataclass(slots=True)
class Relist:
    """The marks of one archive, and which of the expected calls it has seen."""

    marks: Mapping[date, datetime]
    expected: dict[date, set[Fingerprint]] = field(default_factory=dict)

    @classmethod
    async def of(cls, ledger: Ledger, archive: Scope) -> Relist:
        """Read the marks of an archive, and what imports of the same ledger have made in those days."""
        marks: dict[date, datetime] = {}
        async for page in ledger.items(_marks(archive), states={State.PENDING}):
            for item in page:
                marks[date.fromisoformat(item.key)] = datetime.fromisoformat(item.detail["until"])
        relist = cls(marks)
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
        current = (await Relist.of(ledger, archive)).marks if over else {}
        unchanged = {
            day: until for day, until in self.marks.items() if day in over and current.get(day) == until
        }
        if unchanged:
            await _write(ledger, _marks(archive), unchanged, run_id, State.DONE)


def _tail(number: str) -> str:
    return "".join(char for char in number if char in "0123456789")[-10:]
