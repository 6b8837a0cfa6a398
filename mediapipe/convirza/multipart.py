"""A ``multipart/form-data`` body of text fields and files, streamed from disk with a known length.

httpx can build one itself, but reads the file in the event loop, where a slow disk would stop every other
upload, and to its end: a file that grew meanwhile would break the request half way. Names are escaped as
browsers do (RFC 7578, WHATWG HTML "multipart/form-data encoding algorithm"), values are sent as they are.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread

from mediapipe.errors import Failed, Rejected

CHUNK = 256 * 1024
"""Bytes read and handed on at once: enough for a fast line, and a stalled one is noticed by each."""

_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class SourceChanged(Exception):
    """The file ended before its length was reached, or could no longer be read."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: the part's name, the file name sent, its media type, and where it is.

    ``size`` is the length it is known to have, None to take what it has when it is opened.
    """

    name: str
    filename: str
    content_type: str
    path: Path
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    """An open file and what stands before it in the body: the end of what precedes it, and its own head."""

    head: bytes
    file: BinaryIO
    size: int


class Body:
    """A body that is ready to be sent, once: its length is known and its files are open."""

    def __init__(self, sections: Sequence[_Section], tail: bytes, boundary: str) -> None:
        self._sections, self._tail = sections, tail
        self.length = sum(len(section.head) + section.size for section in sections) + len(tail)
        self.content_type = f"multipart/form-data; boundary={boundary}"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, never more than was announced; raises ``SourceChanged`` when it falls short."""
        for section in self._sections:
            yield section.head
            left = section.size
            while left:
                part = await anyio.to_thread.run_sync(_read, section.file, min(CHUNK, left))
                left -= len(part)
                yield part
        yield self._tail


@asynccontextmanager
async def opened_body(fields: Mapping[str, str], parts: Sequence[FilePart] = ()) -> AsyncIterator[Body]:
    """Open a body and close its files afterwards. The fields go first: some servers read no further.

    Raises ``Failed`` (``source_changed``, ``source_unreadable``) when a file is not what it was said to
    be, and ``Rejected`` (``not_text``) for a value that UTF-8 cannot carry.
    """
    values = [(name.translate(_ESCAPES), value) for name, value in fields.items()]
    boundary = _boundary([text for pair in values for text in pair])
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values
    ]
    head, tail = _encoded(lines), f"--{boundary}--\r\n".encode()
    heads = [_encoded([_file_head(part, boundary)]) for part in parts]
    with ExitStack() as files:
        sections: list[_Section] = []
        for part, before in zip(parts, heads, strict=True):
            file, size = await anyio.to_thread.run_sync(_open, part)
            files.enter_context(file)
            sections.append(_Section((b"\r\n" if sections else head) + before, file, size))
        if sections:
            yield Body(sections, b"\r\n" + tail, boundary)
        else:
            yield Body((), head + tail, boundary)


def _file_head(part: FilePart, boundary: str) -> str:
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name.translate(_ESCAPES)}"; '
        f'filename="{part.filename.translate(_ESCAPES)}"\r\nContent-Type: {part.content_type}\r\n\r\n'
    )


async def measured(part: FilePart) -> FilePart:
    """Return the part with the length its file has now; raises as :func:`opened_body` does."""
    file, size = await anyio.to_thread.run_sync(_open, part)
    file.close()
    return replace(part, size=size)


def _boundary(texts: list[str]) -> str:
    """Return a boundary that none of the texts holds; its 128 random bits are in no file either."""
    boundary = secrets.token_hex(16)
    while any(boundary in text for text in texts):
        boundary = secrets.token_hex(16)
    return boundary


def _encoded(lines: list[str]) -> bytes:
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError as error:
        what = ascii(error.object[error.start : error.end])
        raise Rejected(f"a field holds {what}, which is no text", code="not_text") from None


def _open(part: FilePart) -> tuple[BinaryIO, int]:
    """Open the file and return its length; a pipe in its place is not waited for."""
    path = part.path
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Failed(f"{path} is gone", code="source_changed") from None
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}", code="source_unreadable") from error
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Failed(f"{path} is no file any more", code="source_changed")
        if part.size not in (None, found.st_size):
            changed = f"{path} has {found.st_size:,} bytes, not {part.size:,}"
            raise Failed(changed, code="source_changed", hint="was it written to meanwhile? run again")
        undo.pop_all()
    return os.fdopen(descriptor, "rb", buffering=0), found.st_size


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        part = file.read(size)
    except OSError as error:
        raise SourceChanged(f"the file could not be read on: {error.strerror}") from error
    if not part:
        raise SourceChanged("the file became shorter while it was sent")
    return part
