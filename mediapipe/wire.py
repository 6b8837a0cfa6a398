"""HTTP/1.1 over plain blocking sockets: the fastest way here to move the bytes of a recording.

A body of 300 kB is read and sent in a few large calls that let go of the interpreter's lock, where an event
loop handles it in dozens of small ones. Requests come ready made, from httpx or from botocore; what is kept
of connections, and nothing else, is this module's. It retries nothing, follows nothing, and decodes nothing.
"""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

CHUNK = 1024 * 1024
"""Bytes handed to the socket at a time, and read from a body that is no bytes."""
IDLE_S = 30.0
"""A connection that was idle for longer is not used again: the far side may be closing it just then."""
CONTINUE_S = 1.0
"""How long a server that was asked for leave may say nothing before the body is sent all the same."""

Headers = Iterable[tuple[str, str]]


class NotReached(OSError):
    """No connection could be made, or not in time: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    scheme: str
    host: str
    port: int


@dataclass(slots=True)
class _Connection:
    """One connection and since when it is idle."""

    socket: socket.socket
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Tell whether it may carry another request: nothing has come unasked, such as its end."""
        if time.monotonic() - self.idle_since > IDLE_S:
            return False
        try:
            readable, _, _ = select.select([self.socket], [], [], 0)
        except (OSError, ValueError):
            return False
        return not readable


class Hold:
    """A hand on a request that runs in another thread: it can be cut off from outside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False

    def take(self, one: socket.socket | None) -> None:
        """Say which connection is in use just now; raises ``ConnectionAbortedError`` when it was cut off."""
        with self._lock:
            self._socket = one
            if self._cut and one is not None:
                raise ConnectionAbortedError("nobody waits for it any more")

    @property
    def is_cut(self) -> bool:
        """Tell whether nobody waits for the request any more."""
        return self._cut

    def cut(self) -> None:
        """End the request's connection, now or as soon as it has one."""
        with self._lock:
            self._cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


