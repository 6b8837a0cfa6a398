"""``calls import --engine ray``: recordings are decoded and rendered by a Ray cluster; uploads stay here.

Every worker has a pool of one process, with the same limits on memory and time as without an engine: a file
that kills its decoder kills neither Ray's worker nor another file. What a worker on another machine made is
brought here as bytes. The sources have to stand where all machines see them under the same path.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

import anyio
import anyio.from_thread

from mediapipe.audio.options import AudioOptions
from mediapipe.audio.requests import Rendering, RenderRequest
from mediapipe.audio.workers import AudioWorkers
from mediapipe.engines.cluster import installed_ray, joined
from mediapipe.errors import Failed, ItemError, MediapipeError

Request = TypeVar("Request")
Answer = TypeVar("Answer")

RETRIES = 2
"""Times that a file is given to another worker after its own was lost."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a worker answers: a result or why there is none, and its files where it has a disk of its own."""

    answer: Any = None
    trouble: MediapipeError | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


class AudioActor:
    """One worker of the cluster; lives in a process of its own on whichever node has room."""

    def __init__(self, options: AudioOptions) -> None:
        self._thread = ExitStack()
        self._call = self._thread.enter_context(anyio.from_thread.start_blocking_portal()).call
        self._workers = AudioWorkers(options.model_copy(update={"processes": 1}))

    def work(self, work: Callable[[Any, int], Any], request: Any, path: Path) -> Made:
        """Do one file; errors about it are part of the answer."""
        if not path.exists():
            return Made(trouble=_not_there(path))
        if not isinstance(request, RenderRequest) or request.folder.is_dir():
            return self._attempt(work, request, path)
        with TemporaryDirectory(prefix="render-") as own:
            made = self._attempt(work, replace(request, folder=Path(own)), path)
            if isinstance(made.answer, Rendering):
                outputs = [one.path for one in made.answer.outputs]
                made = replace(made, files={path.name: path.read_bytes() for path in outputs})
            return made

    def _attempt(self, work: Callable[[Any, int], Any], request: Any, path: Path) -> Made:
        try:
            return Made(self._call(self._workers._run, work, request, path))
        except ItemError as error:
            return Made(trouble=error)

    def close(self) -> None:
        """End the pool; a worker that is killed takes it along."""
        self._thread.close()


def _not_there(path: Path) -> Failed:
    return Failed(
        f"the worker's machine has no {path}",
        code="not_reachable",
        hint="put the recordings where all machines see them under the same path, or leave --engine out",
    )


class RayAudio(AudioWorkers):
    """Audio workers that are those of a cluster; in use until :func:`ray_audio` ends."""

    def __init__(self, options: AudioOptions, ray: Any, actors: list[Any]) -> None:
        super().__init__(options)
        self._ray, self._idle = ray, deque(actors)
        self.processes = len(actors)
        self._limiter = anyio.CapacityLimiter(self.processes)

    async def _run(self, work: Callable[[Request, int], Answer], request: Request, path: Path) -> Answer:
        async with self._limiter:
            actor = self._idle.popleft()
            try:
                made: Made = await actor.work.remote(work, request, path)
            except self._ray.exceptions.RayError as error:
                said = str(error).partition("\n")[0]
                raise Failed(f"its worker was lost: {said}", code="audio_worker_lost") from None
            finally:
                self._idle.append(actor)
        if made.trouble is not None:
            raise made.trouble
        return cast(Answer, _brought(made, request))


def _brought(made: Made, request: Any) -> Any:
    """Put files that were made elsewhere where they were asked for."""
    if not made.files:
        return made.answer
    outputs = []
    for one in made.answer.outputs:
        path = request.folder / one.path.name
        path.write_bytes(made.files[one.path.name])
        outputs.append(replace(one, path=path))
    return replace(made.answer, outputs=tuple(outputs))


@asynccontextmanager
async def ray_audio(options: AudioOptions) -> AsyncGenerator[AudioWorkers, None]:
    """Open the audio workers of a Ray cluster, one for each of its processors; raises ``UsageError``."""
    ray = installed_ray()
    async with joined(ray):
        count = max(1, int(ray.cluster_resources().get("CPU", os.cpu_count() or 1)))
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(AudioActor)
        actors = [remote.remote(options) for _ in range(count)]
        try:
            yield RayAudio(options, ray, actors)
        finally:
            for actor in actors:
                ray.kill(actor)
