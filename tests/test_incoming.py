"""Heads and bodies as they come, whole or a little at a time. Over real connections: see ``test_wire``."""

from __future__ import annotations

import http.client
import math
import time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.incoming import Answer, Incoming, read_answer
from tests.stage import pair

OK = b"HTTP/1.1 200 OK\r\n"
BODY = bytes(range(256)) * 20


class Dripping:
    """A socket whose bytes come in pieces of the given sizes, over and over."""

    def __init__(self, text: bytes, sizes: list[int]) -> None:
        self._text, self._sizes, self._turn = text, sizes, 0

    def recv(self, most: int) -> bytes:
        size = min(most, self._sizes[self._turn % len(self._sizes)])
        self._turn += 1
        piece, self._text = self._text[:size], self._text[size:]
        return piece

    def recv_into(self, view: memoryview) -> int:
        piece = self.recv(len(view))
        view[: len(piece)] = piece
        return len(piece)


def answer_of(text: bytes, sizes: list[int] | None = None, method: str = "GET") -> Answer:
    return read_answer(Incoming(Dripping(text, sizes or [1 << 20]), 5), method)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 2, 2\r\n\r\nhi", b"hi"),
        (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (OK.replace(b"\r", b"") + b"Content-Length: 2\n\nhi", b"hi"),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nX: y\r\n\r\n", b"hi"),
        (OK + b"\r\nhi", b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", b""),
    ],
)
@pytest.mark.parametrize("sizes", [[1 << 20], [1], [3, 1, 7]], ids=["at once", "bytes", "pieces"])
def test_answers_whose_end_can_be_told_are_taken(text: bytes, body: bytes, sizes: list[int]) -> None:
    answer = answer_of(text, sizes)
    assert answer.read() == body
    assert answer.whole
    assert answer.read() == b""


@pytest.mark.parametrize(
    "text",
    [
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        OK + b"Content-Length: 2, 3\r\n\r\nhi!",
        OK + b"Content-Length: -1\r\n\r\nhi",
        OK + b"Content-Length: +2\r\n\r\nhi",
        OK + b"Content-Length: 2x\r\n\r\nhi",
        OK + b"Content-Length: \r\n\r\nhi",
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nhi",
        OK + b"Content-Length : 2\r\n\r\nhi",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 500,
        OK + b"Content-Length 2\r\n\r\nhi",
        OK + b"X: a\0b\r\n\r\nhi",
        OK + b" folded: x\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 30 + OK + b"Content-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\r\n" + OK + b"\r\n",
        b"",
    ],
)
def test_answers_whose_end_would_be_a_guess_are_none(text: bytes) -> None:
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        answer_of(text).read()


def test_an_answer_that_says_two_ends_is_the_last_of_its_connection() -> None:
    text = OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi!\r\n0\r\n\r\n"
    answer = answer_of(text)
    assert (answer.read(), answer.will_close) == (b"hi!", True)


sizes_of_pieces = st.lists(st.integers(1, 3000), min_size=1, max_size=5)


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=6), sizes_of_pieces, st.integers(1, 5000))
def test_chunks_however_they_come_are_the_body(chunks: list[bytes], sizes: list[int], room: int) -> None:
    text = OK + b"Transfer-Encoding: chunked\r\n\r\n"
    text += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + b"next"
    answer, heard = answer_of(text, sizes), b""
    buffer = memoryview(bytearray(room))
    while not answer.whole:
        heard += bytes(buffer[: answer.readinto(buffer)])
    assert heard == b"".join(chunks)
    ahead = memoryview(bytearray(4))
    assert answer.incoming.readinto(ahead) > 0
    assert bytes(ahead[:1]) == b"n"


@given(st.binary(min_size=1, max_size=3000), sizes_of_pieces, st.integers(0, 3000))
def test_a_body_that_breaks_off_is_given_as_far_as_it_came(
    body: bytes, sizes: list[int], missing: int
) -> None:
    text = OK + b"Content-Length: %d\r\n\r\n" % (len(body) + missing) + body
    answer, buffer = answer_of(text, sizes), memoryview(bytearray(10_000))
    count = answer.readinto(buffer)
    assert bytes(buffer[:count]) == body
    if missing:
        with pytest.raises(http.client.IncompleteRead):
            answer.readinto(buffer)
    assert answer.whole is (missing == 0)


words = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=20)
fields = st.lists(st.tuples(words, words), max_size=5)


@given(st.integers(100, 999), words, fields)
def test_what_is_taken_for_a_head_is_read_as_others_read_it(
    status: int, reason: str, headers: list[tuple[str, str]]
) -> None:
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    text = "\r\n".join(lines).encode("latin-1")
    try:
        ours = answer_of(text)
    except (http.client.HTTPException, OSError):
        return
    other = h11.Connection(h11.CLIENT)
    other.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    other.send(h11.EndOfMessage())
    other.receive_data(text)
    try:
        theirs = other.next_event()
    except h11.RemoteProtocolError:
        return  # it knows more of what must not be, in values that nobody here looks at
    assert isinstance(theirs, h11.Response)
    assert theirs.status_code == ours.status
    assert [(name.decode().lower(), value.decode("latin-1")) for name, value in theirs.headers] == [
        (name.lower(), value) for name, value in ours.headers
    ]


def test_a_deadline_holds_however_slowly_bytes_drip() -> None:
    with pair() as (here, there):
        incoming = Incoming(here, 5, time.monotonic() + 0.3)
        there.sendall(b"a")
        assert incoming.readinto(memoryview(bytearray(10))) == 1
        time.sleep(0.31)
        there.sendall(b"b")
        assert incoming.readinto(memoryview(bytearray(10))) == 0
        assert isinstance(incoming.failed, TimeoutError)
        assert incoming.readinto(memoryview(bytearray(10))) == 0


def test_what_was_read_ahead_comes_first() -> None:
    with pair() as (here, there):
        there.sendall(b"cd\n")
        incoming = Incoming(here, 5, math.inf)
        assert not incoming.began
        incoming.unread(b"ab")
        assert incoming.began
        assert incoming.line() == b"abcd\n"
