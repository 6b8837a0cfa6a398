"""Imports beside calls that the account has already: of its own, of a lost ledger, of the first uploads."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mediapipe.items import Verdict
from mediapipe.sandbox import Call, RunningSandbox
from tests.import_runs import BEGIN, NOW, Importer, Row, fault, heal, importing, posts, row, rows, sent

pytest_plugins = ["tests.postgres.fixtures"]


def native(sandbox: RunningSandbox, like: Row, minutes_before: float = 3_000.0, **more: Any) -> Call:
    """Let the platform have a call of its own that looks like a row's, made long before the row is sent."""
    number = int(like["external_id"].removeprefix("x-"))
    at = int((BEGIN + timedelta(minutes=7 * number)).timestamp() * 1000)
    call = sandbox.state.insert_call(at)
    made = sandbox.state.now_ms - int(minutes_before * 60_000)
    changed = call._replace(caller_id=like["caller_id"], created_ms=made, **more)
    return sandbox.state.keep_call(changed)


# ── calls that were there before ────────────────────────────────────────────────────────────


def length_of(it: Importer, one: Row) -> int:
    """Return the length, in seconds, with which the platform would list a row's call."""
    size = (it.folder / one["recording_file"]).stat().st_size
    return round((size - 44) / 32_000)


@pytest.mark.parametrize("counts", [None, True])
def test_a_call_of_the_platforms_own_is_never_taken_for_an_upload(
    tmp_path: Path, counts: bool | None
) -> None:
    wanted = rows(10)
    with importing(tmp_path, fault("upload_drop_before", first=4), imports__look_first=0) as it:
        if counts is not None:
            it.overrides["imports.created_is_upload_time"] = counts
        for one in wanted:
            native(it.sandbox, one, duration=length_of(it, one))
        ran = it.run(it.manifest(wanted))
        it.honest(ran, wanted)
        assert (len(ran.of(Verdict.UNCERTAIN)), len(ran.of(Verdict.DONE)), ran.code) == (4, 6, 5)
        again = it.run(it.manifest(wanted), resend_uncertain=True, patience=NOW)
        it.honest(again, wanted)


@pytest.mark.parametrize("counts", [None, True])
def test_an_upload_is_found_beside_a_call_that_was_there_before(tmp_path: Path, counts: bool | None) -> None:
    wanted = rows(8)
    with importing(tmp_path, fault("upload_commit_then_drop"), imports__look_first=0) as it:
        if counts is not None:
            it.overrides["imports.created_is_upload_time"] = counts
        natives = {str(native(it.sandbox, one, duration=length_of(it, one)).call_id) for one in wanted}
        ran = it.run(it.manifest(wanted))
        it.honest(ran, wanted)
        for one in ran.outcomes:
            assert not any(call in one.message for call in natives), one
        assert (ran.code, len(ran.of(Verdict.DONE, "matched"))) == (0, 8)


# ── a ledger that was lost ──────────────────────────────────────────────────────────────────


def test_a_lost_ledger_stops_the_import_and_adopting_makes_it_whole(tmp_path: Path) -> None:
    wanted = rows(20)
    with importing(tmp_path) as it:
        manifest = it.manifest(wanted)
        it.run(manifest)
        it.lose_the_ledger()
        ran = it.run(manifest)
        assert (ran.code, ran.of(Verdict.PENDING, "there_already")) == (5, set(sent(it.sandbox)))
        assert posts(it.sandbox) == 20
        adopted = it.reconcile(adopt=manifest)
        assert (adopted.code, adopted.of(Verdict.DONE, "adopted")) == (0, set(sent(it.sandbox)))
        again = it.run(manifest)
        assert (again.code, again.counts) == (0, {"skipped": 20})
        assert posts(it.sandbox) == 20


def test_insist_sends_what_is_there_already(tmp_path: Path) -> None:
    wanted = rows(5)
    with importing(tmp_path) as it:
        manifest = it.manifest(wanted)
        it.run(manifest)
        it.lose_the_ledger()
        ran = it.run(manifest, insist=True)
        assert (ran.code, ran.counts) == (0, {"done": 5})
        assert set(sent(it.sandbox).values()) == {2}, "somebody insisted"


