"""HTTP clients as everything here wants them: nothing followed, nothing remembered, times bounded."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

# httpx brings a command of its own, and with it rich and click: a tenth of what starting takes. Where that
# module cannot be imported httpx does without, and is told so for as long as it loads.
_FIRST = "httpx" not in sys.modules
if _FIRST:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
import httpx  # noqa: E402

if _FIRST:
    del sys.modules["httpx._main"]

from mediapipe import __version__  # noqa: E402

USER_AGENT = f"convirza-mediapipe/{__version__}"

HttpClient = httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to connect, between two reads, to write, and to get a pooled connection."""

    connect: float = 10.0
    read: float = 60.0
    write: float = 60.0
    pool: float = 120.0


TransportFactory = Callable[[], httpx.AsyncBaseTransport]


class _Bare(httpx.AsyncClient):
    """Hands a request to its one transport, and nothing else: no cookies, logins or redirects to look for.

    That is half of what a client costs, and only those of known hosts need the other half.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._bare = transport

    async def send(self, request: httpx.Request, *, stream: bool = False, **_: Any) -> httpx.Response:
        """Return the answer to a request; with ``stream`` its body is unread."""
        request.extensions.setdefault("timeout", self.timeout.as_dict())
        response = await self._bare.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


@asynccontextmanager
async def open_http(
    timeouts: Timeouts,
    *,
    connections: int,
    kept_alive: int | None = None,
    transport: TransportFactory | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client: redirects, retries and environment proxies' credentials are never its business.

    ``kept_alive`` bounds the connections that wait for another request (all of them unless said);
    ``transport`` replaces what moves the bytes under httpx.
    """
    kept = connections if kept_alive is None else kept_alive
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=kept)
    options: dict[str, Any] = {
        "timeout": httpx.Timeout(
            timeouts.read, connect=timeouts.connect, write=timeouts.write, pool=timeouts.pool
        ),
        "limits": limits,
        "follow_redirects": False,
        "headers": {"User-Agent": USER_AGENT},
    }
    async with _Bare(transport(), **options) if transport else httpx.AsyncClient(**options) as client:
        # Nobody here needs one, and one with an accent in it would spoil every request that follows.
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        yield client
