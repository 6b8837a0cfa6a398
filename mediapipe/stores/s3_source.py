"""Recordings that a manifest names as ``s3://bucket/key``: read once, or lent to the platform by address.

boto3 takes half a second to import, so only those who have such recordings pay for it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Transient
from mediapipe.stores.options import StoreOptions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fetched:
    """What arrived: bytes, and their SHA-256 in lower-case hex."""

    size: int
    sha256: str


class S3Source:
    """Reads objects of any bucket the credentials reach. Passing faults are the caller's to repeat."""

    def __init__(self, options: StoreOptions, *, max_bytes: int) -> None:
        self._options, self._max_bytes = options, max_bytes
        self._opened: S3Client | None = None

    async def fetch(self, bucket: str, key: str, path: Path) -> Fetched:
        """Write an object into a new file. Raises ``Rejected``, ``Failed`` or ``Transient``."""
        return await to_thread.run_sync(lambda: self._fetch(bucket, key, path))

    async def lend(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address that gives the object to whoever has it, for so long: a credential."""

        def sign() -> str:
            from mediapipe.stores.s3 import translated

            with translated(f"signing for s3://{bucket}"):
                address: str = self._client().generate_presigned_url(
                    "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=seconds
                )
                return address

        return await to_thread.run_sync(sign)

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _client(self) -> S3Client:
        if self._opened is None:
            from mediapipe.stores.s3 import new_client

            self._opened = new_client(self._options)
        return self._opened

    def _fetch(self, bucket: str, key: str, path: Path) -> Fetched:
        from mediapipe.stores.s3 import translated

        what = f"s3://{bucket}/{key}"
        try:
            with translated(f"reading {what}"):
                answer = self._client().get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
                size = int(answer["ContentLength"])
                if size > self._max_bytes:
                    said = f"{what} has {size:,} bytes, above the limit of {self._max_bytes:,}"
                    raise Rejected(said, code="too_large", hint="see imports.max_source_bytes")
                hasher, arrived = hashlib.sha256(), 0
                with path.open("xb") as file:
                    while chunk := answer["Body"].read(CHUNK):
                        arrived += len(chunk)
                        hasher.update(chunk)
                        file.write(chunk)
        except MediapipeError as error:
            raise _of_one_object(error, what) from None
        if arrived != size:
            raise Transient(f"{what}: {arrived:,} of {size:,} bytes arrived", code="short_body")
        claimed = answer.get("ChecksumSHA256", "")
        theirs = answer.get("Metadata", {}).get("sha256", "")
        composite = "-" in claimed  # of a multipart upload: not the hash of the bytes
        digest = hasher.digest()
        if (claimed and not composite and claimed != base64.b64encode(digest).decode()) or (
            len(theirs) == 64 and theirs.lower() != hasher.hexdigest()
        ):
            raise Failed(f"{what} is not what its checksum says", code="checksum")
        return Fetched(arrived, hasher.hexdigest())


def _of_one_object(error: MediapipeError, what: str) -> MediapipeError:
    """Return an error of one object as its row's: others may be readable."""
    if isinstance(error, CredentialsError):
        hint = "needed: s3:GetObject of it, and s3:ListBucket to tell whether it is there"
        return Failed(f"{what}: {error.message}", code="source_forbidden", hint=hint)
    if error.code == "store" and "NoSuchKey" in error.message:
        return Rejected(f"{what} is not there", code="source_missing")
    if error.code == "frozen":
        return Failed(error.message, code="source_archived", hint=error.hint)
    return error
