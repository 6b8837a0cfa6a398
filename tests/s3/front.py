"""A checking front before an S3 imitation that checks nothing, and the place where faults are put in.

moto accepts any signature and any checksum; Amazon's S3 does not. The front verifies what S3 verifies,
answers as S3 answers, and passes the rest on. One conditional write of a key at a time goes through, so
that the imitation's check and its write can't be parted by another request.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote

from tests.s3.payload import checked_payload
from tests.s3.signing import Refusal, check_signature

Kind = Literal[
    "refuse",  # answer with status and code, pass nothing on
    "drop",  # close the connection, pass nothing on
    "lose_answer",  # pass on, then close the connection
    "hang",  # pass nothing on, answer nothing for some seconds
    "corrupt",  # flip a bit of the received bytes before they are checked
    "damage",  # flip a bit of the answer's bytes
    "cut",  # send half of the answer's bytes, then close
    "unconditional",  # take If-None-Match away
    "bad_xml",  # answer 500 with a body that is not XML
]


@dataclass
class Fault:
    """One fault: what happens, to which requests, how often (None: always)."""

    kind: Kind
    method: str = "PUT"
    contains: str = ""
    times: int | None = 1
    status: int = 503
    code: str = "SlowDown"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 2.0


@dataclass(frozen=True)
class Seen:
    """One request that arrived."""

    method: str
    target: str
    headers: Mapping[str, str]


class Front(ThreadingHTTPServer):
    """The front; ``faults`` are looked through in order, ``seen`` tells what arrived."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, backend: tuple[str, int], keys: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.backend, self.keys = backend, keys
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self._guard = threading.Lock()
        self._writes: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._open: set[socket.socket] = set()

    def take_fault(self, method: str, target: str) -> Fault | None:
        """Return the fault for this request, if any, and count it."""
        with self._guard:
            for fault in self.faults:
                if fault.times != 0 and fault.method == method and fault.contains in unquote(target):
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None

    def write_lock(self, target: str) -> threading.Lock:
        """Return the lock of one object's writes."""
        with self._guard:
            return self._writes[target.partition("?")[0]]

    def note(self, seen: Seen) -> None:
        """Remember a request."""
        with self._guard:
            self.seen.append(seen)

    def keep(self, connection: socket.socket, is_open: bool) -> None:
        """Remember which connections are open, to end them with the server."""
        with self._guard:
            (self._open.add if is_open else self._open.discard)(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients go away in the middle on purpose."""

    def end(self) -> None:
        """Stop serving and end every open connection, so that no handler outlives the test."""
        self.shutdown()
        self.server_close()
        with self._guard:
            still = list(self._open)
        for connection in still:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Front

    def setup(self) -> None:
        super().setup()
        self.server.keep(self.connection, True)
        self.backend = http.client.HTTPConnection(*self.server.backend, timeout=30)

    def finish(self) -> None:
        self.backend.close()
        with contextlib.suppress(OSError):
            super().finish()
        self.server.keep(self.connection, False)

    def log_message(self, *_: object) -> None:
        """Write no log."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._body(headers)
        self.server.note(Seen(self.command, self.path, headers))
        fault = self.server.take_fault(self.command, self.path)
        try:
            self._answer(headers, body, fault)
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.code, refusal.message)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, headers: dict[str, str], body: bytes, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        if fault and kind == "refuse":
            return self._refuse(fault.status, fault.code, "on purpose", fault.headers)
        if fault and kind == "hang":
            time.sleep(fault.seconds)
        if kind in {"drop", "hang"}:
            return self._hang_up()
        if kind == "bad_xml":
            return self._send(500, {}, b"<html>no xml & no end")
        if kind == "corrupt":
            body = _flipped(body)
        check_signature(self.command, self.path, headers, self.server.keys)
        if "X-Amz-Signature=" not in self.path:  # a lent address speaks of no body
            body = checked_payload(self.command, headers, body)
        if kind == "unconditional":
            headers.pop("if-none-match", None)
        status, answer_headers, answer = self._pass_on(headers, body)
        if kind == "lose_answer":
            return self._hang_up()
        if kind == "damage":
            answer = _flipped(answer)
        return self._send(status, answer_headers, answer, cut=kind == "cut")

    def _pass_on(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        passed = {name: value for name, value in headers.items() if name not in _NOT_PASSED}
        if headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):  # undone by now
            passed["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        passed["content-length"] = str(len(body))
        lock = (
            self.server.write_lock(self.path) if self.command in {"PUT", "POST"} else contextlib.nullcontext()
        )
        with lock:
            self.backend.request(self.command, self.path, body or None, passed)
            response = self.backend.getresponse()
            answer = response.read()
        # moto names the length of a multipart object twice; by lower-case name it is there once.
        kept = {name.lower(): value for name, value in response.getheaders()}
        return response.status, {name: kept[name] for name in kept.keys() - _HOP_BY_HOP}, answer

    def _refuse(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        xml = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        self._send(status, {"content-type": "application/xml", **(headers or {})}, xml.encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        for name, value in ({**headers, "content-length": length}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


_NOT_PASSED = {
    "connection",
    "content-encoding",
    "expect",
    "transfer-encoding",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
}
_HOP_BY_HOP = {"connection", "transfer-encoding", "date", "server", "keep-alive"}


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data
