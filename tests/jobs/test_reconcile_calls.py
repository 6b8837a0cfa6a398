"""The reconciliation: settles what can be proven, says what cannot, and never sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediapipe.items import Verdict
from mediapipe.ledger.interface import State
from mediapipe.sandbox import running
from tests.archive_runs import sample
from tests.import_runs import Importer, fault, posts, row, rows, sent


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Importer]:
    with running(sample(20)) as sandbox:
        yield Importer(tmp_path, sandbox)


def test_nothing_open_is_nothing_to_do(it: Importer) -> None:
    ran = it.reconcile()
    assert (ran.code, ran.outcomes) == (0, [])


def test_young_uploads_are_waited_for_unless_told_otherwise(it: Importer) -> None:
    it.sandbox.state.faults.set(
        [
            fault("upload_commit_then_drop"),
            fault("upload_indexed_late", seconds=1.5),
            fault("list_500", skip=1),
        ]
    )
    wanted = rows(3)
    it.run(it.manifest(wanted), pace__retry_attempts=1, imports__look_first=0)
    it.sandbox.state.faults.set([])
    early = it.reconcile(wait=False, imports__lag="2s")
    assert (early.code, early.of(Verdict.UNCERTAIN, "not_listed_yet")) == (5, set(sent(it.sandbox)))
    ran = it.reconcile(imports__lag="2s")
    assert (ran.code, ran.of(Verdict.DONE, "matched")) == (0, set(sent(it.sandbox)))
    assert posts(it.sandbox) == 3


def test_adopting_takes_only_what_is_there(it: Importer) -> None:
    wanted = rows(8)
    it.run(it.manifest(wanted[:5]))
    it.lose_the_ledger()
    manifest = it.manifest(wanted)
    ran = it.reconcile(adopt=manifest)
    assert ran.of(Verdict.DONE, "adopted") == {one["external_id"] for one in wanted[:5]}
    assert ran.of(Verdict.PENDING, "not_there") == {one["external_id"] for one in wanted[5:]}
    assert it.ledger() == dict.fromkeys((one["external_id"] for one in wanted[:5]), State.DONE)
    again = it.reconcile(adopt=manifest)
    assert not again.of(Verdict.DONE), "adopted once"
    sending = it.run(manifest)
    it.honest(sending, wanted)
    assert sending.counts == {"skipped": 5, "done": 3}
    it.all_sent(wanted)


def test_a_row_with_another_length_is_not_adopted_for_sure(it: Importer) -> None:
    it.run(it.manifest([row(1)]))
    it.lose_the_ledger()
    longer = it.folder / "audio" / "longer.wav"
    body = (it.folder / "audio" / "1.wav").read_bytes()
    samples = body[44:] * 6
    size = len(samples)
    head = body[:4] + (size + 36).to_bytes(4, "little") + body[8:40] + size.to_bytes(4, "little")
    longer.write_bytes(head + samples)
    manifest = it.manifest([row(1, recording_file="audio/longer.wav")])
    ran = it.reconcile(adopt=manifest)
    assert ran.of(Verdict.UNCERTAIN, "ambiguous") == {"x-1"}
    assert ran.code == 5
    assert it.run(manifest).of(Verdict.UNCERTAIN) == {"x-1"}
    assert posts(it.sandbox) == 1


def test_a_list_that_cannot_be_read_settles_nothing(it: Importer) -> None:
    it.sandbox.state.faults.set([fault("upload_commit_then_drop")])
    manifest = it.manifest(rows(3))
    it.sandbox.state.faults.set([fault("upload_commit_then_drop"), fault("list_never_settles")])
    ran = it.run(manifest, imports__look_first=0)
    assert ran.code in (0, 5)
    it.sandbox.state.faults.set([fault("list_html_200")])
    broken = it.reconcile(pace__retry_attempts=1)
    assert broken.of(Verdict.DONE) == set()
    it.sandbox.state.faults.set([])
    healed = it.reconcile()
    assert healed.code == 0
    it.none_twice()
