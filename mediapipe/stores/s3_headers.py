"""What is written with an S3 object besides its bytes, and how it is read back: pure functions."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode, urlsplit

from mediapipe.errors import Failed
from mediapipe.stores.interface import ObjectInfo, check_metadata
from mediapipe.stores.options import StoreOptions

SMALL = 1024 * 1024
_HASHES = ("X-Amz-Content-SHA256", "x-amz-checksum-sha256")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Metadata travels in headers: what is not printable ASCII, and % itself, is percent-encoded.
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def base64_of(sha256: str) -> str:
    """Return a hex SHA-256 as S3's checksum headers want it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def to_metadata(sha256: str, metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return the object metadata to write: the caller's, and the SHA-256 that decides later."""
    given = check_metadata(metadata).items()
    return {name: quote(value, safe=_PLAIN) for name, value in given} | {"sha256": sha256}


def info_of(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    """Return what an answer to HEAD says of the object ``key``."""
    metadata = {name.lower(): unquote(value) for name, value in answer.get("Metadata", {}).items()}
    ours = metadata.pop("sha256", "")
    sha256 = ours if _SHA256.fullmatch(ours) else full_checksum(answer)
    return ObjectInfo(key, answer["ContentLength"], sha256, metadata)


def full_checksum(answer: Mapping[str, Any]) -> str | None:
    """Return the hex SHA-256 S3 itself keeps, when it is that of the whole object; else None.

    Of an object written in parts S3 keeps a checksum of checksums (``…-3``), which proves nothing here.
    """
    value = str(answer.get("ChecksumSHA256") or "")
    if not value or "-" in value or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == 32 else None


def encryption(options: StoreOptions) -> dict[str, Any]:
    """Return the request parameters for encryption at rest; a bucket policy may demand them of every put."""
    match options.sse:
        case "none":
            return {}
        case "aes256":
            return {"ServerSideEncryption": "AES256"}
        case "kms":
            key = {"SSEKMSKeyId": options.kms_key_id} if options.kms_key_id else {}
            return {"ServerSideEncryption": "aws:kms", **key}


def extras(options: StoreOptions, now: datetime) -> dict[str, Any]:
    """Return the request parameters every new recording is written with."""
    parameters = encryption(options)
    if options.storage_class is not None:
        parameters["StorageClass"] = options.storage_class
    if options.tags:
        parameters["Tagging"] = urlencode(options.tags, quote_via=quote)
    if options.object_lock_mode != "none" and options.object_lock_days is not None:
        mode: Literal["GOVERNANCE", "COMPLIANCE"] = (
            "GOVERNANCE" if options.object_lock_mode == "governance" else "COMPLIANCE"
        )
        parameters["ObjectLockMode"] = mode
        parameters["ObjectLockRetainUntilDate"] = now + timedelta(days=options.object_lock_days)
    return parameters


def canonical_url(bucket: str, prefix: str, endpoint: str) -> str:
    """Return ``s3://bucket/prefix``, with the endpoint's host and port added when that is not AWS.

    Equal bucket names of two endpoints are two places. A user or secret in the endpoint is left out.
    """
    place = f"s3://{bucket}/{prefix}".rstrip("/")
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").lower()
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return place
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{place}?endpoint={f'[{host}]' if ':' in host else host}:{port}"


def check_before_send(request: Any, **_: Any) -> None:
    """Let no body out whose hash, just computed for the signature, is not the one it is to be stored with.

    Amazon's S3 would refuse it anyway; some stores that speak its protocol check neither.
    """
    signed, declared = (_text(request.headers.get(name)) for name in _HASHES)
    if declared and base64_of(signed) != declared:
        raise Failed("the bytes do not have the SHA-256 they should have", code="checksum")


def ask_leave_only_for_much(params: Mapping[str, Any], **_: Any) -> None:
    """Let small bodies go at once instead of asking the server for a ``100 Continue`` first.

    For a large one the question pays: a refusal then comes before the bytes were sent.
    """
    headers = params["headers"]
    if "Expect" in headers and int(headers.get("Content-Length", SMALL + 1)) <= SMALL:
        del headers["Expect"]


def _text(header: str | bytes | None) -> str:
    return header.decode() if isinstance(header, bytes) else header or ""
