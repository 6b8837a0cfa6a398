"""One request's head and body, and when its answer counts. Whole exchanges: see ``test_wire``."""

from __future__ import annotations

import http.client
import io
import math
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.http1 import CHUNK, Asked, Unsendable, asks_leave, exchanged, head_of
from mediapipe.incoming import Incoming
from tests.stage import pair

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


OK = b"HTTP/1.1 200 OK\r\n"


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
