from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.models import (
    NO_RECORDING_ID,
    Call,
    Grant,
    Tokens,
    clock_duration,
    instant,
    lifetime,
    read_call,
    read_tokens,
)
from mediapipe.errors import Failed, Transient

NOW = 1_775_000_000.0
URL = "https://api.convirza.com/v3/recordings/1?secret=s3cr3t&access=acc3ss&expires=1"

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(
        ["²", "٣", "1e999", "nan", "2026-01-01", "0001-01-01T00:00:00+23:59", "-1", "00:00:01"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read(**fields: Any) -> Call:
    return read_call({"call_id": 1, **fields}, server_time=NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1775462400, 1775462400.0),
        (1775462400.5, 1775462400.5),
        ("1775462400", 1775462400.0),
        (" 1775462400 ", 1775462400.0),
        (1775462400000, 1775462400.0),
        ("1775462400000", 1775462400.0),
        ("2026-04-06T08:00:00Z", 1775462400.0),
        ("2026-04-06T08:00:00.000Z", 1775462400.0),
        ("2026-04-06T02:00:00-06:00", 1775462400.0),
        ("2026-04-06 08:00:00", 1775462400.0),
        (None, None),
        (True, None),
        ("", None),
        ("soon", None),
        ("1e999", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 400, None),
        ([], None),
        ({}, None),
    ],
)
def test_an_instant_is_read_in_every_form(value: object, seconds: float | None) -> None:
    assert instant(value) == seconds


@pytest.mark.parametrize(
    ("value", "expires"),
    [
        (3600, NOW + 3600),
        (3600.0, NOW + 3600),
        ("3600", NOW + 3600),
        (" 3600 ", NOW + 3600),
        ("3600.0", NOW + 3600),
        (0, NOW),
        ("2026-04-06T08:00:00Z", 1775462400.0),
        (1775462400, 1775462400.0),
        ("1775462400", 1775462400.0),
        (1775462400000, 1775462400.0),
        (None, None),
        (True, None),
        ("²", None),
        ("later", None),
        (10**400, None),
    ],
)
def test_a_lifetime_is_seconds_from_now_or_an_instant(value: object, expires: float | None) -> None:
    assert lifetime(value, NOW) == expires


@pytest.mark.parametrize(
    "details", ["absent", None, {}, {"recording_id": 9}, {"url": None}, {"url": ""}, {"url": "  "}]
)
@pytest.mark.parametrize("extra", [{}, {"duration": 182}])
def test_every_form_of_no_url_means_no_recording_yet(details: Any, extra: dict[str, Any]) -> None:
    fields = {} if details == "absent" else {"recording_details": details}
    call = read(**fields, **extra)
    assert call.recording_id is None
    assert call.grant is None


@pytest.mark.parametrize("details", [[], "no", 5, True, {"url": 5}, {"url": {"a": 1}}, {"url": True}])
def test_nonsense_for_a_recording_means_no_recording_yet(details: Any) -> None:
    assert read(recording_details=details).recording_id is None


@pytest.mark.parametrize(
    ("given_id", "expected"), [(7, "7"), ("7", "7"), (" r-7 ", "r-7"), (None, "0"), ("", "0"), (1.5, "0")]
)
def test_a_recording_id_is_text_whatever_it_was(given_id: Any, expected: str) -> None:
    call = read(recording_details={"recording_id": given_id, "url": URL, "expires_at": 1775462400})
    assert call.recording_id == expected
    assert call.grant == Grant(URL, 1775462400.0, NOW)
    assert NO_RECORDING_ID == "0"


@pytest.mark.parametrize("expires", [1775462400, "1775462400", 1775462400000, "2026-04-06T08:00:00Z"])
def test_expires_at_is_read_in_every_form(expires: Any) -> None:
    grant = read(recording_details={"url": URL, "expires_at": expires}).grant
    assert grant is not None
    assert grant.expires_at == 1775462400.0


def test_an_unreadable_expires_at_is_unknown_not_an_error() -> None:
    grant = read(recording_details={"url": URL, "expires_at": {"when": "later"}}).grant
    assert grant is not None
    assert grant.expires_at is None
    assert grant.fresh(3600, NOW)


@pytest.mark.parametrize(("value", "expected"), [(5, "5"), ("5", "5"), ("a-b", "a-b"), (" 5 ", "5")])
def test_a_call_id_is_text(value: Any, expected: str) -> None:
    assert read_call({"call_id": value}, server_time=NOW).call_id == expected


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "call",
        5,
        {},
        {"call_id": None},
        {"call_id": ""},
        {"call_id": " "},
        {"call_id": True},
        {"call_id": 1.5},
        {"call_id": []},
        {"call_id": {"id": 1}},
    ],
)
def test_what_is_no_call_is_a_passing_fault(raw: Any) -> None:
    with pytest.raises(Transient, match="cannot be read") as caught:
        read_call(raw, server_time=NOW)
    assert caught.value.code == "unreadable_answer"


