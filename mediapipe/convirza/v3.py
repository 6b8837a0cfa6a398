"""The v3 API: reading calls. Source: the vendor's pages "Get Calls List" and "Get Call By ID"."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from mediapipe.convirza.models import Call, Page, read_call
from mediapipe.convirza.session import Answer, Query, Session
from mediapipe.errors import CredentialsError, Failed, Rejected, Transient

INCLUDE = "tags,comments,custom_sources,recordings"
"""Always asked for: without ``recordings`` no recording is shown at all."""


log = logging.getLogger(__name__)


def api_time(moment: datetime) -> str:
    """Return an instant as the API writes it: ISO 8601 UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class V3:
    """Calls and their recordings, read-only."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def clock_skew(self) -> float:
        """How many seconds the platform's clock is ahead of ours, by its latest answer."""
        return self.session.clock_skew

    async def list_calls(self, start: datetime, end: datetime, *, limit: int, offset: int) -> Page:
        """Return one page of the calls the platform lists for [start, end].

        Whether the ends are inclusive, which time stamp they compare and in what order calls come is
        not documented: callers overlap, sort out and walk again.
        """
        query: Query = {
            "start": api_time(start),
            "end": api_time(end),
            "limit": limit,
            "offset": offset,
            "include": INCLUDE,
        }
        doing = f"list calls {api_time(start)} to {api_time(end)}, offset {offset}"

        def read(answer: Answer) -> Page:
            data = _data(answer.body, doing)
            raw, total = data.get("calls"), _total(data.get("total"))
            if raw is None and total is not None and offset >= total:
                raw = []  # nothing may be said as null, or not at all
            if not isinstance(raw, list):
                raise Transient(f"{doing}: the answer holds no list of calls", code="unreadable_answer")
            return _page(raw, total, answer.server_time)

        return await self.session.get("/conversations/calls", query, doing=doing, read=read)

    async def get_call(self, call_id: str) -> Call | None:
        """Return one call with a fresh grant, or None when the platform does not know it (any more).

        Raises ``Failed`` (``forbidden``) when this login may not see it.

        A 404 may also mean out of scope: it is never a reason to delete anything.
        """
        doing = f"get call {call_id}"

        def read(answer: Answer) -> Call:
            data = _data(answer.body, doing)
            raw = data.get("result")
            call = read_call(raw if raw is not None else data, server_time=answer.server_time)
            if call.call_id != call_id:
                raise Transient(f"{doing}: the platform sent another call", code="unreadable_answer")
            return call

        try:
            # A dot segment would be taken for the way to another endpoint.
            part = quote(call_id, safe="", errors="surrogatepass").replace(".", "%2E")
            path = f"/conversations/calls/{part}"
            return await self.session.get(path, {"include": INCLUDE}, doing=doing, read=read)
        except Rejected as error:
            if error.code == "http_404":
                return None
            raise
        except CredentialsError as error:
            if error.code != "forbidden":
                raise
            # Lists are answered for this login, so this is about the one call, not about the login.
            raise Failed(error.message, code="forbidden") from error


def _page(raw: list[Any], total: int | None, server_time: float) -> Page:
    """Read a page; a record that cannot be read must not cost the others, nor be forgotten."""
    calls, unreadable = [], 0
    for record in raw:
        try:
            calls.append(read_call(record, server_time=server_time))
        except Transient as error:
            unreadable += 1
            log.warning("%s", error)
    return Page(tuple(calls), total, len(raw) if unreadable else None, unreadable)


def _total(value: object) -> int | None:
    """Return a count that came as a number or as digits; anything else says nothing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _data(body: Any, doing: str) -> Mapping[str, Any]:
    data = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(data, Mapping):
        raise Transient(f"{doing}: the answer holds no data", code="unreadable_answer")
    return data
