"""Deployments of a prompt library for tests: whole jobs in this process, against a running sandbox."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from mediapipe.audio.master import master
from mediapipe.audio.workers import AudioWorkers
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.apply_prompts import Applied, apply_prompts
from mediapipe.jobs.apply_prompts import Ask as ApplyAsk
from mediapipe.jobs.draft_prompts import draft_prompts
from mediapipe.jobs.list_prompts import Row as Standing
from mediapipe.jobs.list_prompts import list_prompts
from mediapipe.jobs.plan_prompts import Planned, plan_prompts
from mediapipe.jobs.rollback_prompts import Ask as RollbackAsk
from mediapipe.jobs.rollback_prompts import RolledBack, rollback_prompts
from mediapipe.library.lockfile import NAME, LibraryLock, LockFile
from mediapipe.library.plan import Action, Choices
from mediapipe.library.planfile import SavedPlan
from mediapipe.library.preparing import Prepared, Wishes
from mediapipe.library.releases import Release
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.manifest.prompts import read_prompts
from mediapipe.manifest.roots import Root
from mediapipe.prompt_services import (
    PromptServices,
    choices_of,
    library_of,
    open_prompts,
    open_releases,
    profiles_for,
)
from mediapipe.sandbox import FaultRule, RunningSandbox, running
from mediapipe.sandbox.library import Prompt
from mediapipe.settings import Settings, load_settings
from tests.archive_runs import QUICK, sample
from tests.audio.sources import debian, prompts

T = TypeVar("T")
Cells = dict[str, str]


class Nearby(AudioWorkers):
    """The audio engine in this process: the same work, and nothing to wait for."""

    meanwhile: Callable[[Any], object] | None = None
    """Called once a prompt was judged, before anybody else hears of it."""

    async def _run(self, work: Any, request: Any, path: Path) -> Any:
        judged = await anyio.to_thread.run_sync(master, request)
        if self.meanwhile is not None:
            self.meanwhile(request)
        return judged


def spoken(count: int) -> list[Path]:
    """Return so many real prompts, the shortest sensible ones: quick to render."""
    found = sorted(prompts("english", "wav", 4_000), key=lambda path: (path.stat().st_size, path.name))
    assert len(found) >= count
    return found[:count]


@dataclass
class Ran:
    """One run: its exit code, every outcome it reported, and what the job returned."""

    code: int
    outcomes: list[Outcome]
    result: Any

    @property
    def counts(self) -> dict[str, int]:
        """The counts above zero."""
        return dict(Counter(outcome.verdict.value for outcome in self.outcomes))

    @property
    def planned(self) -> dict[str, int]:
        """The plan's counts above zero, without what stays as it is."""
        summary = self.result.prepared.plan.summary()
        return {name: number for name, number in summary.items() if number and name != "unchanged"}

    def of(self, *actions: Action) -> set[str]:
        """Return the keys that the plan does this to."""
        return {one.key for one in self.result.prepared.plan.of(*actions)}

    def told(self, verdict: Verdict, reason: str | None = None) -> set[str]:
        """Return the keys that ended so."""
        return {one.key for one in self.outcomes if one.verdict is verdict and reason in (None, one.reason)}


