"""The front refuses what S3 refuses; without that the other tests would prove little."""

from __future__ import annotations

import base64
import hashlib
import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]

BODY = b"some bytes of a call"
RIGHT = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
WRONG = base64.b64encode(hashlib.sha256(b"other").digest()).decode()


class Sender:
    """Sends requests signed by botocore, and changed after the signing."""

    def __init__(self, s3: RunningS3) -> None:
        self.s3, self.bucket = s3, s3.make_bucket()
        self.connection = http.client.HTTPConnection(urlsplit(s3.endpoint).netloc, timeout=10)

    def put(
        self,
        body: bytes = BODY,
        *,
        sent: bytes | None = None,
        key: str = "",
        secret: str = "",
        after: dict[str, str] | None = None,
        **headers: str,
    ) -> tuple[int, str]:
        url = f"{self.s3.endpoint}/{self.bucket}/a%20b%2Bc?x=1&a=%2F"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest("PUT", url, headers=named, data=body)
        if "x_amz_trailer" in headers:
            request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        credentials = Credentials(key or self.s3.access_key, secret or self.s3.secret_key)
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        final = dict(request.headers.items()) | (after or {})
        self.connection.request(
            "PUT", urlsplit(url).path + "?x=1&a=%2F", body if sent is None else sent, final
        )
        response = self.connection.getresponse()
        return response.status, response.read().decode()


@pytest.fixture
def sender(s3: RunningS3) -> Iterator[Sender]:
    sender = Sender(s3)
    yield sender
    sender.connection.close()


def test_what_is_right_passes(sender: Sender) -> None:
    assert sender.put(x_amz_checksum_sha256=RIGHT)[0] == 200
    assert sender.put()[0] == 200


def test_a_wrong_signature(sender: Sender) -> None:
    status, text = sender.put(secret="wrong")
    assert (status, "SignatureDoesNotMatch" in text) == (403, True)


def test_a_header_changed_after_signing(sender: Sender) -> None:
    status, text = sender.put(x_amz_meta_a="1", after={"x-amz-meta-a": "2"})
    assert (status, "SignatureDoesNotMatch" in text) == (403, True)


def test_a_header_added_after_signing(sender: Sender) -> None:
    assert sender.put(after={"x-amz-meta-a": "2"})[0] == 403


def test_an_unknown_key_and_none(sender: Sender) -> None:
    assert "InvalidAccessKeyId" in sender.put(key="UNKNOWN")[1]
    assert sender.put(after={"Authorization": ""})[0] == 403


def test_other_bytes_than_signed(sender: Sender) -> None:
    status, text = sender.put(sent=BODY[:-1] + b"!")
    assert (status, "XAmzContentSHA256Mismatch" in text) == (400, True)


def test_a_wrong_checksum_header(sender: Sender) -> None:
    status, text = sender.put(x_amz_checksum_sha256=WRONG)
    assert (status, "BadDigest" in text) == (400, True)
    assert "InvalidRequest" in sender.put(x_amz_checksum_sha256="AAAA")[1]


@pytest.mark.parametrize(("checksum", "status"), [(RIGHT, 200), (WRONG, 400)])
def test_checksum_trailers(sender: Sender, checksum: str, status: int) -> None:
    framed = b"%x\r\n%s\r\n0\r\nx-amz-checksum-sha256:%s\r\n\r\n" % (len(BODY), BODY, checksum.encode())
    found, text = sender.put(framed, **_trailing(len(BODY)))
    assert found == status, text
    assert (status == 400) == ("BadDigest" in text)


def test_a_wrong_decoded_length(sender: Sender) -> None:
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert "IncompleteBody" in sender.put(framed, **_trailing(len(BODY) + 1))[1]


def _trailing(length: int) -> dict[str, Any]:
    return {
        "content_encoding": "aws-chunked",
        "x_amz_trailer": "x-amz-checksum-sha256",
        "x_amz_decoded_content_length": str(length),
    }
