"""A server that treats each connection as a scene says, byte by byte, and keeps what it heard."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.heard = bytearray()

    async def head(self) -> bytes:
        """Read the head of a request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heard += head
        return head

    async def request(self) -> bytes:
        """Read a whole request and return its body."""
        head = await self.head()
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        assert b"transfer-encoding" not in lines
        body = await self.reader.readexactly(int(lines[b"content-length"]))
        self.heard += body
        return body

    async def say(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    def reset(self) -> None:
        plain = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Scene = Callable[[Peer], Awaitable[None]]


class Wire:
    """A listening server; ``peers`` are its connections in the order they came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.peers: list[Peer] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def posts(self) -> int:
        """How many POSTs arrived, whole or not."""
        return sum(peer.heard.count(b"POST ") for peer in self.peers)


@asynccontextmanager
async def wired(*scenes: Scene, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serve: the first connection plays the first scene, and the last scene is for all others."""
    wire: Wire
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        peer = Peer(reader, writer)
        wire.peers.append(peer)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await scenes[min(len(wire.peers), len(scenes)) - 1](peer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    wire = Wire(server.sockets[0].getsockname()[1])
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Scene:
    """Read all of a request and answer it."""

    async def scene(peer: Peer) -> None:
        await peer.request()
        await peer.say(wire_form(status, body, **headers))

    return scene


def wire_form(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
