"""``GET /v3/provisioned-routes``: the account's routes, in a list and one by one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, envelope, v3_error
from mediapipe.sandbox.state import SandboxState


async def list_routes(state: SandboxState, request: Request) -> Response:
    """Answer a page of routes; the name matches in part, the status as a whole."""
    _check_there(state)
    query = request.query_params
    name = query.get("provisioned_route_name", "").lower()
    status = query.get("provisioned_route_status", "")
    with_audio = state.config.routes_show_audio and state.config.routes_list_audio
    found = [
        route.as_json(with_audio=with_audio)
        for route in state.routes.routes
        if name in route.name.lower() and status in ("", route.status)
    ]
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
    except ValueError:
        raise Refusal(v3_error(400, "limit and offset must be numbers")) from None
    if offset < 0 or not 0 < limit <= 500:
        raise Refusal(v3_error(400, "limit must be 1 to 500 and offset not negative"))
    page = {"total": len(found), "provisioned_routes": found[offset : offset + limit]}
    return envelope(page, now_ms=state.now_ms)


async def get_route(state: SandboxState, request: Request) -> Response:
    """Answer one route."""
    _check_there(state)
    route = state.routes.get(int(request.path_params["route_id"]))
    if route is None:
        return v3_error(404, "Provisioned route not found")
    shown = route.as_json(with_audio=state.config.routes_show_audio)
    return envelope({"result": shown}, now_ms=state.now_ms)


def _check_there(state: SandboxState) -> None:
    if not state.config.routes:
        raise Refusal(v3_error(404, "Not Found"))
