"""A platform in memory, and whole archive runs against it through the seams of the services."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from mediapipe.convirza.grants import Grants
from mediapipe.convirza.models import Call, Grant, Page
from mediapipe.convirza.signed import Check, Download, GrantExpired
from mediapipe.existing import Existing
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.archive_recordings import Ask, Result, archive
from mediapipe.layout import Layout
from mediapipe.ledger.interface import Scope
from mediapipe.listing import Rules
from mediapipe.pacing import ByteBudget, RetryPolicy
from mediapipe.services import ArchiveServices
from mediapipe.stores.interface import Conflict, Created, Listed, NotThere, ObjectInfo, Same
from mediapipe.transfer import Tools
from tests.engine import Sunk

SCOPE = Scope("archive.run", "host/account", "memory:///archive")
DAY = timedelta(days=1)
BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
ONCE = RetryPolicy(attempts=1, wait_initial=0.001, wait_max=0.001, total=1.0)
RULES = Rules(
    window=DAY, window_max_calls=500, walk_attempts=8, page_size=3, waiting_age=10 * DAY, url_budget=3
)


@cache
def sound(seed: str) -> bytes:
    """Return a short recording whose bytes no other seed has."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(hashlib.sha256(seed.encode()).digest() * 20)
    return out.getvalue()


@dataclass
class Known:
    """A call as the platform knows it; ``stamp`` is the time that the list compares."""

    call_id: str
    started: datetime | None
    recording_id: str | None
    stamp: datetime

    @property
    def body(self) -> bytes:
        return sound(f"{self.call_id}/{self.recording_id}")


@dataclass
class FakePlatform:
    """Lists and serves calls. ``on_page`` is told of every list request before it is answered."""

    calls: dict[str, Known] = field(default_factory=dict)
    on_page: Callable[[datetime, datetime, int], None] | None = None
    on_get: Callable[[str], None] | None = None
    listed: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    issued: int = 0
    expired: int = 0
    """Grants up to this number are spent."""

    clock_skew: float = 0.0

    @property
    def session(self) -> Any:
        return self

    @property
    def requests(self) -> int:
        return len(self.listed) + len(self.asked)

    def add(
        self,
        call_id: str,
        started: datetime | None,
        recording_id: str | None = "1",
        *,
        stamp: datetime | None = None,
    ) -> Known:
        known = Known(call_id, started, recording_id, stamp or started or BEGIN)
        self.calls[call_id] = known
        return known

    def _call(self, known: Known) -> Call:
        record = {"call_id": known.call_id, "call_started": str(known.started)}
        if known.recording_id is None:
            return Call(known.call_id, known.started, None, None, record)
        self.issued += 1
        grant = Grant(f"{known.call_id}/{known.recording_id}/{self.issued}", None, 0.0)
        return Call(known.call_id, known.started, known.recording_id, None, record, grant)

    async def list_calls(self, start: datetime, end: datetime, *, limit: int, offset: int) -> Page:
        self.listed.append((start, end, offset))
        if self.on_page is not None:
            self.on_page(start, end, offset)
        there = sorted(
            (known for known in self.calls.values() if start <= known.stamp <= end),
            key=lambda known: (known.stamp, known.call_id),
        )
        page = tuple(self._call(known) for known in there[offset : offset + limit])
        return Page(page, len(there))

    async def get_call(self, call_id: str) -> Call | None:
        self.asked.append(call_id)
        if self.on_get is not None:
            self.on_get(call_id)
        known = self.calls.get(call_id)
        return None if known is None else self._call(known)

    async def fetch(self, url: str, spool: BinaryIO, check: Check, announced: object = None) -> Download:
        """Stand in for the downloader."""
        call_id, recording_id, number = url.split("/")
        if int(number) <= self.expired:
            raise GrantExpired("HTTP 410")
        self.downloads.append(f"{call_id}-{recording_id}")
        body = sound(f"{call_id}/{recording_id}")
        spool.seek(0)
        spool.truncate()
        spool.write(body)
        arrived = Download(len(body), hashlib.sha256(body).hexdigest(), True, "audio/wav", 0)
        check(arrived)
        return arrived


@dataclass
class MemoryStore:
    """A store that keeps the contract, in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, Mapping[str, str]] = field(default_factory=dict)
    url: str = SCOPE.destination

    async def put(
        self,
        key: str,
        body: BinaryIO,
        *,
        size: int,
        sha256: str,
        content_type: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Created | Same:
        body.seek(0)
        raw = body.read()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (size, sha256)
        if key in self.objects:
            if self.objects[key] == raw:
                return Same()
            raise Conflict(f"{key}: other bytes stand there")
        self.objects[key] = raw
        self.metadata[key] = metadata or {}
        return Created()

    async def head(self, key: str) -> ObjectInfo | None:
        raw = self.objects.get(key)
        if raw is None:
            return None
        return ObjectInfo(key, len(raw), hashlib.sha256(raw).hexdigest(), self.metadata[key])

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield Listed(key, len(self.objects[key]))

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        if key not in self.objects:
            raise NotThere(key)
        return self.objects[key][start : None if length is None else start + length]

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        yield await self.read(key)

    async def proven(self) -> bool:
        """It always is."""
        return True

    async def prove(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    @property
    def recordings(self) -> dict[str, bytes]:
        """The recordings by ``<call_id>-<recording_id>``."""
        names = {key.rpartition("/")[2].rpartition("."): raw for key, raw in self.objects.items()}
        return {stem: raw for (stem, _, extension), raw in names.items() if extension != "json"}

    @property
    def sidecars(self) -> dict[str, bytes]:
        """The sidecars by ``<call_id>-<recording_id>``."""
        names = {key.rpartition("/")[2].rpartition("."): raw for key, raw in self.objects.items()}
        return {stem: raw for (stem, _, extension), raw in names.items() if extension == "json"}


@dataclass
class Ran:
    """One run and every outcome it reported."""

    result: Result
    outcomes: list[Outcome]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        keys = [outcome.key for outcome in self.outcomes]
        assert len(set(keys)) == len(keys), f"more than one outcome: {sorted(keys)}"
        return {outcome.key: outcome.verdict for outcome in self.outcomes}

    def __getitem__(self, key: str) -> Outcome:
        (outcome,) = (outcome for outcome in self.outcomes if outcome.key == key)
        return outcome


def services_of(
    platform: Any,
    downloader: Any,
    store: Any,
    ledger: Any,
    folder: Path,
    *,
    workers: int = 2,
    lookback: timedelta = timedelta(0),
    **rules: Any,
) -> ArchiveServices:
    """Return the services of a run over fakes."""
    layout = Layout()
    return ArchiveServices(
        platform=cast(Any, SimpleNamespace(v3=platform)),
        grants=Grants(platform.get_call, margin=60.0),
        tools=Tools(downloader, store, layout, ONCE, ByteBudget(1_000_000), 100_000),
        existing=Existing(store, layout, ONCE),
        ledger=ledger,
        scope=SCOPE,
        rules=replace(RULES, **rules),
        workers=workers,
        lookback=lookback,
        settle=timedelta(minutes=15),
        runs_dir=folder / "runs",
    )


async def archived(services: ArchiveServices, ask: Ask, run_id: str) -> Ran:
    """Run the job once."""
    sunk = Sunk()
    result = await archive(services, ask, run_id=run_id, sink=sunk)
    return Ran(result, sunk.outcomes)
