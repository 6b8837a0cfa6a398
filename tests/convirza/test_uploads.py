from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.convirza.uploads import (
    Accepted,
    NotTaken,
    Refused,
    Unsure,
    sort_answer,
    sort_prompt_answer,
)
from mediapipe.errors import CredentialsError

E1 = {"statusCode": 400, "message": "Validation failed", "error": "Bad Request", "requestId": "550e8400"}
E2 = {
    "message": "Validation errors",
    "errors": [
        {
            "code": "INVALID_REQUEST_PARAMETER",
            "in": "formData",
            "name": "caller_id",
            "message": "Invalid parameter (caller_id): Value is required but was not provided",
            "path": ["caller_id"],
            "errors": [{"code": "INVALID_TYPE", "message": "x", "path": ["caller_id"]}],
        }
    ],
}


def sort(status: int, body: Any = b"", retry_503: bool = True, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sort_answer(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw, retry_503=retry_503)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b" \r\n"),
        (201, b""),
        (204, b""),
        (200, {"result": "success", "err": None}),
        (200, {"result": "Success", "err": None, "data": {"call_id": 7}}),
        (200, {"result": " SUCCESS "}),
        (202, {"result": "success", "message": "Duplicate external ID."}),
    ],
)
def test_accepted(status: int, body: Any) -> None:
    assert sort(status, body) == Accepted()


@pytest.mark.parametrize(
    "text",
    [
        "Duplicate external ID.",
        "duplicate external_id",
        "The external id x-1 already exists",
        "externalId has already been used",
        "A call with this external id exists.",
        "External-ID is not unique",
    ],
)
@pytest.mark.parametrize("key", ["err", "data", "message"])
def test_a_call_that_is_there_already_is_no_failure(text: str, key: str) -> None:
    got = sort(200, {"result": "error", "err": None, key: text})
    assert isinstance(got, Accepted)
    assert got.already
    assert text in got.said


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize(
    "body", [{**E1, "message": "Duplicate external ID."}, {"result": "error", "err": "external_id exists"}]
)
def test_an_error_may_say_too_that_the_call_is_there(status: int, body: Any) -> None:
    got = sort(status, body)
    assert isinstance(got, Accepted)
    assert got.already
    assert f"HTTP {status}" in got.said


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"message": "Duplicate external ID."}),
        (403, {"message": "Duplicate external ID."}),
        (413, {"message": "Duplicate external ID."}),
        (409, {"message": "Duplicate group external id"}),
        (409, {"message": "Conflict"}),
        (409, b"Duplicate external ID."),
        (409, b'{"message": "Duplicate external ID.'),
        (409, b"<html>Duplicate external ID.</html>"),
        (409, ["Duplicate external ID."]),
        (400, {**E2, "errors": [{"name": "external_id", "message": "duplicate parameter external_id"}]}),
        (422, {"message": "external_id already given", "errors": [{"name": "external_id"}]}),
    ],
)
def test_an_error_that_speaks_of_something_else_is_a_refusal(status: int, body: Any) -> None:
    assert isinstance(sort(status, body), Refused)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 302])
def test_where_nothing_is_known_no_words_help(status: int) -> None:
    assert isinstance(sort(status, {"result": "error", "err": "Duplicate external ID."}), Unsure)


@pytest.mark.parametrize(
    "text",
    [
        "Failed to upload  File.",
        "Invalid external id.",
        "The external id does not exist.",
        "No such external id exists.",
        "Duplicate tracking number.",
        "group_ext_id already exists",
        "Duplicate group external id",
        "You are unauthorized for this group.",
    ],
)
@pytest.mark.parametrize("key", ["err", "data"])
def test_a_refusal_that_comes_as_a_success(text: str, key: str) -> None:
    got = sort(200, {"result": "error", "err": None, key: text})
    assert isinstance(got, Refused)
    assert got.code == "refused"
    assert " ".join(text.split()) in got.message


