"""The wire against a far side that lies, dawdles, breaks off and goes away."""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mediapipe.wire import Hold, NotReached, Origin, Reply, Unsendable, Wire, proxied
from tests.stage import Actor, Stage, certificate, says, serving_tls, staged

BODY = bytes(range(256)) * 2000  # 512,000 bytes
SHORT = 1.0


@contextmanager
def wire(timeout: float = 5.0, context: ssl.SSLContext | None = None, **more: Any) -> Iterator[Wire]:
    opened = Wire(context or ssl.create_default_context(), SHORT, timeout, **more)
    try:
        yield opened
    finally:
        opened.close()


def ask(
    opened: Wire,
    stage: Stage,
    method: str = "GET",
    body: Any = None,
    hold: Hold | None = None,
    **headers: str,
) -> Reply:
    origin = Origin.of(stage.url)
    named = [("Host", origin.header), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return opened.request(origin, method, "/a.wav", named, body, hold)


def got(opened: Wire, stage: Stage, **more: Any) -> bytes:
    with closing(ask(opened, stage, **more)) as reply:
        return reply.read()


def pieces(reply: Reply, size: int = 100_000) -> Iterator[bytes]:
    buffer = bytearray(size)
    while count := reply.readinto(memoryview(buffer)):
        yield bytes(buffer[:count])


def answers(actor: Actor) -> None:
    while actor.head():
        actor.answer(200, BODY)


@contextmanager
def secured(tls: bool, folder: Path) -> Iterator[tuple[ssl.SSLContext | None, ssl.SSLContext | None]]:
    """Yield what a server and its client are to use."""
    if not tls:
        yield None, None
        return
    pem = certificate(folder, "127.0.0.1")
    context = ssl.create_default_context(cafile=str(pem))
    context.check_hostname = False
    yield serving_tls(pem), context


BOTH = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


# ── connections that are kept ────────────────────────────────────────────────────────────────


def test_one_connection_serves_many_requests_when_bodies_are_read_to_their_end() -> None:
    with staged(answers) as stage, wire() as opened:
        for _ in range(5):
            assert got(opened, stage) == BODY
            with closing(ask(opened, stage)) as reply:
                assert b"".join(pieces(reply)) == BODY
        assert len(stage.actors) == 1


def test_a_connection_whose_body_was_not_read_is_not_used_again() -> None:
    with staged(answers) as stage, wire() as opened:
        with closing(ask(opened, stage)) as reply:
            assert reply.readinto(memoryview(bytearray(10))) == 10
        assert got(opened, stage) == BODY
        assert len(stage.actors) == 2


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_a_connection_that_is_to_be_closed_is_closed(text: bytes) -> None:
    with staged(says(text)) as stage, wire() as opened:
        assert [got(opened, stage) for _ in range(2)] == [b"abc", b"abc"]
        assert len(stage.actors) == 2


def once(actor: Actor) -> None:
    actor.head()
    actor.answer(200, b"first")


def test_a_connection_that_ended_while_idle_is_not_used_again() -> None:
    with staged(once, answers) as stage, wire() as opened:
        assert got(opened, stage) == b"first"
        time.sleep(0.05)
        assert got(opened, stage) == BODY


@BOTH
def test_what_came_unasked_is_never_taken_for_an_answer(tmp_path: Path, tls: bool) -> None:
    """The second answer of a far side that answers twice would be another call's recording."""

    def twice(actor: Actor) -> None:
        actor.head()
        actor.answer(200, b"first")
        time.sleep(0.05)
        actor.answer(200, b"smuggled")
        actor.head()

    with secured(tls, tmp_path) as (serving, context), staged(twice, answers, tls=serving) as stage:  # noqa: SIM117
        with wire(context=context) as opened:
            assert got(opened, stage) == b"first"
            time.sleep(0.15)
            assert got(opened, stage) == BODY


def test_a_connection_that_said_more_than_was_asked_is_not_used_again() -> None:
    """Also where that came in one piece with the answer."""

    def chatty(actor: Actor) -> None:
        actor.head()
        actor.say(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"
        )
        actor.head()

    with staged(chatty, answers) as stage, wire() as opened:
        assert got(opened, stage) == b"first"
        assert not any(opened._idle.values())
        assert got(opened, stage) == BODY


def closes_on_the_second(reset: bool) -> Callable[[Actor], None]:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.answer(200, b"first")
        actor.head()
        if reset:
            actor.reset()

    return scene


@pytest.mark.parametrize("reset", [False, True])
def test_a_get_on_a_connection_closed_just_then_is_sent_once_more(reset: bool) -> None:
    with staged(closes_on_the_second(reset), answers) as stage, wire() as opened:
        assert got(opened, stage) == b"first"
        assert got(opened, stage) == BODY
        assert len(stage.actors) == 2


def test_a_new_connection_that_closes_without_a_word_is_not_asked_again() -> None:
    with staged(lambda actor: None) as stage, wire() as opened:
        with pytest.raises(ConnectionResetError):
            got(opened, stage)
        assert len(stage.actors) == 1


def test_only_what_is_safe_is_sent_once_more() -> None:
    def scene(actor: Actor) -> None:
        closes_on_the_second(False)(actor)

    with staged(scene, answers) as stage, wire() as opened:
        assert got(opened, stage) == b"first"
        with pytest.raises(ConnectionResetError):
            got(opened, stage, method="PUT", body=b"x", Content_Length="1")
        assert len(stage.actors) == 1


def test_an_answer_that_was_begun_is_never_asked_for_again() -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.answer(200, b"first")
        actor.head()
        actor.say(b"HTTP/1.1 20")

    with staged(scene, answers) as stage, wire() as opened:
        assert got(opened, stage) == b"first"
        with pytest.raises((http.client.HTTPException, OSError)):
            got(opened, stage)
        assert len(stage.actors) == 1


def test_no_more_connections_are_kept_than_told_and_none_after_the_end() -> None:
    with staged(answers) as stage:
        opened = Wire(ssl.create_default_context(), SHORT, 5.0, kept=2)
        replies = [ask(opened, stage) for _ in range(4)]
        for reply in replies[:3]:
            reply.read()
            reply.close()
            reply.close()
        assert sum(len(idle) for idle in opened._idle.values()) == 2
        opened.close()
        replies[3].read()
        replies[3].close()
        assert not opened._idle or not any(opened._idle.values())


def test_a_reply_closed_by_two_threads_gives_its_connection_back_once() -> None:
    with staged(answers) as stage, wire() as opened:
        for _ in range(50):
            reply = ask(opened, stage)
            reply.read()
            threads = [threading.Thread(target=reply.close) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sum(len(idle) for idle in opened._idle.values()) == 1


# ── answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            b"abcde",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 204 No\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not\r\nContent-Length: 10\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200\r\nContent-Length: 3\r\nX: \xe9\r\n\r\nabc", b"abc"),
    ],
)
def test_an_answer_of_any_form_is_read_to_its_end(text: bytes, body: bytes) -> None:
    with staged(says(text)) as stage, wire() as opened:
        assert got(opened, stage) == body
        with closing(ask(opened, stage)) as reply:
            assert b"".join(pieces(reply, 2)) == body
            assert reply.whole
        assert len(stage.actors) == 1


