"""The lock file: what it says comes back, what is damaged is refused, nothing that was written is lost."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import DiskFull, Fatal, UsageError
from mediapipe.library import lockfile
from mediapipe.library.lockfile import NAME, VERSION, Entry, LibraryLock, LockFile, Superseded

TEXTS = st.text(st.characters(), max_size=12)  # lone surrogates among them: the platform may show such names
ENTRIES = st.builds(
    Entry,
    prompt_id=TEXTS,
    source_sha256=TEXTS,
    recipe=TEXTS,
    rendered_sha256=TEXTS,
    bytes=st.integers(0, 2**40),
    container=TEXTS,
    file=TEXTS,
    language=TEXTS,
    profile=TEXTS,
    uploaded_at=TEXTS,
    adopted=st.booleans(),
)
OVER = st.builds(Superseded, TEXTS, st.sampled_from(["replaced", "removed", "duplicate"]), TEXTS, ENTRIES)
LOCKS = st.builds(
    LibraryLock,
    st.dictionaries(TEXTS, ENTRIES, max_size=4),
    st.lists(OVER, max_size=3).map(tuple),
    st.integers(0, 10**9),
)


def entry(prompt_id: str = "7", **more: Any) -> Entry:
    return Entry(prompt_id, "s" * 64, "r" * 64, **more)


def one(prompt_id: str = "7") -> LibraryLock:
    return LibraryLock({"prompt/a": entry(prompt_id)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


@given(LOCKS)
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, lock: LibraryLock) -> None:
    path = tmp_path_factory.mktemp("lock") / NAME
    file = LockFile(path, "host/a")
    file.save(lock)
    again = LockFile(path, "host/a").lock
    assert again.prompts == dict(lock.prompts)
    assert again.release == lock.release
    assert sorted(map(repr, again.superseded)) == sorted(map(repr, lock.superseded))
    file.save(lock)  # and it is not taken for somebody else's change


def test_the_same_state_is_the_same_file(path: Path) -> None:
    """So that what a commit shows is what changed."""
    file = LockFile(path, "host/a")
    a, b = entry("1"), entry("2")
    over = (Superseded("k", "removed", "2026", entry("3")), Superseded("a", "removed", "2026", entry("4")))
    file.save(LibraryLock({"b": b, "a": a}, over))
    before = path.read_bytes()
    file.save(LibraryLock({"a": a, "b": b}, over[::-1]))
    assert path.read_bytes() == before
    assert before.endswith(b"}\n")


def test_accounts_are_kept_apart(path: Path) -> None:
    """Two runs for two accounts are at work with one file: neither takes away what the other wrote."""
    staging, production = LockFile(path, "host/staging"), LockFile(path, "host/production")
    staging.save(one("1"))
    production.save(one("2"))
    staging.save(one("3"))
    production.save(one("4"))
    assert LockFile(path, "host/staging").lock == one("3")
    assert LockFile(path, "host/production").lock == one("4")
    assert LockFile(path, "host/third").lock == LibraryLock()
    assert LockFile(path, "host/third").others == ["host/production", "host/staging"]


def test_many_at_once_lose_nothing(path: Path) -> None:
    def work(name: str) -> None:
        file = LockFile(path, name)
        for number in range(1, 21):
            file.save(one(str(number)))

    names = [f"host/{number}" for number in range(4)]
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [LockFile(path, name).lock for name in names] == [one("20")] * 4


def test_what_somebody_else_wrote_for_this_account_is_not_overwritten(path: Path) -> None:
    mine, theirs = LockFile(path, "host/a"), LockFile(path, "host/a")
    theirs.save(one("2"))
    with pytest.raises(Fatal, match="changed by somebody else") as caught:
        mine.save(one("1"))
    assert caught.value.code == "lock_file"
    assert LockFile(path, "host/a").lock == one("2")


def test_a_file_that_went_away_meanwhile_is_not_made_up_again(path: Path) -> None:
    file = LockFile(path, "host/a")
    file.save(one("1"))
    path.unlink()
    with pytest.raises(Fatal, match="changed by somebody else"):
        file.save(one("2"))
    assert not path.exists()


DAMAGED = {
    "a merge": '{\n<<<<<<< HEAD\n "version": 1,\n=======\n "version": 1,\n>>>>>>> other\n "libraries": {}}',
    "nothing": "",
    "half of it": '{"version": 1, "libraries": {"host/a": {"prompts": {',
    "a list": "[]",
    "no libraries": '{"version": 1}',
    "libraries that are none": '{"version": 1, "libraries": []}',
    "no text": b"\xff\xfe\x00",
    "zeroes": b"\x00" * 64,
    "depth": "[" * 100_000,
    "a section that is a list": '{"version": 1, "libraries": {"host/a": []}}',
    "prompts of nothing": '{"version": 1, "libraries": {"host/a": {"prompts": null}}}',
    "an entry that is text": '{"version": 1, "libraries": {"host/a": {"prompts": {"prompt/a": "id"}}}}',
    "an id of nothing": '{"version": 1, "libraries": {"host/a": {"prompts": {"prompt/a": {"id": null}}}}}',
    "an id that is a number": '{"version": 1, "libraries": {"host/a": {"prompts": {"prompt/a": {"id": 7}}}}}',
    "bytes as text": '{"version": 1, "libraries": {"host/a": {"prompts": {"a": {"id": "1", "bytes": "7"}}}}}',
    "a release without end": '{"version": 1, "libraries": {"host/a": {"release": 1e999}}}',
    "no why": '{"version": 1, "libraries": {"host/a": {"superseded": [{"key": "a", "id": "1"}]}}}',
    "both sides of a merge": '{"version": 1, "libraries": {"host/a": {"release": 3, "release": 4}}}',
    "a prompt twice": '{"version": 1, "libraries": {"host/a": {"prompts":'
    ' {"prompt/a": {"id": "1"}, "prompt/a": {"id": "2"}}}}}',
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_one_is_refused_with_what_to_do(path: Path, what: str) -> None:
    content = DAMAGED[what]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        LockFile(path, "host/a")
    assert caught.value.code == "lock_damaged"
    assert "merge" in caught.value.hint
    assert str(path) in caught.value.message
    assert path.read_bytes() == before


def test_a_newer_one_is_refused(path: Path) -> None:
    path.write_text(json.dumps({"version": VERSION + 1, "libraries": {}}))
    with pytest.raises(UsageError, match="version 2") as caught:
        LockFile(path, "host/a")
    assert "newer" in caught.value.hint


def test_what_a_later_one_may_add_to_an_entry_does_no_harm(path: Path) -> None:
    raw = {"id": "7", "source_sha256": "s", "recipe": "r", "mood": "glad"}
    path.write_text(json.dumps({"version": 1, "libraries": {"host/a": {"prompts": {"prompt/a": raw}}}}))
    assert LockFile(path, "host/a").lock.prompts["prompt/a"] == Entry("7", "s", "r")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, Fatal)]
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, kind: type[Fatal]
) -> None:
    file = LockFile(path, "host/a")
    file.save(one("1"))

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(lockfile.os, step, fails)
        with pytest.raises(kind):
            file.save(one("2"))
    assert os.listdir(path.parent) == [NAME], "something was left lying about"
    assert LockFile(path, "host/a").lock == file.lock == one("1")
    file.save(one("3"))
    assert LockFile(path, "host/a").lock == one("3")


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    file = LockFile(tmp_path / "gone" / NAME, "host/a")
    with pytest.raises(Fatal, match="cannot be written"):
        file.save(one())


def test_a_link_stays_a_link(tmp_path: Path, path: Path) -> None:
    target = tmp_path / "elsewhere" / "real.json"
    target.parent.mkdir()
    path.symlink_to(target)
    LockFile(path, "host/a").save(one("1"))
    LockFile(path, "host/a").save(one("2"))
    assert path.is_symlink()
    assert LockFile(target, "host/a").lock == one("2")


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_who_may_read_it_stays_so(path: Path, mode: int) -> None:
    LockFile(path, "host/a").save(one("1"))
    path.chmod(mode)
    LockFile(path, "host/a").save(one("2"))
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_reader_sees_the_old_one_or_the_new_one(path: Path) -> None:
    file = LockFile(path, "host/a")
    states = [LibraryLock({f"prompt/{at}": entry(str(n)) for at in range(200)}) for n in (1, 2)]
    file.save(states[0])
    over = threading.Event()

    def write() -> None:
        for number in range(60):
            file.save(states[number % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        assert LockFile(path, "host/a").lock in states
    writer.join()


def test_what_stood_before_is_superseded_once() -> None:
    lock = one("1").standing("prompt/a", entry("2"), now="t1").standing("prompt/a", entry("3"), now="t2")
    assert [(old.prompt_id, old.why, old.since) for old in lock.superseded] == [
        ("1", "replaced", "t1"),
        ("2", "replaced", "t2"),
    ]
    assert lock.ids == {"1", "2", "3"}
    back = lock.standing("prompt/a", entry("1"), now="t3")
    assert [old.prompt_id for old in back.superseded] == ["2", "3"]


def test_what_is_not_there_any_more_goes_nowhere() -> None:
    lock = one("1").standing("prompt/a", entry("2"), now="t", there={"2"})
    assert lock.ids == {"2"}


def test_removed_and_forgotten() -> None:
    lock = one("1").removed("prompt/a", now="t")
    assert not lock.prompts
    assert [old.why for old in lock.superseded] == ["removed"]
    assert lock.forgotten("1") == LibraryLock()
    assert LibraryLock({"prompt/a": entry("")}).removed("prompt/a", now="t") == LibraryLock()
