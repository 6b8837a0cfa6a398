"""Blocking S3 calls, one object at a time: what is asked, and what the answers mean for a recording.

The client comes from outside, and its exceptions are known through it; what is not understood here
passes through to the border in ``s3``.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from mediapipe.errors import Failed, Transient, UnsafeDestination
from mediapipe.stores.interface import WORKING, Conflict, Created, NotThere, ObjectInfo, Same
from mediapipe.stores.options import MAX_SINGLE_PUT, StoreOptions
from mediapipe.stores.s3_errors import MISSING
from mediapipe.stores.s3_headers import base64_of, encryption, full_checksum, info_of
from mediapipe.stores.s3_multipart import put_in_parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from mediapipe.stores.s3_signed import FastPuts

CHUNK = 1024 * 1024
PROBE = f"{WORKING}/conditional-write-probe"
_PROBE_BODY = b"mediapipe asks here whether a second conditional write is refused\n"


class Objects:
    """The objects of one bucket, by blocking calls; a ``key`` here is the whole one, prefix included."""

    def __init__(
        self, client: S3Client, bucket: str, options: StoreOptions, fast: FastPuts | None = None
    ) -> None:
        """``fast`` is the quick way of puts, where there is one."""
        self._client = client
        self._fast = fast
        self._bucket = bucket
        self._options = options

    def put(
        self, key: str, body: BinaryIO, size: int, sha256: str, parameters: Mapping[str, Any]
    ) -> Created | Same:
        """Create the object from the whole body, or find the same bytes there."""
        body.seek(0, io.SEEK_END)
        if body.tell() != size:
            raise Failed(f"{key}: {body.tell()} bytes instead of {size}", code="checksum")
        in_parts = size > self._options.multipart_threshold
        if in_parts and self.head(key) is not None:
            # Only saves sending gigabytes to learn the same; the completion is conditional all the same.
            return self._found(key, size, sha256)
        if in_parts:
            refused = self._refused(
                lambda: put_in_parts(
                    self._client, self._bucket, key, body, size=size, sha256=sha256, parameters=parameters
                )
            )
        else:
            refused = self._refused(lambda: self._put_at_once(key, body, size, sha256, parameters))
        return self._found(key, size, sha256) if refused else Created()

    def _put_at_once(
        self, key: str, body: BinaryIO, size: int, sha256: str, parameters: Mapping[str, Any]
    ) -> None:
        body.seek(0)
        conditions = {
            "ChecksumAlgorithm": "SHA256",  # Object Lock asks for the name of it, too
            "ChecksumSHA256": base64_of(sha256),
            "IfNoneMatch": "*",
            **parameters,
        }
        if self._fast is not None and not self._fast.elsewhere:
            if self._fast.put(key, body, size, sha256, conditions):
                return
            body.seek(0)
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body, ContentLength=size, **conditions)

    def _found(self, key: str, size: int, sha256: str) -> Same:
        """Compare what stands under a key that is taken with what was to be written."""
        there = self.head(key)
        if there is None:
            raise Transient(f"{key}: the object that stood there has gone")
        if there.size == size and there.sha256 == sha256:
            return Same()
        raise Conflict(
            f"{key}: other bytes stand there" if there.sha256 else f"{key}: unknown bytes stand there"
        )

    def head(self, key: str) -> ObjectInfo | None:
        """Return size, SHA-256 and metadata, or None."""
        try:
            info = info_of(key, self._client.head_object(Bucket=self._bucket, Key=key))
            if info.sha256 is not None:
                return info
            # Somebody else's object: S3's own checksum helps, but asking for it may need more permissions.
            answer = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
            return ObjectInfo(key, info.size, full_checksum(answer), info.metadata)
        except self._client.exceptions.ClientError as error:
            if _code(error) in MISSING:
                return None
            raise

    def get(self, key: str, **more: Any) -> Any:
        """Return the answer to a GET, its ``Body`` unread."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key, **more)
        except self._client.exceptions.ClientError as error:
            if _code(error) in MISSING:
                raise NotThere(f"{key}: nothing stands there") from None
            raise

    def read(self, key: str, start: int, length: int | None) -> bytes:
        """Return a range of the object's bytes."""
        if length == 0:
            if self.head(key) is None:
                raise NotThere(f"{key}: nothing stands there")
            return b""
        end = "" if length is None else str(start + length - 1)
        try:
            answer = self.get(key, Range=f"bytes={start}-{end}")
        except self._client.exceptions.ClientError as error:
            if _code(error) in {"InvalidRange", "416"}:
                return b""
            raise
        with answer["Body"] as body:
            data: bytes = body.read()
        if "ContentRange" not in answer:  # a store that knows no ranges sends everything
            data = data[start : None if length is None else start + length]
        return data

    def page(self, prefix: str, token: str | None) -> Any:
        """Return one page of a listing; ``token`` is the last page's ``NextContinuationToken``."""
        more: dict[str, Any] = {"ContinuationToken": token} if token else {}
        return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)

    def prove(self, key: str) -> None:
        """Write the probe ``key`` twice; ``UnsafeDestination`` unless the second write is refused."""
        body, size = io.BytesIO(_PROBE_BODY), len(_PROBE_BODY)
        sha256 = hashlib.sha256(_PROBE_BODY).hexdigest()
        # Encryption as everywhere; but no lock and no tags, the probe is nobody's recording.
        parameters = {"ContentType": "text/plain", **encryption(self._options)}

        def at_once() -> None:
            self._put_at_once(key, body, size, sha256, parameters)

        def in_parts() -> None:
            put_in_parts(
                self._client, self._bucket, key, body, size=size, sha256=sha256, parameters=parameters
            )

        # Refused at the first time already: the probe of an earlier run stands there.
        proven = self._refused(at_once) or self._refused(at_once)
        if proven and self._options.multipart_threshold < MAX_SINGLE_PUT:
            proven = self._refused(in_parts)
        if not proven:
            raise UnsafeDestination(f"{self._bucket} let an object be overwritten in spite of If-None-Match")

    def _refused(self, write: Callable[[], None]) -> bool:
        """Run a conditional write; True when the store refused it because the key is taken."""
        try:
            write()
        except self._client.exceptions.ClientError as error:
            if _code(error) in {"PreconditionFailed", "412"}:
                return True
            raise
        return False


def _code(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))
