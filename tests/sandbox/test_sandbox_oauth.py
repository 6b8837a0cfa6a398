"""Logins, refresh, revoke, the limit, and the two generations' tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest


def test_v3_login_is_bare_with_iso_expiry_and_user(shared):
    body = shared.login().json()
    assert body["token_type"] == "Bearer"
    assert len(body["frontend_token"]) == 32
    assert datetime.fromisoformat(body["expires_in"]) > datetime.now(UTC)
    assert body["user"] == {
        "user_id": 1001,
        "email": "demo@sandbox.example",
        "role_id": 1,
        "org_unit_id": 1200,
    }


def test_v3_login_wrapped_by_config(sandbox):
    body = sandbox(wrapped_login=True).login().json()
    assert (body["code"], body["message"]) == (200, "Login successful")
    assert body["data"].keys() >= {"access_token", "user"}


@pytest.mark.parametrize(("change", "status"), [({"password": "no"}, 401), ({"email": ""}, 401)])
def test_v3_wrong_login(shared, change, status):
    answer = shared.login(**change)
    assert answer.status_code == status
    assert answer.json()["code"] == status


def test_v3_login_without_json_is_400(shared):
    url = f"{shared.env['CONVIRZA_V3_OAUTH_URL']}/token"
    assert shared.http.post(url, data={"email": "x"}).status_code == 400
    assert shared.http.post(url, json={"email": "x"}).status_code == 400


def test_refresh_works_once_and_rotates(api):
    url = f"{api.env['CONVIRZA_V3_OAUTH_URL']}/refresh-token"
    first = api.login().json()
    second = api.http.post(url, json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert api.http.post(url, json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert api.http.post(url, json={}).status_code == 400
    assert api.box.state.stats.refreshes == 1


def test_revoke_is_idempotent_and_kills(api):
    url = f"{api.env['CONVIRZA_V3_OAUTH_URL']}/revoke-token"
    token = api.v3_headers["Authorization"].split()[1]
    for _ in range(2):
        assert api.http.post(url, json={"token": token, "token_type": "access"}).status_code == 200
    assert api.list().status_code == 401
    assert api.http.post(url, json={"token": token}).status_code == 400


def test_v2_login_form_and_json(shared):
    body = shared.login_v2().json()
    assert (body["expires_in"], body["status"], body["token_type"]) == (3600, "success", "Bearer")
    assert len(body["access_token"]) == 36
    url = f"{shared.env['CONVIRZA_V2_OAUTH_URL']}/token"
    assert shared.http.post(url, json=shared.v2_form()).status_code == 200
    assert shared.login_v2(client_secret="no").status_code == 401
    assert shared.login_v2(grant_type="other").status_code == 400
    assert "statusCode" in shared.login_v2(grant_type="other").json()


def test_v2_has_no_refresh(shared):
    url = f"{shared.env['CONVIRZA_V2_OAUTH_URL']}/refresh-token"
    assert shared.http.post(url, json={"refresh_token": "x"}).status_code == 404


def test_tokens_of_one_generation_do_not_open_the_other(shared):
    list_url = f"{shared.env['CONVIRZA_V3_URL']}/conversations/calls"
    audio_url = f"{shared.env['CONVIRZA_V2_URL']}/misc/getaudiolist"
    assert shared.http.get(list_url, headers=shared.v2_headers).status_code == 401
    assert shared.http.get(audio_url, headers=shared.v3_headers).status_code == 401
    assert shared.http.get(audio_url).status_code == 401
    assert shared.http.get(audio_url, headers=shared.v2_headers).status_code == 200


def test_login_limit_is_per_generation_and_minute(sandbox):
    api = sandbox(login_limit_per_minute=10)
    assert [api.login().status_code for _ in range(10)] == [200] * 9 + [429]
    assert api.login_v2().status_code == 200
    api.box.state.advance(61)
    assert api.login().status_code == 200


def test_v3_tokens_live_by_use_and_v2_tokens_do_not(sandbox):
    api = sandbox(access_token_seconds=100, v2_token_seconds=100)
    audio_url = f"{api.env['CONVIRZA_V2_URL']}/misc/getaudiolist"
    for _ in range(3):
        api.box.state.advance(60)
        assert api.list().status_code == 200
    assert api.http.get(audio_url, headers=api.v2_headers).status_code == 401
    api.box.state.advance(101)
    assert api.list().status_code == 401
