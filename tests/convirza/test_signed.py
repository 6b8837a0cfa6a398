from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import io
import re
import socket
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, BinaryIO

import anyio
import pytest

from mediapipe.convirza.clients import Timeouts, TransportFactory, open_http
from mediapipe.convirza.hosts import ForbiddenHost, HostPolicy
from mediapipe.convirza.signed import MAX_REDIRECTS, Download, Downloader, GrantExpired, GrantRefused
from mediapipe.convirza.wired import wire_of, wired
from mediapipe.errors import DiskFull, Failed, MediapipeError, Throttled, Transient
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy
from tests.convirza.server import Handler, Reply, Request, Server, script, serving

BODY = bytes(range(256)) * 40  # 10,240 bytes
QUICK = RetryPolicy(attempts=4, wait_initial=0.001, wait_max=0.002, total=10.0)
QUERY = "/v3/recordings/1?secret=s3cr3t&access=acc3ss&expires=1"
RANGED = {"ETag": '"v1"', "Accept-Ranges": "bytes"}


TIMEOUTS = Timeouts(2, 2, 2, 2)
ways: list[str] = []


@pytest.fixture(autouse=True, params=["httpx", "threads", "inline"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything here holds for each transport under httpx: its own, and ours in threads and without."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    ways[:] = [request.param]
    return str(request.param)


def transport() -> TransportFactory | None:
    """Return the transport that the test runs over."""
    if ways == ["httpx"]:
        return None
    made = wired(wire_of(TIMEOUTS, 4), 4 if ways == ["threads"] else 0)
    assert made is not None
    return made


def accept(_: Download) -> None:
    """Every body will do."""


def fetch(
    server: Server,
    *,
    url: str = "",
    check: Callable[[Download], None] = accept,
    spool: Any = None,
    max_bytes: int = 1 << 20,
    bases: tuple[str, ...] = (),
    pause: Pause | None = None,
    retry: RetryPolicy = QUICK,
    longest: float = 10.0,
) -> tuple[Download, bytes]:
    held: BinaryIO = io.BytesIO(b"left over from before") if spool is None else spool

    async def main() -> Download:
        async with open_http(TIMEOUTS, connections=4, transport=transport()) as http:
            pacer = Pacer(AdaptiveLimit(4), pause or Pause())
            hosts = HostPolicy.of(["*.example.com"], (server.url, *bases))
            downloader = Downloader(http, hosts, pacer, retry, max_bytes=max_bytes, longest=longest)
            with anyio.fail_after(15):
                return await downloader.fetch(url or server.url + QUERY, held, check)

    arrived = anyio.run(main)
    held.seek(0)
    return arrived, held.read()


def refused(error: type[MediapipeError], *replies: Reply, **options: Any) -> tuple[MediapipeError, Server]:
    with serving(script(*replies)) as server, pytest.raises(error) as caught:
        fetch(server, **options)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for secret in ("s3cr3t", "acc3ss"):
        assert secret not in text
    return caught.value, server


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_whole_body_arrives_with_its_hash(framing: str) -> None:
    reply = Reply(body=BODY, framing=framing, headers={"Content-Type": "Audio/WAV; charset=x"})
    with serving(script(reply)) as server:
        arrived, held = fetch(server)
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (arrived.size, arrived.content_type, arrived.resumed) == (len(BODY), "audio/wav", 0)
    assert arrived.proven == (framing != "close")
    assert "authorization" not in server.seen[0].headers
    assert "cookie" not in server.seen[0].headers
    assert "range" not in server.seen[0].headers
    assert server.seen[0].target == QUERY


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body=BODY, cut=5000),
        Reply(body=BODY, cut=5000, reset=True),
        Reply(body=BODY, cut=0),
        Reply(body=BODY, cut=5000, framing="chunked"),
        Reply(body=BODY, length=len(BODY) + 7),
        Reply(drop=True),
        Reply(drop=True, reset=True),
        Reply(503, b"busy"),
        Reply(500, b"oops"),
        Reply(body=b""),
        Reply(body=b"", framing="chunked"),
        Reply(body=b"", framing="close"),
        Reply(body=BODY, headers={"Content-Encoding": "gzip"}),
    ],
    ids=lambda reply: f"{reply.status}-{reply.framing}-{reply.cut}-{reply.length}-{len(reply.body)}",
)
def test_a_broken_answer_is_asked_for_again_from_the_start(broken: Reply) -> None:
    with serving(script(broken, Reply(body=BODY))) as server:
        arrived, held = fetch(server)
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert len(server.seen) == 2
    assert "range" not in server.seen[1].headers


