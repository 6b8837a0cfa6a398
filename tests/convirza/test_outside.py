"""What is asked of hosts that a manifest names: which addresses are connected to, and what goes along."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.convirza import outside
from mediapipe.convirza.clients import HttpClient, Timeouts
from mediapipe.convirza.hosts import ForbiddenHost
from mediapipe.convirza.outside import is_public, open_outside
from mediapipe.errors import Failed, MediapipeError, Transient
from tests.convirza.server import Reply, script, serving
from tests.convirza.wire import Peer, wire_form, wired

QUICK = Timeouts(2, 2, 2, 2)
Found = list[tuple[int, int, int, str, tuple[Any, ...]]]


def run(ask: Callable[[HttpClient], Awaitable[Any]], *, allowed: tuple[str, ...] = ()) -> Any:
    origins = [(url.scheme, url.host, url.port or 443) for url in map(httpx.URL, allowed)]

    async def main() -> Any:
        async with open_outside(QUICK, connections=4, allowed=origins) as http:
            with anyio.fail_after(15):
                return await ask(http)

    return anyio.run(main)


def get(url: str, *, allowed: tuple[str, ...] = ()) -> httpx.Response:
    response: httpx.Response = run(lambda http: http.get(url), allowed=allowed)
    return response


class Resolver:
    """Answers look-ups in turn, the last answer for all others; each is one host's addresses or an error."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int, **_: Any) -> Found:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, answer, strict=True)
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Resolver]:
    """Say what names resolve to: the only part that cannot be had on a loopback."""

    def answering(*answers: list[str] | OSError) -> Resolver:
        resolver = Resolver(*answers)
        monkeypatch.setattr("anyio.getaddrinfo", resolver)
        return resolver

    return answering


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the loopback for a public address; everything else stays what it is."""
    monkeypatch.setattr(
        outside, "is_public", lambda address: address in {"127.0.0.1", "::1"} or is_public(address)
    )


# ── addresses ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


LOCAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
]
LOCAL_6 = [
    *("::/128", "::1/128", "::/96", "100::/64", "2001::/32", "2001:db8::/32", "3fff::/20", "5f00::/16"),
    *("64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::ffff:0:0:0/96"),
]


def disguises(address: ipaddress.IPv4Address) -> Iterator[ipaddress.IPv6Address]:
    """Yield what leads to an IPv4 address by way of IPv6: mapped, translated, 6to4."""
    number = int(address)
    yield ipaddress.IPv6Address(0xFFFF << 32 | number)
    yield ipaddress.IPv6Address(0x64FF9B << 96 | number)
    yield ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1)


@given(st.sampled_from(LOCAL).flatmap(lambda net: st.ip_addresses(network=net)))
def test_no_address_of_a_local_network_is_public_whatever_its_disguise(
    address: ipaddress.IPv4Address,
) -> None:
    assert not is_public(str(address))
    assert not any(is_public(str(one)) for one in disguises(address))


@given(st.sampled_from(LOCAL_6).flatmap(lambda net: st.ip_addresses(network=net)))
def test_no_address_of_a_local_ipv6_network_is_public(address: ipaddress.IPv6Address) -> None:
    assert not is_public(str(address))


@given(st.ip_addresses(v=4))
def test_a_disguise_is_judged_as_what_is_behind_it(address: ipaddress.IPv4Address) -> None:
    assert {is_public(str(one)) for one in disguises(address)} == {is_public(str(address))}


def test_an_address_of_one_link_is_not_public() -> None:
    assert not is_public("fe80::1%eth0")


# ── where a connection goes ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0"),
        *("2130706433", "0x7f000001", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::]"),
        *("[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16"),
    ],
)
def test_a_host_that_is_not_public_is_never_connected_to(host: str) -> None:
    """By the machine's own resolver: whatever it takes for an address is looked at."""
    with serving(script(Reply(body=b"inside"))) as server:
        with pytest.raises(ForbiddenHost, match="not on the public internet"):
            get(f"http://{host}:{server.port}/")
        assert server.seen == []


def test_one_private_address_among_public_ones_is_enough(names: Callable[..., Resolver]) -> None:
    names(["8.8.8.8", "10.0.0.1"])
    with pytest.raises(ForbiddenHost):
        get("https://mixed.example/")


