"""The pool of worker processes in which audio is decoded and rendered, and the budgets they share.

A process does one file at a time, with a limit on its memory; the file has a limit on its time. A decoder
that dies takes its process along: that file fails, and the next one gets a new process. Cancelling a call
kills its process at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import anyio
import anyio.to_process

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.mastering import ListenRequest, Mastered, MasterRequest, Players
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.requests import ProbeRequest, Rendering, RenderRequest
from mediapipe.audio.worker import listen_in_worker, master_in_worker, probe_in_worker, render_in_worker
from mediapipe.errors import Failed
from mediapipe.pacing import ByteBudget

Request = TypeVar("Request")
Answer = TypeVar("Answer")

BYTES_PER_TIMEOUT = 10_000_000
LONGEST_TIMEOUT = 6 * 3600.0
GROWTH = 12
"""Bytes of linear audio that a byte of the thriftiest telephone codec becomes, and a little more."""


class AudioWorkers:
    """Probes and renders files in worker processes; the pool itself lives and dies with the event loop."""

    def __init__(self, options: AudioOptions) -> None:
        self._options = options
        wanted = options.processes or len(os.sched_getaffinity(0))
        self.processes = max(1, min(wanted, options.memory_budget // options.worker_memory))
        """Files worked on at the same time."""
        self._limiter = anyio.CapacityLimiter(self.processes)
        self._scratch = ByteBudget(options.scratch_budget)

    async def probe(self, request: ProbeRequest) -> AudioFacts:
        """Return a file's facts. Raises ``Rejected`` or ``Failed`` with a stable code."""
        return await self._run(probe_in_worker, request, request.path)

    async def mastered(self, request: MasterRequest) -> Mastered:
        """Render a prompt to where its request says, or judge it. Raises ``Rejected`` or ``Failed``."""
        return await self._run(master_in_worker, request, request.probe.path)

    async def players(self, request: ListenRequest) -> Players:
        """Return a prompt as files for a browser. Raises ``Rejected`` or ``Failed``."""
        return await self._run(listen_in_worker, request, request.probe.path)

    @asynccontextmanager
    async def rendered(self, request: RenderRequest) -> AsyncGenerator[Rendering, None]:
        """Make a file fit for its target; what was made is deleted when the body ends.

        Holds its share of the scratch budget for as long. Raises ``Rejected`` or ``Failed``.
        """
        options = request.options
        share = request.target.limit
        if options.when_too_large == "split" or request.recipe:
            share = max(share, GROWTH * _size(request.probe.path))
        async with self._scratch.reserve(share):
            # A folder of its own: another item's name may begin like this one's.
            with TemporaryDirectory(prefix="render-", dir=request.folder) as own:
                alone = replace(request, folder=Path(own))
                yield await self._run(render_in_worker, alone, request.probe.path)

    async def _run(self, work: Callable[[Request, int], Answer], request: Request, path: Path) -> Answer:
        async with self._limiter:
            seconds = self._options.file_timeout * (1 + _size(path) / BYTES_PER_TIMEOUT)
            seconds = min(seconds, max(LONGEST_TIMEOUT, self._options.file_timeout))
            try:
                with anyio.fail_after(seconds):
                    # A limiter of its own: waiting for a process must not count as the file's time.
                    return await anyio.to_process.run_sync(
                        work, request, self._options.worker_memory, cancellable=True, limiter=_unlimited()
                    )
            except TimeoutError:
                raise Failed(
                    f"the audio was not done within {seconds:,.0f} s",
                    code="audio_timeout",
                    hint="raise audio.file_timeout if the machine is slow",
                ) from None
            except anyio.BrokenWorkerProcess:
                raise Failed(
                    "the decoder died on this file",
                    code="decoder_died",
                    hint="the file is damaged, or memory is short",
                ) from None


def _unlimited() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(1)


def _size(path: Path) -> int:
    """Return a file's size, 0 when it cannot be asked for: opening it will say why."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
