"""Back to an earlier release: by audio that was kept, as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediapipe.errors import UsageError
from mediapipe.items import Verdict
from mediapipe.library.plan import Action
from mediapipe.sandbox import FaultRule
from tests.prompt_runs import Library, deploying


def kept(it: Library) -> list[Path]:
    """Return the files of the audio that was kept."""
    return sorted((it.folder / "state" / "prompts" / "audio").rglob("*.wav"))


def two_releases(it: Library) -> dict[str, bytes]:
    """Deploy, change the first prompt, deploy again; return what the first release sounded like."""
    assert it.apply().code == 0
    sounded = {key: it.bytes_of(entry.prompt_id) for key, entry in it.lock.prompts.items()}
    it.change(0)
    assert it.apply().code == 0
    assert [release.number for release in it.releases()] == [1, 2]
    return sounded


def sounds(it: Library) -> dict[str, bytes]:
    return {key: it.bytes_of(entry.prompt_id) for key, entry in it.lock.prompts.items()}


def test_what_is_superseded_and_still_there_stands_again(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        first = two_releases(it)
        posted = it.posted.total()
        ran = it.rollback(1)
        assert (ran.code, ran.of(Action.ADOPT)) == (0, {it.key(0)})
        assert it.posted.total() == posted, "it was uploaded although it was there"
        assert sounds(it) == first
        it.equal(superseded=[it.key(0)])
        assert [release.note for release in it.releases()] == ["", "", "release 1 again"]
        entry = it.lock.prompts[it.key(0)]
        assert entry.rendered_sha256
        assert not entry.adopted


def test_what_was_pruned_is_uploaded_again(tmp_path: Path) -> None:
    with deploying(tmp_path, count=3) as it:
        first = two_releases(it)
        assert it.apply(prune=True).code == 0
        it.equal()
        ran = it.rollback(1, prune=True)
        assert (ran.code, ran.of(Action.REPLACE)) == (0, {it.key(0)})
        assert sounds(it) == first
        it.equal(superseded=[it.key(0)])


def test_a_rollback_of_a_rollback_is_where_it_was(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        two_releases(it)
        second = sounds(it)
        assert it.rollback(1).code == 0
        assert it.rollback(2).code == 0
        assert sounds(it) == second
        again = it.rollback(2)
        assert (again.code, again.counts) == (0, {"skipped": 2})
        assert len(it.releases()) == 4


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        two_releases(it)
        before, there = (tmp_path / "prompts.lock.json").read_bytes(), it.there
        ran = it.rollback(1, dry_run=True)
        assert (ran.code, ran.counts) == (0, {"pending": 1, "skipped": 1})
        assert (tmp_path / "prompts.lock.json").read_bytes() == before
        assert it.there == there
        assert len(it.releases()) == 2


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_without_all_its_audio_nothing_is_done(tmp_path: Path, damage: str) -> None:
    with deploying(tmp_path, count=3) as it:
        two_releases(it)
        it.apply(prune=True)
        wanted = it.releases()[0].prompts[it.key(0)].rendered_sha256
        (file,) = [path for path in kept(it) if wanted in path.name]
        if damage == "gone":
            file.unlink()
        else:
            file.chmod(0o644)
            file.write_bytes(b"RIFFnothing")
        it.vanish(it.lock.prompts[it.key(1)].prompt_id)
        before, posted = (tmp_path / "prompts.lock.json").read_bytes(), it.posted
        ran = it.rollback(1)
        reason = "audio_gone" if damage == "gone" else "checksum"
        assert (ran.code, ran.told(Verdict.FAILED, reason)) == (3, {it.key(0)})
        assert ran.told(Verdict.PENDING, "held_back") == {it.key(1)}
        assert ran.told(Verdict.SKIPPED) == {it.key(2)}
        assert it.posted == posted
        assert (tmp_path / "prompts.lock.json").read_bytes() == before


def test_what_was_only_taken_over_cannot_be_brought_back(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        kind, name = it.key(0).split("/", 1)
        it.sandbox.state.library.add(kind, name, f"{name}.wav", b"RIFFtheirs", 0)
        assert it.apply().of(Action.ADOPT) == {it.key(0)}
        standing = it.rollback(1)
        assert (standing.code, standing.counts) == (0, {"skipped": 2}), "as long as it is there, it is there"
        it.vanish(it.lock.prompts[it.key(0)].prompt_id)
        ran = it.rollback(1)
        assert (ran.code, ran.told(Verdict.REJECTED, "no_audio_kept")) == (3, {it.key(0)})


def test_a_prompt_that_cannot_be_decided_holds_it_all_back(tmp_path: Path) -> None:
    """Counted and said: an exit code of 0 means that the release stands."""
    with deploying(tmp_path, count=2) as it:
        two_releases(it)
        it.apply(prune=True)
        kind, name = it.key(0).split("/", 1)
        for prompt_id in [entry.prompt_id for entry in it.lock.prompts.values()]:
            it.vanish(prompt_id)
        it.cells = it.cells[1:]
        it.write()
        assert it.apply().code == 0  # the first is not ours any more
        for _ in range(2):
            it.sandbox.state.library.add(kind, name, f"{name}.wav", b"RIFFtheirs", 0)
        before = it.there
        ran = it.rollback(1, prune=True, prune_foreign=True)
        assert (ran.code, ran.told(Verdict.REJECTED, "blocked")) == (3, {f"{kind}/{name}"})
        assert len(ran.outcomes) == 2
        assert it.there == before


def test_more_deletions_than_allowed_do_nothing(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        two_releases(it)
        with pytest.raises(UsageError) as caught:
            it.rollback(2, prune=True, prompts__max_delete=0)
        assert caught.value.code == "max_delete"
        assert len(it.there[it.key(0)]) == 2


def test_a_release_that_there_is_not(tmp_path: Path) -> None:
    with deploying(tmp_path, count=1) as it:
        it.apply()
        with pytest.raises(UsageError, match="no release 7") as caught:
            it.rollback(7)
        assert caught.value.hint == "there are 1 to 1"


def test_lost_answers_leave_each_prompt_once(tmp_path: Path) -> None:
    with deploying(tmp_path, count=4) as it:
        two_releases(it)
        it.apply(prune=True)
        it.sandbox.state.faults.set([FaultRule(name="prompt_commit_then_drop", first=1)])
        assert it.rollback(1).code == 0
        it.equal(superseded=[it.key(0)])
        assert it.posted[it.key(0)] == 3


def test_a_last_release_that_is_damaged_does_not_stop_the_next(tmp_path: Path) -> None:
    with deploying(tmp_path, count=2) as it:
        two_releases(it)
        (file,) = (tmp_path / "state" / "prompts" / "releases").rglob("000002.json")
        file.chmod(0o644)
        file.write_bytes(b"{")
        it.change(1)
        ran = it.apply()
        assert ran.code == 0
        assert any("release 2 cannot be read" in note for note in ran.result.deployed.notes)
        assert it.lock.release == 3
        assert it.rollback(3).code == 0
