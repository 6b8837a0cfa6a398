"""All prompts of a plan rendered and judged before the first upload: one that is blocked stops the apply."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio.to_thread

from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.mastering import Mastered, MasterRequest, output_name
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import Target
from mediapipe.audio.workers import AudioWorkers
from mediapipe.errors import DiskFull, Failed
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.library.attempts import entry_of
from mediapipe.library.desired import Desired
from mediapipe.library.outliers import Outlier, find_outliers
from mediapipe.library.plan import Change
from mediapipe.library.publishing import Ready, about, ended
from mediapipe.line import Ending
from mediapipe.running import FULL
from mediapipe.survey import Looked, Survey, survey

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt that was rendered, or why not: ``ready`` is None then. ``remarks`` are for people."""

    change: Change
    outcome: Outcome
    ready: Ready | None = None
    mastered: Mastered | None = None


@dataclass(slots=True)
class Session:
    """What came of rendering a set, in its order."""

    rendered: list[Rendered] = field(default_factory=list)
    ending: Ending = field(default_factory=Ending)

    @property
    def blocked(self) -> list[Rendered]:
        """Those that cannot be sent."""
        return [one for one in self.rendered if one.ready is None]

    @property
    def ready(self) -> list[Ready]:
        """Those that can."""
        return [one.ready for one in self.rendered if one.ready is not None]

    def outliers(self) -> list[Outlier]:
        """Return what stands out from the set."""
        values = {}
        for one in self.rendered:
            if one.mastered is not None and one.mastered.figures is not None:
                figures, channels = one.mastered.figures, one.mastered.source.quality
                tail = min((c.tail_s for c in channels.channels), default=None) if channels else None
                values[one.change.key] = (figures.active_db_before, figures.pace, tail)
        return list(find_outliers(values))


@dataclass(frozen=True, slots=True)
class Studio:
    """Renders prompts into ``folder``; ``target`` is what the API takes, ``workers`` how many at a time."""

    audio: AudioWorkers
    target: Target
    folder: Path
    workers: int
    raw_format: str | None = None
    max_seconds: float = 48 * 3600.0

    async def render(
        self,
        changes: Sequence[Change],
        *,
        envelope: bool = False,
        progress: Callable[[Outcome], None] | None = None,
        signals: bool = False,
    ) -> Session:
        """Render what is to be uploaded. What cannot be decoded, or is blocked, is told among the rest."""
        session = Session()

        async def look(change: Change) -> Looked[Rendered]:
            result = await self._one(change, envelope)
            return Looked(result.outcome, result)

        def sink(page: Sequence[Looked[Rendered]]) -> None:
            for looked in page:
                change = by_key[looked.outcome.key]
                session.rendered.append(looked.found or Rendered(change, looked.outcome))
                if progress is not None:
                    progress(looked.outcome)

        async def source() -> AsyncGenerator[Sequence[Change], None]:
            yield changes

        by_key = {one.key: one for one in changes}
        job = Survey("render", source, look, about, sink, self.workers)
        session.ending = await survey(job, signals=signals)
        return session

    async def _one(self, change: Change, envelope: bool) -> Rendered:
        wanted, item = change.desired, about(change)
        if wanted is None or wanted.path is None:
            raise Failed("there is no audio for it", code="no_audio")
        request = self._request(change, wanted, envelope)
        mastered = await self.audio.mastered(request)
        remarks = tuple(_remark(one) for one in mastered.judged if one.level is Level.WARN)
        item = replace(item, verdict=Verdict.PENDING, warnings=remarks)
        if mastered.source.sha256 != wanted.source_sha256 and not wanted.rendered_sha256:
            raise Failed("its audio changed while the plan was made", code="source_changed")
        if mastered.blocked:
            said = "; ".join(one.message for one in mastered.blocked)
            return Rendered(
                change, ended(item, Verdict.REJECTED, mastered.blocked[0].code, said), None, mastered
            )
        output = mastered.output
        facts = output.facts if output else mastered.source
        entry = entry_of(wanted, sha256=facts.sha256, size=facts.size, container=facts.container)
        path = output.path if output else await self._copied(change.key, wanted.path, facts.sha256)
        return Rendered(change, item, Ready(change, path, entry), mastered)

    async def _copied(self, key: str, source: Path, sha256: str) -> Path:
        """Return a copy of what was judged and goes as it is: the source may change until it is sent."""
        return await anyio.to_thread.run_sync(_copy, source, self.folder / f"{_stem(key)}.as-is", sha256)

    def _request(self, change: Change, wanted: Desired, envelope: bool) -> MasterRequest:
        if wanted.path is None or wanted.profile is None:
            raise Failed("there is no audio for it", code="no_audio")
        probe = ProbeRequest(
            wanted.path, raw_format=self.raw_format, max_seconds=self.max_seconds, envelope=envelope
        )
        path = self.folder / output_name(_stem(wanted.key), wanted.profile)
        return MasterRequest(probe, wanted.profile, self.target, path, as_is=wanted.as_is, envelope=envelope)


def _stem(key: str) -> str:
    """Return a name for a prompt's file by its key's hash: keys may be long, and hold what no disk takes."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _copy(source: Path, path: Path, sha256: str) -> Path:
    """Copy a file whose hash has to be this one; raises ``Failed``, or ``DiskFull``. Blocking."""
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file, path.open("wb") as copy:
            while piece := file.read(_PIECE):
                digest.update(piece)
                copy.write(piece)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno in FULL:
            raise DiskFull(f"no room left to write {path}") from None
        said = f"it cannot be copied: {error.strerror or error}"
        raise Failed(said, code="unreadable") from None
    if digest.hexdigest() != sha256:
        path.unlink()
        raise Failed("its audio changed while it was judged", code="source_changed")
    return path


def _remark(one: Finding) -> Remark:
    return Remark(one.code, one.message, one.channel, one.start_s, one.end_s)
