"""A blocking listener: each connection is played in a thread of its own, and all are joined at the end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class Listener:
    """Hands each connection to ``play``; none may take longer than ``patience_s`` over anything."""

    def __init__(
        self, play: Callable[[socket.socket], None], patience_s: float, host: str = "127.0.0.1"
    ) -> None:
        self._play, self._patience_s, self._host = play, patience_s, host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=64)
        self._players: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def authority(self) -> str:
        """Return host and port as a URL says them."""
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    def close(self, before_joining: Callable[[], None] = lambda: None) -> None:
        """Accept no more, and wait for every player."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(self._patience_s)
        self._socket.close()
        before_joining()
        for player in self._players:
            player.join(self._patience_s)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(self._patience_s)
            player = threading.Thread(target=self._play, args=(connection,), daemon=True)
            player.start()
            self._players = [*filter(threading.Thread.is_alive, self._players), player]