def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    with staged(says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")) as stage, wire() as opened:
        assert got(opened, stage, method="HEAD") == b""
        assert got(opened, stage, method="HEAD") == b""
        assert len(stage.actors) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: 3, 4",
        b"Content-Length: +3",
        b"Content-Length: 1_0",
        b"Content-Length: -3",
        b"Content-Length: 0x3",
        b"Content-Length: " + b"9" * 30,
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"no header at all\r\nContent-Length: 3",
        b"X: y\r\n" * 200 + b"Content-Length: 3",
        b"X: " + b"y" * 100_000,
    ],
    ids=lambda head: head[:40].decode(),
)
def test_an_answer_whose_end_cannot_be_told_is_none(head: bytes) -> None:
    with staged(says(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nabc")) as stage, wire() as opened:  # noqa: SIM117
        with pytest.raises(http.client.HTTPException):
            got(opened, stage)


@pytest.mark.parametrize(
    "text",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"H" * 100_000,
        b"HTTP/1.1 103 Again\r\n\r\n" * 100,
    ],
    ids=lambda text: text[:20].decode(),
)
def test_what_is_no_answer_is_an_error(text: bytes) -> None:
    with staged(says(text)) as stage, wire() as opened, pytest.raises(http.client.HTTPException):
        got(opened, stage)


def breaks_off(reset: bool, framing: bytes = b"Content-Length: 512000") -> Callable[[Actor], None]:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + BODY[:300_000])
        time.sleep(0.1)
        if reset:
            actor.reset()

    return scene


