"""Imports for tests: the whole job in this process or as a command, against a running sandbox."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import wave
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from mediapipe.audio.probe import probe
from mediapipe.audio.render import render
from mediapipe.audio.worker import render_in_worker
from mediapipe.audio.workers import AudioWorkers
from mediapipe.import_services import open_import, open_reconcile
from mediapipe.imports.results import Result
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs import reconcile_calls
from mediapipe.jobs.import_calls import Ask, ImportCalls
from mediapipe.ledger.interface import State
from mediapipe.listening import Ear
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.sandbox import Endpoint, FaultRule, RunningSandbox, running
from mediapipe.sandbox.state import SandboxState
from mediapipe.settings import Settings, load_settings
from tests.archive_runs import QUICK, sample
from tests.audio.sources import prompts

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
NOW = timedelta(0)
"""No patience: nothing of a process that is gone is under way in a sandbox."""

KINDS = 8
"""So many recordings there are; rows take turns."""

Row = dict[str, str]

NOT_MADE = (Verdict.FAILED, Verdict.REJECTED, Verdict.PENDING)


@cache
def recordings() -> tuple[bytes, ...]:
    """Return calls of two parties, each made of real prompts: different in length and sound."""
    spoken = sorted(prompts("english", "wav", 16_000), key=lambda path: (path.stat().st_size, path.name))
    return tuple(_call(spoken[number * 12 : number * 12 + 2]) for number in range(KINDS))


def _call(parts: Sequence[Path]) -> bytes:
    """Join prompts: the parties take turns, one on each channel."""
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        for turn, path in enumerate(parts):
            with wave.open(str(path)) as reader:
                assert (reader.getframerate(), reader.getsampwidth(), reader.getnchannels()) == (8000, 2, 1)
                mono = reader.readframes(reader.getnframes())
            silence = b"\0\0"
            samples = (mono[at : at + 2] for at in range(0, len(mono), 2))
            writer.writeframes(b"".join(silence + one if turn % 2 else one + silence for one in samples))
    return out.getvalue()


def row(number: int, **more: str) -> Row:
    """Return the cells of one row: an hour's quarter after the one before, from another caller."""
    return {
        "external_id": f"x-{number}",
        "recording_file": f"audio/{number % KINDS}.wav",
        "call_date": (BEGIN + timedelta(minutes=7 * number)).isoformat(),
        "caller_id": f"1801555{1000 + number % 500}",
        "group_id": "1201",
        "disposition": "ANSWERED",
    } | more


def rows(count: int) -> list[Row]:
    """Return so many rows, none of which could be mistaken for another."""
    return [row(number) for number in range(count)]


def write_manifest(path: Path, cells: Iterable[Row]) -> Path:
    """Write rows as CSV."""
    filled = list(cells)
    columns = list(dict.fromkeys(column for one in filled for column in one))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(filled)
    return path


def seen_from_outside(ledger: Path) -> dict[str, State]:
    """Return what is durable of the uploads; nothing where there is no ledger yet."""
    if not ledger.exists():
        return {}
    connection = sqlite3.connect(ledger)
    try:
        found = connection.execute("SELECT key, state FROM ledger_items WHERE key != 'import'")
        return {key: State(state) for key, state in found}
    except sqlite3.OperationalError:  # it is being made
        return {}
    finally:
        connection.close()


def fault(name: str, rate: float = 1.0, **more: Any) -> FaultRule:
    """Return a rule for the sandbox."""
    return FaultRule(name=name, rate=rate, **more)


def sent(sandbox: RunningSandbox) -> Counter[str]:
    """Return how often each external id was taken by the sandbox: each time makes a call."""
    return Counter(upload.external_id for upload in sandbox.state.uploads)


def posts(sandbox: RunningSandbox) -> int:
    """Return how many upload requests the sandbox was asked, whatever it answered."""
    return sandbox.state.stats.total(Endpoint.UPLOAD)