def test_any_other_word_is_a_refusal_too() -> None:
    assert sort(200, {"result": "failure", "err": "no"}).code == "refused"
    assert sort(200, {"result": "error"}) == Refused("refused", "HTTP 200 (HTTP 200)")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"result": None},
        {"result": ""},
        {"result": 1},
        {"result": ["success"]},
        {"code": 200, "message": "Success", "data": {}},
        E1,
        E2,
        [],
        [{"result": "success"}],
        "success",
        True,
        b"success",
        b"<html><body>Sign in</body></html>",
        b'{"result": "succ',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"\x00",
    ],
)
@pytest.mark.parametrize("status", [200, 299])
def test_a_success_that_cannot_be_read_is_none(status: int, body: Any) -> None:
    got = sort(status, body)
    assert isinstance(got, Unsure)
    assert got.code == "unreadable_answer"


@pytest.mark.parametrize("status", [400, 402, 404, 405, 406, 409, 410, 411, 415, 422, 423, 451, 499])
def test_refused(status: int) -> None:
    got = sort(status, E1)
    assert isinstance(got, Refused)
    assert got.code == f"http_{status}"
    assert got.message == f"Validation failed (HTTP {status}); request id 550e8400"


def test_the_fields_that_are_wrong_are_named() -> None:
    got = sort(400, E2)
    assert isinstance(got, Refused)
    assert "fields: caller_id" in got.message
    assert "Value is required but was not provided" in got.message


def test_forbidden_and_too_large() -> None:
    assert sort(403, E1).code == "forbidden"
    assert sort(413, b"<html>413</html>") == Refused("too_large_for_platform", "HTTP 413: <html>413</html>")
    assert isinstance(sort(403), Refused)


def test_a_dead_token_stops_the_run() -> None:
    got = sort(401, {"message": "Unauthorized"})
    assert isinstance(got, NotTaken)
    assert got.code == "credentials"
    assert isinstance(got.fatal, CredentialsError)


@pytest.mark.parametrize(
    ("said", "wait"), [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("nan", None)]
)
def test_throttled(said: str, wait: float | None) -> None:
    assert sort(429, retry_after=said) == NotTaken("throttled", "HTTP 429 with an empty body", wait)


def test_throttled_without_a_time() -> None:
    assert sort(429).retry_after is None


def test_a_503_was_refused_before_it_acted_only_when_it_names_a_time() -> None:
    assert sort(503, Retry_After="2") == NotTaken("http_503", "HTTP 503 with an empty body", 2.0)
    for got in (sort(503), sort(503, Retry_After="soon"), sort(503, retry_503=False, Retry_After="2")):
        assert isinstance(got, Unsure)
        assert got.code == "http_503"


@pytest.mark.parametrize("status", [100, 101, 0, 408, 425, 500, 501, 502, 504, 507, 520, 599, 600, 999])
def test_unsure(status: int) -> None:
    got = sort(status, E1, Retry_After="1")
    assert isinstance(got, Unsure)
    assert got.code == f"http_{status}"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    assert sort(status, Location="https://elsewhere.example/").code == "redirected"


@pytest.mark.parametrize("status", [200, 400, 403, 408, 413, 429, 500, 302])
def test_no_answer_tells_a_secret(status: int) -> None:
    url = "https://b.example/a.wav?X-Amz-Signature=s3cr3t&access=s3cr3t"
    for body in ({"result": "error", "err": f"cannot fetch {url}"}, f"<p>{url}</p>".encode()):
        assert "s3cr3t" not in repr(sort(status, body))


WORDS = st.sampled_from(["success", "error", "Success", "", "queued", None, 1, [], {}])
TEXTS = st.one_of(
    st.none(), st.text(max_size=40), st.just("Duplicate external ID."), st.lists(st.text(), max_size=2)
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.fixed_dictionaries(
        {},
        optional={
            "result": WORDS,
            "err": TEXTS,
            "data": TEXTS,
            "message": TEXTS,
            "code": st.integers(),
            "errors": st.lists(
                st.one_of(st.none(), st.dictionaries(st.sampled_from(["name", "message"]), TEXTS))
            ),
        },
    ).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "Retry-After", "date", "content-type"]),
    st.one_of(st.text(max_size=30), st.integers().map(str), st.just("Wed, 21 Oct 2015 07:28:00 GMT")),
)
STATUSES = st.one_of(st.integers(-1, 1000), st.sampled_from([200, 204, 400, 401, 409, 422, 429, 503]))


