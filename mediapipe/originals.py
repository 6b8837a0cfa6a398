"""Recordings that stand elsewhere: fetched into a private file, or lent to the platform by their address."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import anyio

from mediapipe.audio.magic import HEAD_BYTES, error_page
from mediapipe.convirza.hosts import ForbiddenHost, HostPolicy
from mediapipe.convirza.signed import Download, Downloader, GrantExpired, GrantRefused
from mediapipe.errors import Failed, Rejected
from mediapipe.pacing import ByteBudget, RetryPolicy
from mediapipe.redact import quote_body
from mediapipe.stores.s3_source import S3Source

_SUFFIXES = frozenset(
    (*(".wav", ".mp3", ".m4a", ".mp4", ".ogg", ".opus", ".webm", ".aac", ".flac", ".gsm", ".ulaw", ".ul"),
     *(".alaw", ".al", ".sln", ".sln16", ".g722", ".g726", ".raw", ".amr", ".wma"))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Original:
    """A recording that was fetched; ``source`` is its address, fit to be shown."""

    path: Path
    size: int
    sha256: str
    source: str


def shown(address: str) -> str:
    """Return an address without what may be a secret in it: user, query, fragment."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class Originals:
    """Fetches what rows name. ``hosts`` says which https hosts may be asked, ``lent_for`` is in seconds."""

    downloader: Downloader
    hosts: HostPolicy
    s3: S3Source
    retry: RetryPolicy
    budget: ByteBudget
    share: int
    scratch: Path
    lent_for: int

    @asynccontextmanager
    async def fetched(self, address: str) -> AsyncGenerator[Original, None]:
        """Fetch a recording into a file that is gone when the body ends.

        Raises ``Rejected`` or ``Failed`` with a code that says what is wrong with the address or the answer.
        """
        async with self.budget.reserve(self.share):
            with TemporaryDirectory(prefix="original-", dir=self.scratch) as folder:
                path = Path(folder) / f"original{_suffix(address)}"
                if address.lower().startswith("s3://"):
                    yield await self._from_s3(address, path)
                else:
                    yield await self._from_web(address, path)

    async def lent(self, address: str) -> str:
        """Return an address the platform can fetch from: a credential, used at once and kept nowhere."""
        if address.lower().startswith("s3://"):
            return await self.s3.lend(*_place(address), self.lent_for)
        self._check(address)
        return address

    def _check(self, address: str) -> None:
        if "@" in urlsplit(address).netloc:
            raise Rejected(
                "the address carries a user name", code="forbidden_host", hint="credentials are not sent"
            )
        try:
            self.hosts.check(address)
        except ForbiddenHost as error:
            raise _forbidden(error) from None

    async def _from_s3(self, address: str, path: Path) -> Original:
        bucket, key = _place(address)

        async def once() -> Original:
            await anyio.Path(path).unlink(missing_ok=True)
            got = await self.s3.fetch(bucket, key, path)
            return Original(path, got.size, got.sha256, shown(address))

        return await self.retry.run(once)

    async def _from_web(self, address: str, path: Path) -> Original:
        self._check(address)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w+b") as file:
            try:
                arrived = await self.downloader.fetch(address, file, lambda got: _refuse_page(file, got))
            except ForbiddenHost as error:
                raise _forbidden(error) from None
            except (GrantExpired, GrantRefused) as error:
                hint = "the address may have expired, or needs a login that is not sent"
                raise Failed(error.message, code=error.code, hint=hint) from None
        return Original(path, arrived.size, arrived.sha256, shown(address))


def _refuse_page(file: BinaryIO, arrived: Download) -> None:
    """Refuse a page in place of audio; not fetched again, since an address may be good for one time only."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if page := error_page(head):
        said = f"a page ({page}) came in place of audio: {quote_body(head, 80)}"
        raise Failed(said, code="error_page", hint="does the address need a login, or has it expired?")


def _forbidden(error: ForbiddenHost) -> Rejected:
    said = error.message.replace("a recording's URL", "the address")
    return Rejected(
        said, code="forbidden_host", hint="only https:// to public hosts; see imports.source_hosts"
    )


def _place(address: str) -> tuple[str, str]:
    bucket, _, key = address[len("s3://") :].partition("/")
    return bucket, key


def _suffix(address: str) -> str:
    """Return a known suffix of an address: headerless audio is told by nothing else."""
    suffix = PurePosixPath(unquote(urlsplit(address).path)).suffix.lower()
    return suffix if suffix in _SUFFIXES else ""
