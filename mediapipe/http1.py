"""One request and its answer over one connection: what is sent, and what is taken for an answer.

It is stricter than ``http.client`` below it: what cannot be one request is not sent, and an answer whose end
cannot be told, or that came without the body being sent, is none.
"""

from __future__ import annotations

import email.errors
import http.client
import io
import math
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

CHUNK = 1024 * 1024
"""Bytes handed to the socket at a time, and read from a body that is no bytes."""
CONTINUE_S = 1.0
"""How long a server that was asked for leave may say nothing before the body is sent all the same."""

MOST_INTERIM = 20
"""Interim answers (1xx) before the one that counts."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,19}")


class Unsendable(ValueError):
    """What was to be sent is no single HTTP request; its words show none of it, as it may be a secret."""


GONE = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, ready to be sent; ``asks`` for leave before its body."""

    head: bytes
    method: str
    asks: bool
    body: bytes | BinaryIO | None


def head_of(method: str, target: str, headers: list[tuple[str, str]]) -> bytes:
    """Return the head of a request; raises ``Unsendable`` for what would be read as something else."""
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        raise Unsendable("a request's first line holds what it cannot: a blank, a line break, an accent")
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or _NO_VALUE.search(value):
            raise Unsendable("a request's header holds what none can: a line break, a control character")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    try:
        return "\r\n".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise Unsendable("a request's header holds what none can: a letter beyond Latin-1") from None


def asks_leave(headers: list[tuple[str, str]]) -> bool:
    """Tell whether leave is asked for before the body is sent."""
    return any(name.lower() == "expect" for name, _ in headers)


def exchanged(
    wire: socket.socket, incoming: Incoming, what: Asked, timeout: float
) -> http.client.HTTPResponse:
    """Send a request and return its answer, of which the head was read."""
    refused, gone = False, None
    try:
        if not what.asks and (what.body is None or isinstance(what.body, bytes)):
            wire.sendall(what.head + (what.body or b""))
        else:
            wire.sendall(what.head)
            refused = what.asks and _refused(wire, incoming, timeout)
            if not refused:
                _send(wire, what.body)
    except GONE as error:
        if what.body is None:
            raise
        gone = error  # it may have said why before it closed
    response = _Answer(incoming, method=what.method)  # type: ignore[arg-type]
    try:
        response.begin()
        _check_framing(response)
        if (gone or refused) and response.status < 300:
            raise http.client.HTTPException("it was answered before its body was sent")
    except BaseException as error:
        response.close()
        if gone is not None:
            raise gone from None
        if incoming.failed is not None and isinstance(error, http.client.HTTPException):
            raise incoming.failed from None
        raise
    if gone or refused:
        response.will_close = True  # the far side still waits for the body
    return response


def _refused(wire: socket.socket, incoming: Incoming, timeout: float) -> bool:
    """Tell whether a server that was asked for leave gave its answer; one that is silent gets the body."""
    wire.settimeout(min(CONTINUE_S, timeout))
    heard = b""
    try:
        while b"\r\n" not in heard and len(heard) < 4096:
            piece = wire.recv(65_536)
            if not piece:
                raise ConnectionResetError("the connection was closed")
            heard += piece
    except TimeoutError:
        return False
    finally:
        incoming.unread(heard)
        wire.settimeout(timeout)
    return not _INTERIM.match(heard)


_INTERIM = re.compile(rb"HTTP/1\.[01] 1\d\d\b")


class _Answer(http.client.HTTPResponse):
    """An answer before which any interim one may come, not only "100 Continue"."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("nothing but interim answers")


def _check_framing(response: http.client.HTTPResponse) -> None:
    """Raise where the end of a body cannot be told: a guess could end in the middle of another answer."""
    encodings = response.headers.get_all("transfer-encoding", [])
    if encodings and [one.strip().lower() for one in encodings] != ["chunked"]:
        raise http.client.HTTPException("a Transfer-Encoding that is not known")
    lengths = {
        one.strip() for line in response.headers.get_all("content-length", []) for one in line.split(",")
    }
    if len(lengths) > 1 or not all(_DIGITS.fullmatch(one) for one in lengths):
        raise http.client.HTTPException("a Content-Length that cannot be read")
    if lengths and response.length is None and not response.chunked:
        response.length = int(lengths.pop())
    if response.length is None and not response.chunked:
        broken = (
            email.errors.MissingHeaderBodySeparatorDefect,
            email.errors.FirstHeaderLineIsContinuationDefect,
        )
        if any(isinstance(defect, broken) for defect in response.headers.defects):
            raise http.client.HTTPException("a header that cannot be read")


class Incoming(io.RawIOBase):
    """What comes over a connection, as the file that an answer is read from.

    An error in the middle looks like an end, and is kept in ``failed``: what came before it is not lost.
    """

    def __init__(self, wire: socket.socket, timeout: float, deadline: float) -> None:
        self._wire, self._timeout, self._deadline = wire, timeout, deadline
        self._heard = b""
        self.began = False
        self.failed: OSError | None = None

    def unread(self, heard: bytes) -> None:
        """Put back what was read ahead."""
        self._heard, self.began = heard, self.began or bool(heard)

    def readable(self) -> bool:
        """Return that it may be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what was read ahead, then from the socket."""
        if self._heard:
            count = min(len(buffer), len(self._heard))
            buffer[:count], self._heard = self._heard[:count], self._heard[count:]
            return count
        if self.failed is not None:
            return 0
        try:
            self._check_deadline()
            count = self._wire.recv_into(buffer)
        except OSError as error:
            self.failed = error
            return 0
        self.began = self.began or count > 0
        return count

    def _check_deadline(self) -> None:
        if self._deadline == math.inf:
            return
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took longer than it may take")
        self._wire.settimeout(min(left, self._timeout))

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
