"""What runs inside a worker process. Light to import: the parent does so too, to name what is to be run."""

from __future__ import annotations

import os
import resource
import signal

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.mastering import ListenRequest, Mastered, MasterRequest, Players
from mediapipe.audio.requests import ProbeRequest, Rendering, RenderRequest
from mediapipe.errors import Failed

_settled = False


def probe_in_worker(request: ProbeRequest, memory: int) -> AudioFacts:
    """Probe one file with at most ``memory`` bytes of data."""
    _settle(memory)
    from mediapipe.audio.probe import probe

    try:
        return probe(request)
    except MemoryError:
        raise _too_little() from None


def render_in_worker(request: RenderRequest, memory: int) -> Rendering:
    """Render one file with at most ``memory`` bytes of data."""
    _settle(memory)
    from mediapipe.audio.render import render

    try:
        return render(request)
    except MemoryError:
        raise _too_little() from None


def master_in_worker(request: MasterRequest, memory: int) -> Mastered:
    """Render one prompt with at most ``memory`` bytes of data."""
    _settle(memory)
    from mediapipe.audio.master import master

    try:
        return master(request)
    except MemoryError:
        raise _too_little() from None


def listen_in_worker(request: ListenRequest, memory: int) -> Players:
    """Make one prompt audible in a browser with at most ``memory`` bytes of data."""
    _settle(memory)
    from mediapipe.audio.listen import players

    try:
        return players(request)
    except MemoryError:
        raise _too_little() from None


def _too_little() -> Failed:
    return Failed(
        "the audio needs more memory than a worker may take",
        code="memory_limit",
        hint="raise audio.worker_memory",
    )


def _settle(memory: int) -> None:
    """Prepare the process, once."""
    global _settled
    if _settled:
        return
    _settled = True
    # The first signal drains the run; terminals and supervisors send it to the whole group, and what is in
    # hand must end. The parent stops a worker by SIGKILL, and one that lost its parent ends by itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Its stderr is a pipe that nobody reads: what a library prints there would end up blocking it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    # One process per core: threads of the linear algebra would only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
