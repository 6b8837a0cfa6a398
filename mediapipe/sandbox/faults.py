"""The faults a sandbox can be told to have: one table, and the board that says which are on.

To add a fault, add a row; to add a way of failing, add an effect to :mod:`mediapipe.sandbox.effects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox import listfaults
from mediapipe.sandbox.answers import Ending, Served, data_error, proxy_page, reply, rule_error, v2_error
from mediapipe.sandbox.effects import (
    DROP,
    HTML_200,
    RESET,
    SCHEMA,
    Effect,
    Hit,
    Proceed,
    after,
    expire,
    fetch_late,
    half,
    half_made,
    hang,
    index_late,
    list_late,
    noting,
    other_bytes,
    overdeclared,
    redirect_foreign,
    redirect_same,
    refuse,
    reserved,
    slow,
    stale,
    status,
    twisted,
    unauthorized,
)
from mediapipe.sandbox.scenario import Draw, FaultRule, Switch
from mediapipe.sandbox.stats import Endpoint

if TYPE_CHECKING:
    from mediapipe.sandbox.state import SandboxState


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table: where it strikes, what it does, and what one draw decides about."""

    endpoints: frozenset[Endpoint]
    effect: Effect
    draw: Draw = Draw.REQUEST


_TOKEN = frozenset({Endpoint.TOKEN, Endpoint.V2_TOKEN})
_V3_LOGIN = frozenset({Endpoint.TOKEN})
_REFRESH = frozenset({Endpoint.REFRESH})
_LIST = frozenset({Endpoint.LIST})
_CALL = frozenset({Endpoint.CALL})
_RECORDING = frozenset({Endpoint.RECORDING})
_GROUPS = frozenset({Endpoint.GROUPS})
_UPLOAD = frozenset({Endpoint.UPLOAD})
_PROMPT = frozenset({Endpoint.PROMPT_UPLOAD, Endpoint.V2_PROMPT, Endpoint.V2_WHISPER})
_PROMPT_READ = frozenset({Endpoint.PROMPT_LIST, Endpoint.V2_AUDIO_LIST})
_PROMPT_DELETE = frozenset({Endpoint.PROMPT_DELETE})
_ROUTES = frozenset({Endpoint.ROUTES, Endpoint.ROUTE})
_GUARDED = _LIST | _CALL | _GROUPS | _UPLOAD | _PROMPT | _PROMPT_READ | _PROMPT_DELETE | _ROUTES

