"""The far side of AWS Signature Version 4: does a request carry the signature it should?"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

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
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()]
    )
    key = f"AWS4{keys[access]}".encode()
    for part in (day, region, "s3", "aws4_request", text):
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
