"""Recordings that a manifest names as ``s3://bucket/key``: read once, or lent to the platform by address.

boto3 takes half a second to import, so only those who have such recordings pay for it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from anyio import CapacityLimiter, to_thread

from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Transient, UsageError
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3_errors import MISSING
from mediapipe.stores.s3_headers import full_checksum

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20
LONGEST_S = 4 * 3600.0
"""One try of one object ends here, however steadily it drips."""

_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
_MOST_KEY = 1024
_TIDIED = frozenset({".", ".."})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OF_THE_OBJECT = {
    *("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedAccess", "Forbidden", "403"),
    "AuthorizationHeaderMalformed",  # the bucket is of another region
}
"""What is refused to a login that is good for others; every other refusal is of the login itself."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What arrived: bytes, and their SHA-256 in lower-case hex."""

    size: int
    sha256: str


class S3Source:
    """Reads objects of any bucket the credentials reach. Passing faults are the caller's to repeat."""

    def __init__(self, options: StoreOptions, *, max_bytes: int, longest: float = LONGEST_S) -> None:
        self._options, self._max_bytes, self._longest = options, max_bytes, longest
        self._lock = threading.Lock()
        self._opened: S3Client | None = None
        self._limiter: CapacityLimiter | None = None

    async def fetch(self, bucket: str, key: str, path: Path) -> Fetched:
        """Write an object into a new file that only we may read.

        Raises ``Rejected`` (``bad_address``, ``source_missing``, ``too_large``), ``Failed``
        (``source_forbidden``, ``source_archived``, ``source_refused``, ``checksum``), ``Transient``, and
        ``CredentialsError`` or ``UsageError`` for what no other object would be spared either.
        """
        what = _named(bucket, key)
        try:
            answer = await self._run(
                what, lambda: self._client().get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            )
            with closing(answer["Body"]) as body:
                fetched = await self._pour(what, body, answer.get("ContentLength"), path)
        except MediapipeError as error:
            raise _of_one_object(error, what) from None
        theirs = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        claims = (full_checksum(answer), theirs.get("sha256", "").lower())
        if any(_SHA256.fullmatch(claim or "") and claim != fetched.sha256 for claim in claims):
            raise Failed(f"{what} is not what its checksum says", code="checksum")
        return fetched

    async def lend(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address that gives the object to whoever has it, for so long: a credential.

        Nobody is asked whether the object is there. Temporary credentials may end before ``seconds`` do.
        """
        what = _named(bucket, key)
        if _TIDIED.intersection(key.split("/")):
            said = f"{what} cannot be lent: programs take '.' and '..' out of an address before they ask"
            raise Rejected(said, code="bad_address", hint="see imports.by_url, or give it another key")
        # It writes what it signs, and the signature, into its debug log.
        logging.getLogger("botocore.auth").setLevel(logging.WARNING)

        def sign() -> str:
            address: str = self._client().generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
            )
            return address

        return await self._run(what, sign)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._opened = self._opened, None
        if client is not None:
            client.close()

    def _client(self) -> S3Client:
        from mediapipe.stores.s3 import new_client

        with self._lock:
            if self._opened is None:
                self._opened = new_client(self._options)
            return self._opened

    async def _run(self, what: str, work: Callable[[], T]) -> T:
        def run() -> T:
            from mediapipe.stores.s3 import translated

            with translated(f"reading {what}"):
                return work()

        if self._limiter is None:
            self._limiter = CapacityLimiter(self._options.max_connections)
        return await to_thread.run_sync(run, limiter=self._limiter)

    async def _pour(self, what: str, body: Any, size: int | None, path: Path) -> Fetched:
        """Write a body into a new file, chunk by chunk: a cancelled run waits for one of them at most."""
        hasher, arrived, end = hashlib.sha256(), 0, time.monotonic() + self._longest
        self._bound(what, size or 0)
        with _private(path) as file:
            while chunk := await self._run(what, lambda: body.read(CHUNK)):
                arrived += len(chunk)
                self._bound(what, arrived)
                if time.monotonic() > end:
                    raise Transient(f"{what}: not here after {self._longest:,.0f} s", code="network")
                hasher.update(chunk)
                file.write(chunk)
        if size is not None and arrived != size:
            raise Transient(f"{what}: {arrived:,} of {size:,} bytes arrived", code="short_body")
        return Fetched(arrived, hasher.hexdigest())

    def _bound(self, what: str, size: int) -> None:
        if size > self._max_bytes:
            said = f"{what} has {size:,} bytes or more, above the limit of {self._max_bytes:,}"
            raise Rejected(said, code="too_large", hint="see imports.max_source_bytes")


def _named(bucket: str, key: str) -> str:
    """Return an object's address; refuses what boto3 would take for a mistake of the program."""
    if not _BUCKET.fullmatch(bucket) or not 0 < len(key.encode("utf-8", "replace")) <= _MOST_KEY:
        raise Rejected(
            "the address names no bucket and key", code="bad_address", hint="write s3://bucket/key"
        )
    return f"s3://{bucket}/{key}"


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _of_one_object(error: MediapipeError, what: str) -> MediapipeError:
    """Return an error of one object as its row's: others may be readable."""
    code = _said(error)
    if code in MISSING or code == "NoSuchBucket":
        bucket = "; there is no such bucket" if code == "NoSuchBucket" else ""
        return Rejected(f"{what} is not there{bucket}", code="source_missing")
    if code == "InvalidObjectState":
        return Failed(error.message, code="source_archived", hint=error.hint)
    if isinstance(error, CredentialsError) and code in _OF_THE_OBJECT:
        hint = "needed: s3:GetObject of it, and s3:ListBucket to tell whether it is there"
        return Failed(error.message, code="source_forbidden", hint=hint)
    if isinstance(error, UsageError) and code:
        return Failed(error.message, code="source_refused")
    if error.code == "checksum":  # boto3 compares while it reads: damaged on the way
        return Transient(error.message, code="checksum")
    return error


def _said(error: MediapipeError) -> str:
    """Return the code that S3 answered, nothing when it was no answer of S3."""
    answer: Mapping[str, Any] = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))
