"""How an endpoint fails: the effects the fault table is made of.

An effect stands around an endpoint. It may answer in the endpoint's stead, let it work and spoil the answer,
or twist what it works on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from mediapipe.sandbox.answers import Dropped, Ending, Served, proxy_page, schema_error, v2_error, v3_error
from mediapipe.sandbox.listfaults import Twist
from mediapipe.sandbox.scenario import FaultRule, Switch
from mediapipe.sandbox.stats import Endpoint

if TYPE_CHECKING:
    from mediapipe.sandbox.state import SandboxState

Proceed = Callable[[], Awaitable[Response]]
_DEFAULT_SLOW_S = 0.2
_DEFAULT_HANG_S = 60.0
_DEFAULT_STALE_S = 60.0
_FLIPPED = bytes(byte ^ 0x55 for byte in range(256))


@dataclass(slots=True)
class Hit:
    """One request that a fault has hit; ``proceed`` lets the endpoint do its work."""

    switch: Switch
    state: SandboxState
    endpoint: Endpoint
    request: Request
    proceed: Proceed

    @property
    def rule(self) -> FaultRule:
        """The rule that fired."""
        return self.switch.rule


Effect = Callable[[Hit], Awaitable[Response]]


# Effects that answer in the endpoint's stead


def refuse(make: Callable[[], Response]) -> Effect:
    """Answer what ``make`` makes, without the endpoint."""

    async def effect(hit: Hit) -> Response:
        await _drain(hit.request)
        return make()

    return effect


def status(status: int) -> Effect:
    """Answer an error in the endpoint's own shape; ``seconds`` of the rule becomes Retry-After."""

    async def effect(hit: Hit) -> Response:
        await _drain(hit.request)
        wait = hit.rule.seconds
        headers = {} if wait is None else {"retry-after": str(max(1, round(wait)) if wait else 0)}
        return (v2_error if hit.endpoint.is_v2 else v3_error)(status, headers=headers)

    return effect


async def hang(hit: Hit) -> Response:
    """Say nothing for ``seconds`` of the rule, then drop the connection."""
    await _drain(hit.request)
    await asyncio.sleep(_DEFAULT_HANG_S if hit.rule.seconds is None else hit.rule.seconds)
    return Dropped()


async def unauthorized(hit: Hit) -> Response:
    """Let the token die under the client's hands."""
    hit.state.tokens.kill(hit.request.state.token)
    return await status(401)(hit)


async def redirect_foreign(hit: Hit) -> Response:
    """Send the client to ``target`` of the rule, another host."""
    target = hit.rule.target or "http://localhost.invalid"
    return RedirectResponse(f"{target.rstrip('/')}{hit.request.url.path}?{hit.request.url.query}", 302)


async def redirect_same(hit: Hit) -> Response:
    """To the same URL, marked; what carries the mark is let through."""
    if "moved" in hit.request.query_params:
        return await hit.proceed()
    return RedirectResponse(f"{hit.request.url.path}?{hit.request.url.query}&moved=1", 302)


# Effects that let the endpoint work


async def slow(hit: Hit) -> Response:
    """Wait ``seconds`` of the rule, then let the endpoint answer."""
    await asyncio.sleep(_DEFAULT_SLOW_S if hit.rule.seconds is None else hit.rule.seconds)
    return await hit.proceed()


def after(then: Effect) -> Effect:
    """Let the endpoint have its effect, then spoil the answer; a refusal of its own passes as it is."""

    async def effect(hit: Hit) -> Response:
        response = await hit.proceed()
        refused = response.status_code >= 400 or b'"result":"error"' in response.body
        return response if refused else await then(hit)

    return effect


def noting(**notes: Any) -> Effect:
    """Leave a note for the endpoint."""

    async def effect(hit: Hit) -> Response:
        for name, value in notes.items():
            setattr(hit.request.state, name, value)
        return await hit.proceed()

    return effect


