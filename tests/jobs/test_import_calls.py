"""The import job: limits, conflicts, what may not run at once, what may never be shown."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.exclusive import LEASE
from mediapipe.import_services import open_import
from mediapipe.items import Verdict
from mediapipe.originals import Originals
from mediapipe.sandbox import running
from tests.archive_runs import sample, secrets_of
from tests.import_runs import Importer, Row, asked, fault, posts, recordings, row, rows


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Importer]:
    with running(sample(20)) as sandbox:
        yield Importer(tmp_path, sandbox)


def command(it: Importer, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "mediapipe", "calls", *map(str, args)]
    return subprocess.run(
        line, env=it.environ(**env), capture_output=True, text=True, timeout=100, check=False
    )


def outcomes(it: Importer) -> list[dict[str, Any]]:
    newest = max((it.state / "runs").iterdir())
    return [json.loads(line) for line in (newest / "outcomes.jsonl").read_text().splitlines()]


# ── the command ─────────────────────────────────────────────────────────────────────────────


def test_the_command_sends_once_keeps_secrets_and_sends_nothing_again(it: Importer) -> None:
    wanted = rows(6)
    it.sandbox.state.faults.set([fault("upload_commit_then_drop", 0.3), fault("upload_commit_then_500", 0.3)])
    manifest = it.manifest(wanted)
    ended = command(it, "import", manifest, "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["counts"]["done"] == 6
    it.all_sent(wanted)
    assert {one["key"] for one in outcomes(it)} == {one["external_id"] for one in wanted}
    again = command(it, "import", manifest, "--json")
    assert (again.returncode, json.loads(again.stdout)["counts"]["skipped"]) == (0, 6)
    assert posts(it.sandbox) == 6
    kept = b"".join(
        path.read_bytes() for path in it.state.rglob("*") if path.is_file() and "tokens" not in str(path)
    )
    tokens = [
        value
        for path in (it.state / "tokens").glob("*.json")
        for value in json.loads(path.read_text()).values()
        if isinstance(value, str) and len(value) > 20
    ]
    assert tokens, "there is something to be looked for"
    for secret in (*secrets_of(it.sandbox), *tokens):
        assert secret not in ended.stdout + ended.stderr + again.stderr
        assert secret.encode() not in kept


def test_an_address_that_is_lent_is_kept_nowhere(it: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = (
        "https://files.example.com/calls/1.wav?X-Amz-Signature=abcdef0123456789abcdef&X-Amz-Credential=AKIA"
    )

    async def lent(originals: Originals, address: str) -> str:
        return address  # that the host is known is for others to check

    monkeypatch.setattr(Originals, "lent", lent)
    it.sandbox.state.faults.set([fault("upload_commit_then_500")])
    wanted = [row(1, recording_file="", recording_url=signed)]
    ran = it.run(it.manifest(wanted), imports__by_url=True)
    assert [one.fields["recording_url"] for one in it.sandbox.state.uploads] == [signed]
    assert "X-Amz" not in repr(ran.outcomes)
    kept = b"".join(path.read_bytes() for path in it.state.glob("ledger.db*"))
    assert b"files.example.com" in kept, "there is something to be looked at"
    assert b"abcdef0123456789abcdef" not in kept
    assert b"X-Amz" not in kept


def test_a_dry_run_asks_the_platform_for_nothing(it: Importer) -> None:
    ended = command(it, "import", it.manifest(rows(4)), "--dry-run", "--json")
    assert ended.returncode == 0, ended.stderr
    assert asked(it.sandbox.state) == 0
    assert it.ledger() == {}


def test_failed_csv_is_run_as_it_is_once_the_audio_was_mended(it: Importer) -> None:
    wanted = [*rows(3), row(3, recording_file="audio/broken.wav"), row(4, recording_file="audio/missing.wav")]
    broken = it.folder / "audio" / "broken.wav"
    broken.write_bytes(b"<!doctype html><title>expired</title>")
    ended = command(it, "import", it.manifest(wanted), "--json")
    assert ended.returncode == 3, ended.stderr
    report = json.loads(ended.stdout)
    assert (report["counts"]["done"], report["counts"]["rejected"] + report["counts"]["failed"]) == (3, 2)
    failed = Path(report["failed"])
    with failed.open(newline="") as file:
        assert [one["external_id"] for one in csv.DictReader(file)] == ["x-4", "x-3"]
    broken.write_bytes(recordings()[0])
    (it.folder / "audio" / "missing.wav").write_bytes(recordings()[1])
    again = command(it, "import", failed, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["counts"]["done"] == 2
    it.all_sent(wanted)


def test_two_imports_at_once_end_with_the_second_one_refused(it: Importer) -> None:
    it.sandbox.state.faults.set([fault("upload_slow", seconds=1.0)])
    wanted = rows(12)
    manifest = it.manifest(wanted)
    line = [sys.executable, "-m", "mediapipe", "calls", "import", str(manifest), "--quiet"]
    with subprocess.Popen(line, env=it.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        gives_up = time.monotonic() + 60
        while not it.ledger():
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < gives_up
            time.sleep(0.02)
        second = command(it, "import", manifest)
        assert second.returncode == 2, (second.stdout, second.stderr)
        assert "another import" in second.stderr
        reconciling = command(it, "reconcile")
        assert reconciling.returncode == 2, (reconciling.stdout, reconciling.stderr)
        first.communicate(timeout=60)
    assert first.returncode == 0
    it.all_sent(wanted)


# ── limits ──────────────────────────────────────────────────────────────────────────────────


def test_a_run_sends_no_more_than_it_may(it: Importer) -> None:
    wanted = rows(10)
    manifest = it.manifest(wanted)
    for run in range(1, 4):
        ran = it.run(manifest, imports__max_items=4)
        it.honest(ran, wanted)
        assert len(it.sandbox.state.uploads) == min(4 * run, 10)
        assert len(ran.of(Verdict.PENDING, "max_items")) == max(0, 10 - 4 * run)
        assert ran.code == 0
    it.all_sent(wanted)


def test_a_days_budget_is_that_of_all_runs(it: Importer) -> None:
    wanted = rows(10)
    manifest = it.manifest(wanted)
    first = it.run(manifest, imports__daily_budget=6, imports__max_items=4)
    it.honest(first, wanted)
    second = it.run(manifest, imports__daily_budget=6)
    it.honest(second, wanted)
    assert (len(it.sandbox.state.uploads), len(second.of(Verdict.PENDING, "daily_budget"))) == (6, 4)


def test_uploads_of_unknown_end_are_part_of_the_budget(it: Importer) -> None:
    it.sandbox.state.faults.set([fault("upload_drop_before")])
    wanted = rows(8)
    manifest = it.manifest(wanted)
    it.run(manifest, imports__daily_budget=5)
    assert posts(it.sandbox) == 5
    it.run(manifest, imports__daily_budget=5)
    assert posts(it.sandbox) == 5


def test_nothing_begins_outside_of_the_hours(it: Importer) -> None:
    wanted = rows(4)
    noon = datetime(2026, 1, 5, 12, 0)
    ran = it.run(
        it.manifest(wanted),
        local_now=lambda: noon,
        imports__between="22:00-06:00",
        imports__max_duration="1s",
    )
    it.honest(ran, wanted)
    assert (ran.code, ran.of(Verdict.PENDING, "max_duration")) == (0, {one["external_id"] for one in wanted})
    assert posts(it.sandbox) == 0
    night = it.run(
        it.manifest(wanted), local_now=lambda: noon.replace(hour=23), imports__between="22:00-06:00"
    )
    it.honest(night, wanted)
    assert night.counts == {"done": 4}


def test_no_upload_begins_when_the_time_is_over(it: Importer) -> None:
    it.sandbox.state.faults.set([fault("upload_slow", seconds=0.2)])
    wanted = rows(40)
    manifest = it.manifest(wanted)
    ran = it.run(manifest, imports__max_duration="1s", imports__uploads=1)
    it.honest(ran, wanted)
    assert ran.code == 0
    assert 0 < len(ran.of(Verdict.DONE)) < 40
    assert ran.of(Verdict.PENDING, "max_duration")


def test_all_or_nothing(it: Importer) -> None:
    (it.folder / "audio" / "broken.wav").write_bytes(b"<!doctype html><title>expired</title>")
    bad_audio = [*rows(3), row(3, recording_file="audio/broken.wav")]
    ran = it.run(it.manifest(bad_audio), all_or_nothing=True)
    it.honest(ran, bad_audio)
    assert (ran.code, ran.counts) == (3, {"pending": 3, "rejected": 1})
    bad_text = [*rows(3), row(3, caller_id="none of your business")]
    ran = it.run(it.manifest(bad_text), all_or_nothing=True)
    it.honest(ran, bad_text)
    assert (ran.code, ran.counts) == (3, {"pending": 3, "rejected": 1})
    assert posts(it.sandbox) == 0
    good = it.run(it.manifest(rows(3)), all_or_nothing=True)
    assert (good.code, good.counts) == (0, {"done": 3})


# ── the same again, and not quite the same ──────────────────────────────────────────────────


def test_a_row_that_became_another_call_is_refused_and_both_are_shown(it: Importer) -> None:
    it.run(it.manifest([row(1, caller_name="Ada"), row(2), row(3)]))
    changed: list[Row] = [row(1, caller_name="Grace"), row(2, recording_file="audio/7.wav"), row(3)]
    ran = it.run(it.manifest(changed))
    it.honest(ran, changed)
    assert (ran.code, ran.of(Verdict.REJECTED, "conflict")) == (3, {"x-1", "x-2"})
    assert ran.of(Verdict.SKIPPED) == {"x-3"}
    assert "'Ada'" in ran.by_key["x-1"].message
    assert "'Grace'" in ran.by_key["x-1"].message
    assert "the audio was" in ran.by_key["x-2"].message
    assert posts(it.sandbox) == 3


def test_a_file_that_was_only_touched_is_the_same(it: Importer) -> None:
    wanted = rows(2)
    it.run(it.manifest(wanted))
    for path in (it.folder / "audio").iterdir():
        path.touch()
    ran = it.run(it.manifest(wanted))
    assert (ran.code, ran.counts) == (0, {"skipped": 2})


def test_the_same_audio_under_two_ids_is_sent_and_remarked(it: Importer) -> None:
    wanted = [row(1), row(2, recording_file="audio/1.wav")]
    ran = it.run(it.manifest(wanted))
    it.honest(ran, wanted)
    assert (ran.code, ran.counts) == (0, {"done": 2})
    assert [remark.code for one in ran.outcomes for remark in one.warnings].count("same_audio") == 1


def test_an_uncertain_row_stays_so_when_its_file_is_gone(it: Importer) -> None:
    """Whether its call exists has nothing to do with the file; to say that it was refused would hide it."""
    it.sandbox.state.faults.set([fault("upload_drop_before")])
    wanted = [row(1)]
    manifest = it.manifest(wanted)
    assert it.run(manifest).of(Verdict.UNCERTAIN) == {"x-1"}
    (it.folder / "audio" / "1.wav").unlink()
    ran = it.run(manifest)
    assert ran.of(Verdict.UNCERTAIN) == {"x-1"}
    assert ran.code == 5


def test_another_manifest_does_not_hide_that_a_ledger_is_new_to_this_one(it: Importer) -> None:
    """The ledger was lost, another manifest came first: rows that it does not know are there already."""
    manifest = it.manifest(rows(10))
    it.run(manifest)
    it.lose_the_ledger()
    it.run(it.manifest([row(50)], "other.csv"))
    ran = it.run(manifest)
    it.none_twice()
    assert ran.code == 5


# ── patience ────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_sent_again_before_its_call_would_be_listed(it: Importer) -> None:
    """A request may take to its deadline to act, and its call the lag to be listed from there."""
    settings = it.settings(pace__request_deadline=30.0, imports__lag="40s")

    async def patience() -> timedelta:
        async with open_import(settings, "host/1/run") as services:
            return services.tools.patience

    assert anyio.run(patience) >= timedelta(seconds=70) + LEASE
