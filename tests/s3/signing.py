"""The far side of AWS Signature Version 4: does a request carry the signature it should?"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


class Refusal(Exception):
    """A request real S3 would refuse: the status and the error code it answers with."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def check_signature(method: str, target: str, headers: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Raise :class:`Refusal` unless ``headers`` (lower-case names) sign this request with one of ``keys``."""
    lent = dict(parse_qsl(urlsplit(target).query))
    if "X-Amz-Signature" in lent:
        check_presigned(method, target, headers, keys, lent)
        return
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        raise Refusal(403, "AccessDenied", "Anonymous access is forbidden for this operation")
    access, day, region, signed, signature = found.groups()
    if access not in keys:
        raise Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")
    names = signed.split(";")
    needed = {"host"} | {name for name in headers if name.startswith("x-amz-")}
    if not needed <= set(names):
        raise Refusal(403, "AccessDenied", "There were headers present which were not signed")
    request = _canonical(method, target, headers, names)
    _compare(request, (day, region), headers["x-amz-date"], keys[access], signature)


def check_presigned(
    method: str, target: str, headers: Mapping[str, str], keys: Mapping[str, str], lent: Mapping[str, str]
) -> None:
    """Raise :class:`Refusal` unless an address carries a signature of its own that still holds."""
    access, day, region, *_ = lent["X-Amz-Credential"].split("/")
    if access not in keys:
        raise Refusal(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")
    begun = datetime.strptime(lent["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if datetime.now(UTC) > begun + timedelta(seconds=int(lent["X-Amz-Expires"])):
        raise Refusal(403, "AccessDenied", "Request has expired")
    bare = re.sub(r"&?X-Amz-Signature=[0-9a-f]+", "", target)
    payload = {**headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    request = _canonical(method, bare, payload, lent["X-Amz-SignedHeaders"].split(";"))
    _compare(request, (day, region), lent["X-Amz-Date"], keys[access], lent["X-Amz-Signature"])


def _compare(request: str, place: tuple[str, str], date: str, secret: str, signature: str) -> None:
    scope = "/".join((*place, "s3", "aws4_request"))
    hashed = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashed])
    key = f"AWS4{secret}".encode()
    for part in (*place, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), "sha256").digest()
    if not hmac.compare_digest(key.hex(), signature):
        raise Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")


def _canonical(method: str, target: str, headers: Mapping[str, str], names: list[str]) -> str:
    parts = urlsplit(target)
    pairs = (pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    query = "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs))
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    payload = headers.get("x-amz-content-sha256", "")
    return "\n".join([method, parts.path, query, lines, ";".join(names), payload])


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
