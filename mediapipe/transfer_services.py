"""What moves recordings, opened from settings: here, and in each process of the crew.

Apart from ``services``, so that those processes load nothing that they do not need.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mediapipe.convirza.clients import HttpClient, Timeouts, open_http
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.signed import Downloader
from mediapipe.convirza.wired import wire_of, wired
from mediapipe.crew import Crew, TellingPacer, processes_of
from mediapipe.errors import UsageError
from mediapipe.layout import Layout
from mediapipe.nursery import Nursery
from mediapipe.pacing import AdaptiveLimit, ByteBudget, Pacer, Pause, RetryPolicy
from mediapipe.settings import Settings
from mediapipe.stores.interface import Store
from mediapipe.stores.open import open_store
from mediapipe.transfer import Tools, transfer
from mediapipe.wire import Wire


def retry_of(settings: Settings) -> RetryPolicy:
    """Return the one retry policy."""
    pace = settings.pace
    return RetryPolicy(
        attempts=pace.retry_attempts,
        wait_initial=pace.retry_initial_wait,
        wait_max=pace.retry_max_wait,
        total=pace.retry_total,
    )


def timeouts_of(settings: Settings, read: float) -> Timeouts:
    """Return how long is waited for a far side, ``read`` seconds for the next bytes."""
    return Timeouts(connect=settings.pace.connect_timeout, read=read, write=read)


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a transfer process needs to know: the settings in force, and how many threads it has."""

    settings: Settings
    threads: int


@asynccontextmanager
async def opened_transfers(setup: Setup, store: Store, wire: Wire) -> AsyncGenerator[Tools, None]:
    """Open what one thread of a transfer process works with; nothing of it waits for another thread.

    Concurrency and pauses are the parent's to say: here everybody has one thing in hand.
    """
    settings = setup.settings
    timeouts = timeouts_of(settings, settings.pace.stall_timeout)
    async with open_http(timeouts, connections=1, transport=wired(wire)) as http:
        yield transfer_tools(settings, http, store, TellingPacer(AdaptiveLimit(1), Pause()))


def shared_transfers(setup: Setup) -> tuple[Store, Wire]:
    """Return what the threads of a transfer process share: connections, and the destination."""
    settings = setup.settings
    if not settings.archive.dest:
        raise UsageError("no destination is given")
    wire = wire_of(timeouts_of(settings, settings.pace.stall_timeout), setup.threads)
    return open_store(settings.archive.dest, settings.store, inline=True), wire


def transfer_tools(settings: Settings, http: HttpClient, store: Store, pacer: Pacer) -> Tools:
    """Return what one transfer works with."""
    archive, ours, retry = settings.archive, settings.convirza, retry_of(settings)
    hosts = HostPolicy.of(
        ours.recording_hosts, (ours.v3_url, ours.v3_oauth_url, ours.v2_url, ours.v2_oauth_url)
    )
    return Tools(
        downloader=Downloader(http, hosts, pacer, retry, max_bytes=archive.max_recording_bytes),
        store=store,
        layout=Layout(archive.layout),
        retry=retry,
        budget=ByteBudget(archive.spool_budget),
        spool_memory=archive.spool_memory,
        keep_unreadable=archive.keep_unreadable,
    )


def crew_of(settings: Settings, tools: Tools, pause: Pause, nursery: Nursery | None = None) -> Crew:
    """Return the crew of a run: its members share the machine's cores, and the run's workers.

    They come out of ``nursery``, or out of one that is started when it is needed.
    """
    # A turn of its own: what is done here has its turn from the downloader.
    pacer = Pacer(AdaptiveLimit(settings.workers), pause)
    return Crew(
        setup=setup_of(settings),
        processes=crew_size(settings),
        alone=lambda task: transfer(task, tools),
        pacer=pacer,
        retry=tools.retry,
        budget=tools.budget,
        least=tools.spool_memory,
        nursery=Nursery if nursery is None else lambda: nursery,
    )


def crew_size(settings: Settings) -> int:
    """Return how many members a run may have; one is as good as none."""
    return min(processes_of(settings.archive.processes), settings.workers)


def setup_of(settings: Settings) -> Setup:
    """Return what each of a run's members has to know."""
    return Setup(settings, threads=-(-settings.workers // crew_size(settings)))
