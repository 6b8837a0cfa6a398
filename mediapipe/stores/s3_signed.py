"""Puts of objects whose SHA-256 is known, without botocore's way to each: a tenth of the time.

What a header is called is read from botocore's own model of the service, and where the bucket is from a put
that it prepares; credentials are its own. Only plain Signature Version 4 is spoken; where botocore would sign
otherwise (S3 Express, access points of several regions) :func:`fast_puts` returns None, and botocore does it.

The hash that is known is signed as the payload's: the store refuses bytes that have another. Not every store
does, so what was spooled to a disk is hashed once more as it is sent, and not sent whole if it was damaged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlsplit

import botocore.exceptions
import botocore.parsers
from botocore.awsrequest import HeadersDict

from mediapipe.errors import Failed
from mediapipe.stores.s3_errors import DAMAGED
from mediapipe.stores.s3_headers import SMALL
from mediapipe.stores.s3_wired import WiredSender, exchanged
from mediapipe.stores.sigv4 import Signer
from mediapipe.wire import Origin, Wire

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARSER = botocore.parsers.create_parser("rest-xml")
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,.*")
_REDIRECTS = frozenset({301, 302, 307})
_OTHER_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)


@dataclass(slots=True)
class FastPuts:
    """Puts objects below one address."""

    wire: Wire
    origin: Origin
    base: str
    """The path that every key is below."""
    host: str
    signer: Signer
    credentials: Any
    names: Mapping[str, str]
    """What each parameter is called as a header."""
    output: Any
    agent: str
    elsewhere: bool = False

    def put(self, key: str, body: BinaryIO, size: int, sha256: str, parameters: Mapping[str, Any]) -> bool:
        """Send one put; raises ``ClientError`` for a refusal, as botocore does.

        False when the bucket is in another region or at another address: botocore finds out where, and has
        to put everything from then on.
        """
        path = self.base + quote(key, safe="/~")
        headers = self._headers(size, parameters)
        credentials = self.credentials.get_frozen_credentials()
        signed = self.signer.signed("PUT", path, headers, sha256, credentials, datetime.now(UTC))
        sent: Any = body if getattr(body, "name", None) is None else _Proven(body, size, sha256)
        if size <= SMALL:
            sent = sent.read()
        status, told, content = exchanged(self.wire, self.origin, "PUT", path, list(signed.items()), sent)
        if 200 <= status < 300 and not content.strip():
            return True
        if status == 200 and b"<Error" in content:  # S3 may find out after it said so
            status = 500
        answer = {"status_code": status, "headers": HeadersDict(told), "body": content}
        parsed = _PARSER.parse(answer, self.output)
        if parsed.get("Error", {}).get("Code") in DAMAGED and _sha256_of(body) != sha256:
            raise Failed("the bytes do not have the SHA-256 they should have", code="checksum")
        if status in _REDIRECTS or parsed.get("Error", {}).get("Code") in _OTHER_REGION:
            self.elsewhere = True
            return False
        if not 200 <= status < 300:
            raise botocore.exceptions.ClientError(parsed, "PutObject")
        return True

    def _headers(self, size: int, parameters: Mapping[str, Any]) -> dict[str, str]:
        headers = {"Host": self.host, "Content-Length": str(size), "User-Agent": self.agent}
        if size > SMALL:
            headers["Expect"] = "100-continue"  # a refusal then comes before the bytes were sent
        for name, value in parameters.items():
            if name == "Metadata":
                headers |= {f"x-amz-meta-{one}": text for one, text in value.items()}
            else:
                headers[self.names[name]] = _text(value)
        return headers


def fast_puts(client: S3Client, bucket: str, sender: WiredSender, credentials: Any) -> FastPuts | None:
    """Return the fast way of a bucket; None where it is not botocore's own. ``sender`` is the client's."""
    sample = sender.prepared(client, bucket)
    if sample is None:
        return None
    place = sample.url.partition("?")[0]
    signed = _SIGNED.fullmatch(_header(sample, "Authorization"))
    if signed is None or "X-Amz-S3session-Token" in sample.headers:
        return None
    operation: Any = client.meta.service_model.operation_model("PutObject")
    members = operation.input_shape.members
    names = {
        name: shape.serialization["name"]
        for name, shape in members.items()
        if shape.serialization.get("location") == "header"
    }
    origin = Origin.of(place)
    return FastPuts(
        wire=sender.wire,
        origin=origin,
        base=urlsplit(place).path.rpartition("/")[0] + "/",
        host=_header(sample, "Host") or origin.header,
        signer=Signer(signed[1]),
        credentials=credentials,
        names=names,
        output=operation.output_shape,
        agent=_header(sample, "User-Agent"),
    )


class _Proven:
    """A body that came back from a disk; its last piece is handed out only when all of it has the hash."""

    def __init__(self, body: BinaryIO, size: int, sha256: str) -> None:
        self._body, self._left, self._sha256 = body, size, sha256
        self._hasher = hashlib.sha256()

    def readinto(self, view: memoryview) -> int:
        """Fill the view; raises ``Failed``."""
        count: int = self._body.readinto(view)  # type: ignore[attr-defined]  # files have it
        self._seen(view[:count])
        return count

    def read(self) -> bytes:
        """Return all of it; raises ``Failed``."""
        data = self._body.read()
        self._seen(data)
        return data

    def _seen(self, piece: bytes | memoryview) -> None:
        self._hasher.update(piece)
        self._left -= len(piece)
        if self._left <= 0 and self._hasher.hexdigest() != self._sha256:
            raise Failed("the bytes do not have the SHA-256 they should have", code="checksum")


def _sha256_of(body: BinaryIO) -> str:
    body.seek(0)
    return hashlib.file_digest(body, "sha256").hexdigest()  # type: ignore[arg-type]  # files have readinto


def _header(request: Any, name: str) -> str:
    value: str | bytes = request.headers.get(name) or ""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
