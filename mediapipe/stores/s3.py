"""S3 and stores that speak its protocol: the one owner of boto3.

Every write carries ``If-None-Match: *``, its length and its SHA-256, so the store refuses what would replace
an object and what arrived damaged. The SHA-256 also stands in the object's metadata, and that one decides
whether an object found under a key is ours. botocore's own retries are off; its exceptions, and those of the
packages below it, end at :func:`translated`.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import boto3.exceptions
import boto3.session
import botocore.exceptions
import botocore.parsers
import urllib3.exceptions
from anyio import CapacityLimiter, to_thread
from botocore.config import Config
from botocore.credentials import Credentials

from mediapipe.errors import MediapipeError, UsageError
from mediapipe.redact import quote_body
from mediapipe.stores.interface import (
    Created,
    Listed,
    ObjectInfo,
    Same,
    check_key,
    check_range,
    check_sha256,
    is_key,
)
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3_errors import from_answer, from_class
from mediapipe.stores.s3_headers import (
    ask_leave_only_for_much,
    canonical_url,
    check_before_send,
    extras,
    to_metadata,
)
from mediapipe.stores.s3_objects import CHUNK, PROBE, Objects
from mediapipe.stores.s3_signed import FastPuts, fast_puts
from mediapipe.stores.s3_wired import WiredSender, wire_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

FOREIGN = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.UndefinedModelAttributeError,
    botocore.parsers.ResponseParserError,
    boto3.exceptions.Boto3Error,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # botocore's parsers let it through for a malformed header; our own are raised before
)


class S3Store:
    """Recordings as objects of one bucket below one prefix. Safe for many tasks and processes at once."""

    def __init__(
        self, bucket: str, prefix: str = "", options: StoreOptions | None = None, *, inline: bool = False
    ) -> None:
        """``inline`` blocks the calling thread: for event loops that have one thing to do."""
        self._inline = inline
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._base = f"{self._prefix}/" if self._prefix else ""
        self._options = options or StoreOptions()
        self._lock = threading.Lock()
        self._opened: S3Client | None = None
        self._session: boto3.session.Session | None = None
        self._sender: WiredSender | None = None
        self._fast: FastPuts | None = None
        self._asked = False
        self._limiter: CapacityLimiter | None = None

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``; ``?endpoint=host:port`` is added when the endpoint is not AWS."""
        with translated("setting up S3"):
            return canonical_url(self._bucket, self._prefix, self._client().meta.endpoint_url)

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
        """Create ``key`` with the bytes of ``body``, or find the same bytes there."""
        check_sha256(sha256)
        parameters = {
            "ContentType": content_type,
            "Metadata": to_metadata(sha256, metadata),
            **extras(self._options, datetime.now(UTC)),
        }
        full = self._full(key)
        return await self._run(
            f"writing {key}", lambda: self._putting().put(full, body, size, sha256, parameters)
        )

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what the object's metadata says, or None."""
        full = self._full(key)
        info = await self._run(f"looking at {key}", lambda: self._objects().head(full))
        return info and replace(info, key=key)

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield every recording whose key starts with ``prefix``, in key order, page by page."""
        token: str | None = None
        while True:
            page = await self._run("listing", lambda: self._objects().page(self._base + prefix, token))  # noqa: B023
            for entry in page.get("Contents", []):
                key = entry["Key"][len(self._base) :]
                if is_key(key):
                    yield Listed(key, entry["Size"])
            token = page.get("NextContinuationToken")
            if token is None:
                return

    async def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``start``, fewer at the end."""
        check_range(start, length)
        full = self._full(key)
        return await self._run(f"reading {key}", lambda: self._objects().read(full, start, length))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """Yield the object's bytes in chunks of a megabyte; cut short they end in an error.

        A checksum the store sends along is held against them, but not every store sends one.
        """
        full = self._full(key)
        body = await self._run(f"reading {key}", lambda: self._objects().get(full)["Body"])
        try:
            while chunk := await self._run(f"reading {key}", lambda: body.read(CHUNK)):
                yield chunk
        finally:
            body.close()

    async def prove(self) -> None:
        """Put a probe object twice: the second put must be refused. The probe stays, hidden from ``list``."""
        probe = self._base + PROBE
        await self._run("proving the destination", lambda: self._objects().prove(probe))

    async def proven(self) -> bool:
        """Tell whether the probe object stands there."""
        probe = self._base + PROBE
        return await self._run("looking at the destination", lambda: self._objects().head(probe)) is not None

    async def aclose(self) -> None:
        """Close the connections."""
        self._forget()

    async def _run(self, what: str, work: Callable[[], T]) -> T:
        def run() -> T:
            with translated(what):
                return work()

        if self._inline:
            return run()
        if self._limiter is None:
            self._limiter = CapacityLimiter(self._options.max_connections)
        # Not abandoned on cancellation: the body belongs to the caller, and the timeouts bound the wait.
        return await to_thread.run_sync(run, limiter=self._limiter)

    def _client(self) -> S3Client:
        with self._lock:
            if self._opened is None:
                session = boto3.session.Session()
                # What may stand in a file only; from the environment it comes here as well.
                wire = wire_of(self._options, session._session.get_config_variable("ca_bundle"))
                sender = None if wire is None else WiredSender(wire)
                self._opened = new_client(self._options, session, sender)
                self._session, self._sender = session, sender
            return self._opened

    def prepare(self) -> None:
        """Open what the first put would open, before processes that share it are forked.

        Only where credentials are at hand: those that a service gives out come over a connection, and two
        processes must not read from one. What goes wrong is left to the first put.
        """
        with suppress(MediapipeError), translated("setting up S3"):
            self._client()
            if self._session is not None and type(self._session.get_credentials()) is Credentials:
                self._putting()
                return
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            client, self._opened, self._session = self._opened, None, None
            sender, self._sender = self._sender, None
            self._fast, self._asked = None, False
        if sender is not None:
            sender.wire.close()
        if client is not None:
            client.close()

    def _objects(self) -> Objects:
        return Objects(self._client(), self._bucket, self._options)

    def _putting(self) -> Objects:
        """Return the objects with the quick way of puts, where there is one."""
        client = self._client()
        with self._lock:
            if not self._asked and self._sender is not None and self._session is not None:
                credentials = self._session.get_credentials()
                self._fast = fast_puts(client, self._bucket, self._sender, credentials)
            self._asked = True
        return Objects(client, self._bucket, self._options, self._fast)

    def _full(self, key: str) -> str:
        full = self._base + check_key(key)
        if len(full.encode()) > 1024:
            raise ValueError(f"store key is longer than 1,024 bytes with its prefix: {full[:80]!r}")
        return full


