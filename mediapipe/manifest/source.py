"""Where a manifest's bytes come from: a file, packed or not, or stdin; streamed, as often as needed."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from mediapipe.errors import DiskFull, UsageError

STDIN = Path("-")
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20


class Source:
    """The bytes of one manifest; ``where`` is what messages call it, ``packed`` whether gzip is taken off.

    Stdin is kept in a nameless file, in ``folder`` or where the system keeps such, as long as this object
    lives; nothing of it outlives the process. A file stays open as long, so that another one put in its place
    changes nothing. Raises ``UsageError`` for what cannot be read, or was changed meanwhile, ``DiskFull``.
    """

    def __init__(self, path: Path, stdin: BinaryIO | None = None, folder: Path | None = None) -> None:
        self.path = path
        self.packed = False
        if path == STDIN:
            self.where = "manifest on stdin"
            self._kept: IO[bytes] = _keep(stdin or sys.stdin.buffer, folder)
        else:
            self.where = f"manifest {path}"
            self._must_be_a_file()
            self._kept = self._opened()
        weakref.finalize(self, self._kept.close)
        self._stamp = self._now()
        with self.reading() as file:
            # Not by the name: browsers unpack what they load and leave the name as it was.
            self.packed = file.read(len(_GZIP)) == _GZIP

    def _must_be_a_file(self) -> None:
        try:
            if self.path.is_file():
                return
            what = "is not a file" if self.path.exists() else "no such file"
        except OSError as error:
            what = f"cannot be read: {error.strerror or error}"
        raise UsageError(f"{self.where}: {what}")

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Open the bytes from their beginning; what goes wrong while they are read is a ``UsageError``."""
        try:
            with ExitStack() as stack:
                file: BinaryIO = stack.enter_context(self._open())
                if self.packed:
                    file = stack.enter_context(gzip.GzipFile(fileobj=file))  # type: ignore[assignment]
                yield file
            if self._now() != self._stamp:
                hint = "what was read of it counts; run it again for the rest"
                raise UsageError(f"{self.where}: was changed while it was read", hint=hint)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            problem = f"{self.where}: its gzip data is damaged: {error}"
            raise UsageError(problem, hint="pack it again, or give it unpacked") from None
        except OSError as error:
            raise UsageError(f"{self.where}: cannot be read: {error.strerror or error}") from None

    def _opened(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UsageError(f"{self.where}: cannot be read: {error.strerror or error}") from None

    def _now(self) -> tuple[int, int]:
        found = os.fstat(self._kept.fileno())
        return found.st_size, found.st_mtime_ns

    def _open(self) -> BinaryIO:
        return io.BufferedReader(_Again(self._kept))


class _Again(io.RawIOBase):
    """An open file read from its beginning, whatever other readers of it do."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._file.fileno(), [buffer], self._at)
        self._at += count
        return count


def _keep(stdin: BinaryIO, folder: Path | None) -> IO[bytes]:
    try:
        kept: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as its Source
    except OSError as error:
        raise UsageError(f"no place to keep stdin in: {error.strerror or error}") from None
    try:
        shutil.copyfileobj(stdin, kept, _CHUNK)
        kept.flush()
    except OSError as error:
        kept.close()
        raise DiskFull(f"stdin cannot be kept: {error.strerror or error}") from None
    return kept
