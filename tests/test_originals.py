"""Recordings that stand elsewhere: what an address may lead to, and what is left when it leads nowhere."""

from __future__ import annotations

import hashlib
import logging
import socket
import stat
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from mediapipe.convirza.clients import Timeouts
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.outside import open_outside
from mediapipe.convirza.signed import Downloader
from mediapipe.errors import Failed, ItemError, MediapipeError, Rejected, Transient
from mediapipe.originals import Original, Originals, shown
from mediapipe.pacing import AdaptiveLimit, ByteBudget, Pacer, Pause, RetryPolicy
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3_source import S3Source
from tests.convirza.server import Handler, Reply, Request, Server, script, serving
from tests.platform import sound
from tests.s3.front import Fault
from tests.s3.server import RunningS3

pytest_plugins = ["tests.s3.fixtures"]

BODY = sound("a call of long ago")
TRIES = 3
SIGNED = "/rec/1.wav?sig=s3cr3tsignature&id=4"
RANGED = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
LIMIT = 1 << 20
PAGE = b"<!DOCTYPE html><html><title>Log in</title><form>sig=s3cr3tsignature</form></html>"


@asynccontextmanager
async def opened(
    folder: Path, *bases: str, globs: tuple[str, ...] = ("*",), budget: int = 1 << 20
) -> AsyncIterator[Originals]:
    """Open originals that may ask ``bases``, on the loopback, besides what is public."""
    urls = [httpx.URL(base) for base in bases]
    retry = RetryPolicy(attempts=TRIES, wait_initial=0.001, wait_max=0.002, total=10.0)
    hosts = HostPolicy.of(globs, bases)
    source = S3Source(StoreOptions(read_timeout=5.0), max_bytes=LIMIT)
    allowed = [(url.scheme, url.host, url.port or 443) for url in urls]
    try:
        async with open_outside(Timeouts(2, 2, 2, 2), connections=4, allowed=allowed) as http:
            pacer = Pacer(AdaptiveLimit(4), Pause())
            web = Downloader(http, hosts, pacer, retry, max_bytes=LIMIT, longest=5.0)
            yield Originals(web, hosts, source, retry, ByteBudget(budget), 1 << 10, folder, 600)
    finally:
        source.close()


def run(
    folder: Path, ask: Callable[[Originals], Awaitable[Any]], *bases: str, globs: tuple[str, ...] = ("*",)
) -> Any:
    async def main() -> Any:
        async with opened(folder, *bases, globs=globs) as originals:
            with anyio.fail_after(20):
                return await ask(originals)

    return anyio.run(main)