async def index_late(hit: Hit) -> Response:
    """Let an accepted upload show in the list only after ``seconds`` of the rule."""
    delay = 1.0 if hit.rule.seconds is None else hit.rule.seconds
    return await noting(index_delay=delay)(hit)


async def fetch_late(hit: Hit) -> Response:
    """Let an upload by URL be answered at once and fetched only after ``seconds`` of the rule."""
    return await noting(fetch_delay=1.0 if hit.rule.seconds is None else hit.rule.seconds)(hit)


async def list_late(hit: Hit) -> Response:
    """Let an accepted prompt show in lists only after ``seconds`` of the rule."""
    return await noting(list_delay=1.0 if hit.rule.seconds is None else hit.rule.seconds)(hit)


async def stale(hit: Hit) -> Response:
    """Let a list be ``seconds`` of the rule old."""
    return await noting(stale=_DEFAULT_STALE_S if hit.rule.seconds is None else hit.rule.seconds)(hit)


async def half_made(hit: Hit) -> Response:
    """Let the endpoint keep half of what came, then drop the connection."""
    hit.request.state.half_made = True
    return await after(DROP)(hit)


def twisted(twist: Twist) -> Effect:
    """Let the list endpoint apply a twist to its page."""

    async def effect(hit: Hit) -> Response:
        twists = getattr(hit.request.state, "twists", ())
        hit.request.state.twists = (*twists, lambda listing: twist(hit.state, hit.switch, listing))
        return await hit.proceed()

    return effect


def reserved(spoil: Callable[[Served], Response]) -> Effect:
    """Serve the recording otherwise; an error of its own passes as it is."""

    async def effect(hit: Hit) -> Response:
        response = await hit.proceed()
        return spoil(response) if isinstance(response, Served) else response

    return effect


def half(whole: Served, *, declared: int | None, ending: Ending) -> Served:
    """Send half of the body, declaring any length or none, and end as told."""
    return Served(
        bytes(whole.body),
        whole.status_code,
        whole.plain_headers,
        declared=declared,
        sent=len(whole.body) // 2,
        ending=ending,
    )


def overdeclared(whole: Served) -> Served:
    """Send the whole body but declare 1,000 bytes more, and close."""
    size = len(whole.body)
    headers = whole.plain_headers
    return Served(bytes(whole.body), whole.status_code, headers, declared=size + 1000, ending=Ending.CLOSE)


async def expire(hit: Hit) -> Response:
    """Make the URL expire under the client's hands: the endpoint answers 410."""
    hit.state.signer.kill(hit.request.query_params)
    return await hit.proceed()


async def other_bytes(hit: Hit) -> Response:
    """Break off the first answer half way; serve other bytes under another entity tag after it."""
    response = await hit.proceed()
    if not isinstance(response, Served):
        return response
    call_id = str(hit.request.path_params["call_id"])
    met = hit.switch.counts.get(call_id, 0)
    hit.switch.counts[call_id] = met + 1
    if not met:
        return half(response, declared=len(response.body), ending=Ending.CLOSE)
    headers = dict(response.plain_headers)
    if "etag" in headers:
        headers["etag"] = f'{headers["etag"][:-1]}-b"'
    body = bytes(response.body)
    kept = 64 if response.status_code == 200 else 0  # the header, so that it still looks like audio
    other = body[:kept] + body[kept:].translate(_FLIPPED)
    return Served(other, response.status_code, headers, declared=len(other))


async def _drain(request: Request) -> None:
    """Read and forget the body, so that an early answer does not cut the client short."""
    try:
        async for _ in request.stream():
            pass
    except (RuntimeError, ClientDisconnect):
        return  # already read, or nobody is there any more


DROP = refuse(Dropped)
RESET = refuse(lambda: Dropped(reset=True))
HTML_200 = refuse(lambda: proxy_page(200))
SCHEMA = refuse(lambda: schema_error([("caller_id", "Expected type integer but found type string")]))