def asked(state: SandboxState) -> int:
    """Return how many requests of any kind the sandbox was asked."""
    return sum(answers.total() for answers in state.stats.requests.values())


class Nearby(AudioWorkers):
    """The audio engine in this process: the same work, and nothing to wait for."""

    async def _run(self, work: Any, request: Any, path: Path) -> Any:
        return await anyio.to_thread.run_sync(render if work is render_in_worker else probe, request)


@dataclass
class Ran:
    """One run: what it returned, every outcome it reported, the rows to be run again."""

    code: int
    outcomes: list[Outcome]
    result: Result | reconcile_calls.Result | None = None
    failed: list[CallRow] = field(default_factory=list)

    @property
    def by_key(self) -> dict[str, Outcome]:
        """The outcomes by external id; each came once."""
        found = {outcome.key: outcome for outcome in self.outcomes}
        assert len(found) == len(self.outcomes), "an item was reported twice"
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The counts above zero."""
        return dict(Counter(outcome.verdict.value for outcome in self.outcomes))

    def of(self, verdict: Verdict, reason: str | None = None) -> set[str]:
        """Return the keys that ended so."""
        return {
            outcome.key
            for outcome in self.outcomes
            if outcome.verdict is verdict and reason in (None, outcome.reason)
        }


@dataclass
class Importer:
    """Imports one manifest after the other into one sandbox with one ledger."""

    folder: Path
    sandbox: RunningSandbox
    overrides: dict[str, Any] = field(default_factory=dict)
    processes: bool = False
    """Whether audio is worked on in processes of its own, as it is for a user."""

    def __post_init__(self) -> None:
        audio = self.folder / "audio"
        audio.mkdir(parents=True, exist_ok=True)
        for number, body in enumerate(recordings()):
            (audio / f"{number}.wav").write_bytes(body)

    @property
    def state(self) -> Path:
        """The state folder, with the ledger."""
        return self.folder / "state"

    def manifest(self, cells: Iterable[Row], name: str = "m.csv") -> Path:
        """Write a manifest."""
        return write_manifest(self.folder / name, cells)

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of a command with the same settings."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONVIRZA", "MEDIAPIPE"))
        }
        ours = {f"MEDIAPIPE_{name.replace('.', '_').upper()}": str(v) for name, v in self._flags().items()}
        return {**inherited, **self.sandbox.environment(), **ours, **more}

    def _flags(self, **more: Any) -> dict[str, Any]:
        return {
            **QUICK,
            "imports.lag": "0.3s",
            "imports.uploads": 4,
            "pace.read_timeout": 2.0,
            "state_dir": str(self.state),
            **self.overrides,
            **{name.replace("__", "."): value for name, value in more.items()},
        }

    def settings(self, **more: Any) -> Settings:
        """Return the settings of a run; ``more`` by ``section__key``."""
        return load_settings(None, self._flags(**more), self.sandbox.environment()).settings

    def run(
        self,
        path: Path,
        *,
        patience: timedelta | None = None,
        local_now: Callable[[], datetime] | None = None,
        resend_uncertain: bool = False,
        all_or_nothing: bool = False,
        insist: bool = False,
        **more: Any,
    ) -> Ran:
        """Import once in this process; ``patience`` is how long a dead run's upload may be under way."""
        settings, outcomes, failed = self.settings(**more), list[Outcome](), list[CallRow]()
        ask = Ask(
            CallManifest.open(path, settings.manifest),
            Root(self.folder),
            all_or_nothing=all_or_nothing,
            resend_uncertain=resend_uncertain,
            insist=insist,
        )

        async def main() -> Result:
            run_id, folder = self._begin(settings)
            with alive(folder):
                async with open_import(settings, owner_of(run_id)) as services:
                    tools = replace(services.tools, ear=self._ear(services.tools.ear, settings))
                    if patience is not None:
                        tools = replace(tools, patience=patience)
                    services = replace(services, tools=tools)
                    if local_now is not None:
                        services.limits.local_now = local_now
                    job = ImportCalls(
                        services, ask, run_id, outcomes.append, lambda one, outcome: failed.append(one)
                    )
                    return await job.work()

        result = anyio.run(main)
        return Ran(result.exit_code, outcomes, result, failed)

    def reconcile(self, adopt: Path | None = None, *, wait: bool = True, **more: Any) -> Ran:
        """Reconcile once in this process; with a manifest, adopt what it names."""
        settings, outcomes = self.settings(**more), list[Outcome]()
        ask = reconcile_calls.Ask(wait=wait)
        if adopt is not None:
            opened = CallManifest.open(adopt, settings.manifest)
            ask = reconcile_calls.Ask(opened, Root(self.folder), wait=wait)

        async def main() -> reconcile_calls.Result:
            run_id, folder = self._begin(settings)
            with alive(folder):
                async with open_reconcile(settings, owner_of(run_id)) as services:
                    services = replace(services, ear=self._ear(services.ear, settings))
                    return await reconcile_calls.reconcile(services, ask, run_id=run_id, sink=outcomes.append)

        result = anyio.run(main)
        return Ran(result.exit_code, outcomes, result)

    def _ear(self, ear: Ear, settings: Settings) -> Ear:
        return ear if self.processes else replace(ear, audio=Nearby(settings.audio))

    def _begin(self, settings: Settings) -> tuple[str, Path]:
        run_id = new_run_id()
        folder = settings.runs_dir / run_id
        folder.mkdir(parents=True)
        return run_id, folder

    def ledger(self) -> dict[str, State]:
        """Return what is durable of the uploads, seen from outside; empty without a ledger."""
        return seen_from_outside(self.state / "ledger.db")

    def lose_the_ledger(self) -> None:
        """Remove the ledger, and nothing else."""
        for path in self.state.glob("ledger.db*"):
            path.unlink()

    # ── what has to hold ────────────────────────────────────────────────────────────────────

    def none_twice(self) -> None:
        """Assert the mission: no row was ever taken twice by the platform."""
        twice = {key: number for key, number in sent(self.sandbox).items() if number > 1}
        assert not twice, f"billed twice: {twice}"

    def honest(self, ran: Ran, wanted: Iterable[Row]) -> None:
        """Assert that a run said one thing of each row, and nothing that is not so."""
        self.none_twice()
        made, said = sent(self.sandbox), ran.by_key
        assert set(said) == {one["external_id"] for one in wanted}, "a row was lost, or came from nowhere"
        for key, outcome in said.items():
            if outcome.verdict in (Verdict.DONE, Verdict.SKIPPED):
                assert made[key], f"{key} is {outcome.verdict} {outcome.reason}, and there is no call"
            elif outcome.verdict in NOT_MADE and outcome.reason != "conflict":
                assert not made[key], f"{key} is {outcome.verdict} {outcome.reason}, and there is a call"
        if ran.of(Verdict.UNCERTAIN):
            assert ran.code == 5 or ran.of(Verdict.FAILED) or ran.of(Verdict.REJECTED), ran.code

    def all_sent(self, wanted: Iterable[Row]) -> None:
        """Assert that each row was taken exactly once, with the bytes of its own recording's call."""
        self.none_twice()
        assert set(sent(self.sandbox)) == {one["external_id"] for one in wanted}


@contextmanager
def importing(folder: Path, *faults: FaultRule, **settings: Any) -> Iterator[Importer]:
    """Serve a sandbox with these faults beside an importer with these settings, by ``section__key``."""
    with running(sample(20, faults=faults)) as sandbox:
        yield Importer(folder, sandbox, {name.replace("__", "."): v for name, v in settings.items()})


def heal(sandbox: RunningSandbox, *faults: FaultRule) -> None:
    """Replace the faults of a sandbox."""
    sandbox.state.faults.set(faults)
