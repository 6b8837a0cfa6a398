from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.models import Call, Page
from mediapipe.convirza.session import Session
from mediapipe.convirza.tokens import ReadyToken
from mediapipe.convirza.v3 import INCLUDE, V3, api_time
from mediapipe.errors import Failed, MediapipeError, Rejected, Transient
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(hours=6)
ONCE = RetryPolicy(attempts=1)
URL = "https://api.convirza.com/v3/recordings/1?secret=s3cr3t"


def ask(answer: httpx.Response, question: Callable[[V3], Any]) -> tuple[Any, httpx.Request]:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answer

    async def main() -> Any:
        async with open_http(
            Timeouts(), connections=1, transport=lambda: httpx.MockTransport(handle)
        ) as http:
            pacer = Pacer(AdaptiveLimit(1), Pause())
            session = Session(http, "https://api.test/v3", ReadyToken("t", "V"), pacer, ONCE)
            return await question(V3(session))

    return anyio.run(main), requests[0]


def listed(body: Any, status: int = 200, offset: int = 0, **headers: str) -> Page:
    answer = httpx.Response(status, json=body, headers=headers)
    page, _ = ask(answer, lambda v3: v3.list_calls(START, END, limit=200, offset=offset))
    assert isinstance(page, Page)
    return page


def found(body: Any, status: int = 200, call_id: str = "5") -> Call | None:
    call, _ = ask(httpx.Response(status, json=body), lambda v3: v3.get_call(call_id))
    assert call is None or isinstance(call, Call)
    return call


def test_a_list_is_asked_for_with_everything_it_needs() -> None:
    local = START.astimezone(timezone(timedelta(hours=-7)))
    body = {"code": 200, "data": {"total": 1, "calls": [{"call_id": 7}]}}
    page, request = ask(
        httpx.Response(200, json=body), lambda v3: v3.list_calls(local, END, limit=200, offset=400)
    )
    assert request.url.path == "/v3/conversations/calls"
    assert dict(request.url.params) == {
        "start": "2026-03-01T00:00:00.000Z",
        "end": "2026-03-01T06:00:00.000Z",
        "limit": "200",
        "offset": "400",
        "include": INCLUDE,
    }
    assert "recordings" in INCLUDE
    assert [call.call_id for call in page.calls] == ["7"]
    assert page.total == 1


@pytest.mark.parametrize(
    ("total", "read"),
    [
        (5, 5),
        ("5", 5),
        (0, 0),
        (5.0, 5),
        (None, None),
        (-1, None),
        (True, None),
        ("²", None),
        ("many", None),
        ([], None),
        (1.5, None),
        (1e400, None),
        ("", None),
    ],
)
def test_a_total_is_a_whole_number_or_nothing(total: Any, read: int | None) -> None:
    content = httpx.Response(200, json={"data": {"calls": [], "total": total if total != 1e400 else None}})
    page, _ = ask(content, lambda v3: v3.list_calls(START, END, limit=200, offset=0))
    assert page.total == read


def test_the_platforms_clock_goes_with_every_grant() -> None:
    calls = [{"call_id": 1, "recording_details": {"url": URL, "expires_at": 1445412999}}]
    page = listed({"data": {"calls": calls}}, date="Wed, 21 Oct 2015 07:28:00 GMT")
    grant = page.calls[0].grant
    assert grant is not None
    assert grant.granted_at == 1445412480.0


def test_a_record_that_cannot_be_read_costs_no_other_and_is_counted() -> None:
    body = {"data": {"total": 3, "calls": [5, {"call_id": 7}, {}]}}
    page = listed(body)
    assert [call.call_id for call in page.calls] == ["7"]
    assert (page.unreadable, page.length) == (2, 3)


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        5,
        {},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"calls": {}}},
        {"data": {"calls": "x"}},
        {"data": {"calls": None}},
        {"data": {"total": 3, "calls": None}},
    ],
)
def test_a_list_that_cannot_be_read_is_a_passing_fault(body: Any) -> None:
    with pytest.raises(Transient) as caught:
        listed(body)
    assert caught.value.code == "unreadable_answer"


