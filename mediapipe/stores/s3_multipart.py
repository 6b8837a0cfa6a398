"""Writing one S3 object in parts, completed only when nothing stands under its key.

Only for what is too large for one request. The parts are seen by nobody until the completion, which is
conditional like a single put; whatever fails, the parts are given back.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from mediapipe.errors import Failed
from mediapipe.stores.options import MIN_PART
from mediapipe.stores.s3_headers import base64_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

MOST_PARTS = 10_000


def put_in_parts(
    client: S3Client,
    bucket: str,
    key: str,
    body: BinaryIO,
    *,
    size: int,
    sha256: str,
    parameters: Mapping[str, Any],
) -> None:
    """Create the object ``key`` from the whole body.

    ``parameters`` go with the request that starts the upload. The SHA-256 of the whole is checked before
    the completion, that of each part by the store. botocore's exceptions pass through.
    """
    started = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256", **parameters)
    upload = started["UploadId"]
    try:
        parts = _send_parts(client, bucket, key, upload, body, size, sha256)
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        # The first error is the one that counts; parts left behind are invisible and can be expired by a
        # lifecycle rule. After a lost answer the upload no longer exists, and the abort says so.
        with contextlib.suppress(Exception):
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def part_size(size: int) -> int:
    """Return the bytes per part: few enough for memory, many enough for S3's limit on parts."""
    return max(MIN_PART, -(-size // MOST_PARTS))


def _send_parts(
    client: S3Client, bucket: str, key: str, upload: str, body: BinaryIO, size: int, sha256: str
) -> list[CompletedPartTypeDef]:
    whole = hashlib.sha256()
    sent = 0
    parts: list[CompletedPartTypeDef] = []
    for number, chunk in enumerate(_chunks(body, part_size(size)), 1):
        whole.update(chunk)
        sent += len(chunk)
        if sent > size:
            break
        checksum = base64_of(hashlib.sha256(chunk).hexdigest())
        answer = client.upload_part(
            Bucket=bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=chunk,
            ChecksumSHA256=checksum,
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})
    if sent != size or whole.hexdigest() != sha256:
        raise Failed("the bytes do not have the size and SHA-256 they should have", code="checksum")
    return parts


def _chunks(body: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield chunks of exactly ``size`` bytes, the last one shorter; a read may return fewer than asked."""
    body.seek(0)
    while True:
        buffer = bytearray()
        while len(buffer) < size and (piece := body.read(size - len(buffer))):
            buffer += piece
        if not buffer:
            return
        yield bytes(buffer)