FAULTS: dict[str, Fault] = {
    "token_500": Fault(_TOKEN, status(500)),
    "token_429": Fault(_TOKEN, status(429)),
    "token_reset": Fault(_TOKEN, RESET),
    "token_wrapped": Fault(_V3_LOGIN, noting(wrapped=True)),
    "refresh_401": Fault(_REFRESH, status(401)),
    "refresh_500": Fault(_REFRESH, status(500)),
    "refresh_commit_then_drop": Fault(_REFRESH, after(DROP)),
    "unauthorized_mid_run": Fault(_GUARDED, unauthorized),
    "forbidden": Fault(_GUARDED, status(403)),
    "list_500": Fault(_LIST, status(500)),
    "list_429": Fault(_LIST, status(429)),
    "list_reset": Fault(_LIST, RESET),
    "list_slow": Fault(_LIST, slow),
    "list_html_200": Fault(_LIST, HTML_200),
    "list_unstable_order": Fault(_LIST, twisted(listfaults.unstable_order)),
    "list_duplicates": Fault(_LIST, twisted(listfaults.duplicates)),
    "list_drifting_total": Fault(_LIST, twisted(listfaults.drifting_total)),
    "list_insert_mid_walk": Fault(_LIST, twisted(listfaults.insert_mid_walk)),
    "list_never_settles": Fault(_LIST, twisted(listfaults.never_settles)),
    "list_ignores_offset": Fault(_LIST, twisted(listfaults.ignores_offset)),
    "list_page_cap": Fault(_LIST, twisted(listfaults.page_cap)),
    "call_500": Fault(_CALL, status(500)),
    "call_429": Fault(_CALL, status(429)),
    "call_404": Fault(_CALL, status(404)),
    "call_reset": Fault(_CALL, RESET),
    "groups_500": Fault(_GROUPS, status(500)),
    "groups_403": Fault(_GROUPS, status(403)),
    "recording_500": Fault(_RECORDING, status(500)),
    "recording_429": Fault(_RECORDING, status(429)),
    "recording_403_once": Fault(_RECORDING, status(403), Draw.ONCE),
    "recording_404": Fault(_RECORDING, status(404), Draw.STICKY),
    "recording_410": Fault(_RECORDING, expire, Draw.ONCE),
    "recording_410_forever": Fault(_RECORDING, expire, Draw.STICKY),
    "recording_poison": Fault(_RECORDING, status(500), Draw.STICKY),
    "recording_reset": Fault(
        _RECORDING, reserved(lambda r: half(r, declared=len(r.body), ending=Ending.RESET))
    ),
    "recording_truncated": Fault(
        _RECORDING, reserved(lambda r: half(r, declared=len(r.body), ending=Ending.CLOSE))
    ),
    "recording_short": Fault(_RECORDING, reserved(lambda r: half(r, declared=None, ending=Ending.WHOLE))),
    "recording_wrong_length": Fault(_RECORDING, reserved(overdeclared)),
    "recording_no_length": Fault(
        _RECORDING, reserved(lambda r: Served(bytes(r.body), r.status_code, r.plain_headers))
    ),
    "recording_empty": Fault(_RECORDING, refuse(lambda: Served(b"", declared=0))),
    "recording_html_200": Fault(_RECORDING, HTML_200),
    "recording_json_200": Fault(_RECORDING, refuse(lambda: reply({"code": 500, "message": "Storage"}))),
    "recording_redirect_foreign": Fault(_RECORDING, redirect_foreign),
    "recording_redirect_same": Fault(_RECORDING, redirect_same),
    "recording_slow": Fault(_RECORDING, slow),
    "recording_hang": Fault(_RECORDING, hang),
    "recording_no_range": Fault(_RECORDING, noting(no_range=True)),
    "recording_etag_changes": Fault(_RECORDING, other_bytes, Draw.STICKY),
    "upload_commit_then_drop": Fault(_UPLOAD, after(DROP)),
    "upload_commit_then_500": Fault(_UPLOAD, after(status(500))),
    "upload_commit_then_504": Fault(_UPLOAD, after(refuse(lambda: proxy_page(504)))),
    "upload_commit_then_hang": Fault(_UPLOAD, after(hang)),
    "upload_commit_then_html": Fault(_UPLOAD, after(HTML_200)),
    "upload_drop_before": Fault(_UPLOAD, DROP),
    "upload_500_before": Fault(_UPLOAD, status(500)),
    "upload_503": Fault(_UPLOAD, status(503)),
    "upload_429": Fault(_UPLOAD, status(429)),
    "upload_400": Fault(_UPLOAD, refuse(lambda: v2_error(400, "Validation failed"))),
    "upload_413": Fault(_UPLOAD, refuse(lambda: proxy_page(413))),
    "upload_slow": Fault(_UPLOAD, slow),
    "upload_hang": Fault(_UPLOAD, hang),
    "upload_html": Fault(_UPLOAD, HTML_200),
    "upload_result_error": Fault(_UPLOAD, refuse(lambda: rule_error("Failed to upload  File."))),
    "upload_data_error": Fault(_UPLOAD, refuse(lambda: data_error("Failed to upload  File."))),
    "upload_schema_error": Fault(_UPLOAD, SCHEMA),
    "upload_empty_200": Fault(_UPLOAD, noting(upload_answer="empty")),
    "upload_result_json": Fault(_UPLOAD, noting(upload_answer="json")),
    "upload_indexed_late": Fault(_UPLOAD, index_late),
    "upload_fetch_late": Fault(_UPLOAD, fetch_late),
    "upload_duplicate_refused": Fault(_UPLOAD, noting(refuse_duplicate=True)),
    "prompt_commit_then_drop": Fault(_PROMPT, after(DROP)),
    "prompt_commit_then_500": Fault(_PROMPT, after(status(500))),
    "prompt_commit_then_hang": Fault(_PROMPT, after(hang)),
    "prompt_commit_then_html": Fault(_PROMPT, after(HTML_200)),
    "prompt_half_made": Fault(_PROMPT, half_made),
    "prompt_listed_late": Fault(_PROMPT, list_late),
    "prompt_drop_before": Fault(_PROMPT, DROP),
    "prompt_hang": Fault(_PROMPT, hang),
    "prompt_html": Fault(_PROMPT, HTML_200),
    "prompt_400": Fault(_PROMPT, status(400)),
    "prompt_429": Fault(_PROMPT, status(429)),
    "prompt_500_before": Fault(_PROMPT, status(500)),
    "prompt_503": Fault(_PROMPT, status(503)),
    "prompt_list_429": Fault(_PROMPT_READ, status(429)),
    "prompt_list_500": Fault(_PROMPT_READ, status(500)),
    "prompt_list_html_200": Fault(_PROMPT_READ, HTML_200),
    "prompt_list_stale": Fault(_PROMPT_READ, stale),
    "prompt_delete_429": Fault(_PROMPT_DELETE, status(429)),
    "prompt_delete_500": Fault(_PROMPT_DELETE, status(500)),
    "prompt_delete_then_drop": Fault(_PROMPT_DELETE, after(DROP)),
    "routes_403": Fault(_ROUTES, status(403)),
    "routes_500": Fault(_ROUTES, status(500)),
}
"""Every fault by name."""


