"""Downloads by blocking sockets in threads, under httpx: the same client, a third of the time for each byte.

One hop to a thread sends a request and reads what answers it, up to ``READ_AT_ONCE``; a longer body takes one
more for each such piece. Measured with recordings of 300 kB over TLS, see ``bench/RESULTS.md``.
"""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from anyio import CapacityLimiter, current_effective_deadline, current_time, to_thread
from anyio.lowlevel import checkpoint

from mediapipe.convirza.clients import Timeouts, TransportFactory
from mediapipe.wire import Hold, NotReached, Origin, Reply, Unsendable, Wire, proxied

READ_AT_ONCE = 256 * 1024
T = TypeVar("T")
_buffers = threading.local()


def wire_of(timeouts: Timeouts, connections: int) -> Wire:
    """Return connections that trust whom httpx trusts."""
    return Wire(httpx.create_ssl_context(), timeouts.connect, timeouts.read, connections)


def wired(wire: Wire, connections: int = 0) -> TransportFactory | None:
    """Return what makes the transport; None where a proxy is set, which only httpx's own knows to use.

    Without ``connections`` nothing leaves the calling thread: for event loops that have one thing to do.
    """
    if proxied():
        return None
    return lambda: WiredTransport(wire, connections)


class WiredTransport(httpx.AsyncBaseTransport):
    """Moves requests without bodies, and their answers."""

    def __init__(self, wire: Wire, connections: int) -> None:
        self._wire = wire
        self._limiter = CapacityLimiter(connections) if connections else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises httpx's own exceptions."""
        url = request.url
        if url.scheme not in {"https", "http"}:
            raise httpx.UnsupportedProtocol("only http and https are spoken", request=request)
        origin = Origin.at(url.scheme, url.raw_host.decode("ascii"), url.port)
        target = url.raw_path.decode("ascii")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]

        hold = Hold(self._deadline())

        def exchange() -> tuple[Reply, bytes | Exception]:
            reply = self._wire.request(origin, request.method, target, headers, hold=hold)
            try:
                return reply, _piece(reply)
            except (http.client.HTTPException, OSError) as error:
                return reply, error  # the status stands, however the body ends
            except BaseException:
                reply.close()
                raise

        reply, first = await self.run(exchange, request, hold)
        body = _Body(self, request, reply, hold, first)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        return httpx.Response(reply.status, headers=raw, stream=body, request=request)

    def _deadline(self) -> float:
        """Return when a request has to end that blocks its event loop: nobody else could end it."""
        if self._limiter is not None:
            return math.inf
        return time.monotonic() + current_effective_deadline() - current_time()

    async def run(self, work: Callable[[], T], request: httpx.Request, hold: Hold) -> T:
        """Run blocking work, in a thread unless told otherwise; raises httpx's own exceptions.

        A caller that is cancelled cuts it off, and does not wait longer than that takes.
        """
        with _as_httpx(request):
            if self._limiter is None:
                return work()
            return await self._in_a_thread(work, hold)

    async def _in_a_thread(self, work: Callable[[], T], hold: Hold) -> T:
        """Run work in a thread that always ends before its caller does: what it holds is let go of there."""
        done: list[T] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                done.append(work())
            except Exception as error:
                errors.append(error)
            if hold.is_cut:
                _let_go(done)

        try:
            await to_thread.run_sync(run, limiter=self._limiter, abandon_on_cancel=True)
        except BaseException:
            hold.cut()
            _let_go(done)
            raise
        if errors:
            raise errors[0]
        return done[0]

    async def aclose(self) -> None:
        """Close what is idle; what is in hand closes itself."""
        self._wire.close()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """Turn the wire's exceptions into httpx's."""
    try:
        yield
    except NotReached as error:
        kind = httpx.ConnectTimeout if isinstance(error.__cause__, TimeoutError) else httpx.ConnectError
        raise kind(str(error), request=request) from error
    except Unsendable as error:
        raise httpx.LocalProtocolError(str(error), request=request) from error
    except TimeoutError as error:
        raise httpx.ReadTimeout("nothing came for a while", request=request) from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(f"{type(error).__name__}: {error}", request=request) from error
    except OSError as error:
        raise httpx.ReadError(str(error), request=request) from error


class _Body(httpx.AsyncByteStream):
    """The body of one answer, in few large pieces."""

    def __init__(
        self,
        transport: WiredTransport,
        request: httpx.Request,
        reply: Reply,
        hold: Hold,
        first: bytes | Exception,
    ) -> None:
        self._transport, self._request, self._hold = transport, request, hold
        self._reply, self._first = reply, first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._first, Exception):
            with _as_httpx(self._request):
                raise self._first
        piece = self._first
        while piece:
            yield piece
            if len(piece) < READ_AT_ONCE and self._reply.length in (0, None) and self._reply.whole:
                return
            await checkpoint()  # here a deadline is noticed
            piece = await self._transport.run(lambda: _piece(self._reply), self._request, self._hold)

    async def aclose(self) -> None:
        self._reply.close()


def _let_go(done: list[Any]) -> None:
    """Close what was fetched for somebody who waits no more."""
    for one in done:
        if isinstance(one, tuple):
            one[0].close()


def _piece(reply: Reply) -> bytes:
    """Return the next piece of a body, empty at its end; of one that is cut short, what there is."""
    buffer: bytearray | None = getattr(_buffers, "reading", None)
    if buffer is None:
        buffer = _buffers.reading = bytearray(READ_AT_ONCE)
    with memoryview(buffer) as view:
        return bytes(view[: reply.readinto(view)])
