"""The archive job, whole, against the sandbox: spans, nights, destinations, ledgers, secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import pytest

from mediapipe.errors import ExitCode, UsageError
from mediapipe.items import Verdict
from mediapipe.report.logs import configure
from mediapipe.sandbox import FaultRule, RunningSandbox, SandboxConfig, running
from tests.archive_runs import END, START, UNTIL, Archiver, expected, s3_objects, sample
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures", "tests.postgres.fixtures"]

DAY = timedelta(days=1)


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Archiver]:
    with running(sample(60)) as sandbox:
        yield Archiver(sandbox, tmp_path)


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    """Log as the command does, as much as there is, and put the former state back."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    configure("json", "DEBUG", stream=stream)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def fetches(sandbox: RunningSandbox) -> int:
    return sandbox.state.stats.recording_fetches.total()


def test_a_span_is_archived_and_a_second_run_fetches_nothing(it: Archiver) -> None:
    first = it.run()
    assert first.result.exit_code is ExitCode.OK
    assert first[Verdict.DONE] == len(expected(it.sandbox))
    assert first[Verdict.ABSENT] == 60 - first[Verdict.DONE]
    it.check()
    before = fetches(it.sandbox)
    second = it.run()
    assert fetches(it.sandbox) == before
    assert second[Verdict.DONE] == 0
    assert second[Verdict.SKIPPED] == first[Verdict.DONE]
    assert len(second.outcomes) == 60, "every call is in exactly one count"


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(it: Archiver) -> None:
    ran = it.run(dry_run=True)
    assert ran.counts == {"pending": 60}
    assert {outcome.reason for outcome in ran.outcomes} == {"dry_run"}
    assert fetches(it.sandbox) == 0
    assert not it.archive.exists()
    assert it.run()[Verdict.SKIPPED] == 0


def test_the_first_nightly_run_needs_a_start(it: Archiver) -> None:
    with pytest.raises(UsageError, match="--from 2026-01-01"):
        it.run(None, None)


def test_nights_cover_from_the_watermark_less_the_lookback(it: Archiver) -> None:
    first = it.run(START, None, now=START + 10 * DAY)
    assert first.result.findings.watermark == START + 10 * DAY - timedelta(minutes=15)
    second = it.run(None, None, now=START + 11 * DAY)
    assert second.result.request.span.start == START - timedelta(minutes=15)
    assert second.result.request.span.end == START + 11 * DAY - timedelta(minutes=15)
    for night in range(12, 29):
        it.run(None, None, now=START + night * DAY, archive__lookback="2d")
    it.run(None, None, now=END + DAY)
    it.check()


def test_a_call_inserted_with_an_old_date_is_found_inside_the_lookback(it: Archiver) -> None:
    it.run()
    late = it.sandbox.state.insert_call(int((END - 5 * DAY).timestamp() * 1000))
    ran = it.run(None, None, now=END + DAY)
    assert ran[Verdict.DONE] == 1
    assert late.call_id in {int(key.split("-")[0]) for key in it.recordings()}
    it.check()


def test_a_recording_that_appears_later_is_pending_then_archived(tmp_path: Path) -> None:
    with running(sample(30, none_share=0.0, late_share=0.0)) as sandbox:
        it = Archiver(sandbox, tmp_path)
        night = END - 2 * DAY
        call = sandbox.state.insert_call(int((night - DAY).timestamp() * 1000), available_ms=2**52)
        first = it.run(START, None, now=night)
        assert first[Verdict.PENDING] == 1
        # Still nothing, and the window is out of the look-back: it is asked for by id.
        second = it.run(None, None, now=night + DAY, archive__lookback="0d")
        assert [o.reason for o in second.outcomes if o.verdict == "pending"] == ["no_recording_yet"]
        sandbox.state.reveal_recording(call.call_id)
        third = it.run(None, None, now=night + 2 * DAY, archive__lookback="0d")
        assert str(call.call_id) in {
            outcome.key.split("-")[0] for outcome in third.outcomes if outcome.verdict == "done"
        }
        it.run(None, None, now=END + DAY)
        it.check()


def test_an_absent_call_is_not_asked_again_but_taken_when_listed_with_a_recording(tmp_path: Path) -> None:
    with running(sample(20, none_share=0.0, late_share=0.0)) as sandbox:
        it = Archiver(sandbox, tmp_path)
        call = sandbox.state.insert_call(int((END - 2 * DAY).timestamp() * 1000), available_ms=2**52)
        assert it.run(now=END + 30 * DAY)[Verdict.ABSENT] == 1
        asked = sandbox.state.stats.call_fetches[call.call_id]
        it.run(None, None, now=END + 60 * DAY, archive__lookback="0d")
        assert sandbox.state.stats.call_fetches[call.call_id] == asked
        sandbox.state.reveal_recording(call.call_id)
        assert it.run(now=END + 61 * DAY)[Verdict.DONE] == 1
        it.check()


