from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import textwrap
import time
import wave
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.clients import Timeouts
from mediapipe.convirza.models import User
from mediapipe.convirza.posts import open_posts
from mediapipe.convirza.session import Session, V2Credentials, V2Login
from mediapipe.convirza.tokens import ReadyToken, TokenCache, TokenManager
from mediapipe.convirza.uploads import Accepted, Answer, NotTaken, Refused, Unsure
from mediapipe.convirza.v2 import V2, CallUpload, Posting
from mediapipe.errors import CredentialsError, Failed, PlatformDown, Rejected, Transient
from mediapipe.pacing import AdaptiveLimit, ByteRate, Pacer, Pause, RetryPolicy
from mediapipe.sandbox import FaultRule, SandboxConfig, running
from mediapipe.sandbox.state import SandboxState
from mediapipe.sandbox.stats import Endpoint
from tests.convirza.wire import Peer, Scene, Wire, answer, wire_form, wired

ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)
FIELDS = {"external_id": "crm-7", "caller_id": "18015551234", "call_date": "2026-02-03T04:05:06.000Z"}
LARGE = 8_000_000
"""More than the buffers between two sockets hold."""


class Counter:
    """A token source whose tokens are token-0, token-1, …"""

    user: User | None = None

    def __init__(self) -> None:
        self.number = 0

    async def bearer(self) -> str:
        return f"token-{self.number}"

    async def renew(self, dead: str) -> str:
        assert dead == f"token-{self.number}"
        self.number += 1
        return f"token-{self.number}"


class Bench:
    """A client of v2 against one address, and what it did."""

    def __init__(self, v2: V2, pacer: Pacer) -> None:
        self.v2, self.pacer = v2, pacer
        self.begun = 0

    async def begin(self) -> None:
        self.begun += 1

    async def send(self, upload: CallUpload) -> Answer:
        return await self.v2.upload_call(upload, begin=self.begin)


Use = Callable[[Bench, Wire], Awaitable[Any]]


def play(
    *scenes: Scene,
    use: Use,
    tokens: Any = None,
    retry: RetryPolicy = ONCE,
    connect: float = 5.0,
    read: float = 5.0,
    deadline: float = 20.0,
    uploads: int = 4,
    url: str = "",
    **posting: Any,
) -> Any:
    """Run ``use`` with a client against a server that plays the scenes."""

    async def main() -> Any:
        async with AsyncExitStack() as stack:
            wire = await stack.enter_async_context(wired(*scenes or (answer(),)))
            timeouts = Timeouts(connect=connect, read=read, write=read, pool=5.0)
            http = await stack.enter_async_context(open_posts(timeouts, connections=uploads))
            pacer = Pacer(AdaptiveLimit(uploads), Pause())
            session = Session(
                http, (url or wire.url) + "/v2", tokens or Counter(), pacer, retry, deadline=deadline
            )
            return await use(Bench(V2(session, Posting(http, pacer, **posting)), pacer), wire)

    return anyio.run(main)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + bytes(range(256)) * 40)
    return path


@pytest.fixture
def upload(audio: Path) -> CallUpload:
    return CallUpload(FIELDS, audio, "crm-7.wav", "audio/wav")


@pytest.fixture
def large(tmp_path: Path) -> CallUpload:
    path = tmp_path / "large.wav"
    path.write_bytes(bytes(LARGE))
    return CallUpload(FIELDS, path, "large.wav", "audio/wav")


# ── what arrives ─────────────────────────────────────────────────────────────────────────────


def test_the_request_is_a_form_of_known_length_under_the_bearer_token(
    upload: CallUpload, audio: Path
) -> None:
    whole = audio.read_bytes()

    async def use(bench: Bench, wire: Wire) -> None:
        assert await bench.send(upload) == Accepted()
        head, _, body = bytes(wire.peers[0].heard).partition(b"\r\n\r\n")
        assert head.startswith(b"POST /v2/call/upload HTTP/1.1\r\n")
        assert b"\r\nAuthorization: Bearer token-0\r\n" in head
        assert b"chunked" not in head
        assert head.lower().count(b"\r\naccept-encoding: identity") == 1
        assert head.lower().count(b"accept-encoding") == 1
        assert head.endswith(f"\r\nContent-Length: {len(body)}".encode())
        assert body.count(whole) == 1
        assert b'name="recording_file"; filename="crm-7.wav"\r\nContent-Type: audio/wav\r\n' in body
        assert b'name="caller_id"\r\n\r\n18015551234\r\n' in body
        assert bench.begun == 1

    play(use=use)