@given(STATUSES, HEADERS, BODIES, st.booleans())
def test_whatever_comes_is_sorted_and_never_too_hopefully(
    status: int, headers: dict[str, str], body: bytes, retry_503: bool
) -> None:
    got = sort_answer(status, headers, body, retry_503=retry_503)
    if isinstance(got, Accepted):
        assert 200 <= status < 300 or (status in {400, 409, 422} and got.already)
    if isinstance(got, NotTaken):
        named = {name.lower() for name in headers}
        assert status in {401, 429} or (status == 503 and retry_503 and "retry-after" in named)
        assert (got.fatal is not None) == (status == 401)
    if isinstance(got, Refused):
        assert 200 <= status < 300 or 400 <= status < 500
        assert status not in {401, 408, 425, 429}
    assert not status >= 500 or isinstance(got, Unsure | NotTaken)


# ── prompts ──────────────────────────────────────────────────────────────────────────────────


def sort_prompt(status: int, body: Any = b"", retry_503: bool = True, **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return sort_prompt_answer(status, named, raw, retry_503=retry_503)


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ({"code": 201, "data": {"id": 4001}}, "4001"),
        ({"data": {"recording_id": "r-1"}}, "r-1"),
        ({"data": {"media_id": 5.0}}, "5"),
        ({"data": {"prompt_id": " 7 "}}, "7"),
        ({"data": [{"reference_id": 7}]}, "7"),
        ({"id": 7, "message": "Created"}, "7"),
        ({"id": 7, "data": {"recording_id": 8}}, "8"),
        ({"data": {"id": None, "media_id": 9}}, "9"),
        ({"data": [{"id": 7}, {"id": 8}]}, ""),
        ({"data": {"id": True}}, ""),
        ({"data": {"id": ["x"]}}, ""),
        ({"result": "success", "err": None, "data": "1 file(s) uploaded"}, ""),
        ({"result": {"id": 7}}, ""),
        ({}, ""),
        ([], ""),
        ("ok", ""),
        (7, ""),
    ],
)
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_prompt_is_accepted_with_or_without_an_id(status: int, body: Any, made: str) -> None:
    assert sort_prompt(status, body) == Accepted(made=made)


@pytest.mark.parametrize(
    "body",
    [
        {"result": "error", "err": None, "data": "Incorrect File Format. It Should Be mp3/wav"},
        {"result": "error", "err": "Please provide valid data."},
        {"result": "failure"},
        {"code": 400, "message": "type must be one of prompt"},
        {"statusCode": "413", "message": "too large"},
    ],
)
def test_a_prompts_refusal_that_comes_as_a_success(body: Any) -> None:
    got = sort_prompt(200, body)
    assert isinstance(got, Refused)
    assert got.code == "refused"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html>Sign in</html>",
        b'{"data": {"id": 7',
        b"\xff",
        b"null",
        {"code": 500, "message": "Storage"},
        {"code": 429, "message": "slow"},
        {"statusCode": 401, "message": "dead"},
        {"errors": [{"name": "file"}], "message": "Validation errors"},
        {"success": False},
    ],
)
def test_a_prompts_success_that_proves_nothing(body: Any) -> None:
    got = sort_prompt(201, body)
    assert isinstance(got, Unsure)
    assert got.code == "unreadable_answer"


@pytest.mark.parametrize("status", [0, 302, 400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503])
@pytest.mark.parametrize("wait", [{}, {"Retry_After": "3"}])
@pytest.mark.parametrize("retry_503", [True, False])
def test_what_is_no_success_means_for_a_prompt_what_it_means_for_a_call(
    status: int, wait: dict[str, str], retry_503: bool
) -> None:
    got, call = (f(status, {"message": "x"}, retry_503, **wait) for f in (sort_prompt, sort))
    assert (type(got), got.code, got.message) == (type(call), call.code, call.message)
    assert getattr(got, "retry_after", None) == getattr(call, "retry_after", None)


def test_a_name_that_is_taken_is_a_refusal_of_a_prompt() -> None:
    assert isinstance(sort_prompt(409, {"message": "Duplicate external ID."}), Refused)


@given(STATUSES, HEADERS, BODIES, st.booleans())
def test_whatever_comes_of_a_prompt_is_sorted(
    status: int, headers: dict[str, str], body: bytes, retry_503: bool
) -> None:
    got = sort_prompt_answer(status, headers, body, retry_503=retry_503)
    assert not isinstance(got, Accepted) or 200 <= status < 300
    assert not status >= 500 or isinstance(got, Unsure | NotTaken)
