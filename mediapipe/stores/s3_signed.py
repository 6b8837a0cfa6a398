"""Small puts signed by botocore's signer alone, without the rest of its way: a third of the time each.

What a header is called is read from botocore's own model of the service, and where the bucket is from a put
that it prepares. Only plain Signature Version 4 is spoken; where botocore would sign otherwise (S3 Express,
access points of several regions) :func:`fast_puts` returns None, and botocore does it all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.exceptions
import botocore.parsers
from botocore.awsrequest import HeadersDict

from mediapipe.errors import Failed
from mediapipe.stores.s3_wired import WiredSender, exchanged
from mediapipe.wire import Wire

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARSER = botocore.parsers.create_parser("rest-xml")
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,.*")
_REDIRECTS = frozenset({301, 302, 307})
_OTHER_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)


class _KnownPayload(botocore.auth.S3SigV4Auth):
    """The signer, told the hash of the body."""

    sha256 = ""

    def payload(self, request: Any) -> str:
        """Return the hash that is signed."""
        return self.sha256


@dataclass(slots=True)
class FastPuts:
    """Puts small objects below one address."""

    wire: Wire
    base: str
    region: str
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

        The body is hashed once more: none goes out under a hash that is not its own.
        """
        body.seek(0)
        data = body.read()
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            raise Failed("the bytes do not have the SHA-256 they should have", code="checksum")
        url = self.base + quote(key, safe="/~")
        headers = self._headers(url, size, sha256, parameters)
        status, told, content = exchanged(self.wire, "PUT", url, headers, data)
        if 200 <= status < 300 and not content.strip():
            return True
        if status == 200 and b"<Error" in content:  # S3 may find out after it said so
            status = 500
        answer = {"status_code": status, "headers": HeadersDict(told), "body": content}
        parsed = _PARSER.parse(answer, self.output)
        if status in _REDIRECTS or parsed.get("Error", {}).get("Code") in _OTHER_REGION:
            self.elsewhere = True
            return False
        if not 200 <= status < 300:
            raise botocore.exceptions.ClientError(parsed, "PutObject")
        return True

    def _headers(
        self, url: str, size: int, sha256: str, parameters: Mapping[str, Any]
    ) -> list[tuple[str, str | bytes]]:
        headers: dict[str, str] = {"Content-Length": str(size), "User-Agent": self.agent}
        for name, value in parameters.items():
            if name == "Metadata":
                headers |= {f"x-amz-meta-{one}": text for one, text in value.items()}
            else:
                headers[self.names[name]] = _text(value)
        request = botocore.awsrequest.AWSRequest("PUT", url, headers)
        signer = _KnownPayload(self.credentials.get_frozen_credentials(), "s3", self.region)
        signer.sha256 = sha256
        signer.add_auth(request)
        return list(request.headers.items())


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
    base = place.rpartition("/")[0] + "/"
    agent = _header(sample, "User-Agent")
    return FastPuts(sender.wire, base, signed[1], credentials, names, operation.output_shape, agent)


def _header(request: Any, name: str) -> str:
    value: str | bytes = request.headers.get(name) or ""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