def test_an_address_is_sent_in_place_of_a_file_and_shown_nowhere() -> None:
    secret = "https://bucket.example/a.wav?X-Amz-Signature=abcdef0123456789"
    upload = CallUpload(FIELDS, recording_url=secret)
    assert "abcdef" not in repr(upload)

    async def use(bench: Bench, wire: Wire) -> Answer:
        got: Answer = await bench.send(upload)
        assert f'name="recording_url"\r\n\r\n{secret}\r\n'.encode() in wire.peers[0].heard
        assert b"filename" not in wire.peers[0].heard
        return got

    told = json.dumps({"message": f"cannot fetch {secret} with token-0"}).encode()
    got = play(answer(400, told), use=use)
    assert isinstance(got, Refused)
    assert "abcdef" not in got.message
    assert "token-0" not in got.message


SIGNED = "https://bucket.example/a.wav?X-Amz-Signature=abcdef0123456789"
TOKEN = "t0ken-s3cr3t-of-the-run"


def echo(form: str) -> Scene:
    """Answer what was sent in confidence, in a form that ``%b`` stands for."""

    async def scene(peer: Peer) -> None:
        await peer.request()
        (token,) = re.findall(rb"Authorization: Bearer (\S+)", bytes(peer.heard))
        await peer.say(form.encode() % (token + b" " + SIGNED.encode()))

    return scene


@pytest.mark.parametrize(
    "form",
    [
        *(f"HTTP/1.1 {status} X\r\n\r\n%b" for status in (200, 302, 400, 401, 403, 413, 429, 500, 503)),
        'HTTP/1.1 400 X\r\n\r\n{"message": "%b"}',
        'HTTP/1.1 200 X\r\n\r\n{"result": "error", "err": "Duplicate external ID. %b"}',
        'HTTP/1.1 400 X\r\n\r\n{"message": "x", "errors": [{"name": "%b", "message": "%%b"}]}',
        "%b\r\n\r\n",
        "HTTP/1.1 %b\r\n\r\n",
        "HTTP/1.1 200 X\r\n%b\r\n\r\n",
        "HTTP/1.1 200 X\r\nContent-Length: %b\r\n\r\n",
        "HTTP/1.1 302 X\r\nLocation: http://%b/\r\n\r\n",
        "HTTP/1.1 302 X\r\nLocation: x:%b\r\n\r\n",
        "HTTP/1.1 200 X\r\nTransfer-Encoding: %b\r\n\r\n",
    ],
)
def test_what_was_sent_in_confidence_is_in_no_words(form: str) -> None:
    async def use(bench: Bench, wire: Wire) -> Answer:
        return await bench.send(CallUpload(FIELDS, recording_url=SIGNED))

    got = play(echo(form), use=use, tokens=ReadyToken(TOKEN, "CONVIRZA_V2_TOKEN"))
    told = repr(got) + repr(getattr(got, "fatal", None))
    assert TOKEN not in told
    assert "abcdef" not in told


def test_a_file_and_an_address_are_not_sent_both_nor_neither(audio: Path) -> None:
    for given in ({"path": audio, "recording_url": "https://x/"}, {}):
        with pytest.raises(ValueError, match="one of them"):
            CallUpload(FIELDS, **given)


