"""The provisioned routes, and what they show of their audio."""

from __future__ import annotations

from typing import Any

import pytest


def ask(api: Any, path: str = "", **query: Any) -> Any:
    url = f"{api.env['CONVIRZA_V3_URL']}/provisioned-routes{path}"
    return api.http.get(url, params=query, headers=api.v3_headers)


def names(api: Any, **query: Any) -> list[str]:
    return [
        route["provisioned_route_name"] for route in ask(api, **query).json()["data"]["provisioned_routes"]
    ]


def test_routes_are_listed_in_pages_and_by_filters(api):
    assert names(api) == ["Main line", "Spring mailing", "After hours"]
    assert names(api, limit=1, offset=1) == ["Spring mailing"]
    assert names(api, offset=3) == []
    assert names(api, provisioned_route_name="MAI") == ["Main line", "Spring mailing"]
    api.box.state.routes.delete(1023)
    assert names(api, provisioned_route_status="active") == ["Main line", "After hours"]
    assert names(api, provisioned_route_status="deleted") == ["Spring mailing"]
    assert len(names(api)) == 3


@pytest.mark.parametrize("query", [{"limit": "x"}, {"limit": 0}, {"limit": 501}, {"offset": -1}])
def test_a_wrong_page_is_refused(shared, query):
    assert ask(shared, **query).status_code == 400


def test_a_route_names_its_audio_in_the_list_and_alone(api):
    api.box.state.routes.mention(1022, whisper_id=4001, greeting={"id": "4002"})
    made = api.box.state.routes.add("New", prompt_ids=[4003])
    alone = ask(api, "/1022").json()["data"]["result"]
    assert (alone["whisper_id"], alone["greeting"]) == (4001, {"id": "4002"})
    assert ask(api).json()["data"]["provisioned_routes"][0] == alone
    assert ask(api, f"/{made.route_id}").json()["data"]["result"]["prompt_ids"] == [4003]
    assert ask(api, "/7").status_code == 404
    with pytest.raises(KeyError):
        api.box.state.routes.mention(7, whisper_id=1)


@pytest.mark.parametrize(
    ("config", "in_list", "alone"),
    [({"routes_show_audio": False}, False, False), ({"routes_list_audio": False}, False, True)],
)
def test_routes_may_show_no_audio(sandbox, config, in_list, alone):
    api = sandbox(**config)
    assert ("whisper_id" in ask(api).json()["data"]["provisioned_routes"][0]) == in_list
    assert ("whisper_id" in ask(api, "/1022").json()["data"]["result"]) == alone


def test_there_may_be_no_such_endpoint(sandbox):
    api = sandbox(routes=False)
    assert (ask(api).status_code, ask(api, "/1022").status_code) == (404, 404)


def test_a_token_of_the_newer_generation_is_asked_for(shared):
    url = f"{shared.env['CONVIRZA_V3_URL']}/provisioned-routes"
    assert shared.http.get(url, headers=shared.v2_headers).status_code == 401


def test_routes_are_kept(sandbox, tmp_path):
    state = sandbox(data=tmp_path).box.state
    state.routes.mention(1024, voicemail_recording_id=4001)
    state.routes.delete(1023)
    again = sandbox(data=tmp_path).box.state
    assert again.routes.routes == state.routes.routes
    assert again.routes.get(1024).audio["voicemail_recording_id"] == 4001


def test_routes_are_stirred_from_outside(api):
    base = f"{api.box.url}/_sandbox/routes"
    assert api.http.post(f"{base}/1022", json={"whisper_id": 4001}).json()["audio"]["whisper_id"] == 4001
    assert [route["route_id"] for route in api.http.get(base).json()["routes"]] == [1022, 1023, 1024]
    assert ask(api, "/1022").json()["data"]["result"]["whisper_id"] == 4001
    assert api.http.post(f"{base}/7", json={}).status_code == 404
    assert api.http.post(f"{base}/1022", content=b"[]").status_code == 400
