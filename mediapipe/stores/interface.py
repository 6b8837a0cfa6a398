"""The contract of a place that keeps recordings.

Rules every implementation keeps, and the contract suite checks:

* **A key is written once.** ``put`` creates; it never replaces, truncates or appends. Two writers of
  one key: one creates, the other learns what is there.
* **``put`` may be called again** with the same key and bytes, after a timeout, a lost answer or a
  crash: it then reports :class:`Same`, because the bytes that are there carry the same SHA-256 and
  size. Other bytes under the key raise :class:`Conflict` and stay as they are.
* **Nothing half-written is ever visible** to ``head``, ``list``, ``read`` or any other reader of the
  place, whatever dies in the middle.
* **A put that returned is durable** and its SHA-256 was checked against the bytes that arrived.
* **Keys are relative POSIX paths** (``a/b/c.wav``): no leading slash, no ``.`` or ``..`` part, no
  empty part, no NUL or control character, no lone surrogate, each part at most 255 UTF-8 bytes, the whole
  at most 1,024 (an S3 prefix included); the first part is not ``.mediapipe``, where a store keeps its own
  working files. Anything else raises ``ValueError`` before anything is touched; a key can never leave the
  destination.
* **Errors**: ``Transient`` (same call may succeed later: throttling, 5xx, a dropped connection),
  ``CredentialsError`` (refused), ``UsageError`` (no such bucket or folder that can't be made),
  ``DiskFull``, :class:`Conflict`. A missing key is ``None`` from ``head`` and :class:`NotThere` from
  ``read``/``stream``. No foreign exception leaves an implementation. No retry happens inside one: the
  caller's policy is the only one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from mediapipe.errors import Failed


@dataclass(frozen=True, slots=True)
class Created:
    """The object was created by this call."""


@dataclass(frozen=True, slots=True)
class Same:
    """The object was there already with the same SHA-256 and size: an earlier write of the same bytes."""


class Conflict(Failed):
    """Another object with other bytes already stands under this key; it was left alone."""

    code = "conflict"
    hint = "compare the two by hand; nothing is ever overwritten"


class NotThere(Failed):
    """No object stands under this key."""

    code = "not_there"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a listing: key relative to the destination, size in bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What ``head`` knows of one object.

    ``sha256`` (lower-case hex) is trustworthy or None: read from the metadata written with the object
    (S3), or computed from the bytes (folder). ``metadata`` is what was given to ``put`` where the place
    keeps such a thing: a folder on a filesystem without extended attributes keeps none. Empty when it is not
    certain that it was written with these very bytes.
    """

    key: str
    size: int
    sha256: str | None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Store(Protocol):
    """A place that keeps recordings. See the module's rules."""

    @property
    def url(self) -> str:
        """The destination's canonical name (``s3://bucket/prefix``, ``file:///folder``), without secrets.

        Part of every ledger key, so it must be the same for the same place however it was spelled.
        """
        ...

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
        """Create ``key`` with exactly the ``size`` bytes of ``body`` (seekable; read from its start).

        Raises ``Failed(code="checksum")`` when the bytes do not have this SHA-256 or size; then nothing was
        created. A key, size, ``sha256`` or metadata name that could never be right is a ``ValueError``.
        Metadata names are lower-case letters, digits and dashes; ``sha256`` is the store's own.
        """
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None when there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield every object whose key starts with ``prefix`` (plain text prefix), in key order.

        The store's own working files are never listed.
        """
        ...

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start`` (fewer at the end); for small reads such as headers.

        Without ``length`` everything from ``start`` on; nothing when ``start`` lies behind the end.
        """
        ...

    def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield the object's bytes in chunks, memory bounded."""
        ...

    async def prove(self) -> None:
        """Show that a second conditional put is refused here, or raise ``UnsafeDestination``.

        Leaves nothing that ``list`` shows.
        """
        ...

    async def proven(self) -> bool:
        """Tell whether an earlier ``prove`` left its trace: it is the same place, mounted and not emptied."""
        ...

    async def aclose(self) -> None:
        """Let go of connections; idempotent."""
        ...


WORKING = ".mediapipe"
"""First part of the keys under which a store keeps working files; no recording stands there."""

_PART = re.compile(r"[^\x00-\x1f\x7f/]+")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_key(key: str) -> str:
    """Return ``key`` when it keeps the key rule above, else raise ``ValueError`` naming the fault."""
    if not key or len(_utf8(key)) > 1024:
        raise ValueError(f"store key is empty or longer than 1,024 bytes: {key[:80]!r}")
    parts = key.split("/")
    for part in parts:
        if part in {"", ".", ".."} or not _PART.fullmatch(part) or len(part.encode()) > 255:
            raise ValueError(f"store key has an unusable part {part[:80]!r}: {key[:200]!r}")
    if parts[0] == WORKING:
        raise ValueError(f"store key lies among the store's own working files: {key[:200]!r}")
    return key


def is_key(key: str) -> bool:
    """Tell whether ``key`` keeps the key rule; what does not is nobody's recording and is never listed."""
    try:
        check_key(key)
    except ValueError:
        return False
    return True


def check_sha256(sha256: str) -> str:
    """Return ``sha256`` when it is 64 lower-case hex digits, else raise ``ValueError``."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a lower-case hex SHA-256: {sha256[:80]!r}")
    return sha256


def check_metadata(metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return ``metadata`` when every name can be written everywhere, else raise ``ValueError``."""
    for name in metadata or {}:
        if not _NAME.fullmatch(name) or name == "sha256":
            raise ValueError(f"not a usable metadata name: {name[:80]!r}")
    return metadata or {}


def check_range(start: int, length: int | None) -> None:
    """Raise ``ValueError`` for a range that starts before the first byte or has a negative length."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError(f"not a byte range: start {start}, length {length}")


def _utf8(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:
        raise ValueError(f"store key is not Unicode text: {key[:80]!r}") from None