@pytest.mark.parametrize("data", [{"total": 0, "calls": None}, {"total": 0}, {"total": 0, "calls": []}])
def test_an_empty_list_is_no_fault(data: Any) -> None:
    assert listed({"data": data}) == Page((), 0)


@pytest.mark.parametrize("data", [{"total": 400, "calls": None}, {"total": 400}, {"total": 400, "calls": []}])
def test_behind_the_last_call_there_are_none(data: Any) -> None:
    assert listed({"data": data}, offset=400) == Page((), 400)


@pytest.mark.parametrize("wrap", [lambda call: {"data": {"result": call}}, lambda call: {"data": call}])
def test_one_call_is_found_in_either_wrapping(wrap: Callable[[Any], Any]) -> None:
    call = found(wrap({"call_id": 5, "recording_details": {"url": URL, "recording_id": 9}}))
    assert call is not None
    assert (call.call_id, call.recording_id) == ("5", "9")


def test_a_call_is_asked_for_by_its_id_whatever_is_in_it() -> None:
    for call_id in ("5", "a/b", "a?b=c", "a b", "é", "..", "\ud83d", "a#b", "%2e"):
        body = {"data": {"result": {"call_id": call_id}}}
        call, request = ask(
            httpx.Response(200, content=json.dumps(body)), lambda v3, i=call_id: v3.get_call(i)
        )
        assert call.call_id == call_id
        path = request.url.raw_path.decode().partition("?")[0]
        assert path.startswith("/v3/conversations/calls/")
        assert path.count("/") == 4
        assert request.url.params["include"] == INCLUDE


def test_a_call_nobody_knows_is_none() -> None:
    assert found({"code": 404, "message": "not found"}, 404) is None


def test_a_call_out_of_reach_fails_alone() -> None:
    with pytest.raises(Failed) as caught:
        found({"message": "no"}, 403)
    assert caught.value.code == "forbidden"


def test_another_refusal_passes_through() -> None:
    with pytest.raises(Rejected):
        found({"message": "no"}, 400)


@pytest.mark.parametrize("body", [{"data": {"result": {"call_id": 6}}}, {"data": {"call_id": 6}}])
def test_another_call_than_the_one_asked_for_is_not_taken_for_it(body: Any) -> None:
    with pytest.raises(Transient, match="another call"):
        found(body)


@pytest.mark.parametrize(
    "body", [{}, [], {"data": None}, {"data": {"result": []}}, {"data": {"result": {}}}, {"data": {}}]
)
def test_a_call_that_cannot_be_read_is_a_passing_fault(body: Any) -> None:
    with pytest.raises(Transient):
        found(body)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["call_id", "calls", "total", "result", "data", "recording_details", "url", "code", "message"]
)
bodies: st.SearchStrategy[Any] = st.recursive(
    json_values,
    lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@settings(deadline=None)
@given(bodies, bodies)
def test_any_answer_is_a_page_a_call_or_one_of_our_errors(body: Any, inner: Any) -> None:
    for answer in (
        body,
        {"data": inner},
        {"data": {"calls": [inner], "total": body}},
        {"data": {"result": inner}},
    ):
        for question in (
            lambda v3: v3.list_calls(START, END, limit=1, offset=0),
            lambda v3: v3.get_call("5"),
        ):
            try:
                ask(httpx.Response(200, json=answer), question)
            except MediapipeError:
                continue


def test_a_time_is_written_in_milliseconds_and_utc() -> None:
    assert (
        api_time(datetime(2026, 3, 1, 1, 2, 3, 456_789, timezone(timedelta(hours=1))))
        == "2026-03-01T00:02:03.456Z"
    )
