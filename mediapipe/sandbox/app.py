"""The sandbox's routes: which path is which endpoint, and whose token opens it."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from mediapipe.sandbox import admin, calluploads, groups, listing, oauth, prompts, recordings, routes
from mediapipe.sandbox.answers import v2_error, v3_error
from mediapipe.sandbox.config import SandboxConfig
from mediapipe.sandbox.gate import Gate, Handler
from mediapipe.sandbox.state import SandboxState
from mediapipe.sandbox.stats import Endpoint
from mediapipe.sandbox.tokens import V2, V3


def create_app(config: SandboxConfig | None = None, *, state: SandboxState | None = None) -> Starlette:
    """Return the sandbox as an ASGI application; its state is ``app.state.sandbox``.

    Give ``state`` to serve one that exists already. Faults that drop connections need the server of
    :mod:`mediapipe.sandbox.server`.
    """
    state = state or SandboxState(config or SandboxConfig())
    app = Starlette(routes=[*_v3(state), *_v2(state), *_hosts(state), *admin.routes(state)])
    app.add_exception_handler(404, _unknown)
    app.add_exception_handler(405, _unknown)
    app.state.sandbox = state
    return app


def _v3(state: SandboxState) -> list[BaseRoute]:
    calls = "/v3/conversations/calls"
    return [
        _route("/v3-oauth/oauth/token", "POST", Gate(state, Endpoint.TOKEN, oauth.v3_token)),
        _route("/v3-oauth/oauth/refresh-token", "POST", Gate(state, Endpoint.REFRESH, oauth.v3_refresh)),
        _route("/v3-oauth/oauth/revoke-token", "POST", Gate(state, Endpoint.REVOKE, oauth.v3_revoke)),
        _route(calls, "GET", Gate(state, Endpoint.LIST, listing.list_calls, V3)),
        _route(f"{calls}/{{call_id:int}}", "GET", Gate(state, Endpoint.CALL, listing.get_call, V3)),
        _route("/v3/groups/list", "GET", Gate(state, Endpoint.GROUPS, groups.list_groups, V3)),
        _route("/v3/media-prompts", "GET", Gate(state, Endpoint.PROMPT_LIST, prompts.list_prompts, V3)),
        _route("/v3/media-prompts", "POST", Gate(state, Endpoint.PROMPT_UPLOAD, prompts.upload_prompt, V3)),
        _route(
            "/v3/media-prompts/{prompt_id:int}",
            "DELETE",
            Gate(state, Endpoint.PROMPT_DELETE, prompts.delete_prompt, V3),
        ),
        _route("/v3/provisioned-routes", "GET", Gate(state, Endpoint.ROUTES, routes.list_routes, V3)),
        _route(
            "/v3/provisioned-routes/{route_id:int}", "GET", Gate(state, Endpoint.ROUTE, routes.get_route, V3)
        ),
    ]


def _v2(state: SandboxState) -> list[BaseRoute]:
    def route(path: str, method: str, endpoint: Endpoint, handler: Handler) -> Route:
        return _route(f"/v2{path}", method, Gate(state, endpoint, handler, V2))

    return [
        _route("/v2-oauth/oauth/token", "POST", Gate(state, Endpoint.V2_TOKEN, oauth.v2_token)),
        route("/call/upload", "POST", Endpoint.UPLOAD, calluploads.upload_call),
        route("/misc/upload/prompt", "POST", Endpoint.V2_PROMPT, prompts.upload_v2_prompts),
        route("/misc/upload/whisper", "POST", Endpoint.V2_WHISPER, prompts.upload_v2_whispers),
        route("/misc/getaudiolist", "GET", Endpoint.V2_AUDIO_LIST, prompts.list_v2_audio),
    ]


def _hosts(state: SandboxState) -> list[BaseRoute]:
    recording = Gate(state, Endpoint.RECORDING, recordings.get_recording)
    audio = Gate(state, Endpoint.V2_AUDIO, recordings.get_prompt_audio)
    return [
        Mount(
            recordings.HOST_PATH,
            routes=[
                _route("/recordings/{call_id:int}", "GET", recording),
                _route("/audio/{prompt_id:int}", "GET", audio),
            ],
        )
    ]


def _route(path: str, method: str, gate: Gate) -> Route:
    return Route(path, gate.answer, methods=[method])


async def _unknown(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return (v2_error if request.url.path.startswith("/v2") else v3_error)(status, "Not Found")