@pytest.mark.parametrize("reset", [False, True])
def test_what_came_of_a_body_that_breaks_off_is_not_lost_and_then_it_is_an_error(reset: bool) -> None:
    with staged(breaks_off(reset)) as stage, wire() as opened:
        with closing(ask(opened, stage)) as reply:
            heard: list[bytes] = []
            with pytest.raises(ConnectionResetError if reset else http.client.IncompleteRead):
                heard.extend(pieces(reply, 1 << 20))
            assert b"".join(heard) == BODY[:300_000]
            assert not reply.whole
        assert not any(opened._idle.values())
        with pytest.raises((http.client.HTTPException, OSError)):
            got(opened, stage)


@pytest.mark.parametrize("framing", [b"Connection: close", b"Transfer-Encoding: chunked"])
def test_a_reset_is_no_end_of_a_body_without_a_length(framing: bytes) -> None:
    with staged(breaks_off(True, framing)) as stage, wire() as opened:
        with closing(ask(opened, stage)) as reply, pytest.raises((OSError, http.client.HTTPException)):
            for _ in pieces(reply):
                pass
        with pytest.raises((OSError, http.client.HTTPException)):
            got(opened, stage)


def test_silence_in_a_body_is_a_timeout_after_what_came() -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        actor.head()

    with staged(scene) as stage, wire(0.2) as opened, closing(ask(opened, stage)) as reply:
        buffer = bytearray(100)
        assert reply.readinto(memoryview(buffer)) == 3
        with pytest.raises(TimeoutError):
            reply.readinto(memoryview(buffer))


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 O"])
def test_silence_before_an_answer_is_a_timeout(begun: bytes) -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(begun)
        actor.head()

    with staged(scene) as stage, wire(0.2) as opened, pytest.raises(TimeoutError):
        got(opened, stage)


def drips(actor: Actor) -> None:
    actor.head()
    actor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        actor.say(b"x")
        time.sleep(0.02)


def test_a_deadline_ends_a_body_that_drips() -> None:
    with staged(drips) as stage, wire() as opened:
        began = time.monotonic()
        with pytest.raises(TimeoutError), closing(ask(opened, stage, hold=Hold(began + 0.3))) as reply:
            for _ in pieces(reply):
                pass
        assert time.monotonic() - began < 1.5


# ── cut off from outside ─────────────────────────────────────────────────────────────────────


@BOTH
def test_a_request_is_cut_off_by_another_thread_at_once(tmp_path: Path, tls: bool) -> None:
    with secured(tls, tmp_path) as (serving, context), staged(drips, tls=serving) as stage:  # noqa: SIM117
        with wire(context=context) as opened:
            hold = Hold()
            timer = threading.Timer(0.2, hold.cut)
            timer.start()
            began = time.monotonic()
            with pytest.raises((OSError, http.client.HTTPException)):
                got(opened, stage, hold=hold)
            assert time.monotonic() - began < 1.5
            timer.join()


def test_one_that_was_cut_before_it_began_sends_nothing() -> None:
    hold = Hold()
    hold.cut()
    with staged(answers) as stage, wire() as opened:
        with pytest.raises(ConnectionAbortedError):
            got(opened, stage, hold=hold)
        time.sleep(0.05)
        assert all(not actor.heard for actor in stage.actors)


def test_cutting_off_tls_never_forgets_the_encryption(tmp_path: Path) -> None:
    """What another thread sends at that moment would go out in the clear."""
    with secured(True, tmp_path) as (serving, context), staged(answers, tls=serving) as stage:  # noqa: SIM117
        with wire(context=context) as opened:
            hold = Hold()
            with closing(ask(opened, stage, hold=hold)) as reply:
                hold.cut()
                ours = reply._held[0].socket
                assert isinstance(ours, ssl.SSLSocket)
                assert ours.cipher() is not None
                with pytest.raises(OSError):
                    ours.sendall(b"GET /secret")


