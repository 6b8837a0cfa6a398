"""Archive runs for tests: the whole job in this process, against a running sandbox, into a folder or S3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import anyio

from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.archive_recordings import Ask, Result, archive
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.sandbox import RunningSandbox, SandboxConfig
from mediapipe.services import open_archive
from mediapipe.settings import Settings, load_settings
from tests.s3.server import RunningS3

UNTIL = date(2026, 3, 1)
START = datetime(2026, 2, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, tzinfo=UTC)

# Fast enough for tests, and otherwise what a user has.
QUICK: Mapping[str, Any] = {
    "pace.requests_per_second": 1000,
    "pace.retry_initial_wait": 0.01,
    "pace.retry_max_wait": 0.2,
    "pace.logins_per_minute": 1000,
}


def sample(count: int = 60, **changes: Any) -> SandboxConfig:
    """Return a small sandbox whose calls all lie in February 2026 and whose logins are not limited."""
    defaults: dict[str, Any] = {
        "count": count,
        "until": UNTIL,
        "seconds_min": 0.3,
        "seconds_max": 0.8,
        "login_limit_per_minute": 0,
        "newest_late": 0,
    }
    return SandboxConfig(**{**defaults, **changes})


@dataclass
class Ran:
    """One run: what the job returned and every outcome it reported."""

    result: Result
    outcomes: list[Outcome] = field(default_factory=list)

    def __getitem__(self, verdict: Verdict) -> int:
        return self.result.tally[verdict]

    @property
    def counts(self) -> dict[str, int]:
        """The counts above zero."""
        return {name: number for name, number in self.result.tally.counts().items() if number}


@dataclass
class Archiver:
    """Runs archives of one sandbox into one destination with one ledger."""

    sandbox: RunningSandbox
    folder: Path
    dest: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def archive(self) -> Path:
        """The destination folder."""
        return self.folder / "archive"

    def settings(self, **more: Any) -> Settings:
        """Return the settings of a run; ``more`` by ``section__key``."""
        flags = {
            **QUICK,
            "archive.dest": self.dest or str(self.archive),
            "state_dir": str(self.folder / "state"),
            **self.overrides,
            **{name.replace("__", "."): value for name, value in more.items()},
        }
        return load_settings(None, flags, self.sandbox.environment()).settings

    def run(
        self,
        start: datetime | None = START,
        end: datetime | None = END,
        *,
        now: datetime | None = None,
        dry_run: bool = False,
        watch: Callable[[Outcome], None] | None = None,
        **more: Any,
    ) -> Ran:
        """Run once and return what happened."""
        outcomes: list[Outcome] = []

        def sink(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if watch is not None:
                watch(outcome)

        async def main() -> Result:
            run_id, settings = new_run_id(), self.settings(**more)
            run_dir = settings.runs_dir / run_id
            run_dir.mkdir(parents=True)
            with alive(run_dir):
                async with open_archive(settings, "archive.run", owner_of(run_id)) as services:
                    ask = Ask(now or datetime.now(UTC), start, end, dry_run=dry_run)
                    return await archive(services, ask, run_id=run_id, sink=sink)

        return Ran(anyio.run(main), outcomes)

    def recordings(self) -> dict[str, Path]:
        """Return the archived recordings by ``<call_id>-<recording_id>``, sidecars left out."""
        root = self.archive / "recordings"
        return {path.stem: path for path in root.rglob("*") if path.is_file() and path.suffix != ".json"}

    def check(self, *, missing: frozenset[int] = frozenset()) -> None:
        """Assert that the folder holds exactly the sandbox's recordings, each right and with its sidecar."""
        check_folder(self.sandbox, self.archive, missing=missing)


def expected(sandbox: RunningSandbox) -> dict[str, bytes]:
    """Return what the sandbox can serve now, but for uploads: bytes by ``<call_id>-<recording_id>``."""
    found = {}
    for call in sandbox.state.calls:
        recording = call.available(sandbox.state.now_ms)
        if recording is not None and call.origin != "upload":
            key = f"{call.call_id}-{recording.recording_id}"
            found[key] = sandbox.state.recording_bytes(call.call_id)
    return found


def check_folder(sandbox: RunningSandbox, archive: Path, *, missing: frozenset[int] = frozenset()) -> None:
    """Assert that a folder is exactly the archive of the sandbox's recordings, less ``missing`` calls."""
    root = archive / "recordings"
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    media = {path.stem: path for path in files.values() if path.suffix != ".json"}
    sidecars = {path.stem: path for path in files.values() if path.suffix == ".json"}
    wanted = {key: body for key, body in expected(sandbox).items() if int(key.split("-")[0]) not in missing}
    assert set(media) == set(wanted)
    assert set(sidecars) == set(wanted)
    assert len(files) == 2 * len(wanted), "something else stands in the archive"
    for key, body in wanted.items():
        raw = media[key].read_bytes()
        assert raw == body, f"{key} has other bytes"
        sidecar = json.loads(sidecars[key].read_text())
        assert sidecar["sha256"] == hashlib.sha256(raw).hexdigest()
        assert sidecar["bytes"] == len(raw)
        assert sidecar["key"] == media[key].relative_to(archive).as_posix()
        assert media[key].suffix == (".wav" if raw[:4] == b"RIFF" else ".mp3")


def secrets_of(sandbox: RunningSandbox) -> tuple[str, ...]:
    """Return every secret that a run against this sandbox could leak."""
    config = sandbox.state.config
    return (config.password, config.client_secret)


def s3_objects(s3: RunningS3, bucket: str, prefix: str) -> dict[str, bytes]:
    """Return the bytes of every object under a prefix, by key."""
    found = {}
    with s3.client() as client:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
    return found
