"""Which provisioned routes use which audio: ``GET /provisioned-routes``, read for ids under names of audio.

What a route shows of its audio is not documented. A mention too many only keeps a prompt; so everything under
such a name counts. That routes show their audio at all is claimed by less: a prompt that is not mentioned may
be deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mediapipe.convirza.listed import first_of, read_list, read_total
from mediapipe.convirza.pages import Piece, Row, whole_list
from mediapipe.convirza.session import Answer, Session
from mediapipe.errors import CredentialsError, Rejected, Transient
from mediapipe.library.words import Mention, Routes

ROUTES_LOOKED_AT = 200
"""Single routes that are fetched where the list shows no audio."""

PAGE = 499
"""One below a round number, see ``pages``."""

_LISTS = ("provisioned_routes", "routes", "items", "list", "result")
_ID = ("provisioned_route_id", "route_id", "id")
_NAME = ("provisioned_route_name", "route_name", "name")
_STATUS = ("provisioned_route_status", "route_status", "status")

_AUDIO = re.compile(
    "prompt|whisper|voicemail|survey|recording|media|audio|greeting|message|hold", re.IGNORECASE
)
_PLAINLY_AUDIO = re.compile("prompt|whisper|voicemail|greeting|audio", re.IGNORECASE)
_OF_AN_ID = re.compile("(?:^id|_id|^ID|_ID|(?<=[a-z])I[dD])s?$")
_NO_ID = re.compile(
    "(?:enabled|disabled|active|flag|status|type|text|name|url|count|seconds|duration)$", re.I
)
_LIKE_AN_ID = re.compile(r"[\w.-]{1,64}")


async def read_routes(session: Session, *, looked_at: int) -> Routes:
    """Return who mentions what; not ``visible`` where the platform does not let that be seen, and why.

    Where the list shows no audio, or less than a route itself does, at most ``looked_at`` routes are fetched
    one by one. Raises ``Transient`` and errors of the login as ``Session.get`` does.
    """
    try:
        whole = await whole_list(lambda offset, limit: _piece(session, offset, limit), PAGE)
        routes = [route for route in whole.records if not route.gone]
        found = _Found()
        for route in routes:
            found.add(route.mention, route.record)
        if routes and not await _is_told_by_the_list(session, routes[0], found):
            return await _by_details(session, routes, found, looked_at, whole.doubt)
    except Rejected as error:
        return _unseen(error.message)
    except CredentialsError as error:
        if error.code != "forbidden":
            raise
        return _unseen(error.message)
    return found.routes(len(routes), whole.doubt)


@dataclass(frozen=True, slots=True)
class _Route:
    mention: Mention
    record: Mapping[str, Any]

    @property
    def gone(self) -> bool:
        """Whether it is deleted."""
        return first_of(self.record, _STATUS).lower() == "deleted"


@dataclass(slots=True)
class _Found:
    """What was found in routes so far."""

    mentions: dict[str, tuple[Mention, ...]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    """Names under which audio was plainly shown, or shown to be none."""

    def add(self, mention: Mention, record: object) -> None:
        """Note what a route's record mentions."""
        for key, value in _leaves(record):
            text = _as_id(value)
            if text and mention not in self.mentions.get(text, ()):
                self.mentions[text] = (*self.mentions.get(text, ()), mention)
            if _shows(key, value):
                self.keys.add(key)

    def routes(self, seen: int, doubt: str) -> Routes:
        """Return what was found, of so many routes."""
        return Routes(visible=not doubt, mentions=self.mentions, seen=seen, why=doubt)


async def _is_told_by_the_list(session: Session, route: _Route, found: _Found) -> bool:
    """Return whether the list shows what a route itself shows; one route stands for all."""
    if not found.keys:
        return False
    single = _Found()
    try:
        single.add(route.mention, await _detail(session, route))
    except (Rejected, CredentialsError):
        return True  # there is no more to be had than the list
    return single.keys <= found.keys


async def _by_details(
    session: Session, routes: list[_Route], found: _Found, looked_at: int, doubt: str
) -> Routes:
    looked = routes[:looked_at]
    for route in looked:
        try:
            record = await _detail(session, route)
        except Rejected as error:
            if error.code != "http_404":
                raise
            continue  # deleted since it was listed
        found.add(route.mention, record)
    if not found.keys:
        doubt = f"none of {len(looked):,} routes shows any audio"
    elif len(looked) < len(routes):
        doubt = f"only {len(looked):,} of {len(routes):,} routes were looked at one by one"
    return found.routes(len(looked), doubt)


async def _piece(session: Session, offset: int, limit: int) -> Piece[_Route]:
    def read(answer: Answer) -> Piece[_Route]:
        rows = []
        for raw in read_list(answer.body, _LISTS):
            route_id = first_of(raw, _ID) if isinstance(raw, Mapping) else ""
            if not route_id:
                raise Transient("the platform sent a route that cannot be read", code="unreadable_answer")
            rows.append(Row(route_id, _Route(Mention(route_id, first_of(raw, _NAME)), raw)))
        return Piece(rows, read_total(answer.body))

    query = {"limit": limit, "offset": offset}
    return await session.get("/provisioned-routes", query, doing=f"list routes, offset {offset}", read=read)


async def _detail(session: Session, route: _Route) -> object:
    """Return what stands in ``data`` of one route's answer."""

    def read(answer: Answer) -> object:
        data = answer.body.get("data") if isinstance(answer.body, Mapping) else None
        if not isinstance(data, Mapping | list):
            raise Transient("the platform sent a route that cannot be read", code="unreadable_answer")
        return data

    part = quote(route.mention.route_id, safe="", errors="surrogatepass").replace(".", "%2E")
    doing = f"get route {route.mention.route_id}"
    return await session.get(f"/provisioned-routes/{part}", doing=doing, read=read)


def _unseen(why: str) -> Routes:
    return Routes(visible=False, mentions={}, why=why)


def _leaves(record: object) -> Iterator[tuple[str, object]]:
    """Yield what stands under a name that says audio, at any depth: the nearest name and the value."""
    todo: list[tuple[str, object, bool]] = [("", record, False)]
    while todo:
        key, value, audio = todo.pop()
        if isinstance(value, Mapping) and value:
            todo += [(str(k), inner, audio or bool(_AUDIO.search(str(k)))) for k, inner in value.items()]
        elif isinstance(value, list) and value:
            todo += [(key, inner, audio) for inner in value]
        elif audio:
            yield key, value


def _as_id(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if _LIKE_AN_ID.fullmatch(text) else ""


def _shows(key: str, value: object) -> bool:
    """Return whether this is a place where a prompt's id stands, or would stand: not a switch, not a text."""
    if isinstance(value, bool) or _NO_ID.search(key):
        return False
    of_an_id = bool(_OF_AN_ID.search(key))
    if value is None or value in ("", [], {}):
        return of_an_id or bool(_PLAINLY_AUDIO.search(key))
    text = _as_id(value)
    if not (of_an_id or _AUDIO.search(key)) or not re.search("[0-9]", text):
        return False
    return of_an_id or text not in {"0", "1"}
