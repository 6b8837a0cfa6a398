"""Releases in a folder and in S3: numbered, never overwritten, and read back with their audio."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mediapipe.errors import Failed, Transient, UsageError
from mediapipe.library.lockfile import Entry, LibraryLock
from mediapipe.library.releases import Difference, Release, Released, Releases, difference, released
from mediapipe.pacing import RetryPolicy
from mediapipe.stores.folder import FolderStore
from mediapipe.stores.interface import Listed, Store
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3 import S3Store
from tests.platform import MemoryStore
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]
pytestmark = pytest.mark.anyio

RETRY = RetryPolicy(attempts=1, wait_initial=0.0, wait_max=0.0, total=5.0)
AUDIO = b"RIFF" + bytes(500)
SHA = hashlib.sha256(AUDIO).hexdigest()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "kept")
        return
    s3: RunningS3 = request.getfixturevalue("s3")
    opened = S3Store(s3.make_bucket(), "pre", StoreOptions())
    try:
        yield opened
    finally:
        await opened.aclose()


@pytest.fixture
def releases(store: Store) -> Releases:
    return Releases(store, "host/a", RETRY)


def one(key: str = "prompt/a", prompt_id: str = "7", sha256: str = SHA, **more: Any) -> Released:
    return Released(key, prompt_id, "s", "r", sha256, len(AUDIO), "wav", **more)


def prompts(*ones: Released) -> dict[str, Released]:
    return {each.key: each for each in ones}


async def publish(releases: Releases, after: int, *ones: Released, run_id: str = "run") -> Release:
    return await releases.publish(prompts(*ones), after=after, made="2026", run_id=run_id, note="n\ud800ote")


async def damage(releases: Releases, number: int, text: str | bytes) -> None:
    """Put something under a release's key that no release is."""
    data = text if isinstance(text, bytes) else text.encode()
    await releases._put(releases._key(number), data, hashlib.sha256(data).hexdigest(), "application/json")


async def test_what_is_kept_comes_back(releases: Releases, tmp_path: Path) -> None:
    assert await releases.numbers() == []
    made = await publish(
        releases, 0, one(), one("whisper/b\ud800", file="b.wav", language="es-MX", adopted=True)
    )
    assert made.number == 1
    assert await releases.read(1) == made
    source = tmp_path / "a.wav"
    source.write_bytes(AUDIO)
    await releases.keep(source, SHA, "wav")
    await releases.keep(source, SHA, "wav")  # again, after a lost answer
    fetched = await releases.fetch(SHA, "wav", tmp_path)
    assert fetched.read_bytes() == AUDIO


async def test_a_number_that_is_taken_is_passed_over(releases: Releases) -> None:
    first = await publish(releases, 0, one())
    second = await publish(releases, 0, one(prompt_id="8"), run_id="other")
    assert (first.number, second.number) == (1, 2)
    assert (await releases.read(1)).prompts["prompt/a"].prompt_id == "7"


async def test_many_at_once_get_a_number_each(releases: Releases) -> None:
    made = await asyncio.gather(
        *(publish(releases, 0, one(prompt_id=str(n)), run_id=f"{n}") for n in range(6))
    )
    assert sorted(each.number for each in made) == await releases.numbers() == [1, 2, 3, 4, 5, 6]
    for each in made:
        assert await releases.read(each.number) == each


async def test_numbers_are_in_order_however_long(releases: Releases) -> None:
    for after in (1_000_000, 8, 9, 999_998, 999_999, 98):
        await publish(releases, after, one())
    numbers = await releases.numbers()
    assert numbers == [9, 10, 99, 999_999, 1_000_000, 1_000_001]
    assert (await releases.read(1_000_001)).number == 1_000_001


class Hiccup(MemoryStore):
    """A store whose list breaks off so many times, each time after its first entry."""

    times = 2

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        number = 0
        async for one in super().list(prefix):
            yield one
            number += 1
            if number == 1 and self.times:
                self.times -= 1
                raise Transient("the store is busy", code="http_503")


async def test_a_list_that_breaks_off_is_asked_for_again_and_nothing_counts_twice() -> None:
    store: Any = Hiccup()
    again = Releases(store, "host/a", RetryPolicy(attempts=3, wait_initial=0.0, wait_max=0.0, total=5.0))
    for after in range(3):
        await publish(again, after, one())
    assert await again.numbers() == [1, 2, 3]
    assert store.times == 0
    store.times = 3
    with pytest.raises(Transient, match="busy"):
        await again.numbers()


async def test_other_accounts_are_not_mixed_in(store: Store) -> None:
    """Names that become the same in a path are told apart all the same."""
    names = ["host/a", "host_a", "host/b", "host/A", "h" * 90 + "1", "h" * 90 + "2", "höst/a"]
    for number, name in enumerate(names):
        await publish(Releases(store, name, RETRY), number, one())
    for number, name in enumerate(names, 1):
        assert await Releases(store, name, RETRY).numbers() == [number]


