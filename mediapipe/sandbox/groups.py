"""``GET /v3/groups/list``: the account's organizational units, for admins only."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, envelope, v3_error
from mediapipe.sandbox.records import UNITS
from mediapipe.sandbox.state import SandboxState

_ADMIN = 1


async def list_groups(state: SandboxState, request: Request) -> Response:
    """Answer a page of groups; ``group_name`` matches parts of a name."""
    if state.config.role_id != _ADMIN:
        raise Refusal(v3_error(403, "Admin only"))
    query = request.query_params
    name = query.get("group_name", "").lower()
    groups = [
        {"org_unit_id": unit, "group_name": text, "group_ext_id": f"EXT-{unit}", "status": "active"}
        for unit, text in sorted(UNITS.items())
        if name in text.lower()
    ]
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
    except ValueError:
        raise Refusal(v3_error(400, "limit and offset must be numbers")) from None
    if offset < 0 or limit < 0:
        raise Refusal(v3_error(400, "limit and offset must not be negative"))
    page = groups[offset : offset + limit]
    return envelope(json.dumps({"total": len(groups), "groups": page}), now_ms=state.now_ms)