@contextmanager
def translated(what: str) -> Iterator[None]:
    """End every foreign exception here and raise ours instead."""
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise from_answer(error.response, what) from error
    except FOREIGN as error:
        raise from_class(error, what) from error


def new_client(
    options: StoreOptions, session: boto3.session.Session | None = None, sender: WiredSender | None = None
) -> S3Client:
    """Return a client set up as everything here wants it; raises ``UsageError``.

    Its puts are sent by ``sender``, where one is given.
    """
    config = Config(
        # The caller's policy is the only one that retries.
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        max_pool_connections=options.max_connections,
        request_checksum_calculation=options.request_checksum_calculation,
        response_checksum_validation=options.response_checksum_validation,
        signature_version="s3v4",  # left to itself, botocore still presigns with version 2
        s3={"payload_signing_enabled": True, "addressing_style": options.addressing_style},
        user_agent_extra="convirza-mediapipe",
    )
    try:
        client = (session or boto3.session.Session()).client("s3", config=config)
    except ValueError as error:  # botocore says so of an endpoint that is no URL
        raise UsageError(
            f"setting up S3: {quote_body(str(error))}", hint="see AWS_ENDPOINT_URL_S3"
        ) from error
    client.meta.events.register_last("before-call.s3", ask_leave_only_for_much)
    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register(f"before-send.s3.{operation}", check_before_send)
    if sender is not None:
        client.meta.events.register_last("before-send.s3.PutObject", sender.send)
    return client