def test_a_name_that_points_elsewhere_a_moment_later_is_followed_nowhere(
    names: Callable[..., Resolver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: one look-up a request, and the connection goes to what was looked at."""
    looked_at: list[str] = []

    def public(address: str) -> bool:
        looked_at.append(address)
        return len(looked_at) == 1 or is_public(address)

    monkeypatch.setattr(outside, "is_public", public)
    resolver = names(["127.0.0.1"])

    async def twice(http: HttpClient) -> None:
        url = f"http://rebound.example:{server.port}/a.wav"
        assert (await http.get(url)).content == b"once"
        with pytest.raises(ForbiddenHost):
            await http.get(url)

    with serving(script(Reply(body=b"once"))) as server:
        run(twice)
    assert resolver.asked == ["rebound.example"] * 2
    assert [request.headers["host"].partition(":")[0] for request in server.seen] == ["rebound.example"]


@pytest.mark.usefixtures("loopback_is_public")
def test_a_family_that_does_not_answer_gives_way_to_the_other(names: Callable[..., Resolver]) -> None:
    names(["::1", "127.0.0.1"])  # nobody listens at the first
    with serving(script(Reply(body=b"there"))) as server:
        url = f"http://both.example:{server.port}/"
        assert get(url).content == b"there"
        names(["127.0.0.1", "::1"])
        assert get(url).content == b"there"
    with pytest.raises(httpx.ConnectError):
        get(url)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Failed, "unknown_host"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), Transient, "network"),
        (OSError(24, "Too many open files"), Transient, "network"),
    ],
)
def test_a_name_that_is_not_known_is_told_from_one_that_cannot_be_looked_up(
    names: Callable[..., Resolver], error: OSError, kind: type[MediapipeError], code: str
) -> None:
    names(error)
    with pytest.raises(kind, match=r"host\.example") as caught:
        get("https://host.example/a?sig=s3cr3t")
    assert caught.value.code == code
    assert "s3cr3t" not in str(caught.value)


def test_a_look_up_has_the_time_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> Found:
        await anyio.sleep(60)
        return []

    monkeypatch.setattr("anyio.getaddrinfo", never)

    async def main() -> None:
        async with open_outside(Timeouts(0.05, 5, 5, 5), connections=1) as http:
            with pytest.raises(Transient), anyio.fail_after(5):
                await http.get("https://slow.example/")

    anyio.run(main)


def test_only_an_allowed_origin_may_be_here_and_only_that(names: Callable[..., Resolver]) -> None:
    with serving(script(Reply(body=b"here"))) as server, serving(script(Reply())) as other:
        assert get(server.url, allowed=(server.url,)).content == b"here"
        for refused in (other.url, f"http://localhost:{server.port}", f"https://127.0.0.1:{server.port}"):
            with pytest.raises(ForbiddenHost):
                get(refused, allowed=(server.url,))
        assert other.seen == []
        # Nor is a name let through that leads to an allowed place.
        names(["127.0.0.1"])
        with pytest.raises(ForbiddenHost):
            get(f"http://lookalike.example:{server.port}", allowed=(server.url,))
    assert len(server.seen) == 1


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up itself, and connect to whatever it finds."""
    with serving(script(Reply(body=b"here"))) as server, serving(script(Reply(body=b"proxy"))) as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get(server.url, allowed=(server.url,)).content == b"here"
    assert proxy.seen == []


def test_nothing_that_could_be_a_credential_goes_along() -> None:
    """No cookie is sent back either, be it to the host that set it."""
    reply = Reply(body=b"x", headers={"Set-Cookie": "session=1; Path=/"})

    async def twice(http: HttpClient) -> None:
        for _ in range(2):
            await http.get(server.url)

    with serving(script(reply)) as server:
        run(twice, allowed=(server.url,))
    assert len(server.seen) == 2
    for request in server.seen:
        assert request.headers.keys() == {"host", "accept", "accept-encoding", "connection", "user-agent"}


# ── whose certificate counts ────────────────────────────────────────────────────────────────


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS context with a trusted certificate for ``recordings.example``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "recordings.example")])
    now, hour = datetime.now(UTC), timedelta(hours=1)
    names = x509.SubjectAlternativeName([x509.DNSName("recordings.example")])
    begun = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = begun.serial_number(1).not_valid_before(now - hour).not_valid_after(now + hour)
    certificate = dated.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


@pytest.mark.usefixtures("loopback_is_public")
def test_the_certificate_has_to_be_that_of_the_name_though_the_address_is_connected_to(
    certified: ssl.SSLContext, names: Callable[..., Resolver]
) -> None:
    """A second name at the same address must not go through the connection of the first."""
    names(["127.0.0.1"])
    told: list[str] = []
    certified.sni_callback = lambda _, name, __: told.append(name or "")

    async def keeps_on(peer: Peer) -> None:
        while True:
            await peer.head()
            await peer.say(wire_form(200, b"audio"))

    async def main() -> None:
        async with wired(keeps_on, tls=certified) as wire, open_outside(QUICK, connections=4) as http:
            good = f"https://recordings.example:{wire.port}/a.wav"
            for url in (good, good.replace("example", "example.")):
                assert (await http.get(url)).content == b"audio"
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await http.get(f"https://other.example:{wire.port}/a.wav")
            assert b"other.example" not in b"".join(bytes(peer.heard) for peer in wire.peers)

    anyio.run(main)
    assert told == ["recordings.example", "recordings.example", "other.example"]
