"""What an import and a reconciliation work with, opened from settings; see ``services``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from mediapipe.audio.workers import AudioWorkers
from mediapipe.call_services import open_originals, opened_ear
from mediapipe.convirza.groups import Group, Groups
from mediapipe.convirza.v3 import V3
from mediapipe.estimate import Pace
from mediapipe.exclusive import LEASE
from mediapipe.imports.feed import Limits, hours_a_day
from mediapipe.imports.matching import Created, Rules
from mediapipe.imports.reconciling import Reconciler
from mediapipe.imports.sending import Tools
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.listening import Ear
from mediapipe.services import account_of, open_platform, opened_ledger
from mediapipe.settings import Settings

JOB = "calls.import"


@dataclass(frozen=True, slots=True)
class ImportServices:
    """Everything an import works with. ``list_groups`` is None when groups are not to be looked up.

    ``reconciler`` gives a new one for each time uploads are looked up.
    """

    tools: Tools
    reconciler: Callable[[], Reconciler]
    list_groups: Callable[[], Awaitable[Sequence[Group]]] | None
    limits: Limits
    max_duration: timedelta | None
    daily_budget: int | None
    canary: int
    look_first: int
    lag: timedelta
    relist_for: timedelta
    workers: int
    runs_dir: Path

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.tools.ledger

    @property
    def scope(self) -> Scope:
        """What the keys of uploads are relative to."""
        return self.tools.scope


def import_scope(settings: Settings) -> Scope:
    """Return what the keys of uploads are relative to: the account, and the API that takes the uploads."""
    return Scope(JOB, account_of(settings), settings.convirza.v2_url.partition("://")[2])


def _reconciler(settings: Settings, v3: V3, ledger: Ledger) -> Reconciler:
    ours = settings.imports
    reach = _longest_upload(settings)
    return Reconciler(
        v3, ledger, import_scope(settings), _rules(settings), ours.lag, _margin(settings), reach
    )


def pace_of(settings: Settings) -> Pace:
    """Return how fast an import may go, for its estimate."""
    ours, uplink = settings.imports, settings.audio.uplink
    bounded = bool(ours.bytes_per_second) and ours.bytes_per_second < uplink
    return Pace(
        settings.pace.requests_per_second,
        ours.bytes_per_second if bounded else uplink,
        "imports.bytes_per_second" if bounded else "audio.uplink",
        hours_a_day(ours.between),
        ours.daily_budget,
    )


def _longest_upload(settings: Settings) -> timedelta:
    """Return how long one upload may take: its deadline leaves out what the byte rate makes it wait."""
    rate = settings.imports.bytes_per_second
    paced = settings.imports.uploads * settings.audio.max_upload_bytes / rate if rate else 0.0
    return timedelta(seconds=settings.pace.request_deadline + paced)


def _rules(settings: Settings) -> Rules:
    ours = settings.imports
    said = {None: Created.UNKNOWN, True: Created.COUNTS, False: Created.IGNORED}
    return Rules(timedelta(seconds=ours.time_slack), said[ours.created_is_upload_time])


def _margin(settings: Settings) -> timedelta:
    return timedelta(seconds=settings.imports.look_margin)


@asynccontextmanager
async def open_import(
    settings: Settings, owner: str, audio: AudioWorkers | None = None
) -> AsyncGenerator[ImportServices, None]:
    """Open what an import needs, and close it in the right order.

    ``audio`` is where files are decoded and rendered, unless in worker processes of this one.
    """
    ours = settings.imports
    async with AsyncExitStack() as stack:
        ear = opened_ear(settings)
        ear = ear if audio is None else replace(ear, audio=audio)
        ledger = await stack.enter_async_context(opened_ledger(settings, owner))
        platform = await stack.enter_async_context(open_platform(settings))
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="mediapipe-import-")))
        originals = await stack.enter_async_context(open_originals(settings, scratch))
        tools = Tools(
            v2=platform.v2(),
            v3=platform.v3,
            ledger=ledger,
            scope=import_scope(settings),
            originals=originals,
            ear=ear,
            scratch=scratch,
            match=_rules(settings),
            margin=_margin(settings),
            patience=_longest_upload(settings) + ours.lag + LEASE,
            marker_slot=ours.marker_slot,
            by_url=ours.by_url,
            uncertain_in_a_row=ours.uncertain_in_a_row,
        )
        zone = ZoneInfo(settings.tz)
        yield ImportServices(
            tools=tools,
            reconciler=lambda: _reconciler(settings, platform.v3, ledger),
            list_groups=Groups(platform.v3.session).list_groups if ours.resolve_groups else None,
            limits=Limits(ours.max_items, hours=ours.between, local_now=lambda: datetime.now(zone)),
            max_duration=ours.max_duration,
            daily_budget=ours.daily_budget,
            canary=ours.canary,
            look_first=ours.look_first,
            lag=ours.lag,
            relist_for=ours.relist_for,
            workers=settings.workers,
            runs_dir=settings.runs_dir,
        )


@dataclass(frozen=True, slots=True)
class ReconcileServices:
    """Everything a reconciliation works with; it needs no v2 login, because it never sends."""

    reconciler: Reconciler
    ear: Ear
    workers: int
    runs_dir: Path

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.reconciler.ledger

    @property
    def scope(self) -> Scope:
        """What the keys of uploads are relative to."""
        return self.reconciler.scope


@asynccontextmanager
async def open_reconcile(settings: Settings, owner: str) -> AsyncGenerator[ReconcileServices, None]:
    """Open what a reconciliation needs, and close it in the right order."""
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(opened_ledger(settings, owner))
        platform = await stack.enter_async_context(open_platform(settings))
        yield ReconcileServices(
            _reconciler(settings, platform.v3, ledger),
            opened_ear(settings),
            settings.workers,
            settings.runs_dir,
        )
