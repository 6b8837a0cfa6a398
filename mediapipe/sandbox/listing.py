"""``GET /v3/conversations/calls``: the query's rules, and the walk over the calls that match."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from mediapipe.sandbox.answers import Refusal, envelope, v3_error
from mediapipe.sandbox.calls import Call
from mediapipe.sandbox.config import DAY_S
from mediapipe.sandbox.recordings import url_signer
from mediapipe.sandbox.records import INCLUDES, ROOT_UNIT, UNITS
from mediapipe.sandbox.state import SandboxState

LIMIT_MAX = 200
LIMIT_DEFAULT = 50
RANGE_MAX_MS = 31 * DAY_S * 1000
RANGE_DEFAULT_MS = 7 * DAY_S * 1000
DISPOSITIONS = ("ANSWERED", "NO ANSWER", "BUSY", "FAILED", "VOICEMAIL", "ABANDONED", "TRANSFERRED")
_NOT_KEY = ("limit", "offset", "include")


@dataclass(slots=True)
class Listing:
    """One list answer in the making, which faults may still twist. ``matched`` is newest first."""

    matched: list[Call]
    offset: int
    limit: int
    total: int
    start_ms: int
    end_ms: int
    key: str = ""
    """Names the walk: the same window and filters give the same key."""

    def page(self) -> list[Call]:
        """Return the calls of the page."""
        return self.matched[self.offset : self.offset + self.limit]


async def list_calls(state: SandboxState, request: Request) -> Response:
    """Answer a page of calls, newest first; ``start`` is inclusive, ``end`` exclusive."""
    query = request.query_params
    include = included(query)
    if query.get("call_id"):
        call = state.book.get(_number(query, "call_id", 1, None, 0))
        calls, total = ([] if call is None else [call]), int(call is not None)
    else:
        listing = _listing(state, query)
        for twist in getattr(request.state, "twists", ()):
            twist(listing)
        calls, total = listing.page(), listing.total
    sign, now = url_signer(state, request), state.now_ms
    records = ",".join(state.writer.write(call, include, now, sign) for call in calls)
    return envelope(f'{{"total":{total},"calls":[{records}]}}', now_ms=now)


async def get_call(state: SandboxState, request: Request) -> Response:
    """``GET /v3/conversations/calls/{id}``: the one call, under ``data.result``."""
    call_id = int(request.path_params["call_id"])
    state.stats.call_fetches[call_id] += 1
    include = included(request.query_params)
    call = state.book.get(call_id)
    if call is None:
        return v3_error(404, "Call not found")
    record = state.writer.write(call, include, state.now_ms, url_signer(state, request))
    return envelope(f'{{"result":{record}}}', now_ms=state.now_ms)


def included(query: QueryParams) -> frozenset[str]:
    """Return the ``include`` names, given repeated or comma separated."""
    names = frozenset(name.strip() for value in query.getlist("include") for name in value.split(","))
    unknown = sorted(names - {"", *INCLUDES})
    if unknown:
        raise Refusal(v3_error(400, f"include: unknown name {', '.join(unknown)}"))
    return names - {""}


def _listing(state: SandboxState, query: QueryParams) -> Listing:
    limit = _number(query, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT)
    offset = _number(query, "offset", 0, None, 0)
    start, end = _span(state, query)
    wanted = _filters(query)
    matched = state.book.window(start, end)
    if wanted:
        matched = [call for call in matched if all(fits(call) for fits in wanted)]
    key = "&".join(sorted(f"{name}={value}" for name, value in query.multi_items() if name not in _NOT_KEY))
    return Listing(matched, offset, limit, len(matched), start, end, key)


def _span(state: SandboxState, query: QueryParams) -> tuple[int, int]:
    end = _instant(query, "end")
    end = state.now_ms if end is None else end
    start = _instant(query, "start")
    start = end - RANGE_DEFAULT_MS if start is None else start
    if end <= start:
        raise Refusal(v3_error(400, "end must be strictly greater than start"))
    if end - start > RANGE_MAX_MS:
        raise Refusal(v3_error(400, "The date range must not exceed 31 days"))
    return start, end


def _instant(query: QueryParams, name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(v3_error(400, f"{name} must be an ISO 8601 instant")) from None
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1000)


def _number(query: QueryParams, name: str, low: int, high: int | None, default: int) -> int:
    text = query.get(name)
    if not text:
        return default
    value = int(text) if re.fullmatch(r"-?\d{1,18}", text) else None
    if value is None or value < low or (high is not None and value > high):
        most = f" and at most {high}" if high else ""
        raise Refusal(v3_error(400, f"{name} must be a number of at least {low}{most}"))
    return value


def _filters(query: QueryParams) -> list[Callable[[Call], bool]]:
    """Return one test per filter given."""
    tests: list[Callable[[Call], bool]] = []
    unit = _number(query, "org_unit_id", 1, None, 0)
    if unit and unit not in UNITS:
        raise Refusal(v3_error(403, "org_unit_id is outside your account"))
    if unit and unit != ROOT_UNIT:
        tests.append(lambda call: call.org_unit_id == unit)
    if campaign := _number(query, "campaign_id", 1, None, 0):
        tests.append(lambda call: call.campaign_id == campaign)
    if route := _number(query, "provisioned_route_id", 1, None, 0):
        tests.append(lambda call: call.route_id == route)
    if caller := query.get("caller_id"):
        if not re.fullmatch(r"\+\d{7,15}", caller):
            raise Refusal(v3_error(400, "caller_id must be in E.164 format, for example +15551234567"))
        tests.append(lambda call: call.caller_id == caller[1:])
    if phone := re.sub(r"\D", "", query.get("phone_number", "")):
        tests.append(lambda call: call.phone_number == phone)
    if ring_to := re.sub(r"\D", "", query.get("ring_to", "")):
        tests.append(lambda call: call.ring_to == ring_to)
    if outcomes := frozenset(word for word in query.getlist("disposition") if word):
        if not outcomes.issubset(DISPOSITIONS):
            raise Refusal(v3_error(400, f"disposition must be one of {', '.join(DISPOSITIONS)}"))
        tests.append(lambda call: call.disposition in outcomes)
    return tests
