"""How the list of groups is read: in every shape it may have, to its end, and never in part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza import groups as module
from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.groups import PAGE, Group, Groups
from mediapipe.convirza.session import Session
from mediapipe.convirza.tokens import ReadyToken
from mediapipe.errors import CredentialsError, MediapipeError, Rejected, Transient
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy
from tests.convirza.server import Handler, Reply, Request, Server, as_json, script, serving

QUICK = RetryPolicy(attempts=2, wait_initial=0.001, wait_max=0.002, total=5.0)
ONE = {"org_unit_id": 1201, "group_name": "Roofing", "group_ext_id": "EXT-1201", "status": "active"}
ROOFING = Group("1201", "EXT-1201", "Roofing")


def listed(server: Server) -> tuple[Group, ...]:
    async def main() -> tuple[Group, ...]:
        async with open_http(Timeouts(2, 2, 2, 2), connections=1) as http:
            pacer = Pacer(AdaptiveLimit(1), Pause())
            session = Session(http, f"{server.url}/v3", ReadyToken("t", "V"), pacer, QUICK)
            return await Groups(session).list_groups()

    return anyio.run(main)


def read(*bodies: Any) -> tuple[Group, ...]:
    with serving(script(*(as_json(body) for body in bodies))) as server:
        return listed(server)


def window(request: Request) -> tuple[int, int]:
    query = parse_qs(urlsplit(request.target).query)
    return int(query["offset"][0]), int(query["limit"][0])


def paged(
    records: list[Any], *, cap: int = 1000, empty: Callable[[], Reply] | None = None, **more: Any
) -> Handler:
    """Return a handler with pages of ``cap`` records at the most; ``empty`` answers behind the last."""

    def handle(request: Request) -> Reply:
        offset, limit = window(request)
        page = records[offset : offset + min(limit, cap)]
        if not page and empty is not None:
            return empty()
        return as_json({"code": 200, "data": {"groups": page, **more}})

    return handle


@pytest.mark.parametrize(
    "body",
    [
        [ONE],
        {"data": [ONE]},
        {"data": {"groups": [ONE], "total": 1}},
        {"data": {"list": [ONE]}},
        {"data": {"items": [ONE]}},
        {"data": {"result": [ONE]}},
        {"data": {"data": [ONE]}},
        {"code": 200, "message": "Success", "groups": [ONE]},
        {"data": {"total": 1, "groups": None, "items": [ONE]}},
    ],
)
def test_the_list_may_stand_in_many_places(body: Any) -> None:
    assert read(body) == (ROOFING,)


@pytest.mark.parametrize(
    ("record", "group"),
    [
        ({"org_unit_id": 7}, Group("7")),
        ({"group_id": " 7 ", "name": "N", "ext_id": "E"}, Group("7", "E", "N")),
        ({"id": "7", "org_unit_name": "N", "org_unit_ext_id": 12}, Group("7", "12", "N")),
        ({"id": 9, "org_unit_id": 7, "external_id": "E"}, Group("7", "E")),
        ({"group_id": None, "id": 7, "group_ext_id": "", "group_external_id": "E"}, Group("7", "E")),
        ({"id": 7, "group_ext_id": None, "name": ["x"]}, Group("7")),
        ({"id": 7, "status": "Active"}, Group("7")),
        ({"id": 7, "status": 1, "deleted": False}, Group("7")),
    ],
)
def test_a_group_may_be_called_by_many_names(record: Mapping[str, Any], group: Group) -> None:
    assert read([record]) == (group,)


@pytest.mark.parametrize(
    "record",
    [
        *({**ONE, "status": status} for status in ("deleted", " Inactive", "DISABLED")),
        *({**ONE, "deleted": True}, {"org_unit_id": True}, {"org_unit_id": ""}, {"name": "N"}),
        *(None, 7, "1201", [], {}),
    ],
)
def test_what_is_gone_or_has_no_id_is_no_group(record: Any) -> None:
    assert read([record, {"id": 7}]) == (Group("7"),)


@pytest.mark.parametrize(
    "body", [{}, "text", 5, None, {"data": None}, {"data": "x"}, {"data": {}}, {"data": {"groups": {}}}]
)
def test_an_answer_without_a_list_is_unreadable(body: Any) -> None:
    with pytest.raises(Transient) as caught:
        read(body)
    assert caught.value.code == "unreadable_answer"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 450), st.sampled_from([1000, 200, 100, 37]), st.sampled_from(["active", "deleted"]))
def test_every_page_is_read_however_many_groups_it_has(count: int, cap: int, odd: str) -> None:
    """A page may hold fewer than asked for, and none but deleted ones."""
    records = [{"id": n, "status": odd if n < count // 2 else "active"} for n in range(1, count + 1)]
    with serving(paged(records, cap=cap)) as server:
        found = listed(server)
    alive = [str(record["id"]) for record in records if record["status"] == "active"]
    assert [group.group_id for group in found] == alive
    assert all(window(request)[1] == PAGE for request in server.seen)
    assert server.seen[0].path == "/v3/groups/list"


@pytest.mark.parametrize(
    "empty",
    [
        lambda: as_json({"data": None}),
        lambda: as_json({"data": {"total": 450, "groups": None}}),
        lambda: as_json({"result": "error", "err": "No records found"}),
        lambda: as_json({"code": 404, "message": "nothing there"}, 404),
    ],
)
def test_behind_the_last_group_there_may_be_anything(empty: Callable[[], Reply]) -> None:
    with serving(paged([{"id": n} for n in range(1, 451)], empty=empty)) as server:
        assert len(listed(server)) == 450
    assert [window(request)[0] for request in server.seen] == [0, 200, 400, 450]


@pytest.mark.parametrize("total", [0, 3, "450", None, 10**9])
def test_a_total_that_is_wrong_costs_no_group(total: Any) -> None:
    with serving(paged([{"id": n} for n in range(1, 451)], total=total)) as server:
        assert len(listed(server)) == 450


def test_a_list_that_ignores_the_offset_is_read_once() -> None:
    with serving(script(as_json([{"id": n} for n in range(1, 301)]))) as server:
        assert len(listed(server)) == 300
    assert len(server.seen) == 2


def test_a_list_without_an_end_is_not_taken_for_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that were not reached would look unknown, and cost their rows."""
    monkeypatch.setattr(module, "MOST_PAGES", 4)

    def handle(request: Request) -> Reply:
        return as_json([{"id": window(request)[0] + 1}])

    with serving(handle) as server, pytest.raises(Transient, match="no end after 4 pages") as caught:
        listed(server)
    assert caught.value.code == "unreadable_answer"
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(403, CredentialsError, "forbidden"), (404, Rejected, "http_404"), (500, Transient, "http_500")],
)
def test_a_refusal_is_passed_on(status: int, kind: type[MediapipeError], code: str) -> None:
    refusal = as_json({"code": status, "message": "no"}, status)
    with serving(script(refusal)) as server, pytest.raises(kind) as caught:
        listed(server)
    assert caught.value.code == code
    # Also in the middle: a part of the groups is worse than none.
    first = as_json([{"id": n} for n in range(PAGE)])
    if status != 404:
        with serving(script(first, refusal)) as server, pytest.raises(kind):
            listed(server)
