"""A deployment that dies at each of its steps in turn: run again, the library equals the manifest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import pytest

from mediapipe.items import Verdict
from tests.crash.prompt_world import PromptWorld
from tests.crash.world import Death

QUICKEST = "/dev/shm" if Path("/dev/shm").is_dir() else None
EFFECTS = ("change", "claim", "delete", "intend", "keep", "publish", "settle", "upload")
"""Steps after which something is otherwise; a death after any other is one before the next."""

FIRST = {"a": b"a" * 100, "b": b"b" * 120, "c": b"c" * 140}
SECOND = {"a": b"A" * 90, "c": FIRST["c"], "d": b"d" * 80}
"""One changed, one removed, one added."""


def deaths(steps: dict[str, int]) -> Iterator[Death]:
    """Return the moments at which a run that took these steps can die: around all that has an effect."""
    for kind, number in sorted(steps.items()):
        for at in range(number) if kind in EFFECTS else {0, number - 1}:
            yield Death(kind, at, after=False)
            if kind in EFFECTS:
                yield Death(kind, at, after=True)


Story = Callable[[Path, Death | None], Awaitable[tuple[dict[str, int], bool]]]


async def told_often(story: Story) -> int:
    """Tell a story once undisturbed, then with a death at every step; return how many died."""
    with TemporaryDirectory(dir=QUICKEST) as folder:
        steps, died = await story(Path(folder), None)
        assert not died
    assert {"upload", "change", "intend", "settle", "publish", "claim"} <= set(steps)
    count = 0
    for death in deaths(steps):
        with TemporaryDirectory(dir=QUICKEST) as folder:
            count += (await story(Path(folder), death))[1]
    return count


async def first_apply(folder: Path, death: Death | None) -> tuple[dict[str, int], bool]:
    it = PromptWorld(folder, dict(FIRST))
    it.account.ways |= {"prompt/b": "dropped", "prompt/c": "lost"}
    ran = await it.apply(death=death)
    steps = dict(it.steps._taken)
    it.check()
    again = await it.apply()
    assert again is not None
    assert again.code == 0
    it.equal()
    assert set(it.account.taken.values()) == {1}, "a prompt went up twice"
    assert len([key for key in it.store.objects if key.startswith("releases/")]) in (1, 2)
    last = await it.apply()
    assert last is not None
    assert last.of(Verdict.SKIPPED) == set(it.lock.prompts)
    return steps, ran is None


def test_a_first_apply_may_die_at_any_step() -> None:
    assert anyio.run(told_often, first_apply) >= 40


async def second_apply(folder: Path, death: Death | None) -> tuple[dict[str, int], bool]:
    it = PromptWorld(folder, dict(FIRST))
    assert (await it.apply()) is not None
    it.audio = dict(SECOND)
    it.account.ways |= {"prompt/a": "lost", "prompt/d": "half"}
    ran = await it.apply(death=death, prune=True)
    steps = dict(it.steps._taken)
    it.check()
    again = await it.apply()
    assert again is not None
    assert again.code == 0
    pruned = await it.apply(prune=True)
    assert pruned is not None
    it.equal()
    assert it.account.taken["prompt/c"] == 1
    assert it.account.taken["prompt/a"] == 2
    return steps, ran is None


def test_an_apply_that_replaces_and_prunes_may_die_at_any_step() -> None:
    assert anyio.run(told_often, second_apply) >= 50


async def going_back(folder: Path, death: Death | None) -> tuple[dict[str, int], bool]:
    it = PromptWorld(folder, dict(FIRST))
    assert (await it.apply()) is not None
    it.audio = dict(SECOND)
    assert (await it.apply()) is not None
    assert (await it.apply(prune=True)) is not None
    ran = await it.rollback(1, death=death)
    steps = dict(it.steps._taken)
    it.check()
    again = await it.rollback(1)
    assert again is not None
    assert again.code == 0
    it.equal(superseded=["prompt/a", "prompt/d"], wanted=FIRST)
    return steps, ran is None


def test_a_rollback_may_die_at_any_step() -> None:
    assert anyio.run(told_often, going_back) >= 30


@pytest.mark.parametrize(
    ("way", "uploads", "verdict"),
    [
        ("taken", 1, Verdict.DONE),
        ("lost", 1, Verdict.DONE),
        ("dropped", 1, Verdict.DONE),
        ("half", 2, Verdict.DONE),
    ],
)
def test_each_way_an_upload_can_end(tmp_path: Path, way: str, uploads: int, verdict: Verdict) -> None:
    async def main() -> None:
        it = PromptWorld(tmp_path, {"a": FIRST["a"]})
        it.account.ways["prompt/a"] = way
        ran = await it.apply()
        assert ran is not None
        assert ran.of(verdict) == {"prompt/a"}
        assert it.account.taken["prompt/a"] == uploads
        it.equal()

    anyio.run(main)
