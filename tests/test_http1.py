"""One request's head, and what is taken for the end of an answer. Whole exchanges: see ``test_wire``."""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.http1 import CHUNK, Asked, Incoming, Unsendable, asks_leave, exchanged, head_of

SECRET = "s3cr3t"


@given(
    st.text(max_size=12),
    st.text(max_size=30),
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=30)), max_size=4),
)
def test_a_head_is_one_request_or_none(method: str, target: str, headers: list[tuple[str, str]]) -> None:
    try:
        head = head_of(method, target, headers)
    except Unsendable:
        return
    first, *lines = head.split(b"\r\n")
    assert first == f"{method} {target} HTTP/1.1".encode()
    assert first.count(b" ") == 2
    assert len(lines) == len(headers) + 2
    assert lines[-2:] == [b"", b""]
    read = http.client.parse_headers(io.BytesIO(b"\r\n".join(lines)))
    assert [(name, value.strip(" \t")) for name, value in read.raw_items()] == [
        (name, value.strip(" \t")) for name, value in headers
    ]


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET\r\nX: y", "/", ("A", "b")),
        ("", "/", ("A", "b")),
        ("GET", "/a b", ("A", "b")),
        ("GET", "/\r\nX: y", ("A", "b")),
        ("GET", "/é", ("A", "b")),
        ("GET", "/", ("A:", "b")),
        ("GET", "/", ("A\r\nB", "b")),
        ("GET", "/", ("A", "b\r\nC: d")),
        ("GET", "/", ("A", "b\nC: d")),
        ("GET", "/", ("A", "b\0")),
        ("GET", "/", ("A", "漢")),
    ],
)
def test_what_would_be_read_as_something_else_is_not_sent_nor_shown(
    method: str, target: str, header: tuple[str, str]
) -> None:
    with pytest.raises(Unsendable) as caught:
        head_of(method, target, [("Authorization", SECRET), header])
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_leave_is_asked_for_by_its_header_in_any_case() -> None:
    assert asks_leave([("A", "b"), ("eXpect", "100-continue")])
    assert not asks_leave([("Expected", "100-continue")])


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.settimeout(5)
        yield here, there


def answered(answer: bytes, *, method: str = "GET", body: bytes | io.BytesIO | None = None) -> bytes:
    """Return the body of an answer that stands ready and ends with the connection."""
    with pair() as (here, there):
        there.sendall(answer)
        there.shutdown(socket.SHUT_WR)
        asked = Asked(head_of(method, "/", []), method, False, body)
        response = exchanged(here, Incoming(here, 5, math.inf), asked, 5)
        return response.read()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 2, 2\r\n\r\nhi", b"hi"),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (OK + b"\r\nhi", b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", b""),
    ],
)
def test_answers_whose_end_can_be_told_are_taken(answer: bytes, body: bytes) -> None:
    assert answered(answer) == body


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        OK + b"Content-Length: 2, 3\r\n\r\nhi!",
        OK + b"Content-Length: -1\r\n\r\nhi",
        OK + b"Content-Length: +2\r\n\r\nhi",
        OK + b"Content-Length: 2x\r\n\r\nhi",
        OK + b"Content-Length: \r\n\r\nhi",
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhi",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Content-Length 2\r\n\r\nhi",
        OK + b" folded: x\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 30 + OK + b"Content-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
def test_answers_whose_end_would_be_a_guess_are_none(answer: bytes) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        answered(answer)


class Short:
    """A body that is read a little at a time, by ``read`` alone."""

    def __init__(self, text: bytes) -> None:
        self._file = io.BytesIO(text)

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, 700))


@pytest.mark.parametrize("wrap", [io.BytesIO, Short])
def test_a_body_of_any_kind_is_sent_whole(wrap: type[io.BytesIO]) -> None:
    text = bytes(range(256)) * 40
    with pair() as (here, there):
        there.sendall(OK + b"Content-Length: 0\r\n\r\n")
        head = head_of("PUT", "/", [("Content-Length", str(len(text)))])
        asked = Asked(head, "PUT", False, wrap(text))
        assert exchanged(here, Incoming(here, 5, math.inf), asked, 5).status == 200
        here.shutdown(socket.SHUT_WR)
        heard = b"".join(iter(lambda: there.recv(CHUNK), b""))
        assert heard == head + text


def test_a_deadline_holds_however_slowly_bytes_drip() -> None:
    with pair() as (here, there):
        incoming = Incoming(here, 5, time.monotonic() + 0.3)
        there.sendall(b"a")
        assert incoming.readinto(bytearray(10)) == 1
        assert incoming.began
        time.sleep(0.31)
        there.sendall(b"b")
        assert incoming.readinto(bytearray(10)) == 0
        assert isinstance(incoming.failed, TimeoutError)
        assert incoming.readinto(bytearray(10)) == 0


def test_what_was_read_ahead_comes_first() -> None:
    with pair() as (here, there):
        there.sendall(b"cd")
        incoming = Incoming(here, 5, math.inf)
        incoming.unread(b"ab")
        assert incoming.makefile("rb").read(4) == b"abcd"
