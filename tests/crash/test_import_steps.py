"""An import that dies at each of its steps in turn: no call is made twice, and none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from mediapipe.items import Verdict
from mediapipe.ledger.interface import State
from tests.crash.import_world import LAG, PATIENCE, ImportWorld
from tests.crash.world import Death
from tests.import_runs import row

QUICKEST = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Hundreds of runs: a death of the process needs no disk that survives one of the machine."""

EFFECTS = ("claim", "intend", "post", "settle")
"""Steps after which something is otherwise; a death after any other is one before the next."""

WAYS = {"x-0": "taken", "x-1": "refused", "x-2": "lost", "x-3": "dropped"}


def world(folder: str, count: int = 4, **more: object) -> ImportWorld:
    return ImportWorld(Path(folder), [row(number) for number in range(count)], **more)  # type: ignore[arg-type]


def deaths(steps: dict[str, int]) -> Iterator[Death]:
    """Return the moments at which a run that took these steps can die: around all that has an effect."""
    for kind, number in sorted(steps.items()):
        for at in range(number) if kind in EFFECTS else {0, number - 1}:
            yield Death(kind, at, after=False)
            if kind in EFFECTS:
                yield Death(kind, at, after=True)


def steps_of(it: ImportWorld) -> dict[str, int]:
    return dict(it.steps._taken)


# ── planned, sending, accepted, refused, uncertain ──────────────────────────────────────────


async def first_run(death: Death | None, arrives: bool) -> tuple[dict[str, int], bool]:
    """Run once with one death, then until all is done; return the steps, and whether it died."""
    with TemporaryDirectory(dir=QUICKEST) as folder:
        it = world(folder)
        it.account.ways |= WAYS
        ran = await it.run(death=death, arrives=arrives)
        steps = steps_of(it)
        it.check()
        if ran is not None:
            it.check_told(ran)
        again = await it.run()
        assert again is not None
        it.check_told(again)
        await it.finish()
        return steps, ran is None


async def every_death(arrives: bool) -> int:
    steps, _ = await first_run(None, arrives=False)
    assert {"claim", "peek", "intend", "post", "settle", "list_calls", "items", "begin", "end"} <= set(steps)
    assert steps["post"] == 4
    died = 0
    for death in deaths(steps):
        if arrives and death.kind != "post":
            continue
        died += (await first_run(death, arrives))[1]
    return died


def test_a_first_run_may_die_at_any_step() -> None:
    assert anyio.run(every_death, False) >= 40


def test_an_upload_may_arrive_after_its_sender_has_died() -> None:
    assert anyio.run(every_death, True) >= 4


# ── uncertain, accepted, absent, ambiguous ──────────────────────────────────────────────────


async def resend_run(death: Death | None) -> tuple[dict[str, int], bool]:
    """Leave three kinds of uncertain rows behind, then resend with one death."""
    with TemporaryDirectory(dir=QUICKEST) as folder:
        it = world(folder, 3)
        it.rows.append(row(2, external_id="twin"))
        it.account.ways |= {"x-0": "dropped", "x-1": "hangs", "x-2": "lost", "twin": "dropped"}
        ran = await it.run()
        assert ran is not None
        it.check_told(ran)
        it.account.passes(PATIENCE)
        ran = await it.run(resend=True, death=death)
        steps = steps_of(it)
        it.check()
        if ran is not None:
            it.check_told(ran)
            assert ran.of(Verdict.UNCERTAIN) == {"x-2", "twin"}, "one call, two uploads: ambiguous"
        it.account.passes(PATIENCE)
        again = await it.run(resend=True)
        assert again is not None
        it.check_told(again)
        assert again.of(Verdict.SKIPPED) | again.of(Verdict.DONE) == {"x-0", "x-1"}
        assert again.of(Verdict.UNCERTAIN) == {"x-2", "twin"}
        return steps, ran is None


async def every_death_of_resending() -> int:
    steps, _ = await resend_run(None)
    assert steps["post"] == 1
    died = 0
    for death in deaths(steps):
        died += (await resend_run(death))[1]
    return died


def test_a_run_that_sends_again_may_die_at_any_step() -> None:
    assert anyio.run(every_death_of_resending) >= 40


async def reconcile_run(death: Death | None) -> tuple[dict[str, int], bool]:
    """Let an import die with calls made and nothing settled; reconcile with one death."""
    with TemporaryDirectory(dir=QUICKEST) as folder:
        it = world(folder)
        it.account.ways |= WAYS
        assert await it.run(death=Death("settle", 0, after=False)) is None
        it.check()
        it.account.passes(PATIENCE)
        posts = it.account.posts
        ran = await it.reconcile(death=death)
        steps = steps_of(it)
        it.check()
        again = await it.reconcile()
        assert again is not None
        it.check()
        assert it.account.posts == posts, "a reconciliation sent something"
        assert State.INTENDED not in it.ledger.values()
        await it.finish()
        return steps, ran is None


async def every_death_of_reconciling() -> int:
    steps, _ = await reconcile_run(None)
    died = 0
    for death in deaths(steps):
        died += (await reconcile_run(death))[1]
    return died


def test_a_reconciliation_may_die_at_any_step() -> None:
    assert anyio.run(every_death_of_reconciling) >= 20


# ── each transition by itself ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("way", "verdict", "state", "posts"),
    [
        ("taken", Verdict.DONE, State.DONE, 1),
        ("throttled, then taken", Verdict.DONE, State.DONE, 1),
        ("refused", Verdict.REJECTED, State.REJECTED, 0),
        ("throttled", Verdict.FAILED, State.FAILED, 0),
        ("lost", Verdict.DONE, State.DONE, 1),
        ("breaks", Verdict.DONE, State.DONE, 1),
        ("dropped", Verdict.UNCERTAIN, State.UNCERTAIN, 0),
        ("hangs", Verdict.DONE, State.DONE, 1),
    ],
)
def test_an_upload_ends_as_its_answer_says(
    tmp_path: Path, way: str, verdict: Verdict, state: State, posts: int
) -> None:
    it = world(str(tmp_path), 1)
    it.account.ways["x-0"] = way
    ran = anyio.run(it.run)
    assert ran is not None
    it.check_told(ran)
    assert (ran.outcomes["x-0"].verdict, it.ledger["x-0"], it.account.posts) == (verdict, state, posts)
    anyio.run(it.finish)


def test_a_call_that_was_made_late_and_is_listed_later_still_is_not_sent_again(tmp_path: Path) -> None:
    """The platform acts at the last moment, and lists the call as late as it may."""
    it = world(str(tmp_path), 1)
    it.account.ways["x-0"], it.account.late = "hangs", LAG

    async def main() -> None:
        ran = await it.run()
        assert ran is not None
        assert ran.of(Verdict.UNCERTAIN) == {"x-0"}
        for _ in range(8):
            ran = await it.run(resend=True)
            assert ran is not None
            it.check_told(ran)
            it.account.passes(LAG / 4)
        assert ran.of(Verdict.DONE) or ran.of(Verdict.SKIPPED)

    anyio.run(main)
    it.check()
