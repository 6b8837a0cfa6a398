"""What hears the recordings of a call manifest, opened from settings; see ``services``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mediapipe.audio.channels import check_preset
from mediapipe.audio.raw import raw_format
from mediapipe.audio.targets import V2_CALLS
from mediapipe.audio.workers import AudioWorkers
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.outside import open_outside
from mediapipe.convirza.signed import Downloader
from mediapipe.listening import Ear
from mediapipe.originals import Originals
from mediapipe.pacing import AdaptiveLimit, ByteBudget, Pacer, Pause
from mediapipe.settings import Settings
from mediapipe.stores.s3_source import S3Source
from mediapipe.transfer_services import retry_of, timeouts_of


@dataclass(frozen=True, slots=True)
class CheckServices:
    """Everything a check of a call manifest works with; ``workers`` are the rows in hand at a time."""

    ear: Ear
    workers: int
    requests_per_second: float


def opened_ear(settings: Settings) -> Ear:
    """Return what call audio is judged by. Nothing of it has to be closed: workers end with the event loop.

    Raises ``UsageError`` for a source preset or a raw format that there is not.
    """
    check_preset(settings.audio.source_preset)
    if settings.audio.raw_format is not None:
        raw_format(settings.audio.raw_format)
    target = replace(V2_CALLS, limit=settings.audio.max_upload_bytes)
    return Ear(AudioWorkers(settings.audio), settings.audio, settings.quality, target)


def open_check(settings: Settings) -> CheckServices:
    """Return what a check needs."""
    return CheckServices(opened_ear(settings), settings.workers, settings.pace.requests_per_second)


@asynccontextmanager
async def open_originals(settings: Settings, scratch: Path) -> AsyncGenerator[Originals, None]:
    """Open what fetches recordings that stand elsewhere into ``scratch``."""
    ours, retry = settings.imports, retry_of(settings)
    hosts = HostPolicy.of(ours.source_hosts or ("*",), ())
    source = S3Source(settings.store, max_bytes=ours.max_source_bytes)
    try:
        timeouts = timeouts_of(settings, settings.pace.stall_timeout)
        async with open_outside(timeouts, connections=settings.workers) as http:
            pacer = Pacer(AdaptiveLimit(settings.workers), Pause())
            yield Originals(
                Downloader(http, hosts, pacer, retry, max_bytes=ours.max_source_bytes),
                hosts,
                source,
                retry,
                ByteBudget(settings.audio.scratch_budget),
                settings.audio.max_upload_bytes,
                scratch,
                int(ours.url_seconds),
            )
    finally:
        source.close()