@pytest.mark.parametrize(
    "broken", [Reply(body=BODY, cut=100), Reply(503), Reply(drop=True), Reply(416), Reply(body=b"")]
)
def test_what_stays_broken_is_a_passing_fault_after_bounded_tries(broken: Reply) -> None:
    _, server = refused(Transient, broken)
    assert len(server.seen) == QUICK.attempts


def test_a_close_delimited_body_cut_short_is_not_called_proven() -> None:
    with serving(script(Reply(body=BODY, cut=100, framing="close"))) as server:
        arrived, held = fetch(server)
    assert not arrived.proven
    assert held == BODY[:100]


def part(of: bytes, request: Request, **changes: Any) -> Reply:
    at = int(re.fullmatch(r"bytes=(\d+)-", request.headers["range"])[1])  # type: ignore[index]
    span = f"bytes {at}-{len(of) - 1}/{len(of)}"
    reply = Reply(206, of[at:], {"Content-Range": span, "ETag": '"v1"'})
    headers = {**reply.headers, **changes.pop("headers", {})}
    return replace(reply, headers={k: v for k, v in headers.items() if v}, **changes)


def resuming(first: Reply, then: Callable[[Request], Reply]) -> Handler:
    """The first request gets ``first``; one with a Range gets ``then``; any other the whole body."""
    begun: list[None] = []

    def handle(request: Request) -> Reply:
        if not begun:
            begun.append(None)
            return first
        if "range" in request.headers:
            return then(request)
        return Reply(body=BODY, headers=RANGED)

    return handle


HALF = Reply(body=BODY, cut=5000, headers=RANGED)


def test_a_broken_body_is_resumed_where_it_broke() -> None:
    with serving(resuming(HALF, lambda request: part(BODY, request))) as server:
        arrived, held = fetch(server)
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (arrived.resumed, arrived.size, arrived.proven) == (1, len(BODY), True)
    assert server.seen[1].headers["range"] == "bytes=5000-"
    assert server.seen[1].headers["if-range"] == '"v1"'
    assert len(server.seen) == 2


def test_a_resumed_body_that_breaks_again_is_resumed_again() -> None:
    cuts = iter([1000, 2000, None])
    with serving(resuming(HALF, lambda request: part(BODY, request, cut=next(cuts)))) as server:
        arrived, held = fetch(server)
    assert held == BODY
    assert arrived.resumed == 3
    assert [request.headers.get("range") for request in server.seen] == [
        None,
        "bytes=5000-",
        "bytes=6000-",
        "bytes=8000-",
    ]


OTHER = b"x" * len(BODY)


