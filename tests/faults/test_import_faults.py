"""Imports into a platform that fails in every way known: no call twice, no row lost in silence."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from mediapipe.items import Verdict
from mediapipe.ledger.interface import State
from tests.import_runs import NOW, fault, heal, importing, posts, row, rows, sent

ILL = (
    fault("upload_429", 0.10, seconds=0.0),
    fault("upload_commit_then_drop", 0.10),
    fault("upload_commit_then_500", 0.05),
    fault("upload_commit_then_504", 0.05),
    fault("upload_commit_then_html", 0.03),
    fault("upload_commit_then_hang", 0.02, seconds=20.0),
)
"""Everything that loses the answer to an upload that was taken, and refusals that may be repeated."""


# ── a platform that is well ─────────────────────────────────────────────────────────────────


def test_a_thousand_rows_are_sent_once_and_never_again(tmp_path: Path) -> None:
    wanted = rows(1_000)
    with importing(tmp_path) as it:
        manifest = it.manifest(wanted)
        first = it.run(manifest)
        assert (first.code, first.counts) == (0, {"done": 1_000})
        it.honest(first, wanted)
        it.all_sent(wanted)
        requests = posts(it.sandbox)
        again = it.run(manifest)
        assert (again.code, again.counts) == (0, {"skipped": 1_000})
        it.honest(again, wanted)
        assert posts(it.sandbox) == requests, "a second run asked for uploads"
        assert set(it.ledger().values()) == {State.DONE}


# ── answers that are lost ───────────────────────────────────────────────────────────────────


def lost_answers(folder: Path, count: int) -> None:
    wanted = rows(count)
    with importing(folder, *ILL, pace__request_deadline=3.0) as it:
        manifest = it.manifest(wanted)
        first = it.run(manifest)
        it.honest(first, wanted)
        it.all_sent(wanted)
        assert not first.of(Verdict.FAILED), "nothing of this is a refusal"
        if first.of(Verdict.UNCERTAIN):
            assert first.code == 5
        found = {one.reason for one in first.outcomes if one.verdict is Verdict.DONE}
        assert "matched" in found, "some answers were lost, and their calls found"
        assert all(it.sandbox.state.faults.hits(one.name) for one in ILL)
        for _ in range(2):
            again = it.run(manifest)
            it.honest(again, wanted)
            it.all_sent(wanted)
        assert (again.code, again.counts) == (0, {"skipped": count})


def test_lost_answers_cost_neither_a_row_nor_a_second_call(tmp_path: Path) -> None:
    lost_answers(tmp_path, 200)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_lost_answers_of_thousands(tmp_path: Path) -> None:
    lost_answers(tmp_path, 2_000)


def test_what_was_never_taken_stays_uncertain_until_somebody_says_resend(tmp_path: Path) -> None:
    wanted = rows(30)
    with importing(tmp_path, fault("upload_drop_before", 0.3)) as it:
        manifest = it.manifest(wanted)
        first = it.run(manifest)
        it.honest(first, wanted)
        lost = first.of(Verdict.UNCERTAIN, "absent")
        assert lost == {one["external_id"] for one in wanted} - set(sent(it.sandbox))
        assert 3 <= len(lost) <= 20
        assert first.code == 5
        heal(it.sandbox)
        again = it.run(manifest)
        assert again.of(Verdict.UNCERTAIN) == lost, "it is said each time"
        assert again.code == 5
        early = it.run(manifest, resend_uncertain=True)
        assert early.of(Verdict.UNCERTAIN) == lost, "an earlier attempt may still be under way"
        assert len(it.sandbox.state.uploads) == 30 - len(lost)
        resent = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(resent, wanted)
        assert (resent.of(Verdict.DONE), resent.code) == (lost, 0)
        it.all_sent(wanted)
        last = it.run(manifest, resend_uncertain=True, patience=NOW)
        assert (last.code, last.counts) == (0, {"skipped": 30})
        it.all_sent(wanted)


def test_resending_under_the_same_faults_makes_no_second_call(tmp_path: Path) -> None:
    wanted = rows(40)
    faults = (fault("upload_drop_before", 0.2), fault("upload_500_before", 0.2), *ILL[1:4])
    with importing(tmp_path, *faults) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        for _ in range(8):
            it.honest(ran, wanted)
            ran = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(ran, wanted)
        heal(it.sandbox)
        ran = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(ran, wanted)
        it.all_sent(wanted)
        assert ran.code == 0


def test_calls_that_are_listed_late_are_waited_for(tmp_path: Path) -> None:
    wanted = rows(12)
    late = (fault("upload_commit_then_drop"), fault("upload_indexed_late", seconds=1.5))
    with importing(tmp_path, *late, imports__lag="3s") as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        assert (ran.code, ran.of(Verdict.DONE, "matched")) == (0, set(sent(it.sandbox)))


def test_calls_that_are_listed_too_late_are_found_by_the_look_before_resending(tmp_path: Path) -> None:
    wanted = rows(6)
    late = (fault("upload_commit_then_drop"), fault("upload_indexed_late", seconds=3.0))
    with importing(tmp_path, *late, imports__lag="0.5s") as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        assert ran.of(Verdict.UNCERTAIN, "absent") == set(sent(it.sandbox))
        assert ran.code == 5
        heal(it.sandbox)
        refused = it.run(manifest, resend_uncertain=True)
        it.honest(refused, wanted)
        settled = it.reconcile()
        while settled.of(Verdict.UNCERTAIN):
            settled = it.reconcile()
        again = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(again, wanted)
        assert (again.code, posts(it.sandbox)) == (0, 6)


def test_twins_of_which_one_was_lost_are_ambiguous_and_never_resent(tmp_path: Path) -> None:
    """Same caller, same second, same sound: which of them the one listed call is cannot be told."""
    wanted = [row(1), row(1, external_id="twin")]
    with importing(tmp_path, fault("upload_drop_before", first=1), imports__uploads=1) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        there = set(sent(it.sandbox))
        assert ran.of(Verdict.DONE) == there
        assert ran.of(Verdict.UNCERTAIN, "ambiguous") == {"x-1", "twin"} - there
        again = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(again, wanted)
        assert again.of(Verdict.UNCERTAIN) == {"x-1", "twin"} - there
        assert len(it.sandbox.state.uploads) == 1


def test_twins_that_were_both_taken_are_matched_one_to_one(tmp_path: Path) -> None:
    wanted = [row(1), row(1, external_id="twin"), row(1, external_id="third")]
    with importing(tmp_path, fault("upload_commit_then_drop")) as it:
        ran = it.run(it.manifest(wanted))
        it.honest(ran, wanted)
        assert (ran.code, len(ran.of(Verdict.DONE, "matched"))) == (0, 3)


def test_markers_tell_twins_apart(tmp_path: Path) -> None:
    wanted = [row(1), row(1, external_id="twin"), row(1, external_id="third")]
    faults = (fault("upload_drop_before", first=1), fault("upload_commit_then_drop"))
    with importing(tmp_path, *faults, imports__marker_slot=5, imports__uploads=1) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        there = set(sent(it.sandbox))
        assert len(there) == 2
        assert ran.of(Verdict.DONE, "matched_by_marker") == there
        assert ran.of(Verdict.UNCERTAIN, "absent") == {"x-1", "twin", "third"} - there
        heal(it.sandbox)
        again = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(again, wanted)
        it.none_twice()


# ── what an interrupted run left ────────────────────────────────────────────────────────────


def test_reconcile_settles_what_is_open_and_sends_nothing(tmp_path: Path) -> None:
    wanted = rows(12)
    faults = (fault("upload_drop_before", first=4), fault("upload_commit_then_drop"))
    late = fault("list_500", skip=1)  # the first tells the clock
    with importing(tmp_path, *faults, late, pace__retry_attempts=1, imports__look_first=0) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        assert ran.of(Verdict.UNCERTAIN, "not_looked_up") == {one["external_id"] for one in wanted}
        heal(it.sandbox)
        requests = posts(it.sandbox)
        settled = it.reconcile()
        assert settled.of(Verdict.DONE, "matched") == set(sent(it.sandbox))
        assert len(settled.of(Verdict.UNCERTAIN, "absent")) == 4
        assert settled.code == 5
        assert posts(it.sandbox) == requests
        again = it.run(manifest)
        it.honest(again, wanted)
        assert again.counts == {"skipped": 8, "uncertain": 4}


# ── a platform that is down ─────────────────────────────────────────────────────────────────


def test_a_platform_that_takes_and_never_answers_is_left_alone_soon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = rows(60)
    with importing(tmp_path, fault("upload_commit_then_500"), imports__uncertain_in_a_row=8) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.none_twice()
        assert 8 <= posts(it.sandbox) <= 8 + 2 * 4
        assert ran.code == 5
        assert "could not be given back" not in caplog.text
        heal(it.sandbox)
        again = it.run(manifest)
        it.honest(again, wanted)
        # What was cut off on its way when the run stopped may not have arrived.
        assert len(again.of(Verdict.UNCERTAIN, "absent")) <= 4
        resent = it.run(manifest, resend_uncertain=True, patience=NOW)
        it.honest(resent, wanted)
        it.all_sent(wanted)


def test_an_upload_that_is_refused_is_mended_and_sent_once(tmp_path: Path) -> None:
    wanted = rows(10)
    with importing(tmp_path, fault("upload_400", first=3)) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        assert (ran.code, len(ran.of(Verdict.REJECTED, "http_400"))) == (3, 3)
        again = it.run(manifest)
        it.honest(again, wanted)
        it.all_sent(wanted)
        assert again.counts == {"skipped": 7, "done": 3}


def test_a_platform_that_refuses_duplicates_itself_is_believed(tmp_path: Path) -> None:
    wanted = rows(6)
    with importing(tmp_path) as it:
        manifest = it.manifest(wanted)
        it.run(manifest)
        it.lose_the_ledger()
        heal(it.sandbox, fault("upload_duplicate_refused"))
        ran = it.run(manifest, insist=True)
        it.honest(ran, wanted)
        assert (ran.code, ran.of(Verdict.SKIPPED, "already_there")) == (0, set(sent(it.sandbox)))


def test_draws_that_the_seed_decides_are_not_always_kind(tmp_path: Path) -> None:
    """Other seeds, all faults at once, several runs: at each end the mission holds."""
    dice = random.Random(20260105)
    for round_ in range(2):
        wanted = rows(30)
        faults = [
            replace(one, seed=dice.randrange(1_000), rate=3 * one.rate)
            for one in (*ILL[:5], fault("upload_drop_before", 0.05), fault("upload_503", 0.05, seconds=0.0))
        ]
        with importing(tmp_path / str(round_), *faults, fault("list_500", 0.1)) as it:
            manifest = it.manifest(wanted)
            for _ in range(4):
                ran = it.run(manifest, resend_uncertain=dice.random() < 0.5, patience=NOW)
                it.honest(ran, wanted)
            heal(it.sandbox)
            ran = it.run(manifest, resend_uncertain=True, patience=NOW)
            it.honest(ran, wanted)
            it.all_sent(wanted)
            assert ran.code == 0