def test_an_interrupted_import_whose_ledger_was_lost_is_adopted_and_finished(tmp_path: Path) -> None:
    wanted = [*rows(10), row(3, external_id="twin of 3"), row(4, external_id="twin of 4")]
    with importing(tmp_path, imports__uploads=1) as it:
        manifest = it.manifest(wanted)
        it.run(manifest, imports__max_items=6)
        it.lose_the_ledger()
        adopted = it.reconcile(adopt=manifest)
        # A call that may be that of either twin belongs to neither for certain.
        assert adopted.of(Verdict.UNCERTAIN, "ambiguous") == {"x-3", "x-4", "twin of 3", "twin of 4"}
        assert adopted.of(Verdict.DONE, "adopted") == {"x-0", "x-1", "x-2", "x-5"}
        assert adopted.of(Verdict.PENDING, "not_there") == {"x-6", "x-7", "x-8", "x-9"}
        ran = it.run(manifest)
        it.honest(ran, wanted)
        assert ran.counts == {"skipped": 4, "uncertain": 4, "done": 4}
        assert ran.code == 5


# ── canaries ────────────────────────────────────────────────────────────────────────────────


def test_good_canaries_let_the_others_follow(tmp_path: Path) -> None:
    wanted = rows(12)
    with importing(tmp_path, fault("upload_indexed_late", seconds=0.4), imports__canary=3) as it:
        ran = it.run(it.manifest(wanted), imports__lag="3s")
        it.honest(ran, wanted)
        assert (ran.code, ran.counts) == (0, {"done": 12})


def test_canaries_that_do_not_show_up_stop_the_rest(tmp_path: Path) -> None:
    wanted = rows(12)
    with importing(tmp_path, fault("upload_indexed_late", seconds=30.0), imports__canary=3) as it:
        manifest = it.manifest(wanted)
        ran = it.run(manifest)
        it.honest(ran, wanted)
        assert (ran.code, ran.counts) == (5, {"done": 3, "pending": 9})
        assert ran.of(Verdict.PENDING, "canary") == {one["external_id"] for one in wanted[3:]}
        heal(it.sandbox)
        again = it.run(manifest)
        it.honest(again, wanted)
        assert again.counts == {"skipped": 3, "done": 9}


def test_canaries_whose_answers_are_lost_stop_the_rest(tmp_path: Path) -> None:
    wanted = rows(12)
    with importing(tmp_path, fault("upload_commit_then_drop", first=3), imports__canary=3) as it:
        ran = it.run(it.manifest(wanted))
        it.honest(ran, wanted)
        assert ran.code == 5
        assert len(it.sandbox.state.uploads) == 3


def test_bad_canaries_hide_no_uncertain_upload(tmp_path: Path) -> None:
    """What an earlier run left uncertain is said to be so, although this run stops early."""
    wanted = rows(12)
    with importing(tmp_path, fault("upload_drop_before", first=2), imports__uploads=1) as it:
        manifest = it.manifest(wanted[::-1])
        first = it.run(manifest, imports__max_items=2)
        lost = first.of(Verdict.UNCERTAIN)
        assert lost == {"x-11", "x-10"}
        again = it.manifest(wanted)  # the uncertain ones come last
        heal(it.sandbox, fault("upload_indexed_late", seconds=30.0))
        ran = it.run(again, imports__canary=3)
        it.honest(ran, wanted)
        assert ran.of(Verdict.UNCERTAIN) == lost


# ── a ledger that stands elsewhere ──────────────────────────────────────────────────────────


def test_importers_of_two_machines_share_a_ledger_in_postgresql(tmp_path: Path, postgres_dsn: str) -> None:
    """What one sent or left uncertain, the other neither sends again nor forgets."""
    wanted = rows(30)
    with importing(tmp_path / "one", ledger=postgres_dsn, imports__look_first=0) as it:
        other = Importer(tmp_path / "two", it.sandbox, it.overrides)
        heal(it.sandbox, fault("upload_commit_then_drop", 0.3), fault("upload_drop_before", first=5))
        first = it.run(it.manifest(wanted[:20]))
        it.honest(first, wanted[:20])
        left = first.of(Verdict.UNCERTAIN)
        assert (first.code, len(left)) == (5, 5)
        heal(it.sandbox)
        before = posts(it.sandbox)
        second = other.run(other.manifest(wanted))
        it.honest(second, wanted)
        assert (second.of(Verdict.UNCERTAIN), posts(it.sandbox)) == (left, before + 10)
        last = other.run(other.manifest(wanted), resend_uncertain=True, patience=NOW)
        assert last.code == 0, last.counts
        it.all_sent(wanted)
