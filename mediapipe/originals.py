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

from mediapipe.audio.magic import CONTENT_TYPES, HEAD_BYTES, error_page
from mediapipe.audio.raw import by_suffix
from mediapipe.convirza.hosts import ForbiddenHost, HostPolicy
from mediapipe.convirza.outside import public_addresses
from mediapipe.convirza.session import without
from mediapipe.convirza.signed import Downloader, GrantExpired, GrantRefused, secrets_of
from mediapipe.errors import Failed, Rejected
from mediapipe.pacing import ByteBudget, RetryPolicy
from mediapipe.redact import quote_body
from mediapipe.stores.s3_source import S3Source

LOOK_UP_S = 10.0
_QUOTED = 80


@dataclass(frozen=True, slots=True)
class Original:
    """A recording that was fetched; ``source`` is its address, fit to be shown."""

    path: Path
    size: int
    sha256: str
    source: str


def shown(address: str) -> str:
    """Return an address without what may be a secret in it: user, query, fragment.

    A key of S3 is shown whole: there ``?`` and ``#`` are letters like others.
    """
    if _is_s3(address):
        place, slash, key = address[len("s3://") :].partition("/")
        return f"s3://{place.rpartition('@')[2]}{slash}{key}"
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
        if not _is_s3(address):
            self._check(address)
        async with self.budget.reserve(self.share):
            with TemporaryDirectory(prefix="original-", dir=self.scratch) as folder:
                path = Path(folder) / f"original{_suffix(address)}"
                if _is_s3(address):
                    yield await self._from_s3(address, path)
                else:
                    yield await self._from_web(address, path)

    async def lent(self, address: str) -> str:
        """Return an address the platform can fetch from: a credential, used at once and kept nowhere.

        Raises as :meth:`fetched` does for the address alone; nobody is asked for the recording itself.
        """
        if _is_s3(address):
            return await self.s3.lend(*_place(address), self.lent_for)
        self._check(address)
        if not self.hosts.is_base(address):
            await self.retry.run(lambda: self._look_up(address))
        return address

    async def _look_up(self, address: str) -> None:
        parts = urlsplit(address)
        try:
            await public_addresses(parts.hostname or "", parts.port or 443, LOOK_UP_S)
        except ForbiddenHost as error:
            raise _forbidden(error) from None

    def _check(self, address: str) -> None:
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
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w+b") as file:
            try:
                arrived = await self.downloader.fetch(
                    address, file, lambda _: _refuse_page(file, path, address)
                )
            except ForbiddenHost as error:
                raise _forbidden(error) from None
            except (GrantExpired, GrantRefused) as error:
                hint = "its signature may have expired, or it needs a login, which is not sent"
                raise Failed(error.message, code=error.code, hint=hint) from None
        return Original(path, arrived.size, arrived.sha256, shown(address))


def _refuse_page(file: BinaryIO, path: Path, address: str) -> None:
    """Refuse a page in place of audio; not fetched again, since an address may be good for one time only."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    page = error_page(head)
    # Headerless audio may well begin with a brace: it is a page only when all of it is text.
    if page and (by_suffix(path) is None or _is_text(head)):
        words = quote_body(without(head, *secrets_of(address)), _QUOTED)
        hint = "does the address need a login, or has it expired?"
        raise Failed(f"a page ({page}) came in place of audio: {words}", code="error_page", hint=hint)


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", "replace").removesuffix("\ufffd")  # a character may be cut at the end
    return bool(text) and all(char != "\ufffd" and (char.isprintable() or char in "\r\n\t") for char in text)


def _forbidden(error: ForbiddenHost) -> Rejected:
    said = error.message.replace("a recording's URL", "the address")
    return Rejected(
        said, code="forbidden_host", hint="only https:// to public hosts; see imports.source_hosts"
    )


def _is_s3(address: str) -> bool:
    return address[: len("s3://")].lower() == "s3://"


def _place(address: str) -> tuple[str, str]:
    bucket, _, key = address[len("s3://") :].partition("/")
    if "@" in bucket:
        raise Rejected("the address carries a user name", code="bad_address", hint="write s3://bucket/key")
    return bucket, key


def _suffix(address: str) -> str:
    """Return a known suffix of an address: headerless audio is told by nothing else."""
    named = _place(address)[1] if _is_s3(address) else unquote(urlsplit(address).path)
    path = PurePosixPath(named)
    known = path.suffix.lower().removeprefix(".") in CONTENT_TYPES or by_suffix(path) is not None
    return path.suffix.lower() if known else ""
