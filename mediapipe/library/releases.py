"""Releases: each apply that changed something, numbered, with its rendered audio kept by hash.

The platform gives no audio back and cannot restore what was deleted, so going back means uploading again:
from a store of our own, a folder or S3, in which every key is written once.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio

from mediapipe.errors import Failed, UsageError
from mediapipe.library.lockfile import LibraryLock
from mediapipe.library.words import PromptType
from mediapipe.pacing import RetryPolicy
from mediapipe.stores.interface import Conflict, NotThere, Store

VERSION = 1
MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac"}
_ANY_TYPE = "application/octet-stream"
_MOST_TRIES = 1_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9]*")
_UNPLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Released:
    """One prompt of a release: what stood, under which id, and the hash its audio is kept by.

    An ``adopted`` one was taken over as it was: nobody here ever had its audio.
    """

    key: str
    prompt_id: str
    source_sha256: str
    recipe: str
    rendered_sha256: str = ""
    bytes: int = 0
    container: str = ""
    file: str = ""
    language: str = ""
    profile: str = ""
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A release: its number, when and by which run it was made, and its prompts by key."""

    number: int
    made: str
    run_id: str
    prompts: Mapping[str, Released] = field(default_factory=dict)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept."""
        return {
            "version": VERSION,
            "number": self.number,
            "made": self.made,
            "run_id": self.run_id,
            "note": self.note,
            "prompts": [asdict(self.prompts[key]) for key in sorted(self.prompts)],
        }


def released(lock: LibraryLock) -> dict[str, Released]:
    """Return what stands, as a release keeps it."""
    return {
        key: Released(
            key, one.prompt_id, one.source_sha256, one.recipe, one.rendered_sha256, one.bytes, one.container,
            one.file, one.language, one.profile, one.adopted,
        )
        for key, one in lock.prompts.items()
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """What one release has and another has not, by key; ``changed`` are those with other audio or id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]


def difference(before: Mapping[str, Released], after: Mapping[str, Released]) -> Difference:
    """Return what changed from one release to another."""
    changed = []
    for key in sorted(before.keys() & after.keys()):
        one, two = before[key], after[key]
        if (one.rendered_sha256, one.recipe) != (two.rendered_sha256, two.recipe):
            changed.append((key, "other audio"))
        elif one.prompt_id != two.prompt_id:
            changed.append((key, f"the same audio under another id ({one.prompt_id} → {two.prompt_id})"))
    return Difference(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(changed),
    )


class Releases:
    """The releases of one library in a store. ``library`` is the account's name in every key."""

    def __init__(self, store: Store, library: str, retry: RetryPolicy) -> None:
        self.store = store
        self._retry = retry
        plain = _UNPLAIN.sub("_", library)
        mark = hashlib.sha256(library.encode()).hexdigest()[:8]
        self._folder = f"releases/{plain[:80]}-{mark}/"

    async def keep(self, path: Path, sha256: str, container: str) -> None:
        """Keep rendered audio by its hash; what is there already stays. Raises as the store does."""
        data = await anyio.Path(path).read_bytes()
        await self._put(_audio_key(sha256, container), data, sha256, MEDIA_TYPES.get(container, _ANY_TYPE))

    async def _put(self, key: str, data: bytes, sha256: str, media_type: str) -> None:
        async def once() -> None:
            body = io.BytesIO(data)
            await self.store.put(key, body, size=len(data), sha256=sha256, content_type=media_type)

        await self._retry.run(once)

    async def fetch(self, sha256: str, container: str, folder: Path) -> Path:
        """Bring kept audio back into a new file of ``folder``, its hash checked.

        Raises ``Failed``: ``audio_gone`` where it is not there any more, ``checksum``.
        """
        path = folder / f"{sha256}.{container}"
        try:
            data = await self._retry.run(lambda: self.store.read(_audio_key(sha256, container)))
        except NotThere:
            hint = "keep the store of artefacts as long as its releases are wanted"
            raise Failed(
                f"the audio {sha256[:16]}… is not kept any more", code="audio_gone", hint=hint
            ) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Failed(f"the audio kept as {sha256[:16]}… is damaged", code="checksum")
        await anyio.Path(path).write_bytes(data)
        return path

    async def numbers(self) -> list[int]:
        """Return the numbers of all releases, in order. Raises as the store does."""
        return await self._retry.run(self._listed)

    async def _listed(self) -> list[int]:
        found = []
        async for one in self.store.list(self._folder):
            stem = one.key.removeprefix(self._folder).removesuffix(".json")
            if stem.isascii() and stem.isdecimal() and one.key == self._key(int(stem)):
                found.append(int(stem))
        return sorted(found)

    async def read(self, number: int) -> Release:
        """Return a release; raises ``UsageError`` where there is none of this number."""
        try:
            data = await self._retry.run(lambda: self.store.read(self._key(number)))
        except NotThere:
            numbers = await self.numbers()
            there = f"there are {numbers[0]} to {numbers[-1]}" if numbers else "there is none yet"
            raise UsageError(f"there is no release {number}", hint=there) from None
        return _release(number, data)

    async def publish(
        self, prompts: Mapping[str, Released], *, after: int, made: str, run_id: str, note: str = ""
    ) -> Release:
        """Keep a new release under the next free number behind ``after`` and return it."""
        for number in range(after + 1, after + 1 + _MOST_TRIES):
            release = Release(number, made, run_id, prompts, note)
            text = json.dumps(release.as_json(), indent=1, ensure_ascii=False)
            data = text.encode("utf-8", "backslashreplace")
            try:
                await self._put(self._key(number), data, hashlib.sha256(data).hexdigest(), "application/json")
            except Conflict:
                continue
            return release
        raise Failed(f"no number is free behind {after}", code="no_release")

    def _key(self, number: int) -> str:
        return f"{self._folder}{number:06}.json"


def _audio_key(sha256: str, container: str) -> str:
    return f"audio/{sha256[:2]}/{sha256}.{container}"


def _released(raw: Mapping[str, Any]) -> Released:
    """Return a prompt of a release; raises ``TypeError`` or ``ValueError`` for what could not be deployed."""
    one = Released(**{name: raw[name] for name in Released.__dataclass_fields__ if name in raw})
    for name, kind in Released.__annotations__.items():
        if type(getattr(one, name)).__name__ != kind:
            raise TypeError(f"{name} of {one.key!r} is no {kind}")
    word, _, name = one.key.partition("/")
    if not PromptType(word) or not name:
        raise ValueError(f"{one.key!r} has no name")
    if one.rendered_sha256 and not (
        _SHA256.fullmatch(one.rendered_sha256) and _WORD.fullmatch(one.container)
    ):
        raise ValueError(f"{one.key!r} names no audio that could be kept")
    return one


def _release(number: int, data: bytes) -> Release:
    try:
        raw = json.loads(data)
        if raw["version"] != VERSION:
            raise UsageError(f"release {number} was written by another version of this program")
        if raw["number"] != number:
            raise ValueError(f"it says that it is number {raw['number']}")
        prompts = [_released(one) for one in raw["prompts"]]
        return Release(number, raw["made"], raw["run_id"], {one.key: one for one in prompts}, raw["note"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"release {number} cannot be read: {type(error).__name__}: {error}") from None