def test_a_backfill_does_not_move_the_watermark_over_days_not_walked(it: Archiver) -> None:
    it.run(START, START + 5 * DAY)
    ahead = it.run(START + 20 * DAY, START + 22 * DAY)
    assert ahead.result.findings.watermark == START + 5 * DAY
    behind = it.run(START - 30 * DAY, START - 20 * DAY)
    assert behind.result.findings.watermark == START + 5 * DAY
    closing = it.run(START + 5 * DAY, START + 20 * DAY)
    assert closing.result.findings.watermark == START + 22 * DAY


def test_the_end_is_cut_to_now_less_the_settle_time(it: Archiver) -> None:
    ran = it.run(START, END, now=START + 3 * DAY)
    assert ran.result.request.span.end == START + 3 * DAY - timedelta(minutes=15)


def test_a_span_longer_than_the_api_allows_is_split(it: Archiver) -> None:
    ran = it.run(START - 40 * DAY, END + 20 * DAY)
    assert ran.result.exit_code is ExitCode.OK
    it.check()


def test_a_crowded_day_is_split_into_smaller_windows(tmp_path: Path) -> None:
    with running(sample(90, days=1)) as sandbox:
        it = Archiver(sandbox, tmp_path)
        ran = it.run(END - DAY, END, archive__window_max_calls=20, archive__page_size=10)
        assert ran.result.findings.windows > 4
        assert ran.result.exit_code is ExitCode.OK
        it.check()
        assert ran.result.findings.watermark == END


def test_a_second_destination_is_not_skipped(it: Archiver, tmp_path: Path) -> None:
    it.run()
    elsewhere = Archiver(it.sandbox, tmp_path, dest=str(tmp_path / "second"))
    ran = elsewhere.run()
    assert ran[Verdict.DONE] == len(expected(it.sandbox))


def test_a_lost_ledger_costs_no_download(it: Archiver, tmp_path: Path) -> None:
    it.run()
    before = fetches(it.sandbox)
    ran = it.run(ledger=str(tmp_path / "another.db"))
    assert fetches(it.sandbox) == before
    assert ran[Verdict.SKIPPED] == len(expected(it.sandbox))
    it.check()


def test_foreign_bytes_under_a_key_are_a_conflict_and_stay(it: Archiver) -> None:
    it.run()
    path = sorted(it.recordings().values())[0]
    path.write_bytes(b"RIFF\x04\0\0\0WAVEsomebody else's")
    foreign = path.read_bytes()
    ran = it.run(ledger=str(it.folder / "another.db"))
    assert ran.result.exit_code is ExitCode.ITEMS
    assert ran[Verdict.FAILED] == 1
    assert path.read_bytes() == foreign


def test_a_postgresql_ledger_does_as_well(it: Archiver, postgres_dsn: str) -> None:
    ran = it.run(ledger=postgres_dsn)
    assert ran[Verdict.DONE] == len(expected(it.sandbox))
    assert it.run(ledger=postgres_dsn)[Verdict.SKIPPED] == ran[Verdict.DONE]
    it.check()


def test_s3_holds_what_a_folder_would(it: Archiver, s3: RunningS3, tmp_path: Path) -> None:
    bucket = s3.make_bucket()
    there = Archiver(it.sandbox, tmp_path, dest=f"s3://{bucket}/archive")
    ran = there.run()
    assert ran.result.exit_code is ExitCode.OK, ran.outcomes
    it.dest = ""
    it.run()
    folder = {
        path.relative_to(it.archive).as_posix(): path.read_bytes()
        for path in it.archive.rglob("*.*")
        if path.is_file()
    }
    objects = s3_objects(s3, bucket, "archive/recordings/")
    assert {key.removeprefix("archive/"): body for key, body in objects.items()} == folder
    assert there.run()[Verdict.DONE] == 0
    with s3.client() as client:
        key = next(key for key in objects if not key.endswith(".json"))
        head = client.head_object(Bucket=bucket, Key=key)
        assert head["Metadata"]["item"] == key.rsplit("/", 1)[1].rsplit(".", 1)[0]
        assert len(head["Metadata"]["sha256"]) == 64


def test_s3_that_ignores_conditional_writes_is_refused(it: Archiver, s3: RunningS3) -> None:
    from tests.s3.front import Fault

    s3.front.faults.append(Fault("unconditional", times=1000))
    it.dest = f"s3://{s3.make_bucket()}/archive"
    with pytest.raises(UsageError, match="overwritten"):
        it.run()
    assert fetches(it.sandbox) == 0


def test_lost_answers_from_s3_are_recognised_as_our_own_writes(it: Archiver, s3: RunningS3) -> None:
    from tests.s3.front import Fault

    it.dest = f"s3://{s3.make_bucket()}/archive"
    it.run(START, START + 2 * DAY)
    s3.front.faults.append(Fault("lose_answer", contains="recordings/", times=15))
    ran = it.run()
    assert ran.result.exit_code is ExitCode.OK, [o for o in ran.outcomes if o.verdict == "failed"]


