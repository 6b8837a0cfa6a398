"""What a failed POST says of itself; the faults of a whole upload are in ``test_v2``."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mediapipe.convirza.clients import HttpClient, Timeouts, open_http
from mediapipe.convirza.multipart import SourceChanged, opened_body
from mediapipe.convirza.posts import MOST_BODY, PACED, InDoubt, NeverSent, Posted, open_posts, post_once
from mediapipe.errors import UsageError
from tests.convirza.wire import Peer, answer, wire_form, wired

PATIENT = Timeouts(connect=5, read=5, write=5, pool=5)
SHORT = Timeouts(connect=5, read=0.3, write=0.3, pool=0.1)


async def nothing() -> None:
    return


async def post(
    http: HttpClient, url: str, *, size: int = 10, begin: object = nothing, **given: object
) -> Posted:
    async with opened_body({"x": "y" * size}) as body:
        return await post_once(
            http,
            url,
            {"Authorization": "Bearer t"},
            body,
            **{"begin": begin, "deadline": 20.0, "doing": "upload call 1", **given},  # type: ignore[arg-type]
        )


def test_an_answer_is_handed_on_whatever_its_status() -> None:
    async def main() -> None:
        async with (
            wired(answer(418, b"short and stout", X_A="b")) as wire,
            open_posts(PATIENT, connections=1) as http,
        ):
            posted = await post(http, wire.url)
            assert (posted.status, posted.body, posted.headers["x-a"]) == (418, b"short and stout", "b")
            assert posted.whole
            assert not posted.early

    anyio.run(main)


def test_of_a_long_answer_only_so_much_is_read() -> None:
    async def main() -> None:
        async with (
            wired(answer(200, b"x" * 3 * MOST_BODY)) as wire,
            open_posts(PATIENT, connections=1) as http,
        ):
            posted = await post(http, wire.url)
            assert len(posted.body) == MOST_BODY
            assert not posted.whole

    anyio.run(main)


class Transport(httpx.AsyncBaseTransport):
    """One that moves nothing: tells of its steps, or not, and reads the body, or not."""

    def __init__(self, *, tells: bool, reads: bool, fails: Exception | None = None) -> None:
        self.tells, self.reads, self.fails = tells, reads, fails

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.tells:
            await request.extensions["trace"]("http11.send_request_headers.started", {"request": Core})
        if self.reads:
            await request.aread()
        if self.fails:
            raise self.fails
        return httpx.Response(200)


class Core:
    method = b"POST"


@asynccontextmanager
async def over(transport: httpx.AsyncBaseTransport) -> AsyncIterator[HttpClient]:
    async with open_http(PATIENT, connections=1, transport=lambda: transport) as http:
        yield http


@pytest.mark.parametrize(("tells", "reads"), [(True, True), (True, False), (False, True)])
def test_no_transport_gets_past_begin_and_an_answer_may_be_early(tells: bool, reads: bool) -> None:
    begun = 0

    async def begin() -> None:
        nonlocal begun
        begun += 1

    async def main() -> None:
        async with over(Transport(tells=tells, reads=reads)) as http:
            assert (await post(http, "http://h/", begin=begin)).early is not reads
        assert begun == 1

    anyio.run(main)


FAULTS = [
    httpx.ConnectError("x"),
    httpx.ConnectTimeout("x"),
    httpx.PoolTimeout("x"),
    httpx.ReadError("x"),
    httpx.RemoteProtocolError("x"),
    httpx.UnsupportedProtocol("x"),
    ConnectionRefusedError(),
    TimeoutError(),
    ssl.SSLError("x"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_the_name_of_a_fault_decides_nothing(fault: Exception) -> None:
    async def main(**steps: bool) -> None:
        async with over(Transport(**steps, fails=fault)) as http:
            await post(http, "http://h/")

    for steps in ({"tells": True, "reads": False}, {"tells": False, "reads": True}):
        with pytest.raises(InDoubt) as caught:
            anyio.run(lambda steps=steps: main(**steps))
        assert caught.value.code in {"connection_lost", "timeout"}
        assert caught.value.__cause__ is None
    with pytest.raises(NeverSent, match=type(fault).__name__):
        anyio.run(lambda: main(tells=False, reads=False))


def test_what_is_at_the_bottom_is_said_without_secrets() -> None:
    middle = httpx.ConnectError("All connection attempts failed")
    middle.__cause__ = ExceptionGroup("x", [OSError("no route, access=s3cr3t"), OSError("y")])

    async def main() -> None:
        async with over(Transport(tells=False, reads=False, fails=middle)) as http:
            await post(http, "http://h/")

    with pytest.raises(NeverSent) as caught:
        anyio.run(main)
    assert caught.value.message == "upload call 1: ConnectError: no route, access=***"


def test_an_address_that_is_none_is_a_mistake_of_the_settings() -> None:
    async def main() -> None:
        async with open_posts(PATIENT, connections=1) as http:
            await post(http, "http://[::1/")

    with pytest.raises(UsageError):
        anyio.run(main)


def test_waiting_in_vain_for_a_connection_is_never_sent() -> None:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.2)
        await peer.say(wire_form())

    async def main() -> None:
        async with (
            wired(slow) as wire,
            open_posts(SHORT, connections=1) as http,
            anyio.create_task_group() as group,
        ):
            group.start_soon(post, http, wire.url)
            await anyio.sleep(0.05)
            with pytest.raises(NeverSent, match="PoolTimeout"):
                await post(http, wire.url)
            assert len(wire.peers) == 1

    anyio.run(main)


def test_the_deadline_ends_what_never_answers() -> None:
    async def drips(peer: Peer) -> None:
        await peer.request()
        while True:
            await peer.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with wired(drips) as wire, open_posts(PATIENT, connections=1) as http:
            with pytest.raises(InDoubt, match="no answer within") as caught:
                await post(http, wire.url, deadline=0.2)
            assert caught.value.code == "timeout"

    anyio.run(main)


def test_a_far_side_that_takes_nothing_more_times_out() -> None:
    async def deaf(peer: Peer) -> None:
        await peer.head()
        await asyncio.sleep(5)

    async def main() -> None:
        async with wired(deaf) as wire, open_posts(SHORT, connections=1) as http:
            with pytest.raises(InDoubt) as caught:
                await post(http, wire.url, size=20_000_000)
            assert caught.value.code == "timeout"

    anyio.run(main)


def test_a_paced_body_goes_in_small_parts() -> None:
    sizes = []

    async def pace(size: int) -> None:
        sizes.append(size)

    async def main() -> None:
        async with wired(answer()) as wire, open_posts(PATIENT, connections=1) as http:
            await post(http, wire.url, size=3 * PACED, pace=pace)
            assert len(wire.peers[0].heard.partition(b"\r\n\r\n")[2]) == sum(sizes)
        assert max(sizes) == PACED

    anyio.run(main)


def test_a_wait_for_the_pace_may_be_longer_than_the_deadline() -> None:
    waits = 0

    async def pace(_: int) -> None:
        nonlocal waits
        waits += 1
        await anyio.sleep(0.4)

    async def main() -> None:
        async with wired(answer()) as wire, open_posts(PATIENT, connections=1) as http:
            assert (await post(http, wire.url, pace=pace, deadline=0.3)).status == 200
        async with wired(swallows) as wire, open_posts(PATIENT, connections=1) as http:
            with pytest.raises(InDoubt, match="no answer within"):
                await post(http, wire.url, pace=pace, deadline=0.3)

    async def swallows(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(10)

    anyio.run(main)
    assert waits > 1


@pytest.mark.parametrize("error", [OSError("x"), TimeoutError(), httpx.ConnectError("x"), ValueError("y")])
def test_what_begin_raises_is_never_taken_for_a_fault_of_the_line(error: Exception) -> None:
    async def begin() -> None:
        raise error

    async def main() -> None:
        async with wired(answer()) as wire, open_posts(PATIENT, connections=1) as http:
            with pytest.raises(type(error)) as caught:
                await post(http, wire.url, begin=begin)
            assert caught.value is error
            await anyio.sleep(0.02)
            assert wire.posts == 0

    anyio.run(main)


@pytest.mark.parametrize(
    "fault", [httpx.InvalidURL("x"), UnicodeError("x"), KeyError("x"), RuntimeError("x")]
)
def test_an_error_nobody_foresaw_is_in_doubt_once_bytes_have_left(fault: Exception) -> None:
    async def main(reads: bool) -> None:
        async with over(Transport(tells=False, reads=reads, fails=fault)) as http:
            await post(http, "http://h/")

    with pytest.raises(InDoubt) as caught:
        anyio.run(main, True)
    assert caught.value.code == "unreadable_answer"
    with pytest.raises(type(fault)):
        anyio.run(main, False)


def test_a_source_that_breaks_off_is_in_doubt() -> None:
    async def main() -> None:
        async with over(Transport(tells=True, reads=False, fails=SourceChanged("shorter"))) as http:
            with pytest.raises(InDoubt, match="shorter") as caught:
                await post(http, "http://h/")
            assert caught.value.code == "source_changed"

    anyio.run(main)


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS context whose certificate the client trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "certificate.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


def test_over_tls_only_what_follows_the_handshake_is_in_doubt(certified: ssl.SSLContext) -> None:
    begun = 0

    async def begin() -> None:
        nonlocal begun
        begun += 1

    async def drops(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.abort()

    async def main() -> None:
        async with wired(answer(), drops, tls=certified) as wire, open_posts(PATIENT, connections=1) as http:
            good, other = f"https://localhost:{wire.port}/", f"https://127.0.0.1:{wire.port}/"
            posted = await post(http, good, size=2_000_000, begin=begin)
            assert (posted.status, posted.whole, posted.early) == (200, True, False)
            with pytest.raises(InDoubt):
                await post(http, good, size=2_000_000, begin=begin)
            assert begun == wire.posts == 2
            with pytest.raises(NeverSent, match="certificate"):
                await post(http, other, begin=begin)
            assert begun == wire.posts == 2

    anyio.run(main)


async def refuses_the_way(peer: Peer) -> None:
    assert (await peer.head()).startswith(b"CONNECT ")
    await peer.say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


async def drops_the_way(peer: Peer) -> None:
    await peer.head()
    peer.reset()


async def opens_the_way_to_nothing(peer: Peer) -> None:
    await peer.head()
    await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
    await peer.reader.read(10)
    peer.reset()


@pytest.fixture
def behind_proxy(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    def use(url: str) -> None:
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, url)

    return use


@pytest.mark.parametrize("scene", [refuses_the_way, drops_the_way, opens_the_way_to_nothing])
def test_a_proxy_that_opens_no_way_was_told_nothing(
    scene: object, behind_proxy: Callable[[str], None]
) -> None:
    async def begin() -> None:
        raise AssertionError("nothing leaves")

    async def main() -> None:
        async with wired(scene) as wire:  # type: ignore[arg-type]
            behind_proxy(wire.url)
            async with open_posts(PATIENT, connections=1) as http:
                with pytest.raises(NeverSent):
                    await post(http, "https://platform.invalid/upload", begin=begin)
            assert wire.posts == 0
            assert len(wire.peers) == 1

    anyio.run(main)


def test_a_proxy_that_hands_it_on_may_have_done_so(behind_proxy: Callable[[str], None]) -> None:
    async def main() -> None:
        async with wired(drops_the_way) as wire:
            behind_proxy(wire.url)
            async with open_posts(PATIENT, connections=1) as http:
                with pytest.raises(InDoubt):
                    await post(http, "http://platform.invalid/upload")
            assert wire.posts == 1

    anyio.run(main)
