"""``prompts.lock.json``: what of an account's library is ours; next to the manifest, and to be committed.

It is the one memory of what stands: which id carries which audio, by which recipe. One file serves several
accounts, each in a section of its own. It is written whole, to a file beside it that is then put in its
place, and is on the disk before anybody is told that a prompt is done.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from mediapipe.errors import DiskFull, Fatal, UsageError
from mediapipe.manifest.problems import quoted
from mediapipe.report.rundir import FULL

NAME = "prompts.lock.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt that stands: its id, and what was sent for it.

    ``source_sha256`` and ``recipe`` say what it was made from and how; ``rendered_sha256`` and ``bytes`` what
    was sent. All four are of our word, since the platform gives no audio back; for an ``adopted`` one they
    are what the manifest said when it was taken over, and nothing was sent.
    """

    prompt_id: str
    source_sha256: str
    recipe: str
    rendered_sha256: str = ""
    bytes: int = 0
    container: str = ""
    file: str = ""
    language: str = ""
    profile: str = ""
    uploaded_at: str = ""
    adopted: bool = False

    @property
    def fingerprint(self) -> tuple[str, str]:
        """What decides whether it has to be made anew."""
        return self.source_sha256, self.recipe


@dataclass(frozen=True, slots=True)
class Superseded:
    """A prompt of ours that still stands in the account and is not wanted any more.

    ``why`` is ``replaced``, ``removed`` or ``duplicate``; ``since`` when that came about.
    """

    key: str
    why: str
    since: str
    entry: Entry

    @property
    def prompt_id(self) -> str:
        """Its id."""
        return self.entry.prompt_id


@dataclass(frozen=True, slots=True)
class LibraryLock:
    """One account's section. ``release`` is the number of the last release, 0 where there is none."""

    prompts: Mapping[str, Entry] = field(default_factory=dict)
    superseded: tuple[Superseded, ...] = ()
    release: int = 0

    @property
    def ids(self) -> frozenset[str]:
        """Every id that is ours, wanted or not."""
        ours = [entry.prompt_id for entry in self.prompts.values()]
        return frozenset((*ours, *(one.prompt_id for one in self.superseded))) - {""}

    def standing(
        self, key: str, entry: Entry, *, now: str, there: Collection[str] | None = None
    ) -> LibraryLock:
        """Return the section with ``entry`` standing for ``key``; what stood there before is superseded.

        Unless it is not ``there``, among the ids of the account: what is gone goes nowhere.
        """
        before = self.prompts.get(key)
        if before is not None and there is not None and before.prompt_id not in there:
            before = None
        rest = tuple(one for one in self.superseded if one.prompt_id != entry.prompt_id or not one.prompt_id)
        if before is not None and before.prompt_id and before.prompt_id != entry.prompt_id:
            rest = (*rest, Superseded(key, "replaced", now, before))
        return replace(self, prompts={**self.prompts, key: entry}, superseded=rest)

    def removed(self, key: str, *, now: str) -> LibraryLock:
        """Return the section without ``key``; its prompt is superseded."""
        prompts = dict(self.prompts)
        before = prompts.pop(key)
        gone = (Superseded(key, "removed", now, before),) if before.prompt_id else ()
        return replace(self, prompts=prompts, superseded=(*self.superseded, *gone))

    def forgotten(self, prompt_id: str) -> LibraryLock:
        """Return the section without anything of an id that is not in the account any more."""
        prompts = {key: one for key, one in self.prompts.items() if one.prompt_id != prompt_id}
        kept = tuple(one for one in self.superseded if one.prompt_id != prompt_id)
        return replace(self, prompts=prompts, superseded=kept)

    def as_json(self) -> dict[str, Any]:
        """Return the section as it stands in the file: sorted, so that a diff shows what changed."""
        gone = sorted(self.superseded, key=lambda one: (one.key, one.since, one.prompt_id))
        return {
            "release": self.release,
            "prompts": {key: _entry_json(self.prompts[key]) for key in sorted(self.prompts)},
            "superseded": [
                {"key": one.key, "why": one.why, "since": one.since, **_entry_json(one.entry)} for one in gone
            ],
        }