@dataclass
class Library:
    """A folder with prompts and a manifest, deployed into one sandbox."""

    folder: Path
    sandbox: RunningSandbox
    overrides: dict[str, Any] = field(default_factory=dict)
    cells: list[Cells] = field(default_factory=list)
    processes: bool = False

    @property
    def manifest(self) -> Path:
        """The manifest."""
        return self.folder / "prompts.csv"

    def fill(self, count: int, kind: str = "prompt") -> None:
        """Copy so many real prompts here and write a manifest of them."""
        for number, path in enumerate(spoken(count)):
            self.add(f"p{number:03}", path, kind)
        self.write()

    def fill_from_debian(self, every: int = 1) -> None:
        """Copy the whole English set here, or each so-manieth of it, with a drafted manifest."""
        source = Path(debian("english"))
        drafted: list[str] = []
        draft_prompts(source, drafted.append, lambda line: None)
        self.cells = list(csv.DictReader(drafted[0].splitlines()))[::every]
        for one in self.cells:
            place = self.folder / one["file"]
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / one["file"], place)
        self.write()

    def add(self, name: str, source: Path, kind: str = "prompt", **more: str) -> None:
        """Copy audio here and add a row for it; the manifest is to be written after that."""
        audio = self.folder / "audio"
        audio.mkdir(parents=True, exist_ok=True)
        place = audio / f"{name}{source.suffix}"
        shutil.copyfile(source, place)
        self.cells.append({"file": f"audio/{place.name}", "type": kind, "name": name, **more})

    def audio(self, number: int) -> Path:
        """Return the file of a row, by its place."""
        return self.folder / self.cells[number]["file"]

    def change(self, number: int) -> str:
        """Let a row have other audio: another prompt's, with some of its own; return its key."""
        other = prompts("english", "wav", 12_000)[number]
        shutil.copyfile(other, self.audio(number))
        return self.key(number)

    def key(self, number: int) -> str:
        """Return a row's key."""
        return f"{self.cells[number]['type']}/{self.cells[number]['name']}"

    def write(self) -> None:
        """Write the manifest."""
        columns = list(dict.fromkeys(name for one in self.cells for name in one))
        with self.manifest.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.cells)

    # ── runs ────────────────────────────────────────────────────────────────────────────────

    def _flags(self, **more: Any) -> dict[str, Any]:
        return {
            **QUICK,
            "pace.read_timeout": 2.0,
            "prompts.lag": "0.3s",
            "state_dir": str(self.folder / "state"),
            **self.overrides,
            **{name.replace("__", "."): value for name, value in more.items()},
        }

    def settings(self, **more: Any) -> Settings:
        """Return the settings of a run; ``more`` by ``section__key``."""
        return load_settings(None, self._flags(**more), self.sandbox.environment()).settings

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a command with the same settings."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONVIRZA", "MEDIAPIPE"))
        }
        ours = {f"MEDIAPIPE_{name.replace('.', '_').upper()}": str(v) for name, v in self._flags().items()}
        return {**inherited, **self.sandbox.environment(), **ours, **more}

    def plan(self, **more: Any) -> Ran:
        """Make a plan; ``more`` are settings by ``section__key``, and choices by their own name."""
        outcomes: list[Outcome] = []

        async def work(services: PromptServices, run_id: str, wishes: Wishes) -> Planned:
            return await plan_prompts(services, wishes, sink=outcomes.append)

        planned = self._run(work, more)
        return Ran(planned.exit_code, outcomes, planned)

    def apply(
        self,
        saved: SavedPlan | None = None,
        *,
        show: Callable[[Prepared], None] | None = None,
        meanwhile: Callable[[Any], object] | None = None,
        **more: Any,
    ) -> Ran:
        """Apply; ``more`` as for a plan.

        ``show`` is called with the plan before anything of it is done, ``meanwhile`` with each request to the
        engine once that has judged.
        """
        outcomes: list[Outcome] = []

        async def work(services: PromptServices, run_id: str, wishes: Wishes) -> Applied:
            if meanwhile is not None:
                assert isinstance(services.studio.audio, Nearby)
                services.studio.audio.meanwhile = meanwhile
            ask = ApplyAsk(wishes, saved)
            return await apply_prompts(services, ask, run_id=run_id, sink=outcomes.append, show=show)

        applied = self._run(work, more)
        return Ran(applied.exit_code, outcomes, applied)

    def rollback(self, number: int, *, dry_run: bool = False, **more: Any) -> Ran:
        """Roll back; ``more`` as for a plan."""
        outcomes: list[Outcome] = []

        async def work(services: PromptServices, run_id: str, wishes: Wishes) -> RolledBack:
            ask = RollbackAsk(number, wishes.choices, dry_run=dry_run)
            return await rollback_prompts(services, ask, run_id=run_id, sink=outcomes.append)

        done = self._run(work, more)
        return Ran(done.exit_code, outcomes, done)

    def list(self) -> list[Standing]:
        """Return what the account holds, as the command says it."""

        async def work(services: PromptServices, run_id: str, wishes: Wishes) -> list[Standing]:
            return await list_prompts(services)

        return self._run(work, {})

    def releases(self) -> list[Release]:
        """Return all releases."""
        settings = self.settings()

        async def main() -> list[Release]:
            async with open_releases(settings) as kept:
                return [await kept.read(number) for number in await kept.numbers()]

        return anyio.run(main)

    def choices(self) -> Choices:
        """Return what is chosen when nothing is."""
        return self.wishes(self.settings()).choices

    def vanish(self, prompt_id: str) -> None:
        """Let somebody delete a prompt behind our back."""
        state = self.sandbox.state
        assert state.library.delete(int(prompt_id), state.now_ms)

    def wishes(self, settings: Settings, **choices: Any) -> Wishes:
        """Return what the manifest wishes for."""
        chosen = {"prune": False, "prune_foreign": False, "force": False, **choices}
        read = read_prompts(self.manifest, Root(self.folder), pattern=settings.prompts.language_names)
        return Wishes(
            read,
            profiles_for(self.manifest).find,
            settings.prompts.rendering,
            choices_of(settings, **chosen),
            as_is=settings.prompts.as_is,
            languages=settings.prompts.languages,
        )

    def _run(self, work: Callable[[PromptServices, str, Wishes], Awaitable[T]], more: dict[str, Any]) -> T:
        names = Choices.__dataclass_fields__
        choices = {name: value for name, value in more.items() if name in names}
        settings = self.settings(**{name: v for name, v in more.items() if name not in names})

        async def main() -> T:
            run_id = new_run_id()
            folder = settings.runs_dir / run_id
            folder.mkdir(parents=True)
            with alive(folder):
                async with open_prompts(settings, owner_of(run_id), self.folder / NAME) as services:
                    if not self.processes:
                        studio = replace(services.studio, audio=Nearby(settings.audio))
                        services = replace(services, studio=studio)
                    return await work(services, run_id, self.wishes(settings, **choices))

        return anyio.run(main)

    # ── what is there ───────────────────────────────────────────────────────────────────────

    @property
    def there(self) -> dict[str, list[Prompt]]:
        """What the account holds, by key."""
        found: dict[str, list[Prompt]] = {}
        for one in self.sandbox.state.library.prompts:
            found.setdefault(f"{one.type}/{one.name}", []).append(one)
        return found

    @property
    def posted(self) -> Counter[str]:
        """How many prompts of each key the account ever took, deleted or not."""
        return Counter(f"{one.type}/{one.name}" for one in self.sandbox.state.library.everything)

    @property
    def lock(self) -> LibraryLock:
        """The lock file's section of this account."""
        return LockFile(self.folder / NAME, library_of(self.settings())).lock

    def lock_text(self) -> dict[str, Any]:
        """Return the lock file as it stands."""
        loaded = json.loads((self.folder / NAME).read_text("utf-8"))
        assert isinstance(loaded, dict)
        return loaded

    def bytes_of(self, prompt_id: str) -> bytes:
        """Return the audio the account holds under an id."""
        return self.sandbox.state.prompt_bytes(int(prompt_id))

    def equal(self, superseded: Iterable[str] = ()) -> None:
        """Assert the mission: the account holds the manifest, nothing twice, no orphan.

        ``superseded`` are the keys that have one more prompt of ours, each as often as it is named.
        """
        wanted = Counter(self.key(number) for number in range(len(self.cells)))
        there = Counter({key: len(ones) for key, ones in self.there.items()})
        assert there == wanted + Counter(superseded)
        lock = self.lock
        assert set(lock.prompts) == set(wanted)
        ids = {str(one.prompt_id) for ones in self.there.values() for one in ones}
        assert lock.ids == ids, "an id that nobody knows of, or that is not there"
        for key, entry in lock.prompts.items():
            assert entry.prompt_id in {str(one.prompt_id) for one in self.there[key]}
            assert len(self.bytes_of(entry.prompt_id)) == entry.bytes


@contextmanager
def deploying(folder: Path, *faults: FaultRule, count: int = 0, **more: Any) -> Iterator[Library]:
    """Serve a sandbox with these faults, beside a folder of prompts; ``more`` by ``section__key``.

    Names without a section are the sandbox's own settings.
    """
    settings = {name.replace("__", "."): value for name, value in more.items() if "__" in name}
    config = {name: value for name, value in more.items() if "__" not in name}
    with running(sample(5, faults=faults, **config)) as sandbox:
        library = Library(folder, sandbox, settings)
        if count:
            library.fill(count)
        yield library
