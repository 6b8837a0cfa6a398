from __future__ import annotations

import errno
import gc
import json
import ssl
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from email.utils import formatdate as http_time
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import httpx
import pytest

import mediapipe.convirza.session as session_module
from mediapipe.convirza.clients import USER_AGENT, Timeouts, open_http
from mediapipe.convirza.models import User
from mediapipe.convirza.session import (
    RENEWALS,
    Answer,
    Session,
    V2Credentials,
    V2Login,
    V3Login,
    server_time,
    translated,
)
from mediapipe.convirza.tokens import ReadyToken
from mediapipe.errors import (
    CredentialsError,
    DiskFull,
    Failed,
    Fatal,
    MediapipeError,
    Rejected,
    Transient,
    UsageError,
)
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy
from tests.convirza.server import Reply, Request, Server, as_json, script, serving
from tests.convirza.wire import Peer, wire_form, wired

QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)
GOOD = as_json({"code": 200, "data": {"n": 1}})
UNAUTHORIZED = as_json({"code": 401, "message": "token is dead"}, 401)


class Counter:
    """A token source whose tokens are token-0, token-1, …"""

    user: User | None = None

    def __init__(self) -> None:
        self.number = 0
        self.dead: list[str] = []

    async def bearer(self) -> str:
        return f"token-{self.number}"

    async def renew(self, dead: str) -> str:
        self.dead.append(dead)
        self.number += 1
        return f"token-{self.number}"


def get(
    server: Server,
    *,
    tokens: Any = None,
    query: Any = None,
    path: str = "/calls",
    pause: Pause | None = None,
    retry: RetryPolicy = QUICK,
    read: float = 2.0,
    deadline: float = 5.0,
) -> Answer:
    async def main() -> Answer:
        async with open_http(Timeouts(2, read, 2, 2), connections=4) as http:
            pacer = Pacer(AdaptiveLimit(4), pause or Pause())
            source = tokens or Counter()
            session = Session(http, server.url + "/v3/", source, pacer, retry, deadline=deadline)
            return await session.get(path, query, doing="list calls")

    return anyio.run(main)


def delete(server: Server, *, tokens: Any = None, retry: RetryPolicy = QUICK) -> bool:
    async def main() -> bool:
        async with open_http(Timeouts(2, 2, 2, 2), connections=4) as http:
            pacer = Pacer(AdaptiveLimit(4), Pause())
            session = Session(http, server.url + "/v3", tokens or Counter(), pacer, retry, deadline=5.0)
            return await session.delete("/media-prompts/7", doing="delete prompt 7")

    return anyio.run(main)


def told(error: BaseException) -> str:
    """Everything an exception may show: its own words, its causes, a printed traceback."""
    texts = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        texts += [str(seen), repr(seen), repr(seen.args), repr(getattr(seen, "__notes__", ""))]
        seen = seen.__cause__
    return "\n".join(texts)


def test_a_good_answer_is_its_json_and_the_platforms_clock() -> None:
    reply = as_json({"data": 1}, Date="Wed, 21 Oct 2015 07:28:00 GMT")
    with serving(script(reply)) as server:
        answer = get(server, query={"caller_id": "+1555", "disposition": ["NO ANSWER", "BUSY"], "limit": 200})
    assert answer == Answer({"data": 1}, 1445412480.0)
    request = server.seen[0]
    assert request.path == "/v3/calls"
    assert "caller_id=%2B1555" in request.target
    assert "limit=200" in request.target
    assert request.target.count("disposition=") == 2
    assert request.headers["authorization"] == "Bearer token-0"


def test_a_token_refused_once_is_renewed_and_the_request_repeated() -> None:
    tokens = Counter()
    with serving(script(UNAUTHORIZED, GOOD)) as server:
        assert get(server, tokens=tokens).body["data"] == {"n": 1}
    assert tokens.dead == ["token-0"]
    assert [r.headers["authorization"] for r in server.seen] == ["Bearer token-0", "Bearer token-1"]