def _entry_json(entry: Entry) -> dict[str, Any]:
    values = asdict(entry)
    values["id"] = values.pop("prompt_id")
    return {name: values[name] for name in sorted(values) if values[name] not in ("", False, 0)}


def _entry(raw: Mapping[str, Any]) -> Entry:
    known = {name: raw[name] for name in Entry.__dataclass_fields__ if name in raw}
    entry = Entry(prompt_id=raw.get("id", ""), **{"source_sha256": "", "recipe": "", **known})
    for name, kind in Entry.__annotations__.items():
        wanted = {"str": str, "int": int, "bool": bool}[kind]
        if type(getattr(entry, name)) is not wanted:
            raise TypeError(f"{name} is no {wanted.__name__}")
    return entry


def _section(raw: Mapping[str, Any]) -> LibraryLock:
    return LibraryLock(
        {str(key): _entry(one) for key, one in raw.get("prompts", {}).items()},
        tuple(
            Superseded(str(one["key"]), str(one["why"]), str(one["since"]), _entry(one))
            for one in raw.get("superseded", [])
        ),
        int(raw.get("release", 0)),
    )


class LockFile:
    """A lock file that was read. ``library`` names the section in force."""

    def __init__(self, path: Path, library: str) -> None:
        self.path, self.library = path, library
        self._whole = _read(path)
        try:
            self.lock = _section(self._whole["libraries"].get(library, {}))
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise _damaged(path, f"section {library}: {error}") from None
        self._ours = self._whole["libraries"].get(library)

    @property
    def others(self) -> list[str]:
        """The accounts, other than this one, that it speaks of."""
        return sorted(name for name in self._whole["libraries"] if name != self.library)

    def save(self, lock: LibraryLock) -> None:
        """Make a new state durable. Blocking. Raises ``DiskFull`` or ``Fatal``.

        What others wrote meanwhile for their accounts stays. What was written for this one is not
        overwritten: the uploads of this run are in the ledger, and the next one finds them.
        """
        ours = lock.as_json()
        try:
            with _turn(self.path):
                self._whole = _read(self.path)
                if self._whole["libraries"].get(self.library) != self._ours:
                    raise Fatal(
                        f"the lock file {self.path} was changed by somebody else while this run was at work",
                        code="lock_file",
                        hint="it was left as it is; look at what changed and run again",
                    )
                self._whole["libraries"][self.library] = ours
                text = json.dumps(self._whole, indent=2, ensure_ascii=False) + "\n"
                data = text.encode("utf-8", "backslashreplace")
                _replace(self.path, data)
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"no room left to write {self.path}") from None
            problem = f"the lock file {self.path} cannot be written: {error.strerror or error}"
            raise Fatal(problem, code="lock_file") from None
        # As it reads from the file: what JSON cannot tell apart is not taken for a change.
        self._ours = json.loads(data)["libraries"][self.library]
        self.lock = lock


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Keep other processes from writing between reading and writing, where folders can be locked."""
    folder = os.open(_target(path).parent, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _target(path: Path) -> Path:
    """Return the file itself: a link to it stays one."""
    return path.resolve() if path.is_symlink() else path


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a merge that kept both sides leaves names in it twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{quoted(twice)} stands in it twice")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        whole = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
    except FileNotFoundError:
        return {"version": VERSION, "libraries": {}}
    except OSError as error:
        raise UsageError(f"the lock file {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None
    if not isinstance(whole, dict) or not isinstance(whole.get("libraries"), dict):
        raise _damaged(path, "it holds no libraries")
    if whole.get("version") != VERSION:
        raise UsageError(
            f"the lock file {path} has version {whole.get('version')!r}, this program knows {VERSION}",
            hint="use the version of mediapipe that wrote it, or a newer one",
        )
    return whole


def _damaged(path: Path, why: str) -> UsageError:
    hint = "resolve a merge by hand, or take the last committed one; what is then missing is adopted"
    return UsageError(f"the lock file {path} cannot be read: {why}", code="lock_damaged", hint=hint)


def _replace(path: Path, data: bytes) -> None:
    """Write a file beside it and put that in its place: a reader sees the old one or the new one, whole."""
    mode = 0o644
    with suppress(OSError):
        mode = path.stat().st_mode & 0o777
    target = _target(path)
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
            os.replace(file.name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
