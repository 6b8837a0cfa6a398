"""A folder on a local or mounted filesystem as a store.

A recording is written to a temporary file in ``<root>/.mediapipe/tmp``, made durable, and then given its
name by a hard link: a link never replaces what is there, so the name appears whole or not at all and two
writers of one key can't both win. Renaming would replace; creating the file in place would show halves.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, TypeVar

from anyio import to_thread

from mediapipe.errors import UnsafeDestination
from mediapipe.stores import disk
from mediapipe.stores.interface import (
    WORKING,
    Conflict,
    Created,
    Listed,
    NotThere,
    ObjectInfo,
    Same,
    check_key,
    check_metadata,
    check_range,
    check_sha256,
    is_key,
)

T = TypeVar("T")

_TEMPORARY = (WORKING, "tmp")
_LEFTOVER_AGE = 24 * 3600.0
_LIST_BATCH = 1000


class FolderStore:
    """Recordings as plain files under one folder. Safe for many tasks, processes and hosts at once."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(os.path.realpath(root))
        self._ready = False
        self._lock = threading.Lock()
        self._durable: set[str] = set()

    @property
    def url(self) -> str:
        """``file:///folder``, links resolved."""
        return self._root.as_uri()

    async def put(
        self,
        key: str,
        body: BinaryIO,
        *,
        size: int,
        sha256: str,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> Created | Same:
        """Create ``key`` with the bytes of ``body``; a folder has no place for a content type.

        Metadata goes into extended attributes, where the filesystem has them.
        """
        check_key(key)
        check_sha256(sha256)
        check_metadata(metadata)
        return await self._run(f"writing {key}", lambda: self._put(key, body, size, sha256, metadata or {}))

    async def head(self, key: str) -> ObjectInfo | None:
        """Return size and SHA-256, computed from the bytes, or None."""
        check_key(key)
        return await self._run(f"reading {key}", lambda: self._head(key))

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield every recording whose key starts with ``prefix``, in key order."""
        entries = self._walk([], prefix)
        while batch := await self._run("listing", lambda: list(islice(entries, _LIST_BATCH))):
            for entry in batch:
                yield entry

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, fewer at the end."""
        check_key(key)
        check_range(start, length)
        return await self._run(f"reading {key}", lambda: self._read(key, start, length))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield the file's bytes in chunks of a megabyte."""
        check_key(key)
        fd = await self._run(f"reading {key}", lambda: self._open(key))
        if fd is None:
            raise NotThere(f"{key}: nothing stands there")
        try:
            while chunk := await self._run(f"reading {key}", lambda: os.read(fd, disk.CHUNK)):
                yield chunk
        finally:
            os.close(fd)

    async def prove(self) -> None:
        """Show that this filesystem refuses to give a second file a name that is taken."""
        await self._run("proving the destination", self._prove)

    async def proven(self) -> bool:
        """Tell whether the working folder stands in the root: an empty mount point has none."""
        return await self._run("looking at the destination", lambda: (self._root / WORKING).is_dir())

    async def aclose(self) -> None:
        """Do nothing: no file stays open between calls."""

    async def _run(self, what: str, work: Callable[[], T]) -> T:
        def translated() -> T:
            with disk.os_errors_translated(f"{what} in {self._root}"):
                return work()

        # Not abandoned on cancellation: the body belongs to the caller and a publication is never cut.
        return await to_thread.run_sync(translated)

    def _put(
        self, key: str, body: BinaryIO, size: int, sha256: str, metadata: Mapping[str, str]
    ) -> Created | Same:
        self._prepare()
        *parts, name = key.split("/")
        with self._temporary() as (folder, temporary, fd):
            disk.copy_checked(body, lambda chunk: disk.write_all(fd, chunk), size, sha256)
            disk.keep_metadata(fd, {**metadata, "sha256": sha256})
            os.fsync(fd)
            try:
                with disk.directory(self._root, parts, create=True, durable=self._durable) as parent:
                    return _publish(key, (folder, temporary), (parent, name), size, sha256)
            except NotADirectoryError:
                raise Conflict(f"{key}: a file stands where a folder is needed") from None

    def _head(self, key: str) -> ObjectInfo | None:
        fd = self._open(key)
        if fd is None:
            return None
        try:
            sha256, metadata = disk.sha256_of(fd), disk.kept_metadata(fd)
            # Metadata of other bytes than these says nothing: somebody has written into the file since.
            ours = metadata.pop("sha256", "") == sha256
            return ObjectInfo(key, os.fstat(fd).st_size, sha256, metadata if ours else {})
        finally:
            os.close(fd)

    def _read(self, key: str, start: int, length: int | None) -> bytes:
        fd = self._open(key)
        if fd is None:
            raise NotThere(f"{key}: nothing stands there")
        with os.fdopen(fd, "rb", buffering=0) as file:
            there = max(0, os.fstat(fd).st_size - start)
            wanted = there if length is None else min(length, there)
            file.seek(start)
            chunks = []
            while wanted > 0 and (chunk := file.read(wanted)):
                chunks.append(chunk)
                wanted -= len(chunk)
            return b"".join(chunks)

    def _open(self, key: str) -> int | None:
        *parts, name = key.split("/")
        try:
            with disk.directory(self._root, parts) as parent:
                return disk.open_file(name, parent)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _walk(self, parts: Sequence[str], prefix: str) -> Iterator[Listed]:
        """Walk in key order: a folder sorts as its name with a slash, so ``a-b`` comes before ``a/b``."""
        above = "".join(f"{part}/" for part in parts)
        for name, size in _entries(self._root, parts):
            key = above + name
            if size is None:
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk([*parts, name[:-1]], prefix)
            elif key.startswith(prefix) and is_key(key):
                yield Listed(key, size)

    def _prove(self) -> None:
        self._prepare()
        with self._temporary() as (folder, first, _), self._temporary() as (_, second, _):
            probe = f"{secrets.token_hex(8)}.probe"
            os.link(first, probe, src_dir_fd=folder, dst_dir_fd=folder)
            try:
                os.link(second, probe, src_dir_fd=folder, dst_dir_fd=folder)
            except FileExistsError:
                return
            finally:
                os.unlink(probe, dir_fd=folder)
        raise UnsafeDestination(
            f"{self._root}: this filesystem gave a name that was taken to another file",
            hint="use another filesystem; nothing here can keep a recording from being overwritten",
        )

    def _prepare(self) -> None:
        """Once per store: make the folder, and clear what dead runs left behind."""
        with self._lock:
            if self._ready:
                return
            disk.make_root(self._root)
            with disk.directory(self._root, _TEMPORARY, create=True) as folder:
                _remove_leftovers(folder)
            self._ready = True

    @contextmanager
    def _temporary(self) -> Iterator[tuple[int, str, int]]:
        """Create a temporary file; yields its folder, its name and the open file. It is gone afterwards."""
        name = f"{os.getpid()}-{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with disk.directory(self._root, _TEMPORARY, create=True, durable=self._durable) as folder:
            fd = os.open(name, flags, 0o666, dir_fd=folder)
            try:
                yield folder, name, fd
            finally:
                os.close(fd)
                os.unlink(name, dir_fd=folder)


def _publish(
    key: str, temporary: tuple[int, str], target: tuple[int, str], size: int, sha256: str
) -> Created | Same:
    folder, name = temporary
    parent, final = target
    try:
        os.link(name, final, src_dir_fd=folder, dst_dir_fd=parent)
    except FileExistsError:
        disk.same_or_conflict(key, final, parent, size, sha256)
        return Same()
    os.fsync(parent)
    return Created()


def _entries(root: Path, parts: Sequence[str]) -> Sequence[tuple[str, int | None]]:
    """Return a folder's files with their sizes and its folders (name with a slash, None), sorted.

    What is neither, symbolic links among them, and what vanishes meanwhile is left out.
    """
    found: list[tuple[str, int | None]] = []
    try:
        with disk.directory(root, parts) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if parts or entry.name != WORKING:
                        found.append((f"{entry.name}/", None))
                elif entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        found.append((entry.name, entry.stat(follow_symlinks=False).st_size))
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda entry: entry[0])


def _remove_leftovers(folder: int) -> None:
    """Remove temporary files no live run can own; a file being written to is never a day old."""
    oldest = time.time() - _LEFTOVER_AGE
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                stat = entry.stat(follow_symlinks=False)
                if entry.is_file(follow_symlinks=False) and stat.st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=folder)
