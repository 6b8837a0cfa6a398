"""What only the wired transport does; that it does what httpx's own does, ``test_signed`` shows."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.wired import READ_AT_ONCE, wire_of, wired
from tests.stage import Actor, Stage, certificate, serving_tls, staged

BODY = bytes(range(256)) * 40
BIG = bytes(range(256)) * 10_000  # 2,560,000 bytes: three pieces

BOTH = pytest.mark.parametrize("threads", [4, 0], ids=["threads", "inline"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@asynccontextmanager
async def opened(threads: int, read: float = 5.0) -> AsyncIterator[httpx.AsyncClient]:
    timeouts = Timeouts(2, read, read, 2)
    transport = wired(wire_of(timeouts, 4), threads)
    assert transport is not None
    async with open_http(timeouts, connections=4, transport=transport) as http:
        yield http


def answering(body: bytes, **headers: str):  # type: ignore[no-untyped-def]
    def scene(actor: Actor) -> None:
        while actor.head():
            actor.answer(200, body, **headers)

    return scene


@BOTH
@pytest.mark.parametrize("size", [0, 1, READ_AT_ONCE - 1, READ_AT_ONCE, READ_AT_ONCE + 1, len(BIG)])
def test_a_body_of_any_length_arrives_whole_over_one_connection(threads: int, size: int) -> None:
    async def main() -> None:
        async with opened(threads) as http:
            for _ in range(3):
                assert (await http.get(stage.url + "/a?b=c%20d")).content == BIG[:size]

    with staged(answering(BIG[:size])) as stage:
        anyio.run(main)
    assert len(stage.actors) == 1
    assert stage.actors[0].heard.startswith(b"GET /a?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:")


@BOTH
def test_what_the_far_side_asks_to_remember_is_not(threads: int) -> None:
    async def main() -> None:
        async with opened(threads) as http:
            for _ in range(2):
                await http.get(stage.url)
            assert not http.cookies

    with staged(answering(BODY, Set_Cookie="a=b; Path=/")) as stage:
        anyio.run(main)
    assert b"cookie" not in stage.actors[0].heard.lower()


@BOTH
def test_headers_hold_any_letter_of_latin_1(threads: int) -> None:
    """The file name of a recording, say."""

    async def main() -> str:
        async with opened(threads) as http:
            answer = await http.get(stage.url)
            assert answer.content == BODY
            return dict(answer.headers.raw)[b"Content-Disposition"].decode("latin-1")

    with staged(answering(BODY, Content_Disposition='attachment; filename="caf\xe9.wav"')) as stage:
        assert anyio.run(main).endswith('"caf\xe9.wav"')


@BOTH
def test_a_header_that_would_be_another_is_never_sent(threads: int) -> None:
    async def main() -> None:
        async with opened(threads) as http:
            with pytest.raises(httpx.LocalProtocolError) as caught:
                await http.get(stage.url, headers={"X": "a\r\nAuthorization: s3cr3t"})
            assert "s3cr3t" not in str(caught.value)
            assert (await http.get(stage.url)).content == BODY

    with staged(answering(BODY)) as stage:
        anyio.run(main)
    assert b"Authorization" not in stage.actors[0].heard


@BOTH
def test_errors_are_those_of_httpx(threads: int, tmp_path: Path) -> None:
    def silent(actor: Actor) -> None:
        while actor.head():
            pass

    def nonsense(actor: Actor) -> None:
        actor.head()
        actor.say(b"no answer\r\n\r\n")

    async def main(plain: Stage, strange: Stage, foreign: Stage) -> None:
        async with opened(threads, 0.2) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.get(plain.url)
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(strange.url)
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await http.get(foreign.url)
            with pytest.raises(httpx.ConnectError):
                await http.get("http://127.0.0.1:9/")
            with pytest.raises(httpx.UnsupportedProtocol):
                await http.get("ftp://127.0.0.1/")

    pem = certificate(tmp_path, "127.0.0.1")
    with (
        staged(silent) as plain,
        staged(nonsense) as strange,
        staged(silent, tls=serving_tls(pem)) as foreign,
    ):
        anyio.run(main, plain, strange, foreign)


def test_a_status_is_known_though_the_body_never_comes() -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(b"HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\n")
        actor.reset()

    async def main() -> None:
        async with opened(4) as http, http.stream("GET", stage.url) as answer:
            assert answer.status_code == 410
            with pytest.raises(httpx.HTTPError):
                await answer.aread()

    with staged(scene) as stage:
        anyio.run(main)


def drips(actor: Actor) -> None:
    actor.head()
    actor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        actor.say(b"x")
        time.sleep(0.02)


def stalls(actor: Actor) -> None:
    actor.head()
    actor.head()


@pytest.mark.parametrize("scene", [drips, stalls])
def test_who_is_cancelled_leaves_at_once_and_takes_the_connection_along(scene) -> None:  # type: ignore[no-untyped-def]
    async def main() -> float:
        async with opened(4, 30.0) as http:
            began = time.monotonic()
            with anyio.move_on_after(0.3):
                await http.get(stage.url)
            took = time.monotonic() - began
            with anyio.fail_after(5):  # the far side sees it, too: its scene ends
                while not closed.is_set():  # noqa: ASYNC110
                    await anyio.sleep(0.01)
            return took

    closed = threading.Event()

    def watched(actor: Actor) -> None:
        try:
            scene(actor)
        finally:
            closed.set()

    with staged(watched) as stage:
        assert anyio.run(main) < 1.5
    gc.collect()  # a socket left open would be a ResourceWarning, and that an error


def test_a_deadline_holds_where_nothing_else_runs() -> None:
    async def main() -> None:
        async with opened(0, 30.0) as http:
            with anyio.move_on_after(0.3), pytest.raises(httpx.ReadTimeout):
                await http.get(stage.url)

    began = time.monotonic()
    with staged(drips) as stage:
        anyio.run(main)
    assert time.monotonic() - began < 3


def test_many_cancelled_at_random_moments_never_hand_a_body_to_another() -> None:
    """Each path is answered with itself: a connection used by two at once would show."""

    def echo(actor: Actor) -> None:
        while head := actor.head():
            path = head.split(b" ")[1]
            time.sleep(0.002 * (len(actor.heard) % 5))
            actor.answer(200, path * 2000)

    async def one(http: httpx.AsyncClient, number: int) -> None:
        path = f"/call-{number:05}"
        with anyio.move_on_after(0.001 * (number % 25) if number % 2 else 20):
            assert (await http.get(stage.url + path)).content == path.encode() * 2000
            done.append(number)

    async def main() -> None:
        async with opened(4) as http:
            for start in range(0, 400, 40):
                async with anyio.create_task_group() as tasks:
                    for number in range(start, start + 40):
                        tasks.start_soon(one, http, number)

    done: list[int] = []
    with staged(echo) as stage:
        anyio.run(main)
    assert sum(number % 2 == 0 for number in done) == 200
    gc.collect()


@pytest.mark.parametrize(("name", "ours"), [("HTTPS_PROXY", False), ("all_proxy", False), ("NO_PROXY", True)])
def test_where_a_proxy_is_set_httpx_has_to_find_it(
    monkeypatch: pytest.MonkeyPatch, name: str, ours: bool
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    wire = wire_of(Timeouts(), 1)
    assert (wired(wire, 1) is not None) is ours