def test_the_part_with_the_audio_has_the_name_that_is_set(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        await bench.send(upload)
        assert b'name="file"; filename=' in wire.peers[0].heard

    play(use=use, file_field="file")


@pytest.mark.parametrize("cookie", ["a=b; Path=/", "a=b\x9d; Path=/"])
def test_an_answers_cookie_touches_no_later_upload(cookie: str, upload: CallUpload) -> None:
    async def sets(peer: Peer) -> None:
        await peer.request()
        lines = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: {cookie}\r\n\r\n"
        await peer.say(lines.encode("latin-1"))

    async def use(bench: Bench, wire: Wire) -> None:
        for _ in range(2):
            assert await bench.send(upload) == Accepted()
        assert b"cookie" not in wire.peers[1].heard.lower()

    play(sets, use=use)


def test_every_upload_has_a_connection_of_its_own(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        for _ in range(3):
            assert await bench.send(upload) == Accepted()
        assert len(wire.peers) == 3

    async def keeps_on(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(wire_form())

    play(keeps_on, use=use)


# ── what is known when it goes wrong ─────────────────────────────────────────────────────────


async def close_at_once(peer: Peer) -> None:
    peer.writer.close()


async def reset_after_head(peer: Peer) -> None:
    await peer.head()
    peer.reset()


async def close_after_all(peer: Peer) -> None:
    await peer.request()


async def reset_after_all(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def half_a_status_line(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 2")


async def no_http(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


async def cut_body(peer: Peer) -> None:
    await peer.request()
    await peer.say(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"result":"success"')


async def cut_chunks(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


async def no_gzip(peer: Peer) -> None:
    await peer.request()
    await peer.say(wire_form(200, b"no gzip", Content_Encoding="gzip"))


def cut_inside(encoding: str, packed: bytes) -> Scene:
    """Answer with the start of a compressed body, as if it were all of it."""

    async def scene(peer: Peer) -> None:
        await peer.request()
        await peer.say(wire_form(200, packed[:10], Content_Encoding=encoding))

    return scene


REFUSAL = b'{"result":"error","err":"Invalid audio format."}'


async def cut_refusal(peer: Peer) -> None:
    await peer.request()
    await peer.say(b'HTTP/1.1 422 X\r\nContent-Length: 100\r\n\r\n{"message":')


async def never(peer: Peer) -> None:
    await peer.request()
    await asyncio.sleep(60)


async def endless(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await peer.say(b"x" * 100_000)


async def drips(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await peer.say(b" ")
        await asyncio.sleep(0.02)


async def switching(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")


async def early_hints(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + wire_form())


@pytest.mark.parametrize(
    ("scene", "kind", "code"),
    [
        (close_at_once, Unsure, "connection_lost"),
        (reset_after_head, Unsure, "connection_lost"),
        (close_after_all, Unsure, "connection_lost"),
        (reset_after_all, Unsure, "connection_lost"),
        (half_a_status_line, Unsure, "connection_lost"),
        (no_http, Unsure, "connection_lost"),
        (cut_body, Unsure, "unreadable_answer"),
        (cut_chunks, Unsure, "unreadable_answer"),
        (no_gzip, Unsure, "unreadable_answer"),
        (cut_inside("gzip", gzip.compress(REFUSAL)), Unsure, "unreadable_answer"),
        (cut_inside("deflate", zlib.compress(REFUSAL)), Unsure, "unreadable_answer"),
        (answer(200, gzip.compress(REFUSAL), Content_Encoding="gzip"), Refused, "refused"),
        (cut_refusal, Refused, "http_422"),
        (never, Unsure, "timeout"),
        (endless, Unsure, "unreadable_answer"),
        (drips, Unsure, "unreadable_answer"),
        (switching, Unsure, "connection_lost"),
        (answer(200, b"<html>login</html>"), Unsure, "unreadable_answer"),
        (answer(302, Location="/v2/call/upload"), Unsure, "redirected"),
        (answer(307, Location="/v2/call/upload"), Unsure, "redirected"),
        (answer(500), Unsure, "http_500"),
        (answer(502, b"<html>Bad gateway</html>"), Unsure, "http_502"),
        (answer(503), Unsure, "http_503"),
        (answer(408), Unsure, "http_408"),
        (answer(400, b'{"statusCode":400,"message":"Validation failed"}'), Refused, "http_400"),
        (answer(403), Refused, "forbidden"),
        (answer(413), Refused, "too_large_for_platform"),
        (answer(200, b'{"result":"error","err":"Invalid disposition."}'), Refused, "refused"),
        (answer(409, b'{"message":"Duplicate external ID."}'), Accepted, ""),
    ],
    ids=lambda value: getattr(value, "__name__", None) or None,
)
def test_a_fault_is_told_for_what_it_is_and_nothing_is_sent_twice(
    scene: Scene, kind: type, code: str, upload: CallUpload
) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert (type(got), getattr(got, "code", "")) == (kind, code), got
        assert bench.begun == 1
        assert wire.posts <= 1
        assert len(wire.peers) == 1

    impatient = {"read": 0.3, "deadline": 0.5} if scene in (never, drips) else {}
    play(scene, use=use, retry=QUICK, **impatient)


@pytest.mark.parametrize(
    "location", [b"mailto:x", b"https:x", b"http://xn--/", b"http://[::1", b"//", b"\xff", b"http://a:99999/"]
)
def test_a_redirect_to_nowhere_is_not_looked_at(location: bytes, upload: CallUpload) -> None:
    async def scene(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 302 X\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")

    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, Unsure), got
        assert bench.begun == wire.posts == len(wire.peers) == 1

    play(scene, use=use, retry=QUICK)


NOISE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nSet-Cookie: a=b; expires=x\r\n\r\n" + b'{"result":"success"}',
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n14\r\n" + b'{"result":"success"}',
    b"HTTP/1.1 401 X\r\nWWW-Authenticate: Digest x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 X\r\nRetry-After: 1e309\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 X\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 X\r\nLocation: https://h/a\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, br, deflate\r\nContent-Length: 3\r\n\r\nabc",
]


def garbled(draw: random.Random) -> bytes:
    raw = bytearray(draw.choice(NOISE))
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(raw))
        raw[at : at + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(raw)


def test_garbled_answers_are_answers_all_the_same(
    upload: CallUpload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pacer, "UNNAMED_PAUSE", 0.0)
    draw = random.Random(7)
    said = b""

    async def scene(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)

    async def use(bench: Bench, wire: Wire) -> None:
        nonlocal said
        for _ in range(150):
            said = garbled(draw)
            before, begun = wire.posts, bench.begun
            got = await bench.send(upload)
            assert isinstance(got, Accepted | Refused | NotTaken | Unsure)
            assert bench.begun - begun == wire.posts - before <= 2
            if wire.posts - before == 2:
                assert b" 401" in said
            if isinstance(got, Accepted):
                assert re.match(rb"HTTP/1.\d 2\d\d", said), said
                assert b'"result":"success"' in said

    play(scene, use=use)


def test_what_comes_before_the_answer_is_not_the_answer(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        assert await bench.send(upload) == Accepted()

    play(early_hints, use=use)


async def refuse_large_and_close(peer: Peer) -> None:
    await peer.head()
    await peer.say(wire_form(413))


async def refuse_large_and_read_on(peer: Peer) -> None:
    await peer.head()
    await peer.say(wire_form(413))
    while await peer.reader.read(1 << 20):
        pass


async def accept_early(peer: Peer) -> None:
    await peer.head()
    await peer.say(wire_form(200))
    await asyncio.sleep(0.05)


def test_an_early_refusal_counts_when_it_can_be_heard(upload: CallUpload, large: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        for sent in (upload, large):
            got = await bench.send(sent)
            assert isinstance(got, Refused), got
            assert got.code == "too_large_for_platform"
        assert wire.posts == 2

    play(refuse_large_and_read_on, use=use, read=5.0)


def test_an_early_refusal_that_was_cut_off_leaves_it_open(large: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(large)
        # Where the reset overtakes the answer nobody can have heard it.
        assert isinstance(got, Unsure | Refused), got
        assert got.code in {"connection_lost", "too_large_for_platform"}
        assert wire.posts == bench.begun == 1

    play(refuse_large_and_close, use=use, retry=QUICK)


def test_a_yes_before_all_was_sent_is_no_yes(large: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(large)
        assert isinstance(got, Unsure), got
        assert wire.posts == bench.begun == 1

    play(accept_early, use=use)


# ── what provably never left ─────────────────────────────────────────────────────────────────


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def talks_no_tls(peer: Peer) -> None:
    await peer.reader.read(10)
    await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def drops_tls(peer: Peer) -> None:
    await peer.reader.read(10)
    peer.reset()


async def stalls_tls(peer: Peer) -> None:
    await asyncio.sleep(60)


def tls(port: int) -> str:
    return f"https://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "address", [closed_port, lambda: "http://nothing.invalid"], ids=["refused", "no name"]
)
def test_without_a_connection_nothing_was_sent_and_it_is_tried_again(
    address: Callable[[], str], upload: CallUpload
) -> None:
    async def use(bench: Bench, wire: Wire) -> Answer:
        got = await bench.send(upload)
        assert bench.begun == 0
        return got

    since = time.monotonic()
    got = play(use=use, retry=QUICK, url=address())
    assert isinstance(got, NotTaken)
    assert (got.code, got.fatal, got.retry_after) == ("not_sent", None, None)
    assert "upload call crm-7" in got.message
    assert time.monotonic() - since < 10


@pytest.mark.parametrize("scene", [talks_no_tls, drops_tls, stalls_tls])
def test_without_tls_nothing_was_sent(scene: Scene, upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        bench.v2.session._base = tls(wire.port)
        got = await bench.send(upload)
        assert isinstance(got, NotTaken), got
        assert got.code == "not_sent"
        assert bench.begun == wire.posts == 0
        assert len(wire.peers) == QUICK.attempts

    play(scene, use=use, retry=QUICK, connect=0.3 if scene is stalls_tls else 5.0)


def test_the_reason_stands_in_the_message(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> Answer:
        return await bench.send(upload)

    got = play(use=use, url=closed_port())
    assert "Connect call failed" in got.message or "refused" in got.message.lower(), got
    got = play(use=use, url="http://nothing.invalid")
    assert "nothing.invalid" not in got.message or "name" in got.message.lower()
    assert "All connection attempts failed" not in got.message


def test_a_server_that_comes_up_gets_it_once(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        address = closed_port()
        bench.v2.session._base = address
        server: list[asyncio.Server] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await Peer(reader, writer).request()
            writer.write(wire_form())
            writer.close()

        async def later() -> None:
            await asyncio.sleep(0.15)
            server.append(await asyncio.start_server(serve, "127.0.0.1", int(address.rpartition(":")[2])))

        async with anyio.create_task_group() as group:
            group.start_soon(later)
            assert await bench.send(upload) == Accepted()
        server[0].close()
        assert bench.begun == 1

    play(use=use, retry=RetryPolicy(attempts=50, wait_initial=0.02, wait_max=0.03, total=5))


# ── refused before it acted ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "refusal", [answer(429, Retry_After="0.05"), answer(429), answer(503, Retry_After="0.05")]
)
def test_a_refusal_for_now_is_obeyed_and_the_call_sent_again(
    refusal: Scene, upload: CallUpload, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pacer, "UNNAMED_PAUSE", 0.05)
    whole = audio.read_bytes()

    async def use(bench: Bench, wire: Wire) -> None:
        since = time.monotonic()
        assert await bench.send(upload) == Accepted()
        assert time.monotonic() - since >= 0.05
        assert bench.begun == wire.posts == 2
        for peer in wire.peers:
            assert whole in peer.heard

    play(refusal, answer(), use=use, retry=QUICK)


def test_a_429_holds_all_uploads_back(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(bench.send, upload)
            while not bench.pacer.pause.count:  # noqa: ASYNC110
                await anyio.sleep(0.005)
            since = time.monotonic()
            assert await bench.send(upload) == Accepted()
            assert time.monotonic() - since > 0.15

    play(answer(429, Retry_After="0.2"), answer(), use=use, retry=QUICK)


@pytest.mark.parametrize(
    ("scene", "code", "wait"),
    [
        (answer(429, b'{"message":"slow down"}', Retry_After="0.01"), "throttled", 0.01),
        (answer(503, Retry_After="0.01"), "http_503", 0.01),
    ],
)
def test_the_bounds_of_repeating_are_kept(scene: Scene, code: str, wait: float, upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, NotTaken)
        assert (got.code, got.retry_after, got.fatal) == (code, wait, None)
        assert wire.posts == bench.begun == QUICK.attempts

    play(scene, use=use, retry=QUICK)


def test_a_wait_beyond_all_patience_is_not_waited_for(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, NotTaken)
        assert got.retry_after == 86_400
        assert wire.posts == 1

    play(answer(429, Retry_After="86400"), use=use, retry=QUICK)


def test_a_503_may_be_trusted_less(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, Unsure)
        assert wire.posts == 1

    play(answer(503, Retry_After="0"), use=use, retry=QUICK, retry_503=False)


def test_a_dead_token_is_renewed_once(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        assert await bench.send(upload) == Accepted()
        assert bench.begun == wire.posts == 2
        assert b"Bearer token-1" in wire.peers[1].heard

    play(answer(401), answer(), use=use)


def test_a_second_dead_token_is_the_end_of_the_login(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, NotTaken)
        assert isinstance(got.fatal, CredentialsError)
        assert wire.posts == 2

    play(answer(401, b'{"message":"token is dead"}'), use=use, retry=QUICK)


class DeadLogin(Counter):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def bearer(self) -> str:
        raise self.error


@pytest.mark.parametrize("error", [CredentialsError("no"), PlatformDown("no login")])
def test_without_a_login_the_call_was_not_sent_and_the_run_has_to_stop(
    error: CredentialsError | PlatformDown, upload: CallUpload
) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        assert await bench.send(upload) == NotTaken(error.code, error.message, fatal=error)
        assert bench.begun == len(wire.peers) == 0

    play(use=use, tokens=DeadLogin(error), retry=QUICK)


@pytest.mark.parametrize("token", ["good-token", "bad token\r\nX: y"])
def test_a_ready_token_that_is_no_good(token: str, upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, NotTaken)
        assert isinstance(got.fatal, CredentialsError)
        assert token not in str(got)

    play(answer(401), use=use, tokens=ReadyToken(token, "CONVIRZA_V2_TOKEN"))


# ── begin ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error", [Transient("ledger is busy"), OSError("x"), TimeoutError(), ValueError("y")]
)
def test_what_begin_raises_passes_through_and_nothing_is_sent(error: Exception, upload: CallUpload) -> None:
    calls = 0

    async def begin() -> None:
        nonlocal calls
        calls += 1
        raise error

    async def use(bench: Bench, wire: Wire) -> None:
        with pytest.raises(type(error)) as caught:
            await bench.v2.upload_call(upload, begin=begin)
        assert caught.value is error
        assert calls == 1
        await anyio.sleep(0.02)
        assert wire.posts == 0

    play(use=use, retry=QUICK)


def test_begin_is_asked_last_with_the_connection_standing_and_its_time_is_not_counted(
    upload: CallUpload,
) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        async def begin() -> None:
            await anyio.sleep(0.4)
            assert len(wire.peers) == 1
            assert not wire.peers[0].heard
            assert not bench.pacer.pause.in_force

        bench.pacer.pause.hold(0.1)
        assert await bench.v2.upload_call(upload, begin=begin) == Accepted()

    play(use=use, deadline=0.3)


def test_a_cancelled_upload_is_cancelled(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        with anyio.move_on_after(0.2) as scope:
            await bench.send(upload)
        assert scope.cancelled_caught
        assert bench.begun == 1

    play(never, use=use)


# ── the file ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", ["gone", "grown", "other", "folder", "unreadable"])
def test_a_file_that_is_not_what_it_was_is_not_sent(change: str, upload: CallUpload, audio: Path) -> None:
    sent = replace(upload, size=audio.stat().st_size)
    if change == "gone":
        audio.unlink()
    elif change == "grown":
        audio.write_bytes(audio.read_bytes() + b"x")
    elif change == "other":
        sent = replace(sent, size=0)
    elif change == "folder":
        audio.unlink()
        audio.mkdir()
    else:
        audio.unlink()
        audio.symlink_to(audio)

    async def use(bench: Bench, wire: Wire) -> None:
        with pytest.raises(Failed) as caught:
            await bench.send(sent)
        assert caught.value.code == ("source_unreadable" if change == "unreadable" else "source_changed")
        assert bench.begun == len(wire.peers) == 0

    play(use=use)


def test_a_file_that_changes_between_two_attempts_is_not_sent_again(upload: CallUpload, audio: Path) -> None:
    async def grows(peer: Peer) -> None:
        await peer.request()
        os.truncate(audio, 1_000_000)
        await peer.say(wire_form(429, Retry_After="0"))

    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(upload)
        assert isinstance(got, NotTaken), got
        assert (got.code, got.fatal) == ("source_changed", None)
        assert "1,000,000 bytes" in got.message
        assert bench.begun == wire.posts == 1

    play(grows, use=use, retry=QUICK)


def test_a_file_that_shrinks_while_it_is_sent_leaves_it_open(large: CallUpload) -> None:
    async def shrinks(peer: Peer) -> None:
        await peer.head()
        assert large.path
        large.path.write_bytes(b"")
        while await peer.reader.read(1 << 20):
            pass

    async def use(bench: Bench, wire: Wire) -> None:
        got = await bench.send(large)
        assert isinstance(got, Unsure), got
        assert got.code == "source_changed"
        assert wire.posts == bench.begun == 1

    play(shrinks, use=use, retry=QUICK)


def test_a_file_that_grows_while_it_is_sent_goes_as_it_was(large: CallUpload) -> None:
    async def grows(peer: Peer) -> None:
        assert large.path
        with large.path.open("ab") as file:
            file.write(b"late")
        assert b"late" not in await peer.request()
        await peer.say(wire_form())

    async def use(bench: Bench, wire: Wire) -> None:
        assert await bench.send(large) == Accepted()

    play(grows, use=use)


def test_a_value_that_is_no_text_is_refused_before_anything_is_sent(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        with pytest.raises(Rejected) as caught:
            await bench.send(replace(upload, fields={"city": "\udcff"}))
        assert caught.value.code == "not_text"
        assert bench.begun == 0

    play(use=use)


# ── pace ─────────────────────────────────────────────────────────────────────────────────────


def test_the_byte_rate_is_shared_and_does_not_eat_the_deadline(upload: CallUpload, tmp_path: Path) -> None:
    path = tmp_path / "half.wav"
    path.write_bytes(bytes(100_000))
    sent = replace(upload, path=path)

    async def use(bench: Bench, wire: Wire) -> None:
        since = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(bench.send, sent)
        assert 0.55 < time.monotonic() - since < 3
        assert wire.posts == 2

    play(use=use, pace=ByteRate(250_000).allow, deadline=0.3)


def test_no_more_uploads_at_a_time_than_allowed(upload: CallUpload) -> None:
    now = most = 0

    async def counting(peer: Peer) -> None:
        nonlocal now, most
        await peer.request()
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        await peer.say(wire_form())

    async def use(bench: Bench, wire: Wire) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(bench.send, upload)
        assert most == 2

    play(counting, use=use, uploads=2)


def test_trouble_halves_the_uploads_at_a_time(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        await bench.send(upload)
        assert bench.pacer.limit.slots == 2

    play(answer(500), use=use, uploads=4)


def test_without_means_to_post_it_only_reads(upload: CallUpload) -> None:
    async def use(bench: Bench, wire: Wire) -> None:
        with pytest.raises(ValueError, match="reading"):
            await V2(bench.v2.session).upload_call(upload, begin=bench.begin)

    play(use=use)


def test_45_megabytes_are_sent_without_being_held() -> None:
    program = textwrap.dedent("""
        import os, pathlib, sys, tempfile, tracemalloc
        from tests.convirza.test_v2 import FIELDS, play
        from tests.convirza.wire import Peer, wire_form
        from mediapipe.convirza.uploads import Accepted
        from mediapipe.convirza.v2 import CallUpload

        async def swallow(peer: Peer) -> None:
            head = await peer.reader.readuntil(b"\\r\\n\\r\\n")
            left = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
            while left:
                left -= len(await peer.reader.read(1 << 16))
            await peer.say(wire_form())

        async def use(bench, wire):
            path = pathlib.Path(tempfile.mkdtemp()) / "a.wav"
            with path.open("wb") as file:
                file.truncate(45_000_000)
            tracemalloc.start()
            assert await bench.send(CallUpload(FIELDS, path, "a.wav", "audio/wav")) == Accepted()
            path.unlink()
            print(tracemalloc.get_traced_memory()[1])

        play(swallow, use=use, deadline=60)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 6_000_000


# ── against the sandbox ──────────────────────────────────────────────────────────────────────


def wav(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\x10\x00" * 8000)
    return path


CALL = {**FIELDS, "group_id": "1201", "city": 'Zürich "West"', "is_outbound": "false"}


def against_sandbox(
    *rules: FaultRule, path: Path, times: int = 1, renews: bool = False, read: float = 10.0, **config: Any
) -> tuple[list[Answer], SandboxState, int]:
    """Upload the file to a sandbox with faults; return the answers, its state, and how often it was begun."""
    config = {"count": 5, "seconds_max": 2.0, "login_limit_per_minute": 0, **config}
    with running(SandboxConfig(faults=rules, **config)) as box:
        env = box.environment()

        async def main() -> tuple[list[Answer], SandboxState, int]:
            begun = 0

            async def begin() -> None:
                nonlocal begun
                begun += 1

            async with open_posts(Timeouts(5, read, 5, 5), connections=2) as http:
                login = V2Login(
                    http,
                    env["CONVIRZA_V2_OAUTH_URL"],
                    V2Credentials(
                        env["CONVIRZA_EMAIL"],
                        lambda: env["CONVIRZA_PASSWORD"],
                        env["CONVIRZA_CLIENT_ID"],
                        lambda: env["CONVIRZA_CLIENT_SECRET"],
                    ),
                )
                cache = TokenCache(path.parent / "tokens", "v2")
                tokens: Any = TokenManager(login, cache, QUICK)
                if not renews:
                    tokens = ReadyToken((await login.log_in()).access, "CONVIRZA_V2_TOKEN")
                pacer = Pacer(AdaptiveLimit(2), Pause())
                session = Session(http, env["CONVIRZA_V2_URL"], tokens, pacer, QUICK, deadline=20)
                v2 = V2(session, Posting(http, pacer))
                upload = CallUpload(CALL, path, "crm-7.wav", "audio/wav")
                return [await v2.upload_call(upload, begin=begin) for _ in range(times)], box.state, begun

        return anyio.run(main)


def test_an_accepted_call_is_in_the_sandbox_as_it_was_meant(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    (got,), state, begun = against_sandbox(path=path)
    assert (got, begun) == (Accepted(), 1)
    (upload,) = state.uploads
    assert upload.fields == CALL
    assert upload.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("fault", "seconds", "kind", "code", "made", "tries"),
    [
        ("upload_commit_then_drop", None, Unsure, "connection_lost", 1, 1),
        ("upload_commit_then_500", None, Unsure, "http_500", 1, 1),
        ("upload_commit_then_504", None, Unsure, "http_504", 1, 1),
        ("upload_commit_then_hang", None, Unsure, "timeout", 1, 1),
        ("upload_commit_then_html", None, Unsure, "unreadable_answer", 1, 1),
        ("upload_drop_before", None, Unsure, "connection_lost", 0, 1),
        ("upload_500_before", None, Unsure, "http_500", 0, 1),
        ("upload_503", None, Unsure, "http_503", 0, 1),
        ("upload_503", 0, NotTaken, "http_503", 0, 3),
        ("upload_429", 0, NotTaken, "throttled", 0, 3),
        ("upload_400", None, Refused, "http_400", 0, 1),
        ("upload_413", None, Refused, "too_large_for_platform", 0, 1),
        ("upload_hang", None, Unsure, "timeout", 0, 1),
        ("upload_html", None, Unsure, "unreadable_answer", 0, 1),
        ("upload_result_error", None, Refused, "refused", 0, 1),
        ("upload_data_error", None, Refused, "refused", 0, 1),
        ("upload_schema_error", None, Refused, "http_400", 0, 1),
        ("forbidden", None, Refused, "forbidden", 0, 1),
        ("unauthorized_mid_run", None, NotTaken, "credentials", 0, 1),
        ("upload_slow", None, Accepted, "", 1, 1),
        ("upload_empty_200", None, Accepted, "", 1, 1),
        ("upload_result_json", None, Accepted, "", 1, 1),
        ("upload_indexed_late", None, Accepted, "", 1, 1),
    ],
)
def test_every_fault_of_the_sandbox(
    fault: str, seconds: float | None, kind: type, code: str, made: int, tries: int, tmp_path: Path
) -> None:
    rule = FaultRule(name=fault, seconds=seconds)
    read = 0.5 if "hang" in fault else 10.0
    (got,), state, begun = against_sandbox(rule, path=wav(tmp_path / "a.wav"), read=read)
    assert (type(got), getattr(got, "code", "")) == (kind, code), got
    assert len(state.uploads) == made
    assert begun == tries
    assert state.stats.total(Endpoint.UPLOAD) == tries


def test_a_token_that_dies_under_it_costs_one_more_try(tmp_path: Path) -> None:
    rule = FaultRule(name="unauthorized_mid_run", first=1)
    (got,), state, begun = against_sandbox(rule, path=wav(tmp_path / "a.wav"), renews=True)
    assert (got, begun, len(state.uploads)) == (Accepted(), 2, 1)
    assert state.stats.logins["v2"] == 2


def test_a_duplicate_that_the_platform_knows_is_accepted_as_there(tmp_path: Path) -> None:
    rule = FaultRule(name="upload_duplicate_refused")
    (first, second), state, _ = against_sandbox(rule, path=wav(tmp_path / "a.wav"), times=2)
    assert first == Accepted()
    assert isinstance(second, Accepted)
    assert second.already
    assert len(state.uploads) == 1


def test_the_wrong_name_of_the_part_is_refused_for_good(tmp_path: Path) -> None:
    (got,), state, _ = against_sandbox(path=wav(tmp_path / "a.wav"), upload_file_field="file")
    assert isinstance(got, Refused)
    assert "call recording file" in got.message
    assert not state.uploads