@pytest.mark.parametrize(
    "then",
    [
        lambda request: Reply(body=BODY, headers=RANGED),
        lambda request: Reply(body=BODY, headers={**RANGED, "ETag": '"v2"'}),
        lambda request: part(OTHER, request, headers={"ETag": '"v2"'}),
        lambda request: part(OTHER, request, headers={"ETag": ""}),
        lambda request: part(OTHER, request, headers={"Content-Range": "bytes 4000-10239/10240"}),
        lambda request: part(OTHER, request, headers={"Content-Range": "bytes 5000-10239/99999"}),
        lambda request: part(OTHER, request, headers={"Content-Range": ""}),
        lambda request: part(OTHER, request, headers={"Content-Range": "items 1"}),
        lambda request: part(
            OTHER + b"and more", request, headers={"Content-Range": "bytes 5000-10239/10240"}
        ),
        lambda request: part(BODY, request, body=BODY[5000:7000]),
        lambda request: Reply(416, headers={"Content-Range": "bytes */10240"}),
        lambda request: Reply(412),
    ],
    ids=[
        "200",
        "200-etag",
        "etag",
        "no-etag",
        "offset",
        "total",
        "no-range",
        "bad-range",
        "long",
        "short",
        "416",
        "412",
    ],
)
def test_a_resume_that_does_not_fit_starts_over(then: Callable[[Request], Reply]) -> None:
    with serving(resuming(HALF, then)) as server:
        if then(Request("GET", "/", {"range": "bytes=5000-"}, b"")).status == 412:
            with pytest.raises(Failed):
                fetch(server)
            return
        arrived, held = fetch(server, retry=replace(QUICK, attempts=5))
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert arrived.size == len(BODY)


@pytest.mark.parametrize(
    "first",
    [
        replace(HALF, headers={"ETag": 'W/"v1"', "Accept-Ranges": "bytes"}),
        replace(HALF, headers={"Accept-Ranges": "bytes"}),
        replace(HALF, headers={"ETag": '"v1"'}),
        replace(HALF, headers={"ETag": '"v1"', "Accept-Ranges": "none"}),
        replace(HALF, headers=RANGED, framing="chunked"),
        replace(HALF, headers=RANGED, cut=0),
    ],
    ids=["weak", "no-etag", "unsaid", "none", "chunked", "nothing-yet"],
)
def test_what_is_not_safe_to_resume_is_not_resumed(first: Reply) -> None:
    with serving(resuming(first, lambda request: part(BODY, request))) as server:
        _, held = fetch(server)
    assert held == BODY
    assert all("range" not in request.headers for request in server.seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_an_allowed_host_is_followed_without_any_login(status: int) -> None:
    with serving(script(Reply(body=BODY))) as target:
        location = f"{target.url}/there?secret=other"
        with serving(script(Reply(status, b"moved", {"Location": location, "Set-Cookie": "a=b"}))) as server:
            _, held = fetch(server, bases=(target.url,))
    assert held == BODY
    assert len(server.seen) == 1
    assert target.seen[0].target == "/there?secret=other"
    for name in ("authorization", "cookie", "referer", "proxy-authorization"):
        assert name not in target.seen[0].headers
        assert name not in server.seen[0].headers


def test_a_relative_redirect_is_followed() -> None:
    with serving(script(Reply(302, headers={"Location": "../other?secret=x"}), Reply(body=BODY))) as server:
        assert fetch(server)[1] == BODY
    assert server.seen[1].target == "/v3/other?secret=x"


def test_a_redirect_to_a_foreign_host_is_never_followed() -> None:
    with serving(script(Reply(body=BODY))) as foreign:
        error, server = refused(
            ForbiddenHost, Reply(302, headers={"Location": f"{foreign.url}/x?secret=s3cr3t"})
        )
    assert foreign.seen == []
    assert len(server.seen) == 1
    assert error.code == "forbidden_host"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest",
        "http://localhost:1/",
        "ftp://a.example.com/",
        "file:///etc/passwd",
        "https://user:pass@a.example.com/",
        "http://[",
        "https://a.example.com:x/",
        "https://a.example.com/\x7f",
        "//\u2100.example.com/",
        "https://" + "a" * 300 + ".evil.org/",
        "javascript:alert(1)",
    ],
)
def test_a_redirect_to_nonsense_fails_the_item_only(location: str) -> None:
    with (
        serving(script(Reply(302, headers={"Location": location}))) as server,
        pytest.raises((Failed, Transient)),
    ):
        fetch(server)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "https://[",
        "https://a.example.com:x/",
        "https://a.example.com/\x00",
        "https://a.example.com/é\x1f",
        "https://\u2100.example.com/",
        "https://" + "a" * 70 + ".example.com/",
        "https://a..example.com/",
        "https://a.example.com/" + "x" * 70_000,
        "https://-.example.com:99999/",
    ],
)
def test_a_url_that_is_nonsense_fails_the_item_only(url: str) -> None:
    with serving(script(Reply(body=BODY))) as server, pytest.raises((Failed, Transient)):
        fetch(server, url=url or "/", retry=replace(QUICK, attempts=1))


