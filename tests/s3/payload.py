"""What S3 checks of a request's bytes: the signed payload hash and the checksum headers or trailers."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping

from tests.s3.signing import Refusal

_CHECKSUMS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-sha256": lambda data: hashlib.sha256(data).digest(),
    "x-amz-checksum-sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "content-md5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
}


def checked_payload(method: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes meant to be stored, or raise :class:`Refusal` when a hash of them is wrong."""
    signed = headers.get("x-amz-content-sha256", "")
    trailers: dict[str, str] = {}
    if signed == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
        body, trailers = _decoded(body)
        if len(body) != int(headers.get("x-amz-decoded-content-length", -1)):
            raise Refusal(400, "IncompleteBody", "The decoded length is not the one in the header")
    elif signed.startswith("STREAMING-"):
        raise Refusal(501, "NotImplemented", f"{signed} is not known here")
    elif signed != "UNSIGNED-PAYLOAD" and signed != hashlib.sha256(body).hexdigest():
        raise Refusal(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    # The checksum of a completion request is that of the object, not of the request.
    if method == "PUT":
        _check_checksums({**headers, **trailers}, body)
    return body


def _check_checksums(headers: Mapping[str, str], body: bytes) -> None:
    for name, digest_of in _CHECKSUMS.items():
        if name not in headers:
            continue
        try:
            given = base64.b64decode(headers[name], validate=True)
        except ValueError:
            given = b""
        right = digest_of(body)
        if len(given) != len(right):
            raise Refusal(400, "InvalidRequest", f"Value for {name} header is invalid.")
        if given != right:
            kind = name.rpartition("-")[2].upper()
            raise Refusal(
                400, "BadDigest", f"The {kind} you specified did not match the calculated checksum."
            )


def _decoded(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Undo ``aws-chunked``: size in hex, CRLF, bytes, CRLF, … 0, CRLF, trailers."""
    data = bytearray()
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line.split(b";")[0] or b"0", 16)
        if size == 0:
            break
        data += body[:size]
        body = body[size + 2 :]
    lines = (line.partition(":") for line in body.decode().split("\r\n") if line)
    return bytes(data), {name.strip().lower(): value.strip() for name, _, value in lines}