# ── requests ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "target", "name", "value"),
    [
        ("GET", "/a\r\nX: y", "A", "b"),
        ("GET", "/a b", "A", "b"),
        ("GET", "/\xe9", "A", "b"),
        ("GET", "", "A", "b"),
        ("GET", "/\x00", "A", "b"),
        ("GET /x HTTP/1.1\r\nA:", "/", "A", "b"),
        ("", "/", "A", "b"),
        ("GET", "/", "A", "b\r\nC: d"),
        ("GET", "/", "A", "b\nC: d"),
        ("GET", "/", "A", "b\x00"),
        ("GET", "/", "A", "b\x7f"),
        ("GET", "/", "A: b\r\nC", "d"),
        ("GET", "/", "A b", "c"),
        ("GET", "/", "", "c"),
        ("GET", "/", "A", "\u20ac"),
        ("GET", "/", "\xe9", "c"),
    ],
)
def test_what_is_no_single_request_is_refused_before_anything_is_sent(
    method: str, target: str, name: str, value: str
) -> None:
    with staged(answers) as stage, wire() as opened:
        with pytest.raises(Unsendable) as caught:
            opened.request(Origin.of(stage.url), method, target, [(name, value)])
        assert value not in str(caught.value) or len(value) < 2
        time.sleep(0.05)
        assert stage.actors == []


def test_a_letter_of_latin_1_is_sent_as_its_byte() -> None:
    with staged(answers) as stage, wire() as opened:
        got(opened, stage, X="caf\xe9")
        assert b"X: caf\xe9\r\n" in stage.actors[0].heard


def takes(actor: Actor) -> None:
    while head := actor.head():
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        actor.answer(200, str(len(actor.body(size))).encode())