def test_a_redirect_loop_ends() -> None:
    error, server = refused(Failed, Reply(302, headers={"Location": QUERY}))
    assert error.code == "redirect_loop"
    assert len(server.seen) == MAX_REDIRECTS + 1


def test_a_redirect_without_a_target_is_a_failure() -> None:
    assert refused(Failed, Reply(302))[0].code == "http_302"


@pytest.mark.parametrize(
    ("status", "kind", "code", "tries"),
    [
        (410, GrantExpired, "url_expired", 1),
        (401, GrantRefused, "url_refused", 1),
        (403, GrantRefused, "url_refused", 1),
        (404, Failed, "http_404", 1),
        (400, Failed, "http_400", 1),
        (204, Failed, "http_204", 1),
        (304, Failed, "http_304", 1),
        (500, Transient, "http_500", 4),
        (503, Transient, "http_503", 4),
        (416, Transient, "http_416", 4),
    ],
)
def test_a_status_says_what_to_do_next(
    status: int, kind: type[MediapipeError], code: str, tries: int
) -> None:
    body = b"" if status in {204, 304} else b'{"message":"URL secret=s3cr3t access=acc3ss"}'
    error, server = refused(kind, Reply(status, body))
    assert type(error) is kind
    assert error.code == code
    assert len(server.seen) == tries


@pytest.mark.parametrize("status", [410, 403, 404])
@pytest.mark.parametrize(
    "wire",
    [
        {"cut": 3},
        {"cut": 3, "reset": True},
        {"framing": "chunked", "cut": 3},
        {"headers": {"Content-Encoding": "gzip"}},
    ],
)
def test_a_refusal_stands_even_when_its_words_are_cut_off(status: int, wire: dict[str, Any]) -> None:
    error, server = refused(Failed, Reply(status, b"the URL has expired", **wire))
    assert str(status) in str(error) or isinstance(error, GrantExpired)
    assert len(server.seen) == 1


def test_the_words_of_a_refusal_are_read_only_in_part() -> None:
    endless = Reply(404, b"x" * 30_000_000)
    error, _ = refused(Failed, endless)
    assert len(str(error)) < 1000


def test_a_throttled_download_holds_everybody_back() -> None:
    pause = Pause()
    replies = (
        Reply(429, headers={"Retry-After": "0.05"}),
        Reply(429, headers={"Retry-After": "0.05"}),
        Reply(body=BODY),
    )
    with serving(script(*replies)) as server:
        assert fetch(server, pause=pause)[1] == BODY
    assert pause.count == 2


def test_a_download_that_stays_throttled_says_so() -> None:
    error, _ = refused(Throttled, Reply(429, headers={"Retry-After": "0.01"}))
    assert isinstance(error, Throttled)
    assert error.retry_after == 0.01


