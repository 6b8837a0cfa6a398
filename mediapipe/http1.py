"""One request and its answer over one connection: what is sent, and when.

What cannot be one request is not sent, and a success that came without the body being sent is none.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import BinaryIO

from mediapipe.incoming import Answer, Incoming, read_answer

CHUNK = 256 * 1024
"""Bytes handed to the socket at a time, and read from a body that is no bytes."""
CONTINUE_S = 1.0
"""How long a server that was asked for leave may say nothing before the body is sent all the same."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"[\x21-\x7e]+")
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


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


def exchanged(wire: socket.socket, incoming: Incoming, what: Asked, timeout: float) -> Answer:
    """Send a request and return its answer, the body unread."""
    refused, gone = False, None
    try:
        if not what.asks and (what.body is None or isinstance(what.body, bytes)):
            wire.sendall(what.head + what.body if what.body else what.head)
        else:
            wire.sendall(what.head)
            refused = what.asks and _refused(wire, incoming, timeout)
            if not refused:
                _send(wire, what.body)
    except GONE as error:
        if what.body is None:
            raise
        gone = error  # it may have said why before it closed
    try:
        answer = read_answer(incoming, what.method)
        if (gone or refused) and answer.status < 300:
            raise http.client.HTTPException("it was answered before its body was sent")
    except BaseException:
        if gone is not None:
            raise gone from None
        raise
    if gone or refused:
        answer.will_close = True  # the far side still waits for the body
    return answer


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
