"""HTTP/1.1 over plain blocking sockets: the fastest way here to move the bytes of a recording.

A body of 300 kB is read and sent in a few large calls that let go of the interpreter's lock, where an event
loop handles it in dozens of small ones. Requests come ready made, from httpx or from botocore; what is kept
of connections, and nothing else, is this module's. It follows nothing and decodes nothing, and repeats
nothing but a GET that met a connection which the far side closed just then.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import getproxies

from mediapipe.http1 import GONE, Asked, Unsendable, asks_leave, exchanged, head_of
from mediapipe.incoming import Answer, Incoming

__all__ = ["Hold", "NotReached", "Origin", "Reply", "Unsendable", "Wire", "proxied"]

IDLE_S = 30.0
"""A connection that was idle for longer is not used again: the far side may be closing it just then."""
Headers = Iterable[tuple[str, str]]

_PORTS = {"https": 443, "http": 80}
_SAFE = frozenset({"GET", "HEAD"})


class NotReached(OSError):
    """No connection could be made, or not in time: nothing was sent."""


def proxied() -> bool:
    """Tell whether the environment names a proxy; ``NO_PROXY`` alone names none."""
    return not {"http", "https", "all"}.isdisjoint(getproxies())


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return where a URL leads."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])

    @classmethod
    def at(cls, scheme: str, host: str, port: int | None) -> Origin:
        """Return an origin; without a port it is the scheme's own."""
        return cls(scheme, host, port or _PORTS[scheme])

    @property
    def header(self) -> str:
        """What the header ``Host`` says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


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
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return False
        try:
            poll = select.poll()  # knows file numbers above 1,024, too
            poll.register(self.socket, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):
            return False


class Hold:
    """A hand on a request that runs in another thread: it can be cut off from outside.

    ``deadline`` is a moment of ``time.monotonic``: nothing more is read after it.
    """

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline
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
                    # Not the TLS socket's own: that one first forgets its encryption, and what another
                    # thread sends at that moment would go out in the clear.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


@dataclass(slots=True)
class Reply:
    """An answer whose body is still to be read. ``close`` it in any case."""

    _answer: Answer
    _wire: Wire
    _origin: Origin
    _held: list[_Connection]
    _broken: bool = False

    @property
    def status(self) -> int:
        """The answer's status."""
        return self._answer.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The answer's headers as they came."""
        return self._answer.headers

    @property
    def length(self) -> int | None:
        """The length of what is left of the body, None where that was not said."""
        return self._answer.length

    @property
    def whole(self) -> bool:
        """Tell whether the body was read to its end."""
        return self._answer.whole and not self._broken

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as the body goes; 0 at its end. Raises as ``Wire.request`` does.

        Of a body that breaks off, first what did arrive is returned, then the error is raised.
        """
        try:
            return self._answer.readinto(view)
        except BaseException:
            self._broken = True
            raise

    def read(self) -> bytes:
        """Return the rest of the body."""
        try:
            return self._answer.read()
        except BaseException:
            self._broken = True
            raise

    def close(self) -> None:
        """Let go of the connection: kept when the body was read to its end, closed else; idempotent."""
        try:
            connection = self._held.pop()  # by one thread only
        except IndexError:
            return
        # Bytes behind an answer belong to nothing that was asked for.
        if self.whole and not self._answer.will_close and self._answer.incoming.is_quiet:
            self._wire.keep(self._origin, connection)
        else:
            _shut(connection.socket)


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

    def __post_init__(self) -> None:
        """Say of TLS what is spoken over it."""
        self.context.set_alpn_protocols(["http/1.1"])

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
        100-continue`` among them the body waits for leave. Raises :class:`Unsendable` and
        :class:`NotReached` before anything was sent, ``OSError`` and ``http.client.HTTPException`` after.
        """
        what = Asked(head_of(method, target, headers := list(headers)), method, asks_leave(headers), body)
        kept = self._kept(origin)
        if kept is not None:
            try:
                return self._asked(origin, kept, what, hold)
            except _Stale as stale:
                # Closed by the far side just as it was used: nothing was wrong, and nothing was heard.
                if method not in _SAFE or body is not None or (hold is not None and hold.is_cut):
                    raise stale.error from None
        try:
            return self._asked(origin, _Connection(self._connected(origin)), what, hold)
        except _Stale as stale:
            raise stale.error from None

    def _asked(self, origin: Origin, connection: _Connection, what: Asked, hold: Hold | None) -> Reply:
        deadline = math.inf if hold is None else hold.deadline
        incoming = Incoming(connection.socket, self.timeout, deadline)
        try:
            connection.socket.settimeout(self.timeout)  # a deadline may have shortened it
            if hold is not None:
                hold.take(connection.socket)
            answer = exchanged(connection.socket, incoming, what, self.timeout)
        except BaseException as error:
            _shut(connection.socket)
            if isinstance(error, GONE) and not incoming.began:
                raise _Stale(error) from None
            raise
        return Reply(answer, self, origin, [connection])

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
        except (ValueError, OverflowError) as error:  # a name that is none, a port above 65,535
            raise NotReached(None, "cannot connect: no such address") from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = plain
            if origin.scheme == "https":
                made = self.context.wrap_socket(plain, server_hostname=origin.host)
        except BaseException as error:
            _shut(plain)
            if isinstance(error, OSError | ValueError):
                raise NotReached(getattr(error, "errno", None), f"no secure connection: {error}") from error
            raise
        return made


class _Stale(Exception):
    """A connection was gone before a byte of an answer came."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.close()