def fetch(folder: Path, address: str, *bases: str, globs: tuple[str, ...] = ("*",)) -> tuple[Original, bytes]:
    """Fetch once; what is left in the folder behind it is a fault."""

    async def ask(originals: Originals) -> tuple[Original, bytes]:
        async with originals.fetched(address) as original:
            assert stat.S_IMODE(original.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(original.path.parent.stat().st_mode) == 0o700
            assert original.path.parent.parent == folder
            return original, original.path.read_bytes()

    try:
        got: tuple[Original, bytes] = run(folder, ask, *bases, globs=globs)
    finally:
        assert list(folder.iterdir()) == []
    return got


def refused(
    kind: type[MediapipeError], code: str, folder: Path, *replies: Reply | Handler
) -> tuple[MediapipeError, Server]:
    """Fetch from a server that answers so, and return why that did not work."""
    handler = replies[0] if callable(replies[0]) else script(*(one for one in replies if not callable(one)))
    with serving(handler) as server:
        error = denied(kind, code, folder, server.url + SIGNED, server.url)
    return error, server


def denied(kind: type[MediapipeError], code: str, folder: Path, address: str, *bases: str) -> MediapipeError:
    with pytest.raises(MediapipeError) as caught:
        fetch(folder, address, *bases)
    assert (type(caught.value), caught.value.code) == (kind, code), caught.value
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.fixture
def inside() -> Iterator[tuple[int, Callable[[], bool]]]:
    """A place of this machine that nobody may connect to: its port, and whether somebody did."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def visited() -> bool:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield listener.getsockname()[1], visited


# ── what arrives ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_recording_arrives_whole_in_a_private_file_that_is_gone_afterwards(
    tmp_path: Path, framing: str
) -> None:
    with serving(script(Reply(body=BODY, framing=framing))) as server:
        original, held = fetch(tmp_path, server.url + SIGNED, server.url)
        assert original.source == f"{server.url}/rec/1.wav"
    assert held == BODY
    assert (original.size, original.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())


def test_the_file_is_gone_when_its_user_fails_or_is_cancelled(tmp_path: Path) -> None:
    def left() -> list[Path]:
        return list(tmp_path.iterdir())

    async def ask(originals: Originals) -> None:
        with pytest.raises(ZeroDivisionError):
            async with originals.fetched(server.url + "/a.wav"):
                _ = 1 / 0
        assert left() == []
        with anyio.move_on_after(0.05):
            async with originals.fetched(server.url + "/a.wav"):
                assert left() != []
                await anyio.sleep(10)

    with serving(script(Reply(body=BODY))) as server:
        run(tmp_path, ask, server.url)
    assert left() == []


def test_as_many_are_held_as_there_is_room_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, server.url, budget=2 << 10) as originals:
            most, held = 0, 0

            async def one() -> None:
                nonlocal most, held
                async with originals.fetched(server.url + "/a.wav"):
                    held += 1
                    most = max(most, held)
                    await anyio.sleep(0.01)
                    held -= 1

            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    for _ in range(6):
                        tasks.start_soon(one)
            assert most == 2

    with serving(script(Reply(body=BODY))) as server:
        anyio.run(main)
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("/a.wav", ".wav"),
        ("/a.WAV?x=.mp3", ".wav"),
        ("/dir.mp3/a", ""),
        ("/a%2Eulaw", ".ulaw"),
        ("/a.sln16", ".sln16"),
        ("/a.php", ""),
        ("/a.wav%00", ""),
        ("/..%2f..%2fetc%2fpasswd", ""),
        ("/" + "x" * 3000 + ".mp3", ".mp3"),
    ],
)
def test_a_file_keeps_of_its_name_what_tells_its_format_and_no_more(
    tmp_path: Path, name: str, suffix: str
) -> None:
    with serving(script(Reply(body=BODY))) as server:
        original, _ = fetch(tmp_path, server.url + name, server.url)
    assert original.path.name == f"original{suffix}"


# ── what is asked ───────────────────────────────────────────────────────────────────────────


def test_one_get_and_nothing_that_could_be_a_credential(tmp_path: Path) -> None:
    """An address may be good for one time only: no HEAD, no look at the first bytes."""
    with serving(script(Reply(body=BODY, headers={**RANGED, "Set-Cookie": "a=b"}))) as server:
        fetch(tmp_path, server.url + SIGNED, server.url)
    (request,) = server.seen
    assert (request.method, request.target, request.body) == ("GET", SIGNED, b"")
    assert request.headers.keys() == {"host", "accept", "accept-encoding", "user-agent"}


def once(first: Reply) -> Handler:
    """Return a handler of an address that is good for one time."""
    spent = False

    def handle(_: Request) -> Reply:
        nonlocal spent
        reply, spent = (Reply(410, b"already used") if spent else first), True
        return reply

    return handle


def test_an_address_that_is_good_once_is_enough(tmp_path: Path) -> None:
    with serving(once(Reply(body=BODY))) as server:
        assert fetch(tmp_path, server.url + SIGNED, server.url)[1] == BODY
    assert [request.method for request in server.seen] == ["GET"]


def test_an_address_that_was_good_once_and_broke_off_says_so(tmp_path: Path) -> None:
    _, server = refused(Failed, "url_expired", tmp_path, once(Reply(body=BODY, cut=9)))
    assert [request.method for request in server.seen] == ["GET", "GET"]


# ── what is not a recording ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "page",
    [
        PAGE,
        b"\xef\xbb\xbf \r\n" + PAGE,
        b'{"error": "login required", "sig": "s3cr3tsignature"}',
        b"Please log in. Your request was sig=s3cr3tsignature",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>s3cr3tsignature</Error>",
    ],
)
def test_a_login_page_with_status_200_is_no_recording_and_is_not_asked_for_again(
    tmp_path: Path, page: bytes
) -> None:
    reply = Reply(body=page, headers={"Content-Type": "audio/wav"})
    error, server = refused(Failed, "error_page", tmp_path, reply)
    assert "login" in error.hint
    assert len(server.seen) == 1
    assert len(error.message) < 300


@pytest.mark.parametrize("name", ["/a.ulaw", "/a.raw"])
def test_headerless_audio_that_begins_like_a_page_is_taken(tmp_path: Path, name: str) -> None:
    noise = b"{" + bytes(range(128, 256)) * 20
    with serving(script(Reply(body=noise))) as server:
        assert fetch(tmp_path, server.url + name, server.url)[1] == noise
    with serving(script(Reply(body=PAGE))) as server:
        denied(Failed, "error_page", tmp_path, server.url + name, server.url)


@pytest.mark.parametrize(
    ("status", "code"), [(403, "url_refused"), (401, "url_refused"), (410, "url_expired")]
)
def test_an_expired_signature_or_a_missing_header_is_said_once(
    tmp_path: Path, status: int, code: str
) -> None:
    error, server = refused(Failed, code, tmp_path, Reply(status, b"sig=s3cr3tsignature is too old"))
    assert "expired" in error.hint
    assert len(server.seen) == 1


def test_an_address_that_needs_a_header_does_not_get_one(tmp_path: Path) -> None:
    def handle(request: Request) -> Reply:
        return Reply(body=BODY) if "authorization" in request.headers else Reply(401, b"who are you?")

    error, server = refused(Failed, "url_refused", tmp_path, handle)
    assert "login" in error.hint
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(body=BODY, length=len(BODY) + 7), "network"),
        (Reply(body=BODY, cut=5), "network"),
        (Reply(body=BODY, framing="chunked", cut=5), "network"),
        (Reply(body=b""), "empty_body"),
        (Reply(503, b"busy"), "http_503"),
    ],
)
def test_a_body_that_is_not_all_there_is_asked_for_again_and_then_given_up(
    tmp_path: Path, reply: Reply, code: str
) -> None:
    _, server = refused(Transient, code, tmp_path, reply)
    assert len(server.seen) == TRIES
    with serving(script(reply, Reply(body=BODY))) as server:
        assert fetch(tmp_path, server.url + SIGNED, server.url)[1] == BODY


def test_bytes_behind_the_announced_length_are_not_part_of_the_recording(tmp_path: Path) -> None:
    with serving(script(Reply(body=BODY, length=100))) as server:
        original, held = fetch(tmp_path, server.url + SIGNED, server.url)
    assert held == BODY[:100]
    assert original.size == 100


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"", length=LIMIT + 1),
        Reply(body=bytes(1 << 22), framing="close"),
        Reply(body=bytes(1 << 22), framing="chunked"),
    ],
)
def test_a_body_without_an_end_is_cut_at_the_limit(tmp_path: Path, reply: Reply) -> None:
    _, server = refused(Failed, "too_large", tmp_path, reply)
    assert len(server.seen) == 1


# ── where an address leads ──────────────────────────────────────────────────────────────────


HERE = [
    *("169.254.169.254", "localhost", "LOCALHOST", "10.0.0.1", "192.168.1.1", "[::1]", "[::]", "0.0.0.0"),  # noqa: S104
    *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "127.0.0.1", "127.1", "0", "1"),
    *("2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "[fd00:ec2::254]"),
]


@pytest.mark.parametrize("host", HERE)
def test_an_address_that_leads_inside_is_refused_and_nobody_is_asked(
    tmp_path: Path, inside: tuple[int, Callable[[], bool]], host: str
) -> None:
    port, visited = inside
    error = denied(Rejected, "forbidden_host", tmp_path, f"https://{host}:{port}/latest?sig=s3cr3tsignature")
    assert "imports.source_hosts" in error.hint
    assert not visited()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 3])
def test_a_redirect_that_leads_inside_is_refused_however_late(
    tmp_path: Path, inside: tuple[int, Callable[[], bool]], status: int, hops: int
) -> None:
    port, visited = inside
    around = [Reply(status, headers={"Location": f"/again/{number}"}) for number in range(hops - 1)]
    _, server = refused(
        Rejected, "forbidden_host", tmp_path,
        *around, Reply(status, headers={"Location": f"https://localhost:{port}/?sig=s3cr3tsignature"}),
    )  # fmt: skip
    assert len(server.seen) == hops
    assert not visited()


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_redirect_to_any_form_of_a_local_address_is_refused(
    tmp_path: Path, inside: tuple[int, Callable[[], bool]], scheme: str, host: str
) -> None:
    port, visited = inside
    location = f"{scheme}://{host}:{port}/latest/meta-data"
    with serving(script(Reply(302, headers={"Location": location}))) as server:
        with pytest.raises(ItemError) as caught:
            fetch(tmp_path, server.url + SIGNED, server.url)
        # Octal digits are no address at all to httpx, which reads a redirect before we do.
        assert caught.value.code == ("bad_url" if host == "0177.0.0.1" else "forbidden_host")
    assert len(server.seen) == 1
    assert not visited()


@pytest.mark.parametrize(
    "address",
    [
        "http://recordings.example.com/a.wav",
        "ftp://recordings.example.com/a.wav",
        "file:///etc/passwd",
        "//recordings.example.com/a.wav",
        "https://user:s3cr3t@recordings.example.com/a.wav",
        "https://user@recordings.example.com/a.wav",
        "https://recordings.example.com\\@127.0.0.1/a.wav",
        "https://recordings.example.com/a\r\nHost: x",
        "https://[",
        "https://h:99999/a.wav",
        "https:///a.wav",
        "",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused_before_anything_is_made(
    tmp_path: Path, address: str
) -> None:
    denied(Rejected, "forbidden_host", tmp_path, address)
    with pytest.raises(Rejected) as caught:
        run(tmp_path, lambda originals: originals.lent(address))
    assert "s3cr3t" not in str(caught.value)


def test_a_user_name_is_refused_even_where_plain_addresses_are_allowed(tmp_path: Path) -> None:
    with serving(script(Reply(body=BODY))) as server:
        there = server.url.replace("//", "//user:s3cr3t@")
        denied(Rejected, "forbidden_host", tmp_path, there + "/a.wav", server.url)
        assert server.seen == []
        _, moved = refused(Rejected, "forbidden_host", tmp_path, Reply(302, headers={"Location": there}))
    assert len(moved.seen) == 1


def test_only_the_hosts_that_were_allowed_are_asked(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"the address names the host 'other\.example'"):
        fetch(tmp_path, "https://other.example/a.wav", globs=("*.vendor.example",))


def test_a_redirect_to_an_allowed_place_is_followed_and_shown_by_its_first_address(tmp_path: Path) -> None:
    with serving(script(Reply(body=BODY))) as target:
        location = f"{target.url}/there?sig=other"
        with serving(script(Reply(302, headers={"Location": location, "Set-Cookie": "a=b"}))) as server:
            original, held = fetch(tmp_path, server.url + SIGNED, server.url, target.url)
            assert original.source == f"{server.url}/rec/1.wav"
    assert held == BODY
    assert not {"cookie", "authorization", "referer"} & target.seen[0].headers.keys()


def test_a_redirect_that_never_arrives_ends(tmp_path: Path) -> None:
    refused(Failed, "redirect_loop", tmp_path, Reply(302, headers={"Location": SIGNED}))


# ── lent ────────────────────────────────────────────────────────────────────────────────────


def test_an_address_is_lent_as_it_is_and_nobody_is_asked_for_the_recording(tmp_path: Path) -> None:
    with serving(script(Reply(body=BODY))) as server:
        address = server.url + SIGNED
        assert run(tmp_path, lambda originals: originals.lent(address), server.url) == address
    assert server.seen == []


@pytest.mark.parametrize("host", HERE)
def test_an_address_that_leads_inside_is_not_lent(tmp_path: Path, host: str) -> None:
    """The platform would be sent to ask its own network."""
    with pytest.raises(Rejected) as caught:
        run(tmp_path, lambda originals: originals.lent(f"https://{host}/a.wav?sig=s3cr3tsignature"))
    assert caught.value.code == "forbidden_host"
    assert "s3cr3t" not in str(caught.value)


# ── S3 ──────────────────────────────────────────────────────────────────────────────────────


KEYS = ["a.wav", "a b+c/d#e?f=é.wav", ".hidden", "a//b/c", "%41.wav", "/slash first.wav", "日本.ulaw"]


def test_an_object_of_any_name_is_fetched_and_lent(s3: RunningS3, tmp_path: Path) -> None:
    bucket = s3.make_bucket()

    async def ask(originals: Originals) -> None:
        for key in KEYS:
            body = sound(key)
            with s3.client() as client:
                client.put_object(Bucket=bucket, Key=key, Body=body)
            for scheme in ("s3", "S3"):
                async with originals.fetched(f"{scheme}://{bucket}/{key}") as original:
                    assert await anyio.Path(original.path).read_bytes() == body
                    assert stat.S_IMODE(original.path.stat().st_mode) == 0o600
                assert original.sha256 == hashlib.sha256(body).hexdigest()
                assert original.source == f"s3://{bucket}/{key}"
                assert original.path.suffix in {".wav", ".ulaw", ""}
            address = await originals.lent(f"s3://{bucket}/{key}")
            assert parse_qs(urlsplit(address).query)["X-Amz-Expires"] == ["600"]
            async with httpx.AsyncClient() as client_of_the_platform:
                assert (await client_of_the_platform.get(address)).content == body, key

    run(tmp_path, ask)
    assert list(tmp_path.iterdir()) == []


def test_an_object_whose_address_would_be_tidied_on_the_way_is_fetched_but_not_lent(
    s3: RunningS3, tmp_path: Path
) -> None:
    """Programs take dots out of an address before they ask, and then the signature is of another one."""
    bucket = s3.make_bucket()

    async def ask(originals: Originals) -> None:
        for key in ("a/../b.wav", "./a.wav", "a/.."):
            with s3.client() as client:
                client.put_object(Bucket=bucket, Key=key, Body=BODY)
            async with originals.fetched(f"s3://{bucket}/{key}") as original:
                assert original.size == len(BODY)
            with pytest.raises(Rejected) as caught:
                await originals.lent(f"s3://{bucket}/{key}")
            assert caught.value.code == "bad_address"
        for key in (".hidden", "..wav", "a/...", "a..b/c"):
            assert await originals.lent(f"s3://{bucket}/{key}")

    run(tmp_path, ask)


def test_a_lent_address_of_an_object_is_in_no_log(
    s3: RunningS3, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "botocore", "boto3", "urllib3", "httpx", "mediapipe"):
        caplog.set_level(logging.DEBUG, logger=name)
    bucket = s3.make_bucket()
    address = run(tmp_path, lambda originals: originals.lent(f"s3://{bucket}/a.wav"))
    signature = parse_qs(urlsplit(address).query)["X-Amz-Signature"][0]
    assert signature not in caplog.text
    assert caplog.text  # somebody did log


def test_a_passing_fault_of_the_store_is_tried_again_with_a_new_file(s3: RunningS3, tmp_path: Path) -> None:
    bucket = s3.make_bucket()
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="a.wav", Body=BODY)
    s3.front.faults = [Fault("cut", method="GET"), Fault("refuse", method="GET")]
    assert fetch(tmp_path, f"s3://{bucket}/a.wav")[1] == BODY


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("s3://no-such-bucket-here/a.wav", "source_missing"),
        ("s3://", "bad_address"),
        ("s3://bucket", "bad_address"),
        ("s3://key:s3cr3t@bucket/a.wav", "bad_address"),
    ],
)
def test_an_object_that_there_is_not_is_its_rows_alone(
    s3: RunningS3, tmp_path: Path, address: str, code: str
) -> None:
    denied(Rejected, code, tmp_path, address)


# ── shown ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://h.example/a/b.wav?sig=x#y", "https://h.example/a/b.wav"),
        ("https://user:pw@h.example:8443/a", "https://h.example:8443/a"),
        ("s3://bucket/a?b#c@d", "s3://bucket/a?b#c@d"),
        ("S3://user:pw@bucket/a", "s3://bucket/a"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(address: str, said: str) -> None:
    assert shown(address) == said
