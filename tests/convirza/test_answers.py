from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.answers import TRANSIENT_STATUSES, failure, read_json, read_problem
from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Throttled, Transient


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


E1 = {"statusCode": 400, "message": "Validation failed", "error": "Bad Request", "requestId": "req-1"}
E2 = {
    "message": "Validation errors",
    "errors": [
        {
            "code": "INVALID_REQUEST_PARAMETER",
            "in": "formData",
            "name": "caller_id",
            "message": "Request parameter (caller_id) failed validation",
            "path": [],
            "errors": [
                {"code": "INVALID_TYPE", "message": "Expected type integer but found type string", "path": []}
            ],
        },
        {"name": "group_id", "message": "Value is required but was not provided"},
    ],
}
E3 = {"result": "error", "err": "Failed to upload File.  Please enter valid date and time."}
E4 = {"result": "error", "data": "Incorrect File Format. It Should Be mp3/wav"}
E5 = {"code": 404, "message": "Call not found", "request_id": "req-5", "timestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "raw", "words"),
    [
        (400, body(E1), ["Validation failed", "req-1", "HTTP 400"]),
        (400, body(E2), ["Validation errors", "caller_id, group_id", "Value is required"]),
        (400, body(E3), ["Please enter valid date and time"]),
        (400, body(E4), ["Incorrect File Format"]),
        (404, body(E5), ["Call not found", "req-5"]),
        (413, b"<html><h1>413 Too\n Large</h1></html>", ["HTTP 413", "Too Large"]),
        (502, b"", ["HTTP 502", "empty body"]),
        (
            400,
            body({"message": ["caller_id must be a number", "group_id is missing", 5]}),
            ["must be", "is missing"],
        ),
        (400, body({"error": "Bad Request"}), ["Bad Request"]),
        (400, body({"error_message": "Duplicate external ID."}), ["Duplicate external ID."]),
        (400, body({"error": "invalid_grant", "error_description": "no"}), ["invalid_grant"]),
        (400, body({"message": {"deep": 1}}), ["HTTP 400"]),
        (400, body({"errors": "text", "message": None}), ["HTTP 400"]),
        (400, body([1, 2]), ["HTTP 400"]),
        (400, b"\xff\xfe\x00", ["HTTP 400"]),
    ],
)
def test_every_error_shape_is_put_into_words(status: int, raw: bytes, words: list[str]) -> None:
    text = str(read_problem(status, raw))
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_the_message_is_bounded_and_keeps_its_status() -> None:
    long = {
        "message": "x" * 5000,
        "request_id": "r" * 5000,
        "errors": [{"name": "n" * 50, "message": "m"}] * 500,
    }
    text = str(read_problem(418, body(long)))
    assert len(text) < 2000
    assert "HTTP 418" in text


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Rejected, "http_400"),
        (404, Rejected, "http_404"),
        (413, Rejected, "http_413"),
        (401, CredentialsError, "credentials"),
        (403, CredentialsError, "forbidden"),
        (301, Failed, "redirected"),
        (429, Throttled, "throttled"),
        *((status, Transient, f"http_{status}") for status in sorted(TRANSIENT_STATUSES)),
    ],
)
def test_a_status_says_what_to_do_next(status: int, kind: type[MediapipeError], code: str) -> None:
    for raw in (b"", b"<html>", body(E1), body(E3)):
        error = failure(status, {}, raw, doing="list calls")
        assert type(error) is kind
        assert error.code == code
        assert "list calls" in str(error)


def test_a_named_wait_is_carried_on() -> None:
    for status in (429, 503):
        error = failure(status, {"retry-after": "7"}, b"", doing="x")
        assert isinstance(error, Transient)
        assert error.retry_after == 7.0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        body({"result": "success", "err": None}),
        body({"result": "SUCCESS"}),
        body({"code": 200, "data": {}}),
        body({"code": True}),
        body({"data": {"result": {"call_id": 1}}}),
        body({"result": {"call_id": 1}}),
        body({"result": "error", "err": "no records found."}),
        body({"result": "error", "err": "No  Records Found"}),
        body({"result": "error", "data": "no records found."}),
    ],
)
def test_a_success_is_no_failure(raw: bytes) -> None:
    assert failure(200, {}, raw, doing="x") is None


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (body(E3), Rejected),
        (body(E4), Rejected),
        (body({"result": "Error", "err": "x"}), Rejected),
        (body({"result": "failure", "err": "x"}), Rejected),
        (body(E5), Rejected),
        (body({"result": "error", "err": "Query error in ctPool: SELECT * FROM call"}), Rejected),
        (body({"code": 500, "message": "x"}), Transient),
        (body({"code": 429, "message": "x"}), Throttled),
    ],
)
def test_a_refusal_inside_a_2xx_is_a_failure(raw: bytes, kind: type[MediapipeError]) -> None:
    error = failure(200, {}, raw, doing="x")
    assert type(error) is kind


def test_no_records_in_a_real_error_stays_an_error() -> None:
    assert isinstance(failure(500, {}, body({"err": "no records found."}), doing="x"), Transient)


SECRET = "eyJhbGciOi-very.secret/Token=="
PLAIN = SECRET.replace("/", "")


@pytest.mark.parametrize(
    "raw",
    [
        body({"message": f"bad token Bearer {SECRET}"}),
        body({"message": f"GET /v3/recordings/1?secret={SECRET}&access={SECRET} failed"}),
        body({"err": f"access_token={SECRET}"}),
        body({"message": "no", "request_id": f"access={SECRET}"}),
        body({"message": "no", "errors": [{"name": f"secret={SECRET}", "message": f"token={SECRET}"}]}),
        body({"message": "x" * 470 + f" https://user:{PLAIN}@host/"}),
        body({"message": "x" * 485 + f" https://user:{PLAIN}@host/"}),
        body({"message": "x" * 490 + f" Bearer {SECRET}"}),
        f"<html>access_token={SECRET}</html>".encode(),
        f'{{"access_token": "{SECRET}", "refresh_token": "{SECRET}'.encode(),
        (" " * 3990 + f"Bearer {SECRET}").encode(),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_no_secret_of_a_body_gets_into_words(raw: bytes, status: int) -> None:
    text = repr(read_problem(status, raw)) + repr(failure(status, {}, raw, doing="x"))
    for length in (len(SECRET), 12, 8):
        assert SECRET[:length] not in text


@settings(deadline=None)
@given(st.integers(100, 599), st.binary(max_size=200), st.text(max_size=20))
def test_any_answer_is_sorted(status: int, raw: bytes, wait: str) -> None:
    error = failure(status, {"retry-after": wait}, raw, doing="x")
    assert error is None or isinstance(error, MediapipeError)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["message", "err", "error", "data", "errors", "code", "result", "request_id", "name"])


@settings(deadline=None)
@given(st.dictionaries(KEYS, json_values | st.lists(st.dictionaries(KEYS, json_values)), max_size=6))
def test_any_json_answer_is_sorted(value: dict[str, Any]) -> None:
    for status in (200, 400, 500):
        error = failure(status, {}, body(value), doing="x")
        assert error is None or isinstance(error, MediapipeError)
        str(error).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff", b"{", b""])
def test_what_cannot_be_parsed_is_not_json(raw: bytes) -> None:
    assert read_json(raw) is None
