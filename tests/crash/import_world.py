"""A world in which an import can die at any step, over an account in memory that keeps what was uploaded.

The job, its line, the ledger and the matching are the real ones; only the audio is not decoded. Time is the
platform's: it stands ``skew`` ahead of this machine's clock, and moves when a test says so.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.requests import Rendering, RenderRequest
from mediapipe.audio.targets import V2_CALLS, AsIs
from mediapipe.convirza.models import Call, Page
from mediapipe.convirza.uploads import Accepted, Answer, NotTaken, Refused, Unsure
from mediapipe.convirza.v2 import CallUpload
from mediapipe.import_services import ImportServices, ReconcileServices
from mediapipe.imports.feed import Limits
from mediapipe.imports.matching import Created, Rules
from mediapipe.imports.reconciling import Reconciler
from mediapipe.imports.sending import Tools
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs import reconcile_calls
from mediapipe.jobs.import_calls import Ask, ImportCalls
from mediapipe.ledger.interface import Scope, State
from mediapipe.ledger.open import open_ledger
from mediapipe.listening import Ear
from mediapipe.liveness import alive, owner_of
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from tests.crash.world import Death, Stepping, SteppingLedger, Steps
from tests.facts import RATE, facts
from tests.import_runs import Row, seen_from_outside, write_manifest

SCOPE = Scope("calls.import", "host/account", "host/v2")
MARGIN = timedelta(minutes=5)
DEADLINE = timedelta(minutes=10)
"""So long may a request be under way, and the platform take to act on it."""
LAG = timedelta(minutes=2)
"""So long may a call take to be listed."""
PATIENCE = DEADLINE + LAG + timedelta(minutes=1)


@dataclass
class Made:
    """A call that the account has; listed from ``visible`` on."""

    call_id: str
    key: str
    fields: dict[str, str]
    seconds: float
    created: datetime
    visible: datetime

    def listed(self) -> Call:
        sent = self.fields
        raw: dict[str, Any] = {
            "call_id": self.call_id,
            "caller_id": sent["caller_id"],
            "duration": round(self.seconds),
            "call_detail": {"call_created": self.created.isoformat()},
            "custom_sources": {"1": {"custom_source_name": sent.get("custom_source_type_5", "")}},
        }
        return Call(self.call_id, datetime.fromisoformat(sent["call_date"]), "1", self.seconds, raw)


@dataclass
class Account:
    """The platform: takes uploads, lists calls. ``ways`` says how the next upload of a key ends."""

    ways: dict[str, str] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    under_way: list[Made] = field(default_factory=list)
    """Uploads whose sender is dead, and which will be taken all the same when their time has come."""
    skew: float = 0.0
    late: timedelta = timedelta(0)
    """How long new calls take to be listed."""
    posts: int = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skew)

    def passes(self, time: timedelta) -> None:
        self.skew += time.total_seconds()
        for one in [one for one in self.under_way if one.created <= self.now()]:
            self.under_way.remove(one)
            self.made.append(one)

    def call_of(self, upload: CallUpload, delay: timedelta = timedelta(0)) -> Made:
        """Return the call that an upload makes."""
        assert upload.path is not None
        seconds, at = upload.path.stat().st_size / 100, self.now() + delay
        self.posts += 1
        fields = dict(upload.fields)
        return Made(f"c{self.posts}", fields["external_id"], fields, seconds, at, at + self.late)

    def times(self) -> Counter[str]:
        """Return how many calls each external id has, those to come included."""
        return Counter(one.key for one in (*self.made, *self.under_way))


class Listing:
    """The list of calls."""

    def __init__(self, account: Account) -> None:
        self._account = account

    @property
    def clock_skew(self) -> float:
        return self._account.skew

    async def list_calls(self, start: datetime, end: datetime, *, limit: int, offset: int) -> Page:
        there = [one for one in self._account.made if one.visible <= self._account.now()]
        calls = [
            call for call in (one.listed() for one in there) if call.started and start <= call.started <= end
        ]
        return Page(tuple(calls[offset : offset + limit]), len(calls))


class Uploads:
    """The way uploads take: ``begin``, then the post as one step; answers are lost on either side of it."""

    def __init__(self, account: Account, steps: Steps, arrives: bool) -> None:
        self._account, self._steps, self._arrives = account, steps, arrives

    async def upload_call(self, upload: CallUpload, *, begin: Callable[[], Awaitable[None]]) -> Answer:
        account, key = self._account, upload.fields["external_id"]
        way = account.ways.pop(key, "taken")
        await begin()
        if way == "throttled, then taken":
            await begin()
        sent = False

        async def post() -> Answer:
            nonlocal sent
            sent = True
            return self._post(way, upload)

        try:
            return await self._steps.take("post", post)
        finally:
            if self._steps.dead and not sent and self._arrives:
                # Its bytes were handed to the network before the sender died.
                account.under_way.append(account.call_of(upload, DEADLINE))

    def _post(self, way: str, upload: CallUpload) -> Answer:
        account = self._account
        match way:
            case "refused":
                return Refused("http_400", "no such group")
            case "throttled":
                return NotTaken("throttled", "too many requests")
            case "dropped":
                return Unsure("connection_lost", "it broke off")
            case "hangs":
                account.passes(DEADLINE)
                account.made.append(account.call_of(upload))
                return Unsure("timeout", "no answer")
            case "lost":
                account.made.append(account.call_of(upload))
                return Unsure("connection_lost", "it broke off")
            case "breaks":
                account.made.append(account.call_of(upload))
                raise RuntimeError("nobody thought of this")
        account.made.append(account.call_of(upload))
        return Accepted()


class NoAudio:
    """Stands in for the engine: every file passes as it is, a second for each 100 bytes."""

    @asynccontextmanager
    async def rendered(self, request: RenderRequest) -> AsyncIterator[Rendering]:
        body = request.probe.path.read_bytes()
        heard = facts(
            len(body) / 100, 1, drawn=False, samples=round(len(body) / 100 * RATE),
            size=len(body), sha256=hashlib.sha256(body).hexdigest(),
        )  # fmt: skip
        yield Rendering(heard, (), AsIs(len(body)))


@dataclass
class Ran:
    """One run that came to its end."""

    code: int
    outcomes: dict[str, Outcome]

    def of(self, verdict: Verdict) -> set[str]:
        return {key for key, outcome in self.outcomes.items() if outcome.verdict is verdict}


@dataclass
class ImportWorld:
    """An account, a manifest, a ledger in a folder; rows can be changed, time can pass, runs can die."""

    folder: Path
    rows: list[Row]
    marker_slot: int | None = None
    created: Created = Created.UNKNOWN
    workers: int = 2
    account: Account = field(default_factory=Account)
    runs: int = 0
    steps: Steps = field(default_factory=Steps)

    def __post_init__(self) -> None:
        (self.folder / "audio").mkdir()
        for number in range(8):
            (self.folder / "audio" / f"{number}.wav").write_bytes(
                b"RIFF" + bytes([number]) * (396 + number * 500)
            )

    async def run(
        self, *, resend: bool = False, death: Death | None = None, arrives: bool = False
    ) -> Ran | None:
        """Import; None when it died. ``arrives``: the upload in hand is taken after its sender's death."""
        path = write_manifest(self.folder / "m.csv", self.rows)
        ask = Ask(CallManifest.open(path), Root(self.folder), resend_uncertain=resend)
        told: list[Outcome] = []

        async def work(run_id: str, ledger: Any) -> int:
            job = ImportCalls(
                self._services(ledger, arrives), ask, run_id, told.append, lambda row, outcome: None
            )
            return (await job.work()).exit_code

        return await self._live(work, told, death)

    async def reconcile(self, *, death: Death | None = None) -> Ran | None:
        """Reconcile; None when the run died."""
        told: list[Outcome] = []

        async def work(run_id: str, ledger: Any) -> int:
            looks = self._reconciler(ledger)
            services = ReconcileServices(looks, self._ear(), self.workers, self.folder / "runs")
            ask = reconcile_calls.Ask(wait=False)
            return (await reconcile_calls.reconcile(services, ask, run_id=run_id, sink=told.append)).exit_code

        return await self._live(work, told, death)

    async def _live(
        self, work: Callable[[str, Any], Awaitable[int]], told: list[Outcome], death: Death | None
    ) -> Ran | None:
        self.runs += 1
        self.steps, run_id = Steps(death), f"run-{self.runs}"
        folder = self.folder / "runs" / run_id
        folder.mkdir(parents=True)
        with alive(folder):
            async with await open_ledger(str(self.folder / "ledger.db"), owner=owner_of(run_id)) as ledger:
                try:
                    code = await work(run_id, SteppingLedger(ledger, self.steps, lambda start, end: None))
                except BaseException:
                    if not self.steps.dead:
                        raise
                    return None
        # A step in a task that is told to end as it is, such as a release, may be the one it died at.
        if self.steps.dead:
            return None
        found = {outcome.key: outcome for outcome in told}
        assert len(found) == len(told), "a row was reported twice"
        return Ran(code, found)

    def _ear(self) -> Ear:
        return Ear(cast(Any, NoAudio()), AudioOptions(), QualityRules(), V2_CALLS)

    def _listing(self) -> Any:
        return Stepping(Listing(self.account), self.steps)

    def _rules(self) -> Rules:
        return Rules(timedelta(seconds=2), self.created)

    def _reconciler(self, ledger: Any) -> Reconciler:
        return Reconciler(self._listing(), ledger, SCOPE, self._rules(), LAG, MARGIN, wait=False)

    def _services(self, ledger: Any, arrives: bool) -> ImportServices:
        tools = Tools(
            v2=cast(Any, Uploads(self.account, self.steps, arrives)), v3=self._listing(), ledger=ledger,
            scope=SCOPE, originals=cast(Any, None), ear=self._ear(), scratch=self.folder,
            match=self._rules(), margin=MARGIN, patience=PATIENCE, marker_slot=self.marker_slot,
        )  # fmt: skip
        return ImportServices(
            tools=tools, reconciler=lambda: self._reconciler(ledger), list_groups=None, limits=Limits(),
            max_duration=None, daily_budget=None, canary=0, look_first=0, lag=LAG,
            relist_for=timedelta(days=1), workers=self.workers, runs_dir=self.folder / "runs",
        )  # fmt: skip

    # ── what has to hold ────────────────────────────────────────────────────────────────────

    @property
    def ledger(self) -> dict[str, State]:
        return seen_from_outside(self.folder / "ledger.db")

    def check(self) -> None:
        """Assert what has to hold whenever no run is under way."""
        times = self.account.times()
        twice = {key: number for key, number in times.items() if number > 1}
        assert not twice, f"billed twice: {twice}"
        for key, state in self.ledger.items():
            if state is State.DONE:
                assert times[key], f"{key} is done, and there is no call"
            elif state in (State.NEW, State.FAILED, State.REJECTED):
                assert not times[key], f"{key} is {state}, would be sent, and there is a call"
        unknown = set(times) - set(self.ledger)
        assert not unknown, f"calls were made of which nothing is recorded: {unknown}"

    def check_told(self, ran: Ran) -> None:
        """Assert that a whole run said one thing of every row, and nothing that is not so."""
        self.check()
        times = self.account.times()
        assert set(ran.outcomes) == {row["external_id"] for row in self.rows}, "a row was lost"
        for key, outcome in ran.outcomes.items():
            conflict = outcome.reason == "conflict"
            if outcome.verdict in (Verdict.DONE, Verdict.SKIPPED):
                assert times[key], f"{key} is said to be {outcome.verdict}, and there is no call"
            elif outcome.verdict is not Verdict.UNCERTAIN and not conflict:
                assert not times[key], f"{key} is said to be {outcome.verdict}, and there is a call"
        bad = ran.of(Verdict.FAILED) | ran.of(Verdict.REJECTED)
        assert ran.code == (
            3 if bad and not ran.of(Verdict.UNCERTAIN) else 5 if ran.of(Verdict.UNCERTAIN) else 0
        )

    async def finish(self) -> None:
        """Run with all the patience that it takes, until every row has its one call."""
        for _ in range(3):
            self.account.passes(PATIENCE + LAG)
            ran = await self.run(resend=True)
            assert ran is not None
            self.check_told(ran)
            if not ran.code:
                break
        assert self.account.times() == Counter(row["external_id"] for row in self.rows), "a row has no call"
        assert ran.of(Verdict.DONE) | ran.of(Verdict.SKIPPED) == set(ran.outcomes)