def test_the_body_of_an_answer_is_gone_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are large and few: the garbage collector, which counts objects, would come by too late."""
    answers: list[weakref.ref[httpx.Response]] = []
    request = httpx.AsyncClient.request

    async def noted(self: httpx.AsyncClient, *args: Any, **more: Any) -> httpx.Response:
        response = await request(self, *args, **more)
        answers.append(weakref.ref(response))
        return response

    monkeypatch.setattr(httpx.AsyncClient, "request", noted)
    gc.disable()
    try:
        with serving(script(GOOD, GOOD)) as server:
            get(server)
            get(server)
        assert [answer() for answer in answers] == [None, None]
    finally:
        gc.enable()


def test_an_answer_heard_elsewhere_counts_and_sets_the_clock() -> None:
    async def main() -> Session:
        async with open_http(Timeouts(), connections=1) as http:
            pacer = Pacer(AdaptiveLimit(1), Pause())
            session = Session(http, "https://h/v2/", Counter(), pacer, QUICK, deadline=7)
            session.heard({"date": http_time(time.time() + 1000)})
            return session

    session = anyio.run(main)
    assert session.requests == 1
    assert 990 < session.clock_skew < 1010
    assert session.address("/call/upload") == "https://h/v2/call/upload"
    assert (session.deadline, session.retry) == (7, QUICK)


@pytest.mark.parametrize(("kept", "connections"), [(None, 1), (0, 2)])
def test_connections_are_kept_for_the_next_request_unless_told_otherwise(
    kept: int | None, connections: int
) -> None:
    async def keeps_on(peer: Peer) -> None:
        while True:
            await peer.head()
            await peer.say(wire_form(200, b"{}"))

    async def main() -> None:
        async with wired(keeps_on) as wire, open_http(Timeouts(), connections=1, kept_alive=kept) as http:
            for _ in range(2):
                await http.get(wire.url)
            assert len(wire.peers) == connections

    anyio.run(main)


def test_fresh_tokens_that_are_refused_too_are_a_refused_login() -> None:
    tokens = Counter()
    with serving(script(UNAUTHORIZED)) as server, pytest.raises(CredentialsError):
        get(server, tokens=tokens)
    assert tokens.number == RENEWALS
    assert len(server.seen) == RENEWALS + 1


def test_a_ready_token_that_is_refused_ends_at_once() -> None:
    with serving(script(UNAUTHORIZED)) as server, pytest.raises(CredentialsError) as caught:
        get(server, tokens=ReadyToken(SECRET, "CONVIRZA_V3_TOKEN"))
    assert len(server.seen) == 1
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        Reply(500, b"oops"),
        Reply(502, b"<html>"),
        Reply(503),
        Reply(drop=True),
        Reply(drop=True, reset=True),
        Reply(body=b'{"data":1}', cut=3),
        Reply(body=b'{"data":1}', cut=3, framing="chunked"),
        Reply(body=b""),
        Reply(204, framing="none"),
        Reply(body=b"<html>login</html>"),
        Reply(body=b'{"data": tru'),
        Reply(body=b"\xff\xfe"),
        Reply(body=b"[" * 100_000),
        Reply(body=b"{}", headers={"Content-Encoding": "gzip"}),
        as_json({"code": 503, "message": "later"}),
    ],
    ids=lambda reply: f"{reply.status}-{reply.body[:8]!r}-{reply.cut}-{reply.reset}-{reply.framing}",
)
def test_a_broken_answer_is_asked_for_again(broken: Reply) -> None:
    with serving(script(broken, GOOD)) as server:
        assert get(server).body["data"] == {"n": 1}
    assert len(server.seen) == 2


@pytest.mark.parametrize("broken", [Reply(503), Reply(drop=True), Reply(body=b"<html>")])
def test_what_stays_broken_is_a_passing_fault_after_bounded_tries(broken: Reply) -> None:
    with serving(script(broken)) as server, pytest.raises(Transient):
        get(server)
    assert len(server.seen) == QUICK.attempts


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(400, b"bad"), Rejected, "http_400"),
        (Reply(404, b"{}"), Rejected, "http_404"),
        (Reply(403, b"{}"), CredentialsError, "forbidden"),
        (Reply(302, headers={"Location": "https://elsewhere.example/"}), Failed, "redirected"),
        (as_json({"result": "error", "err": "no"}), Rejected, "refused"),
    ],
)
def test_a_definite_answer_is_not_asked_for_again(
    reply: Reply, kind: type[MediapipeError], code: str
) -> None:
    with serving(script(reply)) as server, pytest.raises(kind) as caught:
        get(server)
    assert caught.value.code == code
    assert len(server.seen) == 1


def test_an_answer_that_never_comes_is_given_up() -> None:
    def slow(_: Request) -> Reply:
        time.sleep(0.3)
        return GOOD

    for limits in ({"read": 0.05}, {"deadline": 0.05}):
        with serving(slow) as server, pytest.raises(Transient):
            get(server, retry=RetryPolicy(attempts=1), **limits)


@pytest.mark.parametrize("named", ["0.2", None])
def test_a_429_holds_everybody_back(named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pacer, "UNNAMED_PAUSE", 0.2)
    pause = Pause()
    refused_at: list[float] = []
    later: list[float] = []

    def handle(request: Request) -> Reply:
        if not refused_at:
            refused_at.append(time.monotonic())
            return Reply(429, headers={"Retry-After": named} if named else {})
        later.append(time.monotonic())
        return GOOD

    async def main(server: Server) -> None:
        async with open_http(Timeouts(2, 2, 2, 2), connections=4) as http:
            session = Session(http, server.url, Counter(), Pacer(AdaptiveLimit(4), pause), QUICK)

            async def ask() -> None:
                await session.get("/x", doing="x")

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                while not pause.count:  # noqa: ASYNC110
                    await anyio.sleep(0.005)
                for _ in range(3):
                    group.start_soon(ask)

    with serving(handle) as server:
        anyio.run(main, server)
    assert len(later) == 4
    assert min(later) - refused_at[0] >= 0.19


def every(cls: type[BaseException]) -> Iterator[type[BaseException]]:
    yield cls
    for child in cls.__subclasses__():
        yield from every(child)


FOREIGN = sorted(
    {
        found
        for name in dir(httpx)
        if isinstance(base := getattr(httpx, name), type) and issubclass(base, Exception)
        for found in every(base)
        if found.__module__.startswith("httpx")
    },
    key=lambda cls: cls.__name__,
)


def made(cls: type[BaseException]) -> BaseException:
    """Build one that carries a request whose URL and header are secret."""
    request = httpx.Request("GET", "https://h/x?secret=s3cr3t", headers={"Authorization": "Bearer s3cr3t"})
    words = "went wrong at https://h/x?secret=s3cr3t"
    if issubclass(cls, httpx.HTTPStatusError):
        return cls(words, request=request, response=httpx.Response(500, request=request))
    if issubclass(cls, httpx.RequestError):
        return cls(words, request=request)
    for arguments in ((words,), ()):
        try:
            return cls(*arguments)
        except TypeError:
            continue
    raise AssertionError(f"how is {cls} made?")


def test_the_list_of_foreign_exceptions_is_no_empty_list() -> None:
    assert {httpx.ConnectTimeout, httpx.InvalidURL, httpx.StreamConsumed, httpx.CookieConflict} <= set(
        FOREIGN
    )
    assert len(FOREIGN) >= 28


@pytest.mark.parametrize("cls", FOREIGN, ids=lambda cls: cls.__name__)
def test_every_foreign_exception_is_translated_and_tells_no_secret(cls: type[BaseException]) -> None:
    with pytest.raises(MediapipeError) as caught, translated("list calls"):
        raise made(cls)
    assert isinstance(caught.value, Transient | UsageError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "s3cr3t" not in told(caught.value).replace('?secret=s3cr3t")', "")
    assert "list calls" in str(caught.value)


@pytest.mark.parametrize(
    "error", [OSError("x"), TimeoutError(), ConnectionResetError(), ssl.SSLError("x"), BrokenPipeError()]
)
def test_faults_of_the_operating_system_are_passing(error: Exception) -> None:
    with pytest.raises(Transient), translated("x"):
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_fatal(number: int) -> None:
    with pytest.raises(DiskFull), translated("x"):
        raise OSError(number, "full")


@pytest.mark.parametrize("error", [KeyError("bug"), Rejected("ours"), ValueError("bug")])
def test_what_is_not_foreign_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translated("x"):
        raise error
    assert caught.value is error


SECRET = "very-s3cr3t-token"
ECHOES: list[Callable[[int], Reply]] = [
    lambda status: as_json({"message": f"Bearer {SECRET} is no token"}, status),
    lambda status: as_json({"message": f"token {SECRET} is no token"}, status),
    lambda status: as_json({"error": SECRET, "requestId": SECRET}, status),
    lambda status: as_json({"errors": [{"name": SECRET, "message": SECRET}]}, status),
    lambda status: Reply(status, f"<html>{SECRET}</html>".encode()),
    lambda status: Reply(status, f'{{"access_token": "{SECRET}"'.encode()),
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_a_token_that_the_platform_echoes_is_not_repeated(echo: Callable[[int], Reply], status: int) -> None:
    with serving(script(echo(status))) as server:
        try:
            answer = get(server, tokens=ReadyToken(SECRET, "VARIABLE"), retry=RetryPolicy(attempts=1))
        except MediapipeError as error:
            assert SECRET not in told(error)  # noqa: PT017
        else:
            assert status == 200
            assert answer.body


@pytest.mark.parametrize(
    "token", ["t0ken-s3cr3t\n", "t0ken\r\nX: s3cr3t", "t0kén-s3cr3t", "t0ken|s3cr3t\x00", "s3cr3t\ud83d"]
)
def test_a_token_that_no_header_can_carry_is_a_refused_login_and_not_shown(token: str) -> None:
    with serving(script(GOOD)) as server, pytest.raises(CredentialsError) as caught:
        get(server, tokens=ReadyToken(token, "CONVIRZA_V3_TOKEN"))
    assert "s3cr3t" not in told(caught.value)
    assert server.seen == []


REFRESH = "refr3sh-s3cr3t"


def log_in(server: Server, kind: str = "v3") -> Any:
    async def main() -> Any:
        async with open_http(Timeouts(2, 2, 2, 2), connections=2) as http:
            login: V3Login | V2Login = V3Login(
                http, server.url + "/oauth/", "a@example.com", lambda: "hunter2-pw"
            )
            if kind == "v2":
                credentials = V2Credentials(
                    "a@example.com", lambda: "hunter2-pw", "client-1", lambda: "cl13nt-s3cr3t"
                )
                login = V2Login(http, server.url + "/oauth", credentials)
            if kind == "refresh":
                return await login.refresh(REFRESH)
            return await login.log_in()

    return anyio.run(main)


TOKENS = {"access_token": "acc3ss-s3cr3t", "refresh_token": "next", "expires_in": 3600}


def test_a_v3_login_is_json_without_a_bearer() -> None:
    with serving(script(as_json(TOKENS))) as server:
        assert log_in(server).access == "acc3ss-s3cr3t"
    request = server.seen[0]
    assert (request.method, request.path) == ("POST", "/oauth/token")
    assert request.json() == {"email": "a@example.com", "password": "hunter2-pw"}
    assert "authorization" not in request.headers


def test_a_v2_login_is_a_form_with_the_clients_secret() -> None:
    with serving(script(as_json(TOKENS, 201))) as server:
        assert log_in(server, "v2").access == "acc3ss-s3cr3t"
    request = server.seen[0]
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    fields = dict(httpx.QueryParams(request.body.decode()))
    assert fields == {
        "grant_type": "password",
        "client_id": "client-1",
        "client_secret": "cl13nt-s3cr3t",
        "username": "a@example.com",
        "password": "hunter2-pw",
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_a_refused_login_is_fatal_and_a_refused_refresh_is_none(status: int) -> None:
    with serving(script(as_json({"message": "no"}, status))) as server:
        with pytest.raises(CredentialsError):
            log_in(server)
        with pytest.raises(CredentialsError):
            log_in(server, "v2")
        assert log_in(server, "refresh") is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500),
        Reply(429),
        Reply(drop=True),
        Reply(body=b"<html>"),
        Reply(body=b"{}"),
        Reply(body=b""),
        as_json([1]),
        Reply(body=b'{"access_token": "acc3ss-s3cr3t"', cut=20),
        as_json({"data": {"access_token": 5}}),
    ],
)
@pytest.mark.parametrize("kind", ["v3", "v2", "refresh"])
def test_an_unreadable_login_answer_is_a_passing_fault_sent_once(reply: Reply, kind: str) -> None:
    with serving(script(reply)) as server, pytest.raises(Transient) as caught:
        log_in(server, kind)
    assert len(server.seen) == 1
    assert "s3cr3t" not in told(caught.value)


@pytest.mark.parametrize("kind", ["v3", "v2"])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize(
    "words",
    [
        "password hunter2-pw is wrong",
        "client cl13nt-s3cr3t is unknown",
        '{"email": "a@example.com", "password": "hunter2-pw"}',
        "username=a&password=hunter2-pw&client_secret=cl13nt-s3cr3t",
    ],
)
def test_a_login_that_the_platform_echoes_is_not_repeated(kind: str, status: int, words: str) -> None:
    for reply in (as_json({"result": "error", "message": words}, status), Reply(status, words.encode())):
        with serving(script(reply)) as server, pytest.raises(MediapipeError) as caught:
            log_in(server, kind)
        assert "hunter2-pw" not in told(caught.value)
        if kind == "v2":
            assert "cl13nt-s3cr3t" not in told(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: mailto:x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://xn--/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 oh token-s3cr3t no\r\n\r\n",
    ],
)
def test_an_answer_that_cannot_be_read_is_passing_and_shows_no_token(answer: bytes) -> None:
    async def scene(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)

    async def main() -> None:
        async with wired(scene) as wire, open_http(Timeouts(2, 2, 2, 2), connections=1) as http:
            tokens = ReadyToken("token-s3cr3t", "VARIABLE")
            session = Session(http, wire.url, tokens, Pacer(AdaptiveLimit(1), Pause()), QUICK)
            with pytest.raises((Transient, Failed)) as caught:
                await session.get("/x", doing="x")
            assert "token-s3cr3t" not in told(caught.value)

    anyio.run(main)


def test_a_cookie_that_no_header_can_carry_spoils_nothing() -> None:
    async def scene(peer: Peer) -> None:
        for _ in range(2):
            assert b"cookie" not in (await peer.head()).lower()
            body = b'{"data": 1}'
            head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=\xc3\xa9\r\nContent-Length: 11\r\n\r\n"
            await peer.say(head + body)

    async def main() -> None:
        async with wired(scene) as wire, open_http(Timeouts(2, 2, 2, 2), connections=1) as http:
            session = Session(http, wire.url, Counter(), Pacer(AdaptiveLimit(1), Pause()), QUICK)
            for _ in range(2):
                assert (await session.get("/x", doing="x")).body == {"data": 1}

    anyio.run(main)


def test_a_base_that_is_no_url_is_a_wrong_setting() -> None:
    async def main() -> None:
        async with open_http(Timeouts(1, 1, 1, 1), connections=1) as http:
            for base in ("nonsense", "ftp://x", "https://\x00"):
                session = Session(http, base, Counter(), Pacer(AdaptiveLimit(1), Pause()), QUICK)
                with pytest.raises(Fatal):
                    await session.get("/x", doing="x")

    anyio.run(main)


@pytest.mark.parametrize("raw", ["", "soon", "Wed, 99 Oct 2015 07:28:00 GMT", "1", " "])
def test_a_clock_that_cannot_be_read_is_ours(raw: str) -> None:
    assert server_time({"date": raw}) == pytest.approx(time.time(), abs=5)
    assert server_time({}) == pytest.approx(time.time(), abs=5)


def test_nothing_is_followed_and_nothing_is_repeated_below_the_policy() -> None:
    async def main() -> None:
        async with open_http(Timeouts(1, 1, 1, 1), connections=1) as http:
            assert http.follow_redirects is False

    anyio.run(main)
    assert USER_AGENT.startswith("convirza-mediapipe/")


@pytest.mark.parametrize(
    "spell", [json.dumps, lambda s: json.dumps(s).replace("/", "\\/"), quote, quote_plus]
)
def test_a_password_with_special_characters_is_masked_however_it_is_spelled(
    spell: Callable[[str], str],
) -> None:
    password = 'pa/ss"w\u00f6rd XYZ'
    words = session_module.without(f"no such login: {spell(password)}.".encode(), password).decode()
    assert "XYZ" not in words
    assert "rd" not in words


# ── deleting ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reply", [GOOD, Reply(204), Reply(200), as_json({}), as_json([])])
def test_what_is_deleted_is_said_to_be(reply: Reply) -> None:
    with serving(script(reply)) as server:
        assert delete(server) is True
    (request,) = server.seen
    assert (request.method, request.target, request.body) == ("DELETE", "/v3/media-prompts/7", b"")
    assert request.headers["authorization"] == "Bearer token-0"


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone_already_is_said_to_be(status: int) -> None:
    with serving(script(as_json({"message": "not found"}, status))) as server:
        assert delete(server) is False
    assert len(server.seen) == 1


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    with serving(script(Reply(drop=True), as_json({}, 500), as_json({}, 404))) as server:
        assert delete(server) is False
    assert len(server.seen) == 3


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"{", b"OK"])
def test_a_page_of_a_proxy_deletes_nothing(body: bytes) -> None:
    with serving(script(Reply(200, body))) as server, pytest.raises(Transient) as caught:
        delete(server)
    assert caught.value.code == "unreadable_answer"
    assert len(server.seen) == 3


def test_a_delete_renews_a_dead_token_once() -> None:
    tokens = Counter()
    with serving(script(UNAUTHORIZED, GOOD)) as server:
        assert delete(server, tokens=tokens) is True
    assert [r.headers["authorization"] for r in server.seen] == ["Bearer token-0", "Bearer token-1"]


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (as_json({"message": "no"}, 403), CredentialsError, "forbidden"),
        (as_json({"message": "no"}, 400), Rejected, "http_400"),
        (as_json({"result": "error", "err": "no"}), Rejected, "refused"),
        (Reply(302, b"", {"Location": "/elsewhere"}), Failed, "redirected"),
        (as_json({"message": "no"}, 503), Transient, "http_503"),
    ],
)
def test_a_delete_that_is_refused_raises(reply: Reply, kind: type[MediapipeError], code: str) -> None:
    with serving(script(reply)) as server, pytest.raises(kind) as caught:
        delete(server)
    assert caught.value.code == code
