"""Blocking file work of the folder store: walking without following links, and OS errors in our words.

Directories are opened one below the other by descriptor and without following symbolic links, so that
no key can reach outside the root, not even when a link is put in place while a call runs.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mediapipe.errors import CredentialsError, DiskFull, Failed, MediapipeError, Transient, UsageError
from mediapipe.stores.interface import Conflict

CHUNK = 1024 * 1024

_ATTRIBUTE = "user.mediapipe"

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO in the place of a recording must not hold us; regular files ignore it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_PASSING = {
    errno.EIO,
    errno.EAGAIN,
    errno.EBUSY,
    errno.EINTR,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.ECONNRESET,
    errno.ENOTCONN,
}
_NO_LINKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextmanager
def os_errors_translated(what: str) -> Iterator[None]:
    """Turn any ``OSError`` of the block into an error of our tree; ``what`` says what was being done."""
    try:
        yield
    except OSError as error:
        raise translate(error, what) from error


def translate(error: OSError, what: str) -> MediapipeError:
    """Return the error of our tree for an ``OSError``."""
    text = f"{what}: {error.strerror or error}"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return DiskFull(text)
        case errno.EACCES | errno.EPERM:
            return CredentialsError(text, hint="the folder must be readable and writable for this user")
        case errno.ENAMETOOLONG:
            return Failed(text, code="name_too_long")
        case errno.EXDEV:
            return UsageError(text, hint="the destination must be one filesystem, without mounts inside")
        case code if code in _NO_LINKS:
            return UsageError(text, hint="the destination's filesystem must know hard links")
        case code if code in _PASSING:
            return Transient(text)
        case errno.ENOENT | errno.ENOTDIR | errno.EROFS | errno.EEXIST | errno.ELOOP:
            return UsageError(text, hint="is the destination a folder that can be written?")
        case _:
            return Failed(text, code="store")


def make_root(root: Path) -> None:
    """Create the root and its parents, each durable before the next."""
    if root.is_dir():
        return
    make_root(root.parent)
    try:
        root.mkdir()
    except FileExistsError:
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is not a folder", str(root)) from None
    fd = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def directory(
    root: Path, parts: Sequence[str], *, create: bool = False, durable: set[str] | None = None
) -> Iterator[int]:
    """Open the directory ``parts`` under ``root``; yields a descriptor.

    With ``create`` missing ones are made, and each one's entry in its parent is made durable unless
    ``durable`` says this process did so before: an earlier run may have died between mkdir and fsync.
    """
    fd = os.open(root, _DIRECTORY)
    try:
        for depth, part in enumerate(parts, 1):
            path = "/".join(parts[:depth])
            below = _open_directory(part, fd, path, create)
            if create and (durable is None or path not in durable):
                os.fsync(fd)
                if durable is not None:
                    durable.add(path)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _open_directory(name: str, parent: int, path: str, create: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        # Linux says ENOTDIR, others ELOOP or EMLINK, for a link opened with O_NOFOLLOW.
        if error.errno not in {errno.ENOTDIR, errno.ELOOP, errno.EMLINK}:
            raise
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise UsageError(
                f"{path} in the destination is a symbolic link",
                hint="a key must not lead out of the destination; links inside are never followed",
            ) from None
        raise


def open_file(name: str, parent: int) -> int | None:
    """Open a regular file for reading; None when there is none, or something else stands there."""
    try:
        fd = os.open(name, _FILE, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENXIO}:
            return None
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def sha256_of(fd: int) -> str:
    """Return the hex SHA-256 of an open file, read from its start."""
    digest = hashlib.sha256()
    offset = 0
    while chunk := os.pread(fd, CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()


def keep_metadata(fd: int, metadata: Mapping[str, str]) -> None:
    """Write metadata into the open file's extended attributes; a filesystem without them keeps none."""
    if hasattr(os, "setxattr"):
        with suppress(OSError):
            os.setxattr(fd, _ATTRIBUTE, json.dumps(dict(metadata)).encode())


def kept_metadata(fd: int) -> dict[str, str]:
    """Return what :func:`keep_metadata` wrote, empty when it is not there or not readable."""
    if not hasattr(os, "getxattr"):
        return {}
    try:
        kept = json.loads(os.getxattr(fd, _ATTRIBUTE))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in kept.items()} if isinstance(kept, dict) else {}


def copy_checked(body: BinaryIO, write: Callable[[bytes], object], size: int, sha256: str) -> None:
    """Pass the whole body to ``write``; ``Failed(code="checksum")`` unless size and SHA-256 are as said."""
    digest = hashlib.sha256()
    seen = 0
    body.seek(0)
    while chunk := body.read(CHUNK):
        seen += len(chunk)
        if seen > size:
            break
        digest.update(chunk)
        write(chunk)
    if seen != size or digest.hexdigest() != sha256:
        raise Failed("the bytes do not have the size and SHA-256 they should have", code="checksum")


def write_all(fd: int, chunk: bytes) -> None:
    """Write the whole chunk; a disk that fills up takes a part of it first."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]


def same_or_conflict(key: str, name: str, parent: int, size: int, sha256: str) -> None:
    """Return when the file that is there has these bytes and make it durable, else raise ``Conflict``."""
    fd = open_file(name, parent)
    if fd is None:
        raise Conflict(f"{key}: something that is not a file stands there")
    try:
        if os.fstat(fd).st_size != size or sha256_of(fd) != sha256:
            raise Conflict(f"{key}: other bytes stand there")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.fsync(parent)
