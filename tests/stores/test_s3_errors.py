"""No botocore exception is missed, and every answer of S3 has its place in our error tree."""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Iterator

import botocore.exceptions
import botocore.parsers
import pytest
import urllib3.exceptions

import mediapipe.stores.s3 as s3
from mediapipe.errors import (
    CredentialsError,
    Failed,
    MediapipeError,
    Throttled,
    Transient,
    UsageError,
)
from mediapipe.stores.s3_errors import KNOWN_CLASSES, from_answer, from_class


def _descendants(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _descendants(child)


def _foreign() -> set[type[BaseException]]:
    written = {
        cls
        for _, cls in inspect.getmembers(botocore.exceptions, inspect.isclass)
        if issubclass(cls, Exception) and not issubclass(cls, Warning)
    }
    roots = [
        botocore.exceptions.BotoCoreError,
        botocore.parsers.ResponseParserError,
        urllib3.exceptions.HTTPError,
    ]
    found = written | {cls for root in roots for cls in _descendants(root)}
    answers = set(_descendants(botocore.exceptions.ClientError))
    return found - answers - {botocore.exceptions.BotoCoreError}


def test_every_exception_class_is_in_a_table() -> None:
    classes = _foreign()
    assert len(classes) > 100
    missed = [cls for cls in classes if not KNOWN_CLASSES & {parent.__name__ for parent in cls.__mro__}]
    assert not missed, "sort these into a table of s3_errors"


def test_every_exception_class_is_caught() -> None:
    escaping = [cls for cls in _foreign() if not issubclass(cls, s3.FOREIGN)]
    assert not escaping, "these would leave the S3 store as they are"


def test_no_table_names_a_class_that_does_not_exist() -> None:
    there = {ancestor.__name__ for cls in _foreign() for ancestor in cls.__mro__}
    there |= {"OSError", "ValueError", http.client.HTTPException.__name__, "Boto3Error"}
    assert not KNOWN_CLASSES - there


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), Transient),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"), Transient),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), Transient),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"), Transient),
        (botocore.exceptions.SSLError(endpoint_url="https://x", error=OSError("EOF")), Transient),
        (
            botocore.exceptions.SSLError(
                endpoint_url="https://x", error=OSError("CERTIFICATE_VERIFY_FAILED")
            ),
            UsageError,
        ),
        (botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), Transient),
        (botocore.exceptions.NoCredentialsError(), CredentialsError),
        (botocore.exceptions.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError),
        (botocore.exceptions.UnauthorizedSSOTokenError(), CredentialsError),
        (botocore.exceptions.ProfileNotFound(profile="x"), UsageError),
        (botocore.exceptions.NoRegionError(), UsageError),
        (botocore.exceptions.ParamValidationError(report="x"), UsageError),
        (botocore.exceptions.FlexibleChecksumError(error_msg="x"), Failed),
        (botocore.exceptions.DataNotFoundError(data_path="x"), Failed),
        (urllib3.exceptions.ProtocolError("x"), Transient),
        (http.client.IncompleteRead(b""), Transient),
        (ConnectionResetError("x"), Transient),
        (ValueError("not a number"), Failed),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_kinds(error: Exception, kind: type[MediapipeError]) -> None:
    assert type(from_class(error, "writing")) is kind


def _answer(code: str, status: int, message: str = "") -> dict[str, object]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("", 503, Transient),
        ("", 429, Throttled),
        ("400", 400, CredentialsError),
        ("403", 403, CredentialsError),
        ("KMS.ThrottlingException", 400, Throttled),
        ("KMS.DisabledException", 400, UsageError),
        ("PermanentRedirect", 301, UsageError),
        ("InvalidObjectState", 403, Failed),
        ("SomethingNew", 418, Failed),
    ],
)
def test_answers(code: str, status: int, kind: type[MediapipeError]) -> None:
    assert type(from_answer(_answer(code, status), "writing")) is kind


def test_an_answer_quoting_a_secret_is_redacted() -> None:
    error = from_answer(_answer("Odd", 418, "GET /?X-Amz-Signature=abcdef&secret=hush"), "writing")
    assert "abcdef" not in str(error)
    assert "hush" not in str(error)
