"""Clients that follow, remember and repeat nothing; those with a transport of their own ask nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from mediapipe.convirza.clients import USER_AGENT, Timeouts, open_http


class Told(httpx.AsyncByteStream):
    """A body that notes when it is let go of."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.closed = pieces, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if not piece:
                await anyio.sleep_forever()
            yield piece

    async def aclose(self) -> None:
        self.closed = True


class Transport(httpx.AsyncBaseTransport):
    """Answers all alike, and notes what was asked."""

    def __init__(self, status: int = 200, pieces: tuple[bytes, ...] = (b"ab", b"cd"), **headers: str) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = Told(list(pieces))
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self.status, headers=self.headers, stream=self.body)


def test_with_a_transport_of_its_own_nothing_is_followed_remembered_or_added() -> None:
    transport = Transport(302, Location="https://elsewhere.example/", Set_Cookie="a=b")

    async def main() -> None:
        async with open_http(Timeouts(1, 2, 3, 4), connections=1, transport=lambda: transport) as http:
            for _ in range(2):
                request = httpx.Request("GET", "https://host.example/x?secret=s", headers={"A": "b"})
                response = await http.send(request)
                assert (response.status_code, response.content) == (302, b"abcd")
                assert response.request is request

    anyio.run(main)
    assert [str(one.url) for one in transport.asked] == ["https://host.example/x?secret=s"] * 2
    for one in transport.asked:
        assert dict(one.headers) == {"host": "host.example", "a": "b"}
        assert one.extensions["timeout"] == {"connect": 1, "read": 2, "write": 3, "pool": 4}


def test_a_body_that_is_streamed_is_left_to_the_caller_and_else_let_go_of() -> None:
    async def main() -> None:
        for stream in (True, False):
            transport = Transport()
            async with open_http(Timeouts(), connections=1, transport=lambda one=transport: one) as http:  # type: ignore[misc]
                response = await http.send(httpx.Request("GET", "https://host.example/"), stream=stream)
                assert transport.body.closed is not stream
                if stream:
                    assert b"".join([piece async for piece in response.aiter_bytes()]) == b"abcd"
                await response.aclose()
                assert transport.body.closed

    anyio.run(main)


def test_a_body_whose_reader_is_cancelled_is_let_go_of() -> None:
    transport = Transport(pieces=(b"ab", b""))

    async def main() -> None:
        async with open_http(Timeouts(), connections=1, transport=lambda: transport) as http:
            with anyio.move_on_after(0.05):
                await http.send(httpx.Request("GET", "https://host.example/"))

    anyio.run(main)
    assert transport.body.closed


def test_without_one_the_client_says_who_it_is_and_keeps_no_cookie() -> None:
    async def main() -> None:
        async with open_http(Timeouts(), connections=1) as http:
            assert http.headers["user-agent"] == USER_AGENT
            response = httpx.Response(200, headers={"Set-Cookie": "a=b"})
            response.request = httpx.Request("GET", "https://host.example/")
            http.cookies.extract_cookies(response)
            assert not list(http.cookies.jar)

    anyio.run(main)


@pytest.mark.parametrize(
    ("first", "loaded"), [("import mediapipe.convirza.signed", False), ("import httpx", True)]
)
def test_httpx_s_own_command_is_not_loaded_but_where_it_was(first: str, loaded: bool) -> None:
    script = (
        f"import sys\n{first}\nimport mediapipe.convirza.signed, httpx\n"
        "assert callable(httpx.main), 'as where its extras are not installed'\n"
        "print('rich' in sys.modules, sys.modules.get('httpx._main', 0) is None)"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=True
    )
    assert done.stdout.split() == [str(loaded), "False"]
