"""Recordings that stand elsewhere: time, names that lead inside, and what the log says meanwhile."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.clients import Timeouts
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.outside import open_outside
from mediapipe.convirza.signed import Downloader
from mediapipe.errors import Failed, MediapipeError, Rejected, Transient
from mediapipe.originals import Originals
from mediapipe.pacing import AdaptiveLimit, ByteBudget, Pacer, Pause, RetryPolicy
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3_source import S3Source
from tests.convirza.server import Reply, script, serving
from tests.convirza.wire import Peer, wired

SECRET = "s3cr3t-t1cket"
SIGNED = f"/calls/7.wav?ticket={SECRET}"
LIMIT = 1 << 20
QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=10.0)


@asynccontextmanager
async def opened(
    scratch: Path,
    bases: Sequence[str] = (),
    *,
    globs: Sequence[str] = ("*",),
    longest: float = 10.0,
    read: float = 2.0,
) -> AsyncIterator[Originals]:
    hosts = HostPolicy.of(globs, bases)
    source, pacer = S3Source(StoreOptions(), max_bytes=LIMIT), Pacer(AdaptiveLimit(8), Pause())
    async with open_outside(Timeouts(2, read, 2, 2), connections=8, allowed=hosts.origins) as http:
        downloader = Downloader(http, hosts, pacer, QUICK, max_bytes=LIMIT, longest=longest)
        yield Originals(downloader, hosts, source, QUICK, ByteBudget(LIMIT), 100, scratch, 3600)


def refused(
    kind: type[MediapipeError],
    code: str,
    scratch: Path,
    ask: Callable[[Originals], Awaitable[Any]],
    bases: Sequence[str] = (),
    **how: Any,
) -> MediapipeError:
    async def main() -> None:
        async with opened(scratch, bases, **how) as originals:
            with anyio.fail_after(15):
                await ask(originals)

    with pytest.raises(MediapipeError) as caught:
        anyio.run(main)
    assert (type(caught.value), caught.value.code) == (kind, code), caught.value
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert list(scratch.iterdir()) == []
    return caught.value


def fetching(address: str) -> Callable[[Originals], Awaitable[None]]:
    async def ask(originals: Originals) -> None:
        async with originals.fetched(address):
            pass

    return ask


def lending(address: str) -> Callable[[Originals], Awaitable[str]]:
    return lambda originals: originals.lent(address)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Say what every name resolves to: the only part that cannot be had on a loopback."""

    def answering(address: str) -> None:
        async def found(_: str, port: int, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr("anyio.getaddrinfo", found)

    return answering


@pytest.mark.parametrize(
    ("chunk", "gap", "kind", "code", "how"),
    [
        (64_000, 0.0, Failed, "too_large", {}),
        (1, 0.02, Transient, "network", {"longest": 0.3}),
        (0, 30.0, Transient, "network", {"read": 0.3}),
    ],
    ids=["endless", "drip", "silence"],
)
def test_a_body_without_an_end_is_cut_by_size_or_time(
    tmp_path: Path, chunk: int, gap: float, kind: type[MediapipeError], code: str, how: dict[str, Any]
) -> None:
    async def scene(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.say(b"%x\r\n%b\r\n" % (chunk, bytes(chunk)) if chunk else b"")
            await anyio.sleep(gap)

    async def main() -> None:
        async with wired(scene) as wire, opened(tmp_path, (wire.url,), **how) as originals:
            with pytest.raises(kind) as caught, anyio.fail_after(15):
                await fetching(wire.url + SIGNED)(originals)
            assert caught.value.code == code
            assert SECRET not in str(caught.value)

    begun = time.monotonic()
    anyio.run(main)
    assert time.monotonic() - begun < 10
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(
    tmp_path: Path, names: Callable[[str], None]
) -> None:
    """Asked outright, after a redirect, and when it is only to be lent; a glob opens nothing private."""
    names("127.0.0.1")
    with serving(script(Reply(body=b"inside"))) as inside:
        address = f"https://metadata.example:{inside.port}{SIGNED}"
        for ask in (fetching(address), lending(address)):
            error = refused(Rejected, "forbidden_host", tmp_path, ask, globs=("*.example",))
            assert "not on the public internet" in error.message
        with serving(script(Reply(302, headers={"Location": address}))) as server:
            refused(Rejected, "forbidden_host", tmp_path, fetching(server.url + SIGNED), (server.url,))
        assert inside.seen == []


def test_an_address_is_no_host_that_a_glob_lets_in(tmp_path: Path) -> None:
    for host in ("127.0.0.1", "8.8.8.8", "[2606:4700:4700::1111]"):
        for ask in (fetching(f"https://{host}/a.wav"), lending(f"https://{host}/a.wav")):
            refused(Rejected, "forbidden_host", tmp_path, ask, globs=("*", "127.0.0.1", "8.8.8.8"))


def test_a_public_name_is_lent_as_it_is(tmp_path: Path, names: Callable[[str], None]) -> None:
    names("8.8.8.8")
    address = f"https://files.example.com{SIGNED}#part"

    async def main() -> str:
        async with opened(tmp_path) as originals:
            return await originals.lent(address)

    assert anyio.run(main) == address


@pytest.mark.parametrize("host", ["0177.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "example.com\t.evil.test"])
def test_what_only_some_readers_take_for_a_host_is_not_followed(tmp_path: Path, host: str) -> None:
    refused(Rejected, "forbidden_host", tmp_path, fetching(f"https://{host}{SIGNED}"))
    location = f"https://{host}{SIGNED}".encode().decode("latin-1")
    with serving(script(Reply(302, headers={"Location": location}))) as server:
        refused(Failed, "bad_url", tmp_path, fetching(server.url + SIGNED), (server.url,))
    assert len(server.seen) == 1


def test_our_log_tells_nothing_of_a_query(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="mediapipe")
    with serving(script(Reply(body=bytes(99), cut=9))) as server:
        refused(Transient, "network", tmp_path, fetching(server.url + SIGNED), (server.url,))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("mediapipe")]
    assert any("try 1 failed" in line for line in ours)
    assert not any(SECRET in line for line in ours)