class OnlyRead:
    """A body that knows nothing but ``read``."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


@pytest.mark.parametrize("kind", [bytes, io.BytesIO, OnlyRead])
def test_a_body_of_any_kind_is_sent_whole(kind: Any) -> None:
    with staged(takes) as stage, wire() as opened:
        for data in (b"", b"x", BODY * 5):
            told = got(opened, stage, method="PUT", body=kind(data), Content_Length=str(len(data)))
            assert told == str(len(data)).encode()
            assert stage.actors[0].heard.endswith(data)
        assert len(stage.actors) == 1


def test_a_refusal_that_came_before_the_body_was_read_is_heard() -> None:
    """A far side that answers and closes at once: its words, not a broken pipe."""

    def refuses(actor: Actor) -> None:
        actor.head()
        actor.answer(403, b"no", Connection="close")
        actor.connection.shutdown(socket.SHUT_WR)
        time.sleep(0.2)

    with staged(refuses) as stage, wire() as opened:
        data = bytes(50_000_000)
        with closing(ask(opened, stage, "PUT", io.BytesIO(data), Content_Length=str(len(data)))) as reply:
            assert (reply.status, reply.read()) == (403, b"no")
        assert not any(opened._idle.values())


def test_a_success_without_the_body_having_been_read_is_none() -> None:
    def too_soon(actor: Actor) -> None:
        actor.head()
        actor.answer(200, b"")
        actor.connection.shutdown(socket.SHUT_WR)
        time.sleep(0.2)

    with staged(too_soon) as stage, wire() as opened:
        data = bytes(50_000_000)
        for more in ({}, {"Expect": "100-continue"}):
            with pytest.raises((OSError, http.client.HTTPException)):
                got(opened, stage, method="PUT", body=io.BytesIO(data), Content_Length=str(len(data)), **more)


@pytest.mark.parametrize(
    "leave",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"HTTP/1.1 1", b"00 Continue\r\n\r\n"],
        [b"H", b"TTP/1.0 100 Go\r\nA: b\r\n\r", b"\n"],
        [b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 100 C\r\n\r\n"],
        [],
    ],
)
def test_a_body_is_sent_after_leave_or_after_a_while_without_a_word(leave: list[bytes]) -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        for text in leave:
            actor.say(text)
            time.sleep(0.05)
        actor.answer(200, str(len(actor.body(len(BODY)))).encode())
        actor.head()
        actor.answer(200, b"again")

    with staged(scene) as stage, wire() as opened:
        asked = {"Content_Length": str(len(BODY)), "Expect": "100-continue"}
        assert got(opened, stage, method="PUT", body=io.BytesIO(BODY), **asked) == b"512000"
        assert got(opened, stage) == b"again"


@pytest.mark.parametrize("split", [3, 12, 400])
def test_a_refusal_in_place_of_leave_spares_the_body(split: int) -> None:
    text = b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 3\r\n\r\nno!"

    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(text[:split])
        time.sleep(0.1)
        actor.say(text[split:])
        actor.head()

    with staged(scene, answers) as stage, wire() as opened:
        asked = {"Content_Length": str(len(BODY)), "Expect": "100-continue"}
        with closing(ask(opened, stage, "PUT", io.BytesIO(BODY), **asked)) as reply:
            assert (reply.status, reply.read()) == (412, b"no!")
        assert got(opened, stage) == BODY  # over another connection: this one waits for a body
        assert len(stage.actors) == 2
        assert len(stage.actors[0].heard) < 300


# ── connecting ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "origin",
    [
        Origin("http", "127.0.0.1", 9),
        Origin("http", "127.0.0.1", 99_999),
        Origin("http", "a" * 70 + ".example", 80),
        Origin("http", "a..example", 80),
        Origin("http", "no-such-host.invalid", 80),
        Origin("http", "", 0),
    ],
)
def test_what_cannot_be_reached_says_so(origin: Origin) -> None:
    with wire() as opened, pytest.raises(NotReached):
        opened.request(origin, "GET", "/", [])


def test_a_host_that_takes_no_connection_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        crowd = []
        for _ in range(4):  # the queue is full then, and further ones wait
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            crowd.append(one)
        opened = Wire(ssl.create_default_context(), 0.3, 5.0)
        began = time.monotonic()
        with pytest.raises(NotReached) as caught:
            opened.request(Origin("http", "127.0.0.1", port), "GET", "/", [])
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert time.monotonic() - began < 2
        for one in crowd:
            one.close()


def test_a_handshake_that_never_comes_is_given_up() -> None:
    def silent(actor: Actor) -> None:
        actor.head()

    with staged(silent) as stage, wire() as opened, pytest.raises(NotReached):
        opened.request(Origin("https", "127.0.0.1", stage.port), "GET", "/", [])


@pytest.mark.parametrize(
    ("names", "days", "trusted", "good"),
    [
        (("localhost",), 1, True, True),
        (("other.example",), 1, True, False),
        (("localhost",), -1, True, False),
        (("localhost",), 1, False, False),
    ],
    ids=["right", "wrong-host", "expired", "self-signed"],
)
def test_only_the_right_certificate_is_spoken_to(
    tmp_path: Path, names: tuple[str, ...], days: int, trusted: bool, good: bool
) -> None:
    pem = certificate(tmp_path, *names, days=days)
    context = ssl.create_default_context(cafile=str(pem) if trusted else None)
    with staged(answers, tls=serving_tls(pem)) as stage, wire(context=context) as opened:
        origin = Origin("https", "localhost", stage.port)
        if good:
            with closing(opened.request(origin, "GET", "/", [("Host", origin.header)])) as reply:
                assert reply.read() == BODY
            return
        with pytest.raises(NotReached) as caught:
            opened.request(origin, "GET", "/?secret=s3cr3t", [("Host", origin.header)])
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert all(not actor.heard for actor in stage.actors)


def test_an_ipv6_address_is_spoken_to_by_its_name_in_brackets() -> None:
    try:
        with staged(answers, host="::1") as stage, wire() as opened:
            assert got(opened, stage) == BODY
            assert f"Host: [::1]:{stage.port}\r\n".encode() in stage.actors[0].heard
    except OSError as error:
        from tests.lacking import lacking

        lacking(f"no IPv6 here: {error}")


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://A.example:443/x", "a.example"),
        ("http://a.example:80", "a.example"),
        ("http://a.example:443", "a.example:443"),
        ("https://[::1]/", "[::1]"),
        ("http://user:pass@a.example:9000/", "a.example:9000"),
    ],
)
def test_the_name_of_a_host(url: str, header: str) -> None:
    assert Origin.of(url).header == header


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("NO_PROXY", "127.0.0.1", False),
        ("FTP_PROXY", "http://p:1", False),
        ("HTTPS_PROXY", "http://p:1", True),
        ("http_proxy", "http://p:1", True),
        ("ALL_PROXY", "socks5://p:1", True),
        ("HTTPS_PROXY", "", False),
    ],
)
def test_a_proxy_is_one_only_when_one_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, answer: bool
) -> None:
    for one in list(os.environ):
        if one.lower().endswith("_proxy"):
            monkeypatch.delenv(one)
    monkeypatch.setenv(name, value)
    assert proxied() is answer