def test_a_packed_answer_is_unpacked_but_not_called_proven() -> None:
    packed = Reply(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip", **RANGED})
    with serving(script(packed)) as server:
        arrived, held = fetch(server)
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert not arrived.proven
    assert server.seen[0].headers["accept-encoding"] == "identity"


def test_a_packed_answer_cut_short_is_not_accepted() -> None:
    packed = Reply(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip", **RANGED})
    with serving(script(replace(packed, cut=len(packed.body) // 2), Reply(body=BODY))) as server:
        assert fetch(server)[1] == BODY
    assert "range" not in server.seen[1].headers


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=BODY),
        Reply(body=BODY, framing="chunked"),
        Reply(body=BODY, framing="close"),
        Reply(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}),
    ],
)
def test_a_body_above_the_limit_is_given_up(reply: Reply) -> None:
    error, server = refused(Failed, reply, max_bytes=len(BODY) - 1)
    assert error.code == "too_large"
    assert len(server.seen) == 1
    with serving(script(reply)) as exact:
        assert fetch(exact, max_bytes=len(BODY))[1] == BODY


def test_a_body_that_the_check_finds_wanting_is_fetched_again_from_the_start() -> None:
    looks: list[int] = []

    def check(arrived: Download) -> None:
        looks.append(arrived.size)
        if len(looks) < 3:
            raise Transient("an error page", code="error_page")

    replies = (Reply(body=b"<html>", headers=RANGED), Reply(body=b"<html>", headers=RANGED), Reply(body=BODY))
    with serving(script(*replies)) as server:
        arrived, held = fetch(server, check=check)
    assert looks == [6, 6, len(BODY)]
    assert held == BODY
    assert arrived.sha256 == hashlib.sha256(BODY).hexdigest()
    assert all("range" not in request.headers for request in server.seen)


def test_a_check_that_moves_about_in_the_spool_does_no_harm() -> None:
    spool = io.BytesIO()

    def check(_: Download) -> None:
        spool.seek(3)
        if len(server.seen) < 2:
            raise Transient("again")

    with serving(script(Reply(body=BODY))) as server:
        assert fetch(server, check=check, spool=spool)[1] == BODY


def test_what_the_check_refuses_for_good_passes_through() -> None:
    def check(_: Download) -> None:
        raise Failed("unreadable", code="unreadable_header")

    error, server = refused(Failed, Reply(body=BODY), check=check)
    assert error.code == "unreadable_header"
    assert len(server.seen) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_run(number: int) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(number, "full")

    _, server = refused(DiskFull, Reply(body=BODY), spool=Full())
    assert len(server.seen) == 1


def test_a_server_that_cannot_be_reached_is_a_passing_fault() -> None:
    with serving(script(Reply())) as server, serving(script(Reply())) as gone:
        url = gone.url
        gone.close()
        with pytest.raises(Transient) as caught:
            fetch(server, url=url + QUERY, bases=(url,))
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


def test_a_part_nobody_asked_for_is_not_taken_for_the_whole() -> None:
    reply = Reply(206, BODY[100:], {"Content-Range": f"bytes 100-{len(BODY) - 1}/{len(BODY)}"})
    with serving(script(reply, Reply(body=BODY))) as server:
        assert fetch(server)[1] == BODY


def test_a_body_that_drips_for_ever_is_a_passing_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as threads:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.02)

        threads.submit(drip)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/r"
        server = SimpleNamespace(url=url.removesuffix("/r"))
        started = time.monotonic()
        with pytest.raises(Transient):
            fetch(server, url=url, longest=0.3, retry=RetryPolicy(attempts=1))  # type: ignore[arg-type]
        assert time.monotonic() - started < 1.5


def test_no_value_of_a_query_is_quoted_whatever_its_name() -> None:
    """A page that shows the address it was asked for, and one that is only reached by a redirect."""
    path = "/a.wav?ticket=unnamed%2Fs3cr3t&t=x"

    def echo(request: Request) -> Reply:
        if request.path == "/moved":
            return Reply(302, headers={"Location": path})
        return Reply(404, f"no {request.target} nor unnamed/s3cr3t".encode())

    for asked in (path, "/moved"):
        with serving(echo) as server, pytest.raises(Failed) as caught:
            fetch(server, url=server.url + asked)
        assert "no /a.wav?" in caught.value.message
        assert "s3cr3t" not in caught.value.message


def test_a_redirect_that_cannot_be_read_is_not_asked_for_again() -> None:
    error, server = refused(Failed, Reply(302, headers={"Location": "https://0177.0.0.1/?secret=s3cr3t"}))
    assert error.code == "bad_url"
    assert len(server.seen) == 1