async def test_what_lies_beside_them_is_no_release(releases: Releases) -> None:
    await publish(releases, 0, one())
    for name in (
        "notes.txt",
        "2.json",
        "²".zfill(6) + ".json",
        "٠٠٠٠٠٢.json",
        "000003.json.bak",
        "old/000004.json",
    ):
        key = releases._folder + name
        await releases._put(key, b"{}", hashlib.sha256(b"{}").hexdigest(), "text/plain")
    assert await releases.numbers() == [1]


async def test_one_that_there_is_not_is_named_with_those_there_are(releases: Releases) -> None:
    with pytest.raises(UsageError, match="no release 1") as caught:
        await releases.read(1)
    assert caught.value.hint == "there is none yet"
    await publish(releases, 0, one())
    await publish(releases, 1, one(prompt_id="8"))
    with pytest.raises(UsageError, match="no release 9") as caught:
        await releases.read(9)
    assert caught.value.hint == "there are 1 to 2"


def whole(**more: Any) -> dict[str, Any]:
    return {**Release(1, "2026", "run", prompts(one())).as_json(), **more}


def prompt(**more: Any) -> dict[str, Any]:
    told = whole()
    told["prompts"][0] |= more
    return told


DAMAGED: Mapping[str, Any] = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "half": b'{"version": 1, "prom',
    "depth": b"[" * 100_000,
    "a list": [],
    "a newer one": whole(version=2),
    "another number": whole(number=2),
    "no prompts": whole(prompts=None),
    "a prompt that is text": whole(prompts=["prompt/a"]),
    "a prompt without audio's source": whole(prompts=[{"key": "prompt/a", "prompt_id": "7"}]),
    "bytes as text": prompt(bytes="12"),
    "an id that is a number": prompt(prompt_id=7),
    "a type that is none": prompt(key="jingle/a"),
    "no name": prompt(key="prompt/"),
    "audio elsewhere": prompt(rendered_sha256="../../secret"),
    "a form that leads elsewhere": prompt(container="wav/../../x"),
}


@pytest.mark.parametrize("what", DAMAGED)
async def test_a_damaged_release_is_refused(tmp_path: Path, what: str) -> None:
    releases = Releases(FolderStore(tmp_path), "host/a", RETRY)
    raw = DAMAGED[what]
    await damage(releases, 1, raw if isinstance(raw, bytes) else json.dumps(raw))
    with pytest.raises(UsageError, match="release 1"):
        await releases.read(1)


async def test_audio_that_is_gone_or_damaged_is_told(tmp_path: Path) -> None:
    releases = Releases(FolderStore(tmp_path / "kept"), "host/a", RETRY)
    with pytest.raises(Failed, match="not kept any more") as caught:
        await releases.fetch(SHA, "wav", tmp_path)
    assert caught.value.code == "audio_gone"
    source = tmp_path / "a.wav"
    source.write_bytes(AUDIO)
    await releases.keep(source, SHA, "wav")
    (kept,) = (tmp_path / "kept" / "audio").rglob("*.wav")
    kept.chmod(0o644)
    kept.write_bytes(AUDIO[:-1] + b"!")
    with pytest.raises(Failed, match="damaged") as caught:
        await releases.fetch(SHA, "wav", tmp_path)
    assert caught.value.code == "checksum"
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "kept"], "damaged audio was handed out"


async def test_audio_that_is_not_what_was_rendered_is_not_kept(tmp_path: Path) -> None:
    releases = Releases(FolderStore(tmp_path / "kept"), "host/a", RETRY)
    source = tmp_path / "a.wav"
    source.write_bytes(b"something else")
    with pytest.raises(Failed) as caught:
        await releases.keep(source, SHA, "wav")
    assert caught.value.code == "checksum"
    assert not list((tmp_path / "kept").rglob("*.wav"))


def test_what_differs_between_two() -> None:
    before = prompts(one("p/a"), one("p/b"), one("p/c"), one("p/d"), one("p/e"))
    after = prompts(
        one("p/a"), one("p/b", "8"), one("p/c", "9", "f" * 64), Released("p/d", "7", "s", "other", SHA),
        one("p/f"),
    )  # fmt: skip
    assert difference(before, after) == Difference(
        ("p/f",),
        ("p/e",),
        (
            ("p/b", "the same audio under another id (7 → 8)"),
            ("p/c", "other audio"),
            ("p/d", "other audio"),
        ),
    )
    assert difference(before, before) == Difference((), (), ())


def test_a_release_is_what_stands_and_nothing_superseded() -> None:
    entry = Entry("7", "s", "r", SHA, 12, "wav", "a.wav", "en", "p", "2026", adopted=True)
    lock = LibraryLock({"prompt/a": entry}).standing("prompt/b", Entry("1", "", ""), now="t")
    lock = lock.standing("prompt/b", Entry("2", "s", "r"), now="t")
    assert set(released(lock)) == {"prompt/a", "prompt/b"}
    assert released(lock)["prompt/a"] == Released(
        "prompt/a", "7", "s", "r", SHA, 12, "wav", "a.wav", "en", "p", adopted=True
    )
