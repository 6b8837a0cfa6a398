"""A blocking server that plays a scene on each connection, with or without TLS; and certificates for it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.listener import Listener

PATIENCE_S = 15.0


class Actor:
    """One accepted connection; ``heard`` is all that came over it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = b""
        self._ahead = b""

    def head(self) -> bytes:
        """Read the head of a request; raises ``EOFError`` when none comes."""
        while b"\r\n\r\n" not in self._ahead:
            self._more()
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return head

    def body(self, size: int) -> bytes:
        """Read a body."""
        while len(self._ahead) < size:
            self._more()
        body, self._ahead = self._ahead[:size], self._ahead[size:]
        return body

    def say(self, text: bytes) -> None:
        """Send bytes."""
        self.connection.sendall(text)

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.say("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """End the connection by a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _more(self) -> None:
        piece = self.connection.recv(65_536)
        if not piece:
            raise EOFError
        self._ahead += piece
        self.heard += piece


Scene = Callable[[Actor], None]


class Stage:
    """The server; ``actors`` are its connections in the order they came."""

    def __init__(self, scenes: tuple[Scene, ...], tls: ssl.SSLContext | None, host: str) -> None:
        self._scenes, self._tls = scenes, tls
        self.actors: list[Actor] = []
        self._listener = Listener(self._play, PATIENCE_S, host)
        self.port = self._listener.port
        self.url = f"{'https' if tls else 'http'}://{self._listener.authority}"

    def close(self) -> None:
        self._listener.close(self._hang_up)

    def _hang_up(self) -> None:
        for actor in self.actors:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(actor.connection, socket.SHUT_RDWR)

    def _play(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._tls:
                try:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                except OSError:
                    connection.close()
                    return
            with connection:
                self.actors.append(actor := Actor(connection))
                self._scenes[min(len(self.actors), len(self._scenes)) - 1](actor)


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield two ends of one connection."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.settimeout(5)
        yield here, there


@contextmanager
def staged(*scenes: Scene, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Stage]:
    """Serve: the first connection plays the first scene, and the last scene is for all others."""
    stage = Stage(scenes, tls, host)
    try:
        yield stage
    finally:
        stage.close()


def says(text: bytes) -> Scene:
    """Read the head of each request and say the same each time."""

    def scene(actor: Actor) -> None:
        while actor.head():
            actor.say(text)

    return scene


def certificate(folder: Path, *names: str, days: int = 1, label: str = "certificate") -> Path:
    """Write a self-signed certificate with its key and return the file; with ``days`` below 0 it is over."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    begun = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = begun.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=9))
    whole = dated.not_valid_after(now + timedelta(days=days)).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
    )
    pem = folder / f"{label}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + whole.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return pem


def serving_tls(pem: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context
