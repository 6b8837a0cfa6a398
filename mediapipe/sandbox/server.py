"""Serving a sandbox: in the foreground for the command, or in a thread beside whatever uses it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mediapipe.sandbox.app import create_app
from mediapipe.sandbox.config import SandboxConfig
from mediapipe.sandbox.state import SandboxState

_START_TIMEOUT_S = 30.0
_NO_LINGER = struct.pack("ii", 1, 0)


class _Droppable(H11Protocol):
    """HTTP/1.1 whose requests can drop their connection: ``scope["state"]["drop"](reset)``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A copy: the dictionary the server hands out is one for all connections.
        self.app_state: dict[str, Any] = {**self.app_state, "drop": self._drop}

    def _drop(self, reset: bool) -> None:
        if not reset:
            self.transport.close()
            return
        plain = self.transport.get_extra_info("socket")
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that is being served at ``url`` (no slash at the end), and its state."""

    url: str
    state: SandboxState

    def environment(self) -> dict[str, str]:
        """Return the settings a client needs: the CONVIRZA_* addresses, login and client id."""
        return self.state.config.environment(self.url)


def serve(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    ready: Callable[[RunningSandbox], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. Port 0 takes a free one.

    ``ready`` is told where, once the port listens and before the first answer. An OSError says that the
    address cannot be had.
    """
    with _listening(host, port) as listener:
        running_sandbox = RunningSandbox(_url(host, listener), SandboxState(config))
        server = _server(running_sandbox.state)
        if ready is not None:
            ready(running_sandbox)
        server.run(sockets=[listener])


@contextmanager
def running(
    config: SandboxConfig | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[RunningSandbox]:
    """Serve a sandbox in a thread for as long as the block lasts; it answers when the block is entered."""
    state = SandboxState(config or SandboxConfig())
    with _listening(host, port) as listener:
        server = _server(state)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
        )
        thread.start()
        try:
            _await_start(server, thread)
            yield RunningSandbox(_url(host, listener), state)
        finally:
            server.should_exit = True
            thread.join(_START_TIMEOUT_S)


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the sandbox did not start")
        time.sleep(0.002)


def _server(state: SandboxState) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(state=state),
        http=_Droppable,
        ws="none",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="critical",
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )
    return uvicorn.Server(config)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only for sockets that say TCP.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        yield listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"