def test_an_unreadable_call_is_not_quoted() -> None:
    with pytest.raises(Transient) as caught:
        read_call({"call_id": None, "recording_details": {"url": URL}}, server_time=NOW)
    assert "s3cr3t" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_the_start_is_taken_from_the_call_or_else_from_its_detail() -> None:
    started = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert read(call_started="2026-03-01T10:00:00.000Z").started == started
    assert read(call_started=started.timestamp() * 1000).started == started
    assert read(call_started=None, call_detail={"call_created": "2026-03-01T10:00:00Z"}).started == started
    assert read(call_started="?", call_detail=[]).started is None
    assert read(call_started=1e300).started is None


def test_the_grant_shows_nowhere() -> None:
    call = read(recording_details={"url": URL, "expires_at": 1, "recording_id": 4}, note=URL)
    for text in (repr(call), str(call), repr(call.grant), json.dumps(dict(call.record)), repr(call.record)):
        assert "s3cr3t" not in text
        assert "acc3ss" not in text
    assert call.record["recording_details"] == {"recording_id": 4}


@settings(deadline=None)
@given(json_values, json_values, json_values, json_values)
def test_garbage_raises_nothing_but_a_passing_fault(a: Any, b: Any, c: Any, d: Any) -> None:
    details = {"recording_id": a, "url": b, "expires_at": c, "duration": d}
    for raw in (
        a,
        {"call_id": a, "call_started": b, "recording_details": c, "call_detail": d},
        {"call_id": 1, "recording_details": details, "call_detail": {"call_created": a}, "call_started": d},
    ):
        try:
            call = read_call(raw, server_time=NOW)
        except Transient:
            continue
        assert call.call_id
        json.dumps(call.record)


def test_a_deeply_nested_record_fails_its_own_item() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    call = read(comments=deep)
    with pytest.raises(Failed):
        call.record  # noqa: B018
    del call
    while deep:  # taken apart by hand, so that its end needs no recursion either
        deep = deep[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:41:36.60", 2496.6),
        ("41:36.6", 2496.6),
        ("36.6", 36.6),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("1:2:3:4", None),
        ("a:b", None),
        ("-1:00", None),
        ("nan", None),
        ("inf:00", None),
        ("1e308:00:00", None),
    ],
)
def test_a_clock_duration_is_seconds_or_nothing(text: str | None, seconds: float | None) -> None:
    assert clock_duration(text) == pytest.approx(seconds)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_duration_text_is_a_finite_length_or_nothing(text: str) -> None:
    seconds = clock_duration(text)
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_grant_is_fresh_by_margin_or_by_a_quarter_of_its_life() -> None:
    week = Grant(URL, NOW + 604_800, NOW)
    assert week.fresh(3600, NOW)
    assert week.fresh(3600, NOW + 604_800 - 3601)
    assert not week.fresh(3600, NOW + 604_800 - 3600)
    short = Grant(URL, NOW + 40, NOW)
    assert short.fresh(3600, NOW)
    assert short.fresh(3600, NOW + 29)
    assert not short.fresh(3600, NOW + 30)
    assert not Grant(URL, NOW - 5, NOW).fresh(3600, NOW)


BARE = {
    "access_token": "opaque-access",
    "refresh_token": "opaque-refresh",
    "frontend_token": "f" * 32,
    "token_type": "Bearer",
    "expires_in": "2026-04-06T08:00:00Z",
    "refresh_expires_in": "2026-10-06T08:00:00Z",
    "user": {"user_id": 5, "email": "a@example.com", "role_id": 1, "org_unit_id": 77},
}


@pytest.mark.parametrize("body", [BARE, {"code": 200, "message": "Login successful", "data": BARE}])
def test_a_login_is_read_bare_and_wrapped(body: Any) -> None:
    tokens = read_tokens(body, NOW)
    assert tokens is not None
    assert (tokens.access, tokens.refresh, tokens.expires_at) == (
        "opaque-access",
        "opaque-refresh",
        1775462400.0,
    )
    assert tokens.user is not None
    assert (tokens.user.user_id, tokens.user.role_id, tokens.user.org_unit_id) == ("5", 1, "77")
    assert "opaque" not in repr(tokens)


def test_a_wrapped_login_may_lack_all_but_the_access_token() -> None:
    tokens = read_tokens({"code": 200, "data": {"access_token": "a", "user": {}}}, NOW)
    assert tokens == Tokens("a", None, None, None, tokens.user if tokens else None)


def test_a_v2_login_counts_its_seconds_from_now() -> None:
    tokens = read_tokens({"access_token": "u-u-i-d", "expires_in": 3600, "status": "success"}, NOW)
    assert tokens is not None
    assert tokens.expires_at == NOW + 3600
    later = read_tokens({"access_token": "u-u-i-d", "expires_in": 3600})
    assert later is not None
    assert later.expires_at == pytest.approx(time.time() + 3600, abs=5)


@pytest.mark.parametrize(
    "body",
    [None, [], "x", {}, {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"data": []}],
)
def test_an_answer_without_a_token_is_no_login(body: Any) -> None:
    assert read_tokens(body, NOW) is None


@pytest.mark.parametrize("user", [5, [], {"role_id": "x"}, {"email": 5}, {"user_id": []}])
def test_a_login_is_not_refused_over_its_user(user: Any) -> None:
    assert read_tokens({**BARE, "user": user}, NOW) is not None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*BARE, "data"]), json_values))
def test_any_login_answer_is_tokens_or_nothing(body: dict[str, Any]) -> None:
    tokens = read_tokens(body, NOW)
    assert tokens is None or tokens.access