@dataclass(slots=True)
class Reply:
    """An answer whose body is still to be read. ``close`` it in any case."""

    status: int
    headers: list[tuple[str, str]]
    _response: http.client.HTTPResponse
    _wire: Wire
    _origin: Origin
    _connection: _Connection
    _over: bool = False

    @property
    def length(self) -> int | None:
        """The length of the body, None where that was not said."""
        return self._response.length

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as the body goes; 0 at its end. Raises as ``Wire.request`` does."""
        filled = 0
        while filled < len(view):
            count = self._response.readinto(view[filled:])
            if not count:
                break
            filled += count
            if self._response.length is None:  # in chunks: what there is
                break
        return filled

    @property
    def whole(self) -> bool:
        """Tell whether the body was read to its end."""
        return self._response.isclosed()

    def read(self) -> bytes:
        """Return the rest of the body."""
        return self._response.read()

    def close(self) -> None:
        """Let go of the connection: kept when the body was read to its end, closed else; idempotent."""
        if self._over:
            return
        self._over = True
        whole = self._response.isclosed() and not self._response.will_close
        self._response.close()
        if whole:
            self._wire.keep(self._origin, self._connection)
        else:
            _shut(self._connection.socket)


@dataclass(slots=True)
class Wire:
    """Connections to any number of origins, used by any number of threads.

    ``context`` says whom to trust. Times in seconds: to connect, and for any one read or write.
    """

    context: ssl.SSLContext
    connect_timeout: float
    timeout: float
    kept: int = 32
    _idle: dict[Origin, list[_Connection]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def request(
        self,
        origin: Origin,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | BinaryIO | None = None,
        hold: Hold | None = None,
    ) -> Reply:
        """Send a request and return its answer, the body unread.

        ``headers`` are sent as they are, and have to say ``Host`` and the body's length. With ``Expect:
        100-continue`` among them the body waits for leave. Raises :class:`NotReached` before anything was
        sent, ``OSError`` and ``http.client.HTTPException`` after that.
        """
        connection = self._kept(origin) or _Connection(self._connected(origin))
        try:
            if hold is not None:
                hold.take(connection.socket)
            response = self._exchanged(connection.socket, method, target, list(headers), body)
        except BaseException:
            _shut(connection.socket)
            raise
        return Reply(response.status, response.getheaders(), response, self, origin, connection)

    def keep(self, origin: Origin, connection: _Connection) -> None:
        """Take a connection back."""
        connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            if not self._closed and len(idle) < self.kept:
                idle.append(connection)
                return
        _shut(connection.socket)

    def close(self) -> None:
        """Close what is idle; idempotent."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, {}, True
        for connections in idle.values():
            for connection in connections:
                _shut(connection.socket)

    def _kept(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                connection = idle.pop() if idle else None
            if connection is None or connection.usable:
                return connection
            _shut(connection.socket)

    def _connected(self, origin: Origin) -> socket.socket:
        try:
            plain = socket.create_connection((origin.host, origin.port), self.connect_timeout)
        except OSError as error:
            raise NotReached(error.errno, f"cannot connect: {error.strerror or error}") from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = plain
            if origin.scheme == "https":
                made = self.context.wrap_socket(plain, server_hostname=origin.host)
            made.settimeout(self.timeout)
        except BaseException as error:
            _shut(plain)
            if isinstance(error, OSError):
                raise NotReached(error.errno, f"no secure connection: {error}") from error
            raise
        return made

    def _exchanged(
        self, wire: socket.socket, method: str, target: str, headers: list[tuple[str, str]],
        body: bytes | BinaryIO | None,
    ) -> http.client.HTTPResponse:  # fmt: skip
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        asks = any(name.lower() == "expect" for name, _ in headers)
        heard = b""
        if body is None:
            wire.sendall(head)
        elif isinstance(body, bytes) and not asks:
            wire.sendall(head + body)
        else:
            wire.sendall(head)
            heard = self._leave(wire) if asks else b""
            refused = bool(heard) and not heard.startswith(_CONTINUE)
            if not refused:
                _send(wire, body)
        response = http.client.HTTPResponse(_Heard(wire, heard) if heard else wire, method=method)  # type: ignore[arg-type]
        try:
            response.begin()  # passes over "100 Continue"
        except BaseException:
            response.close()  # it has a hand of its own on the socket
            raise
        if heard and not heard.startswith(_CONTINUE):
            response.will_close = True  # the body was never sent
        return response

    def _leave(self, wire: socket.socket) -> bytes:
        """Return what a server says that was asked for leave, nothing when it says nothing for a while."""
        wire.settimeout(CONTINUE_S)
        try:
            heard = wire.recv(65_536)
        except TimeoutError:
            return b""
        finally:
            wire.settimeout(self.timeout)
        if not heard:
            raise ConnectionResetError("the connection was closed")
        return heard


_CONTINUE = b"HTTP/1.1 100"


class _Heard(io.RawIOBase):
    """A socket of which the beginning was read already; as much of one as an answer is read by."""

    def __init__(self, wire: socket.socket, heard: bytes) -> None:
        self._wire, self._heard = wire, heard

    def readable(self) -> bool:
        """Return that it may be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what was read already, then from the socket."""
        if not self._heard:
            return self._wire.recv_into(buffer)
        count = min(len(buffer), len(self._heard))
        buffer[:count], self._heard = self._heard[:count], self._heard[count:]
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return it as the file that an answer is read from."""
        return io.BufferedReader(self)


_buffers = threading.local()


def _send(wire: socket.socket, body: bytes | BinaryIO | None) -> None:
    """Send a body through a buffer that its thread has used before."""
    if body is None:
        return
    if isinstance(body, bytes):
        wire.sendall(body)
        return
    buffer: bytearray | None = getattr(_buffers, "sending", None)
    if buffer is None:
        buffer = _buffers.sending = bytearray(CHUNK)
    readinto = getattr(body, "readinto", None)
    with memoryview(buffer) as view:
        if readinto is None:
            while piece := body.read(CHUNK):
                wire.sendall(piece)
            return
        while count := readinto(view):
            wire.sendall(view[:count])


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.close()