def test_two_runs_at_once_share_the_work(it: Archiver) -> None:
    import threading

    ends: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: ends.append(it.run().counts)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    it.check()
    assert sum(end.get("done", 0) for end in ends) == len(expected(it.sandbox))
    assert max(it.sandbox.state.stats.recording_fetches.values()) == 1


def test_no_secret_is_written_anywhere(tmp_path: Path) -> None:
    """Logs, ledger, sidecars, outcomes and exception texts of runs that meet every kind of trouble."""
    from tests.faults.test_archive_faults import TRANSIENT, rules

    faults = (
        *rules(*TRANSIENT, rate=0.15, seconds=0.0),
        *rules("recording_poison", "recording_404", rate=0.1),
    )
    with (
        running(sample(60, faults=faults)) as sandbox,
        (tmp_path / "log.txt").open("w") as log,
        logging_to(log),
    ):
        it = Archiver(sandbox, tmp_path)
        ran = it.run(pace__retry_attempts=4, archive__url_budget=2)
        it.run(pace__retry_attempts=4)
        (tmp_path / "outcomes.txt").write_text("\n".join(map(repr, ran.outcomes)))
        log.flush()
        assert "mediapipe" in (tmp_path / "log.txt").read_text()
        cached = [json.loads(path.read_text()) for path in (tmp_path / "state" / "tokens").glob("*.json")]
        tokens = {body[name] for body in cached for name in ("access", "refresh") if body.get(name)}
        assert tokens, "the cache holds the tokens this test looks for"
        config: SandboxConfig = sandbox.state.config
        needles = [*tokens, config.password, config.client_secret, "secret=", "access="]
        for path in tmp_path.rglob("*"):
            if not path.is_file() or "tokens" in path.parts or path.suffix in {".wav", ".mp3"}:
                continue
            body = path.read_bytes().replace(b"secret=***", b"").replace(b"access=***", b"")
            for needle in needles:
                assert needle.encode() not in body, f"{needle[:8]}… stands in {path.name}"


def test_the_sandbox_never_saw_a_token_on_the_recordings_host(it: Archiver) -> None:
    it.run()
    assert it.sandbox.state.stats.recordings_host_authorization == 0
    assert UNTIL.isoformat() == "2026-03-01"
    assert datetime(2026, 3, 1, tzinfo=UTC) == END


def test_an_empty_mount_point_in_place_of_the_archive_is_refused(it: Archiver, tmp_path: Path) -> None:
    it.run(START, START + 5 * DAY)
    it.archive.rename(tmp_path / "unmounted")
    it.archive.mkdir()
    with pytest.raises(UsageError, match="is it mounted"):
        it.run()
    assert list(it.archive.iterdir()) == []
    it.archive.rmdir()
    (tmp_path / "unmounted").rename(it.archive)
    it.run()
    it.check()


def test_a_listed_recording_that_vanishes_stays_open_and_is_taken_when_it_is_back(it: Archiver) -> None:
    gone = FaultRule(name="call_404")
    expired = FaultRule(name="recording_410_forever")
    it.sandbox.state.faults.set((gone, expired))
    first = it.run()
    assert first.result.exit_code is ExitCode.ITEMS
    assert {o.reason for o in first.outcomes if o.verdict == "failed"} == {"recording_gone"}
    it.sandbox.state.faults.set((gone,))
    assert (
        it.run(None, None, now=END + 60 * DAY, archive__lookback="0d")[Verdict.FAILED]
        == first[Verdict.FAILED]
    )
    it.sandbox.state.faults.set(())
    it.run(None, None, now=END + 61 * DAY, archive__lookback="0d")
    it.check()


def test_three_ill_days_do_not_keep_the_others_waiting(it: Archiver) -> None:
    ill = FaultRule(name="list_500", days=frozenset({"2026-02-03", "2026-02-04", "2026-02-05"}))
    it.sandbox.state.faults.set((ill,))
    ran = it.run(pace__retry_attempts=2)
    assert ran.result.exit_code is ExitCode.UNPROVEN
    assert ran.result.ending.fatal is None
    assert [window["start"] for window in ran.result.findings.unsettled] == sorted(ill.days)
    it.sandbox.state.faults.set(())
    it.run()
    it.check()


def test_what_was_not_walked_is_named(it: Archiver) -> None:
    it.sandbox.state.faults.set((FaultRule(name="list_500", skip=4),))
    ran = it.run(pace__retry_attempts=2)
    assert ran.result.ending.fatal is not None
    last = ran.result.findings.unsettled[-1]
    assert last["reason"].startswith("not walked")
    assert last["end"] == "2026-03-01"
