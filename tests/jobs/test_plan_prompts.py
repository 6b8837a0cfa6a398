"""``prompts plan``: says what an apply then does, and leaves everything as it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mediapipe.items import Verdict
from mediapipe.library.lockfile import NAME
from mediapipe.library.plan import Action
from mediapipe.sandbox import FaultRule
from tests.prompt_runs import Library, deploying


def everything(it: Library) -> tuple[object, ...]:
    """What a plan may not touch: account, lock file, manifest, the ledger's items, releases."""
    lock = it.folder / NAME
    ledger = it.folder / "state" / "ledger.db"
    items: list[object] = []
    if ledger.exists():
        with sqlite3.connect(ledger) as opened:
            items = opened.execute(
                "select key, state, reason, detail from ledger_items order by key"
            ).fetchall()
    return (
        [(one.prompt_id, one.name, one.type) for one in it.sandbox.state.library.everything],
        lock.read_bytes() if lock.exists() else None,
        it.manifest.read_bytes(),
        items,
        [(one.number, one.made) for one in it.releases()],
    )


def test_a_first_plan_leaves_nothing_behind(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        before = everything(it)
        ran = it.plan()
        assert (ran.code, ran.planned) == (0, {"create": 3})
        assert ran.told(Verdict.PENDING) == {it.key(0), it.key(1), it.key(2)}
        assert everything(it) == before
        assert not (tmp_path / NAME).exists()


def test_a_plan_of_every_kind_changes_nothing_and_the_apply_does_just_that(tmp_path: Path) -> None:
    with deploying(tmp_path, count=5) as it:
        it.apply()
        changed = it.change(0)
        gone = it.key(4)
        del it.cells[4]
        it.add("new", it.audio(1))
        it.write()
        before = everything(it)
        planned = it.plan(prune=True)
        assert planned.planned == {"replace": 1, "delete": 1, "create": 1}
        assert planned.of(Action.REPLACE, Action.DELETE, Action.CREATE) == {changed, gone, "prompt/new"}
        assert planned.counts == {"pending": 3, "skipped": 3}
        assert everything(it) == before
        applied = it.apply(prune=True)
        assert applied.planned == planned.planned
        assert applied.told(Verdict.DONE) == planned.told(Verdict.PENDING)
        assert applied.told(Verdict.SKIPPED) == planned.told(Verdict.SKIPPED)


def test_a_plan_with_a_blocked_prompt_says_so_by_its_code(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        it.audio(1).write_bytes(b"no audio at all")
        before = everything(it)
        ran = it.plan()
        assert ran.code == 3
        assert ran.told(Verdict.REJECTED) == {it.key(1)}
        assert everything(it) == before


def test_a_plan_that_may_not_be_applied_says_so_by_its_code(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        it.apply()
        it.cells = it.cells[:1]
        it.write()
        before = everything(it)
        ran = it.plan(prune=True, prompts__max_delete=2)
        assert ran.code == 3
        assert ran.result.prepared.obstacles
        assert everything(it) == before
        assert it.plan(prune=True, prompts__max_delete=3).code == 0


def test_a_plan_foresees_what_was_cut_off_and_leaves_it_to_the_apply(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        it.sandbox.state.faults.set([FaultRule(name="prompt_commit_then_drop", first=1)])
        it.apply()
        it.sandbox.state.faults.set([])
        before = everything(it)
        it.plan()
        assert everything(it) == before
        assert it.apply().code == 0
        it.equal()
