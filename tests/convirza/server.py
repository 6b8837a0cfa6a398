"""A scripted HTTP server on the loopback that may lie: every answer is laid out byte by byte."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.listener import Listener

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Request:
    """One request that arrived; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer. ``length`` is announced in place of the true one; ``cut`` sends only so many body bytes.

    ``framing`` is ``length``, ``chunked`` or ``close``; ``reset`` ends the connection with a TCP reset.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    framing: str = "length"
    length: int | None = None
    cut: int | None = None
    reset: bool = False
    drop: bool = False

    def wire(self) -> bytes:
        """Return every byte that is sent."""
        if self.drop:
            return b""
        lines = [f"HTTP/1.1 {self.status} X", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        sent = self.body if self.cut is None else self.body[: self.cut]
        if self.framing == "length":
            lines.append(f"Content-Length: {len(self.body) if self.length is None else self.length}")
        elif self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
            end = b"0\r\n\r\n" if self.cut is None else b""
            sent = (b"%x\r\n%b\r\n" % (len(sent), sent) if sent else b"") + end
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent


Handler = Callable[[Request], Reply]


def as_json(body: Any, status: int = 200, **headers: str) -> Reply:
    """Return a JSON answer."""
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def script(*replies: Reply) -> Handler:
    """Return a handler that gives the replies in turn and repeats the last one."""
    left = list(replies)
    lock = threading.Lock()

    def handle(_: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return handle


class Server:
    """Answers one request per connection with what the handler says, and remembers the requests."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.seen: list[Request] = []
        self._listener = Listener(self._serve, PATIENCE_S)
        self.port = self._listener.port
        self.url = f"http://{self._listener.authority}"

    def close(self) -> None:
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = _read(connection)
            if request is None:
                return
            self.seen.append(request)
            reply = self.handler(request)
            connection.sendall(reply.wire())
            if reply.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.shutdown(socket.SHUT_WR)


def _read(connection: socket.socket) -> Request | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        part = connection.recv(65_536)
        if not part:
            return None
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    return Request(method, target, headers, body)


@contextmanager
def serving(handler: Handler) -> Iterator[Server]:
    """Run a server for the length of the block."""
    server = Server(handler)
    try:
        yield server
    finally:
        server.close()
