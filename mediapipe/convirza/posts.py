"""A POST that creates something: sent once, and when it fails, whether any of it can have arrived.

That is told by what the transport did, never by the class of an httpx exception: it reports each step, and
only a failure before the request's first byte was handed to a connection counts as never sent. Each POST
gets a connection of its own: one that was kept alive may be closed by the far side just as it is used, and
nobody could tell then. The transport is httpx's own, which repeats nothing by itself.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from mediapipe.convirza.clients import HttpClient, Timeouts, open_http
from mediapipe.convirza.multipart import Body, SourceChanged
from mediapipe.convirza.session import translated
from mediapipe.errors import MediapipeError, Transient
from mediapipe.redact import redact

MOST_BODY = 1_000_000
"""Bytes of an answer that are read; nobody says yes or no in more."""

PACED = 16 * 1024
"""Bytes handed on at once under a limit: few enough that a slow line is never silent for long."""

CLOSING_S = 5.0

Pace = Callable[[int], Awaitable[None]]
"""Waits until so many bytes may be sent."""

_FIRST_BYTE = ".send_request_headers.started"


class NeverSent(Transient):
    """Not one byte of the request was handed to a connection."""

    code = "not_sent"


class InDoubt(MediapipeError):
    """The request may have arrived."""

    code = "connection_lost"


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer. Not ``whole``: its body broke off. ``early``: it came before all of the request was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    whole: bool = False
    early: bool = False


@asynccontextmanager
async def open_posts(timeouts: Timeouts, *, connections: int) -> AsyncIterator[HttpClient]:
    """Open a client for :func:`post_once`: every request gets a connection of its own."""
    async with open_http(timeouts, connections=connections, kept_alive=0) as http:
        yield http


@dataclass(slots=True)
class _Steps:
    """How far a request has come, as its transport tells; asks ``begin`` just before the first byte."""

    begin: Callable[[], Awaitable[None]]
    deadline: float
    left: bool = False
    whole: bool = False
    barred: Exception | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of one step; a proxy is asked for its way (CONNECT) before anything of ours is sent."""
        if event.endswith(_FIRST_BYTE) and info["request"].method == b"POST":
            await self.leave()

    async def leave(self) -> None:
        """Note that bytes may leave from now on; the time for the request begins."""
        if self.left:
            return
        try:
            await self.begin()
        except Exception as error:
            self.barred = error
            raise
        self.left = True
        self.scope.deadline = anyio.current_time() + self.deadline

    async def wait(self, pace: Pace, size: int) -> None:
        """Wait for ``pace``, however long; that time is not the far side's."""
        remaining = self.scope.deadline - anyio.current_time()
        self.scope.deadline = math.inf
        await pace(size)
        self.scope.deadline = anyio.current_time() + remaining


async def post_once(
    http: HttpClient,
    url: str,
    headers: Mapping[str, str],
    body: Body,
    *,
    begin: Callable[[], Awaitable[None]],
    deadline: float,
    doing: str,
    pace: Pace | None = None,
) -> Posted:
    """Send it and return the answer, whatever its status.

    ``begin`` is awaited when the connection stands, just before the first byte; what it raises passes
    through, and nothing was sent. ``deadline`` is in seconds from there on, without the waits of ``pace``.
    Connecting has the client's own time limits. Raises :class:`NeverSent` or :class:`InDoubt`; once a byte
    has left, every error is the latter, whoever raised it.
    """
    steps = _Steps(begin, deadline)
    shape = {"Content-Type": body.content_type, "Content-Length": str(body.length)}
    sized = {**headers, "Accept-Encoding": "identity", **shape}
    posted: Posted | None = None
    try:
        async with aclosing(_stream(body, steps, pace)) as content:
            with translated(doing):
                request = http.build_request(
                    "POST", url, headers=sized, content=content, extensions={"trace": steps}
                )
            with steps.scope:
                response = await http.send(request, stream=True)
                early = not steps.whole
                posted = Posted(response.status_code, response.headers, early=early)
                posted = await _read(response, early)
    except Exception as error:
        foreign = isinstance(error, httpx.HTTPError | httpx.StreamError | OSError)
        if error is steps.barred or not (steps.left or foreign):
            raise
        raise _sorted(error, steps.left, doing) from None
    if posted is None:
        raise InDoubt(f"{doing}: no answer within {deadline:,.0f} s", code="timeout")
    return posted


async def _stream(body: Body, steps: _Steps, pace: Pace | None) -> AsyncGenerator[bytes, None]:
    # A transport that tells of no steps must not get past ``begin`` all the same.
    await steps.leave()
    async with aclosing(body.chunks()) as chunks:
        async for chunk in chunks:
            if pace is None:
                yield chunk
                continue
            for start in range(0, len(chunk), PACED):
                part = chunk[start : start + PACED]
                await steps.wait(pace, len(part))
                yield part
    steps.whole = True


async def _read(response: httpx.Response, early: bool) -> Posted:
    body, whole = bytearray(), False
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MOST_BODY:
                break
        else:
            # Cut inside its encoding, an answer decodes to nothing, and nothing is an answer of its own.
            whole = bool(body) or not response.num_bytes_downloaded
    except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, OSError):
        pass  # what was heard until then is still worth something
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSING_S):
            await response.aclose()
    return Posted(response.status_code, response.headers, bytes(body[:MOST_BODY]), whole, early)


def _sorted(error: Exception, left: bool, doing: str) -> NeverSent | InDoubt:
    said = f"{doing}: {_why(error)}"
    if not left:
        return NeverSent(said)
    if isinstance(error, SourceChanged):
        return InDoubt(said, code="source_changed")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return InDoubt(said, code="timeout")
    # httpx looks at the address of a redirect, followed or not, and not all it may trip over is its own.
    lost = isinstance(error, httpx.HTTPError | httpx.StreamError | OSError)
    return InDoubt(said, code="connection_lost" if lost else "unreadable_answer")


def _why(error: BaseException) -> str:
    """Return what is at the bottom of it: httpx itself only says that all attempts have failed."""
    name, inner = type(error).__name__, error
    while (below := _below(inner)) is not None:
        inner = below
    text = redact(str(inner)) or type(inner).__name__
    return name if text == name else f"{name}: {text}"


def _below(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions[0]
    carried = error.args[0] if error.args and isinstance(error.args[0], BaseException) else None
    return error.__cause__ or carried
