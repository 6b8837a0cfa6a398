"""The archive against a platform that fails in every way known: nothing missed, nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediapipe.errors import ExitCode
from mediapipe.items import Verdict
from mediapipe.sandbox import FaultRule, running
from tests.archive_runs import END, START, Archiver, expected, sample

TRANSIENT = (
    "token_500",
    "token_429",
    "unauthorized_mid_run",
    "list_500",
    "list_429",
    "list_reset",
    "list_html_200",
    "call_500",
    "call_429",
    "call_reset",
    "recording_500",
    "recording_429",
    "recording_403_once",
    "recording_410",
    "recording_reset",
    "recording_truncated",
    "recording_wrong_length",
    "recording_empty",
    "recording_html_200",
    "recording_json_200",
    "recording_redirect_same",
    "recording_no_range",
    "recording_no_length",
)


def rules(*names: str, rate: float = 1.0, **more: object) -> tuple[FaultRule, ...]:
    return tuple(FaultRule(name=name, rate=rate, **more) for name in names)  # type: ignore[arg-type]


@contextmanager
def archiver(tmp_path: Path, *faults: FaultRule, count: int = 60, **config: object) -> Iterator[Archiver]:
    with running(sample(count, faults=faults, **config)) as sandbox:
        yield Archiver(sandbox, tmp_path)


def test_every_transient_fault_at_ten_percent_loses_nothing(tmp_path: Path) -> None:
    with archiver(tmp_path, *rules(*TRANSIENT, rate=0.1, seconds=0.0), count=150) as it:
        ran = it.run(archive__url_budget=10, pace__retry_attempts=30)
        assert ran.result.exit_code is ExitCode.OK, (ran.counts, ran.result.findings)
        it.check()
        assert ran[Verdict.DONE] == len(expected(it.sandbox))


@pytest.mark.parametrize("name", [name for name in TRANSIENT if name.startswith("recording")])
def test_a_transient_recording_fault_is_survived_alone(tmp_path: Path, name: str) -> None:
    with archiver(tmp_path, *rules(name, rate=0.4, seconds=0.0), count=25) as it:
        ran = it.run(archive__url_budget=10, pace__retry_attempts=30)
        assert ran.result.exit_code is ExitCode.OK, (ran.counts, ran.outcomes)
        it.check()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("recording_poison", "http_500"),
        ("recording_404", "http_404"),
        ("recording_410_forever", "url_expired"),
    ],
)
def test_permanent_poison_fails_those_calls_and_no_others(tmp_path: Path, name: str, reason: str) -> None:
    with running(sample(40)) as clean:
        victims = frozenset(int(key.split("-")[0]) for key in list(expected(clean))[::7])
    with archiver(tmp_path, *rules(name, calls=victims), count=40) as it:
        ran = it.run(pace__retry_attempts=3)
        assert ran.result.exit_code is ExitCode.ITEMS
        failed = {
            outcome.key.split("-")[0]: outcome.reason
            for outcome in ran.outcomes
            if outcome.verdict == "failed"
        }
        assert failed == {str(call_id): reason for call_id in victims}
        it.check(missing=victims)
        # The poison goes away: the next run of the same span mends it, and fetches nothing else.
    with archiver(tmp_path, count=40) as it:
        again = it.run()
        it.check()
        assert again.result.exit_code is ExitCode.OK


def test_failed_items_are_asked_again_by_id_without_their_window(tmp_path: Path) -> None:
    with running(sample(30)) as clean:
        victims = frozenset(int(key.split("-")[0]) for key in list(expected(clean))[:3])
    with archiver(tmp_path, count=30) as it:
        port = int(it.sandbox.url.rsplit(":", 1)[1])
        it.sandbox.state.faults.set(rules("recording_poison", calls=victims))
        assert it.run(pace__retry_attempts=2)[Verdict.FAILED] == 3
        it.sandbox.state.faults.set(())
        # A nightly run, long after: its windows hold none of the three.
        late = it.run(None, None, now=END + timedelta(days=60), archive__lookback="0d")
        assert late[Verdict.DONE] == 3, (late.counts, port)
        it.check()


def test_urls_that_live_two_seconds_behind_a_slow_listing_lose_nothing(tmp_path: Path) -> None:
    slow = (*rules("list_slow", seconds=0.5), *rules("recording_slow", seconds=0.15))
    with archiver(tmp_path, *slow, count=40, url_seconds=2.0, days=2) as it:
        ran = it.run(END - timedelta(days=2), END, workers=1)
        assert ran.result.exit_code is ExitCode.OK, ran.outcomes
        it.check()
        # URLs that aged in the queue were renewed before use, and what that cost is reported.
        asked = it.sandbox.state.stats.call_fetches.total()
        assert ran.result.refetches == asked > 0


@pytest.mark.parametrize(
    "name",
    [
        "list_unstable_order",
        "list_duplicates",
        "list_drifting_total",
        "list_insert_mid_walk",
        "list_page_cap",
    ],
)
def test_a_list_that_moves_misses_nothing(tmp_path: Path, name: str) -> None:
    with archiver(tmp_path, *rules(name, rate=0.2, seconds=0.0), count=80, days=4) as it:
        ran = it.run(END - timedelta(days=4), END, archive__page_size=7, archive__walk_attempts=40)
        assert ran.result.exit_code is ExitCode.OK, (ran.counts, ran.result.findings)
        it.check()


def test_a_list_that_moves_in_every_way_misses_nothing(tmp_path: Path) -> None:
    names = ("list_unstable_order", "list_duplicates", "list_drifting_total", "list_insert_mid_walk")
    with archiver(tmp_path, *rules(*names, rate=0.15), count=80, days=4) as it:
        it.run(END - timedelta(days=4), END, archive__page_size=7, archive__walk_attempts=60)
        it.check()


def test_a_window_that_never_settles_gives_exit_5_and_names_itself(tmp_path: Path) -> None:
    day = "2026-02-27"
    with archiver(tmp_path, *rules("list_never_settles", days=frozenset({day})), count=80, days=4) as it:
        ran = it.run(END - timedelta(days=4), END)
        assert ran.result.exit_code is ExitCode.UNPROVEN
        assert [window["start"] for window in ran.result.findings.unsettled] == [day]
        # Everything listed was archived all the same, and the other days are covered.
        assert ran[Verdict.FAILED] == 0
        assert ran.result.findings.watermark == datetime(2026, 2, 27, tzinfo=UTC)


def test_a_server_that_ignores_the_offset_is_named(tmp_path: Path) -> None:
    with archiver(tmp_path, *rules("list_ignores_offset"), count=40, days=2) as it:
        ran = it.run(END - timedelta(days=2), END, archive__page_size=3)
        assert ran.result.exit_code is ExitCode.UNPROVEN
        assert "ignore the offset" in ran.result.findings.unsettled[0]["reason"]


def test_an_unreachable_list_stops_the_run_after_three_windows(tmp_path: Path) -> None:
    with archiver(tmp_path, *rules("list_500"), count=10) as it:
        ran = it.run(pace__retry_attempts=2)
        assert ran.result.exit_code is ExitCode.UNPROVEN
        assert ran.result.ending.fatal is not None
        assert ran.result.ending.fatal.code == "platform_down"


def test_a_recording_that_redirects_to_a_stranger_fails_and_no_token_leaves(tmp_path: Path) -> None:
    with running(sample(1)) as stranger:
        faults = rules("recording_redirect_foreign", target=stranger.url.replace("127.0.0.1", "localhost"))
        with archiver(tmp_path, *faults, count=8) as it:
            ran = it.run()
            assert {outcome.reason for outcome in ran.outcomes if outcome.verdict == "failed"} == {
                "forbidden_host"
            }
            assert not it.recordings()
            assert it.sandbox.state.stats.recordings_host_authorization == 0


def test_a_refused_login_ends_with_exit_4(tmp_path: Path) -> None:
    with archiver(tmp_path, count=5) as it:
        it.overrides["convirza.password"] = "wrong"
        ran = it.run()
        assert ran.result.exit_code is ExitCode.CREDENTIALS


def test_dropped_recordings_resume_by_range(tmp_path: Path) -> None:
    with archiver(
        tmp_path, *rules("recording_reset", rate=0.5), count=12, seconds_min=20.0, seconds_max=30.0
    ) as it:
        ran = it.run(pace__retry_attempts=30)
        assert ran.result.exit_code is ExitCode.OK
        it.check()


def test_other_bytes_under_another_etag_are_not_glued_together(tmp_path: Path) -> None:
    faults = (*rules("recording_reset", rate=0.5), *rules("recording_etag_changes", rate=0.3))
    with archiver(tmp_path, *faults, count=12, seconds_min=5.0, seconds_max=9.0) as it:
        ran = it.run(pace__retry_attempts=30)
        bodies = {path.stem: path.read_bytes() for path in it.recordings().values()}
        whole = expected(it.sandbox)
        assert ran[Verdict.DONE] == len(bodies)
        for key, body in bodies.items():
            assert len(body) == len(whole[key]) or body != whole[key][: len(body)]


def test_start_is_where_the_span_starts(tmp_path: Path) -> None:
    with archiver(tmp_path, count=40) as it:
        it.run(START + timedelta(days=14), END)
        days = {path.parent.name for path in it.recordings().values()}
        assert min(days) >= "day=15"
