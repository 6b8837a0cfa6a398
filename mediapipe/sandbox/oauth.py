"""The OAuth endpoints of both generations."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, envelope, reply, v2_error, v3_error
from mediapipe.sandbox.records import ROOT_UNIT, iso
from mediapipe.sandbox.state import SandboxState
from mediapipe.sandbox.tokens import V2, V3, Grant


async def v3_token(state: SandboxState, request: Request) -> Response:
    """``POST /oauth/token``: email and password for a pair of tokens."""
    body = await _json(request)
    _limit(state, request, V3)
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not isinstance(password, str):
        return v3_error(400, "email and password are required")
    grant = state.tokens.login_v3(email, password)
    if grant is None:
        return v3_error(401, "Invalid email or password")
    state.stats.logins[V3] += 1
    if state.config.wrapped_login or getattr(request.state, "wrapped", False):
        return envelope(_pair(state, grant), now_ms=state.now_ms, message="Login successful")
    return reply(_pair(state, grant))


async def v3_refresh(state: SandboxState, request: Request) -> Response:
    """``POST /oauth/refresh-token``: a refresh token for a new pair; each works once."""
    token = (await _json(request)).get("refresh_token")
    if not isinstance(token, str) or not token:
        return v3_error(400, "refresh_token is required")
    grant = state.tokens.refresh(token)
    if grant is None:
        return v3_error(401, "Refresh token is expired, already used or revoked")
    state.stats.refreshes += 1
    return reply(_pair(state, grant))


async def v3_revoke(state: SandboxState, request: Request) -> Response:
    """``POST /oauth/revoke-token``: end a token; a dead one is no error."""
    body = await _json(request)
    token, kind = body.get("token"), body.get("token_type")
    if not isinstance(token, str) or kind not in ("access", "refresh"):
        return v3_error(400, "token and token_type (access or refresh) are required")
    state.tokens.kill(token)
    return reply({"code": 200, "message": "Token revoked"})


async def v2_token(state: SandboxState, request: Request) -> Response:
    """``POST /oauth/token`` of the older generation: form or JSON, with the client's id and secret."""
    is_json = "json" in request.headers.get("content-type", "")
    form = await _json(request, v2=True) if is_json else {**(await request.form())}
    _limit(state, request, V2)
    keys = ("client_id", "client_secret", "username", "password")
    given = [form.get(key) for key in keys]
    values = [value for value in given if isinstance(value, str) and value]
    if form.get("grant_type") != "password" or len(values) != len(keys):
        return v2_error(400, f"grant_type=password, {', '.join(keys)} are required")
    grant = state.tokens.login_v2(*values)
    if grant is None:
        return v2_error(401, "Invalid client or user credentials")
    state.stats.logins[V2] += 1
    return reply(
        {
            "access_token": grant.access,
            "refresh_token": grant.refresh,
            "expires_in": int(state.config.v2_token_seconds),
            "status": "success",
            "token_type": "Bearer",
        }
    )


def _limit(state: SandboxState, request: Request, generation: str) -> None:
    address = request.client.host if request.client else ""
    if not state.tokens.admits(generation, address):
        error = v2_error if generation == V2 else v3_error
        raise Refusal(error(429, "Too many login attempts: at most 10 per minute"))


def _pair(state: SandboxState, grant: Grant) -> dict[str, Any]:
    config = state.config
    return {
        "access_token": grant.access,
        "refresh_token": grant.refresh,
        "frontend_token": grant.access[:32],
        "token_type": "Bearer",
        "expires_in": iso(int(grant.access_expires * 1000)),
        "refresh_expires_in": iso(int(grant.refresh_expires * 1000)),
        "user": {
            "user_id": 1001,
            "email": config.email,
            "role_id": config.role_id,
            "org_unit_id": ROOT_UNIT,
        },
    }


async def _json(request: Request, *, v2: bool = False) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal((v2_error if v2 else v3_error)(400, "The body must be a JSON object"))
    return body