class FaultBoard:
    """The faults that are on, with their memories."""

    def __init__(self, rules: Sequence[FaultRule] = ()) -> None:
        self._switches: list[Switch] = []
        self.set(rules)

    def set(self, rules: Sequence[FaultRule]) -> None:
        """Replace all faults; every count and draw starts anew. An unknown name is a ValueError."""
        unknown = sorted({rule.name for rule in rules} - FAULTS.keys())
        if unknown:
            names = ", ".join(sorted(FAULTS))
            raise ValueError(f"unknown fault {', '.join(unknown)}; the faults are {names}")
        self._switches = [Switch(rule, FAULTS[rule.name].draw) for rule in rules]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules and how often each was seen and hit."""
        return [{**s.rule.as_table(), "seen": s.seen, "hits": s.hits} for s in self._switches]

    def hits(self, name: str) -> int:
        """Return how often a fault has struck."""
        return sum(switch.hits for switch in self._switches if switch.rule.name == name)

    async def around(
        self,
        state: SandboxState,
        endpoint: Endpoint,
        request: Request,
        call_id: int | None,
        proceed: Proceed,
    ) -> Response:
        """Answer the request through every fault that hits it; the first rule stands outermost."""
        for switch in reversed(self._switches):
            if endpoint in FAULTS[switch.rule.name].endpoints and _in_days(switch.rule, request):
                proceed = self._wrapped(state, endpoint, request, switch, call_id, proceed)
        return await proceed()

    def _wrapped(
        self,
        state: SandboxState,
        endpoint: Endpoint,
        request: Request,
        switch: Switch,
        call_id: int | None,
        proceed: Proceed,
    ) -> Proceed:
        async def wrapped() -> Response:
            if not switch.fires(call_id):
                return await proceed()
            return await FAULTS[switch.rule.name].effect(Hit(switch, state, endpoint, request, proceed))

        return wrapped


def _in_days(rule: FaultRule, request: Request) -> bool:
    """Return whether the middle of a list request lies in one of the rule's days (all, when it names none).

    The middle, because a careful client asks for a little more than the day on both sides.
    """
    if not rule.days:
        return True
    start, end = (_moment(request.query_params.get(name)) for name in ("start", "end"))
    if start is None or end is None:
        return False
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in rule.days]
    middle = (start + end) / 2
    return any(day.timestamp() <= middle < day.timestamp() + 86_400 for day in days)


def _moment(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return None
