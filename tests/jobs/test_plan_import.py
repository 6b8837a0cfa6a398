"""The dry run: what would be sent and what would not, and the platform is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mediapipe.errors import ExitCode
from mediapipe.estimate import Estimate, Pace
from mediapipe.import_services import open_import, pace_of
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.plan_import import PlanImport, Planned, plan_import, rows_of
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.roots import Root
from mediapipe.sandbox import running
from tests.archive_runs import sample
from tests.import_runs import Importer, Nearby, Row, asked, fault, row, rows


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Importer]:
    with running(sample(20)) as sandbox:
        yield Importer(tmp_path, sandbox)


def plan(it: Importer, wanted: list[Row]) -> tuple[Planned, dict[str, Outcome]]:
    settings, said = it.settings(), list[Outcome]()
    manifest = CallManifest.open(it.manifest(wanted, "plan.csv"), settings.manifest)

    async def main() -> Planned:
        async with open_import(settings, "owner") as services:
            ear = replace(services.tools.ear, audio=Nearby(settings.audio))
            read = rows_of(manifest, Root(it.folder), None, None)
            planned = Planned(Estimate(pace_of(settings)))
            job = PlanImport(ear, services.ledger, services.scope, read, 2, planned, said.append)
            return await plan_import(job)

    planned = anyio.run(main)
    assert [one.row for one in said] == list(range(1, len(wanted) + 1)), "in the order of the manifest"
    return planned, {one.key: one for one in said}


def test_each_row_is_told_what_would_become_of_it(it: Importer) -> None:
    it.sandbox.state.faults.set([fault("upload_commit_then_500", first=1), fault("list_500", skip=1)])
    it.run(it.manifest([row(0)]), pace__retry_attempts=1, imports__look_first=0)
    it.sandbox.state.faults.set([])
    it.run(it.manifest([row(1)]))
    before = asked(it.sandbox.state)
    (it.folder / "audio" / "broken.wav").write_bytes(b"<!doctype html>")
    wanted = [
        *rows(3),
        row(3, recording_file="audio/broken.wav"),
        row(4, recording_file="", recording_url="https://files.example.com/4.wav"),
        row(5, caller_id="x"),
    ]
    planned, said = plan(it, wanted)
    assert {key: (one.verdict, one.reason) for key, one in said.items() if key not in ("x-3", "x-5")} == {
        "x-0": (Verdict.UNCERTAIN, "uncertain"),
        "x-1": (Verdict.SKIPPED, "done"),
        "x-2": (Verdict.PENDING, "dry_run"),
        "x-4": (Verdict.PENDING, "unchecked"),
    }
    assert {said["x-3"].verdict, said["x-5"].verdict} == {Verdict.REJECTED}
    assert asked(it.sandbox.state) == before
    assert (planned.remote, planned.estimate.requests, dict(planned.plans)) == (1, 1, {"as_is": 1})
    assert planned.estimate.bytes == said["x-2"].bytes == (it.folder / "audio" / "2.wav").stat().st_size
    assert planned.exit_code is ExitCode.UNPROVEN, "one is uncertain"
    told = {name: count for name, count in planned.tally.counts().items() if count}
    assert told == {"uncertain": 1, "skipped": 1, "pending": 2, "rejected": 2}


def test_it_leaves_the_ledger_as_it_was_and_the_import_does_what_it_said(it: Importer) -> None:
    wanted = rows(3)
    planned, said = plan(it, wanted)
    assert it.ledger() == {}
    ran = it.run(it.manifest(wanted))
    assert ran.of(Verdict.DONE) == {key for key, one in said.items() if one.reason == "dry_run"}
    assert sum(one.bytes for one in ran.outcomes) == planned.estimate.bytes


def test_it_says_so_in_words_and_for_programs() -> None:
    planned = Planned(Estimate(Pace(2.0, 1_000_000)), remote=1_200)
    planned.plans.update(as_is=3, transcode=1)
    assert planned.as_json()["plan"]["audio"] == {"as_is": 3, "transcode": 1}
    said = "\n".join(planned.notes())
    assert "nothing was sent" in said
    assert "3 as_is, 1 transcode" in said
    assert "1,200 recordings stand elsewhere" in said
