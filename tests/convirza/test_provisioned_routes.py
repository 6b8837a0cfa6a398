"""Which routes use which prompt: a mention too many keeps a prompt, one too few loses a caller's ear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mediapipe.convirza.prompts import V3Prompts
from mediapipe.errors import CredentialsError, Transient
from mediapipe.library.words import Mention, Routes
from tests.convirza.prompt_bench import asked, query_of
from tests.convirza.server import Handler, Reply, Request, Server, as_json, script, serving

LIST = "/provisioned-routes"


def route(number: int, **more: Any) -> dict[str, Any]:
    return {"provisioned_route_id": number, "provisioned_route_name": f"R{number}", **more}


def account(
    *routes: dict[str, Any],
    details: dict[int, dict[str, Any]] | None = None,
    cap: int = 1000,
    detail: Callable[[int], Reply] | None = None,
) -> Handler:
    """Return a server of routes; ``details`` are what a route shows besides when asked for alone."""

    def handle(request: Request) -> Reply:
        if request.path == LIST:
            query = query_of(request)
            start, most = int(query["offset"]), min(cap, int(query["limit"]))
            return as_json({"data": list(routes[start : start + most])})
        number = int(request.path.rpartition("/")[2])
        if detail is not None:
            return detail(number)
        (shown,) = (one for one in routes if number in (one.get("provisioned_route_id"), one.get("id")))
        return as_json({"data": {"result": {**shown, **(details or {}).get(number, {})}}})

    return handle


def seen(handler: Handler, **more: Any) -> tuple[Routes, Server]:
    with serving(handler) as server:
        return asked(V3Prompts, server.url, lambda api: api.routes(), **more), server


def routes_of(handler: Handler, **more: Any) -> Routes:
    return seen(handler, **more)[0]


def users(routes: Routes, prompt_id: str) -> list[str]:
    return [mention.route_id for mention in routes.of(prompt_id)]


@pytest.mark.parametrize(
    "shown",
    [
        {"whisper_id": 4001},
        {"whisper": 4001},
        {"whisper": {"id": 4001}},
        {"whisper": {"audio": {"value": "4001"}}},
        {"prompt_ids": [4000, 4001]},
        {"prompts": [{"name": "hello", "id": "4001"}]},
        {"voicemail_recording_id": "4001"},
        {"voicemailRecordingId": 4001.0},
        {"call_flow": {"steps": [{"action": "play", "prompt_id": 4001}]}},
        {"HOLD_MUSIC": " 4001 "},
        {"after_hours_message": {"media": [[4001]]}},
        {"survey": {"questions": {"first": 4001}}},
        {"greeting_audio": 4001},
    ],
)
def test_a_mention_is_found_wherever_it_stands(shown: dict[str, Any]) -> None:
    got = routes_of(account(route(1, **shown), route(2, whisper_id=None)))
    assert got.of("4001") == (Mention("1", "R1"),)
    assert (got.visible, got.seen, got.why) == (True, 2, "")
    assert got.of("") == ()


@pytest.mark.parametrize(
    "shown",
    [
        {"ring_to": 4001},
        {"campaign_id": 4001, "whisper_id": None},
        {"whisper_id": 40011},
        {"whisper_id": "x4001"},
        {"call_flow": {"id": 4001}, "whisper": None},
        {"message": "call 4001 now", "whisper_id": ""},
    ],
)
def test_what_is_no_audio_or_another_is_no_mention(shown: dict[str, Any]) -> None:
    assert users(routes_of(account(route(1, **shown))), "4001") == []


def test_every_route_that_uses_a_prompt_is_named_once() -> None:
    got = routes_of(
        account(
            route(1, whisper_id=7, prompt_ids=[7, 8]),
            route(2, whisper_id="7"),
            route(3, whisper_id=7, provisioned_route_status="deleted"),
            route(4, whisper_id=7, status=" Deleted "),
            {"id": 5, "name": "Five", "status": "inactive", "voicemail_id": 8},
        )
    )
    assert [str(mention) for mention in got.of("7")] == ["R1 (1)", "R2 (2)"]
    assert [str(mention) for mention in got.of("8")] == ["R1 (1)", "Five (5)"]
    assert got.seen == 3


@pytest.mark.parametrize("wrap", ["provisioned_routes", "routes", "items", "list", "result"])
def test_the_list_may_stand_in_many_places(wrap: str) -> None:
    body = {"data": {wrap: [route(1, whisper_id=7)], "total": 1}}
    assert users(routes_of(script(as_json(body))), "7") == ["1"]


def test_all_pages_are_read() -> None:
    many = [route(n, whisper_id=n + 1000) for n in range(1, 1101)]
    got, server = seen(account(*many, cap=499))
    assert (got.visible, got.seen, len(got.mentions)) == (True, 1100, 1100)
    assert query_of(server.seen[0]) == {"limit": "499", "offset": "0"}


def test_a_list_that_is_not_all_shows_nothing_for_certain() -> None:
    body = {"data": {"routes": [route(1, whisper_id=7)], "total": 9}}
    got = routes_of(script(as_json(body)))
    assert users(got, "7") == ["1"]
    assert not got.visible
    assert "9 records" in got.why


def test_an_account_without_routes_uses_nothing() -> None:
    assert routes_of(account()) == Routes(True, {})


# ── where the list shows less than there is ──────────────────────────────────────────────────


def test_routes_are_looked_at_one_by_one_where_the_list_shows_no_audio() -> None:
    details = {2: {"whisper": {"id": 7}}, 3: {"whisper": None}}
    got, server = seen(account(route(1), route(2), route(3), details=details))
    assert users(got, "7") == ["2"]
    assert (got.visible, got.seen) == (True, 3)
    assert [request.path for request in server.seen if request.path != LIST] == [
        f"{LIST}/{number}" for number in (1, 2, 3)
    ]


def test_routes_are_looked_at_one_by_one_where_they_show_more_than_the_list() -> None:
    routes = [route(n, whisper_id=None) for n in (1, 2)]
    details = {n: {"voicemail_id": 8 if n == 2 else None} for n in (1, 2)}
    got, server = seen(account(*routes, details=details))
    assert users(got, "8") == ["2"]
    assert got.visible
    _, server = seen(account(*routes))
    assert [request.path for request in server.seen].count(f"{LIST}/2") == 0


def test_only_so_many_are_looked_at_and_then_nothing_is_certain() -> None:
    many = [route(n) for n in range(1, 6)]
    details = {n: {"whisper_id": 7} for n in range(1, 6)}
    got, server = seen(account(*many, details=details), routes_looked_at=3)
    assert users(got, "7") == ["1", "2", "3"]
    assert (got.visible, got.seen) == (False, 3)
    assert got.why == "only 3 of 5 routes were looked at one by one"
    assert sum(request.path != LIST for request in server.seen) == 3
    assert routes_of(account(*many, details=details), routes_looked_at=5).visible


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"record_calls": True, "recording": True},
        {"recording_enabled": 1, "recording": 1, "call_recording": {"enabled": 1, "mode": 2}},
        {"message": None, "media": "", "hold_seconds": 30},
        {"greeting_text": "Press 1", "message": "Thank you for calling"},
        {"threshold": None, "social_media": "facebook"},
        {"paid_media": {"valid": 17}},
    ],
)
def test_a_switch_or_a_text_does_not_show_what_is_played(shown: dict[str, Any]) -> None:
    got = routes_of(account(route(1, **shown), route(2, **shown)))
    assert not got.visible
    assert "none of 2 routes shows any audio" in got.why


@pytest.mark.parametrize("shown", [{"prompt_ids": []}, {"whisper": {"id": None}}, {"greeting": {}}])
def test_an_empty_place_shows_that_nothing_is_played(shown: dict[str, Any]) -> None:
    assert routes_of(account(route(1, **shown))) == Routes(True, {}, 1)


def test_a_route_that_is_gone_meanwhile_is_left_out() -> None:
    def detail(number: int) -> Reply:
        if number == 1:
            return as_json({"message": "not found"}, 404)
        return as_json({"data": {"whisper_id": 7}})

    assert users(routes_of(account(route(1), route(2), detail=detail)), "7") == ["2"]


@pytest.mark.parametrize("status", [403, 400, 405])
def test_routes_that_are_not_shown_alone_leave_it_open(status: int) -> None:
    got = routes_of(account(route(1), detail=lambda _: as_json({"message": "no"}, status)))
    assert not got.visible
    assert f"HTTP {status}" in got.why
    told = routes_of(account(route(1, whisper_id=7), detail=lambda _: as_json({"message": "no"}, status)))
    assert told.visible
    assert users(told, "7") == ["1"]


# ── where there is nothing to be seen ────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_platform_that_shows_no_routes_says_why(status: int) -> None:
    got = routes_of(script(as_json({"code": status, "message": "no such thing"}, status)))
    assert (got.visible, dict(got.mentions)) == (False, {})
    assert "no such thing" in got.why
    assert f"HTTP {status}" in got.why


@pytest.mark.parametrize(
    "reply",
    [
        as_json({"message": "x"}, 500),
        Reply(200, b"<html>Sign in</html>"),
        as_json({"data": None}),
        as_json({"data": ["x"]}),
        as_json({"data": [{"provisioned_route_name": "no id"}]}),
        Reply(drop=True),
    ],
)
def test_what_cannot_be_read_is_no_account_without_mentions(reply: Reply) -> None:
    with pytest.raises(Transient):
        routes_of(script(reply))
    with pytest.raises(Transient):
        routes_of(
            account(route(1), detail=lambda _: reply if reply.body[:9] != b'{"data": ' else as_json([]))
        )


def test_a_dead_login_stops_the_run() -> None:
    with pytest.raises(CredentialsError):
        routes_of(script(as_json({"message": "dead"}, 401)))
