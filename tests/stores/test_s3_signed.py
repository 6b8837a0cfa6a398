"""Puts beside botocore's own: the same request for the same parameters, and the same errors."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import boto3.session
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from mediapipe.errors import Failed, MediapipeError
from mediapipe.stores.interface import Created
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3 import S3Store, new_client
from mediapipe.stores.s3_headers import base64_of, extras, to_metadata
from mediapipe.stores.s3_signed import FastPuts, fast_puts
from mediapipe.stores.s3_wired import WiredSender
from mediapipe.wire import Origin, Wire
from tests.s3.front import Fault
from tests.s3.server import ACCESS_KEY, SECRET_KEY, RunningS3
from tests.s3.signing import Refusal, check_signature
from tests.stage import Actor, staged

pytest_plugins = ["tests.s3.fixtures"]

BYTES = b"RIFF" + bytes(range(256)) * 8
SHA256 = hashlib.sha256(BYTES).hexdigest()
NOW = datetime(2026, 2, 14, 3, 4, 5, 678901, tzinfo=UTC)
# Told anew for each request, or only by botocore about itself.
APART = {
    "authorization",
    "x-amz-date",
    "user-agent",
    "host",
    "expect",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
}


@dataclass
class Recorder:
    """A wire that notes what it is to send, to hosts that cannot be asked here, and says yes."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""
    sent: list[tuple[Origin, str, str, dict[str, str], Any]] = field(default_factory=list)

    def request(
        self, origin: Origin, method: str, target: str, headers: Any, body: Any = None, hold: Any = None
    ) -> Recorder:
        named = {name.lower(): value for name, value in headers}
        assert len(named) == len(headers), "a header twice"
        self.sent.append((origin, method, target, named, body))
        return self

    def read(self) -> bytes:
        return self.content

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


def parameters(options: StoreOptions, **metadata: str) -> dict[str, Any]:
    return {
        "ChecksumAlgorithm": "SHA256",
        "ChecksumSHA256": base64_of(SHA256),
        "IfNoneMatch": "*",
        "ContentType": "audio/wav",
        "Metadata": to_metadata(SHA256, metadata),
        **extras(options, NOW),
    }


def both(
    options: StoreOptions, bucket: str, key: str, **metadata: str
) -> tuple[Any, tuple[Origin, str, str, dict[str, str], Any]]:
    """Return the request that botocore prepares for a put, and ours."""
    session = boto3.session.Session()
    client = new_client(options, session)
    theirs: list[Any] = []

    def capture(request: Any, **_: Any) -> Any:
        theirs.append(request)
        return botocore.awsrequest.AWSResponse(request.url, 200, {}, _Nothing())  # type: ignore[arg-type]

    client.meta.events.register_last("before-send.s3.PutObject", capture)
    asked = parameters(options, **metadata)
    client.put_object(Bucket=bucket, Key=key, Body=io.BytesIO(BYTES), ContentLength=len(BYTES), **asked)
    recorder = Recorder()
    fast = prepared(session, options, bucket, recorder)
    assert fast is not None
    assert fast.put(key, io.BytesIO(BYTES), len(BYTES), SHA256, asked)
    client.close()
    return theirs[0], recorder.sent[0]


def prepared(
    session: boto3.session.Session, options: StoreOptions, bucket: str, wire: Any, credentials: Any = None
) -> FastPuts | None:
    sender = WiredSender(wire)
    client = new_client(options, session, sender)
    fast = fast_puts(client, bucket, sender, credentials or session.get_credentials())
    client.close()
    assert wire.sent == [], "nothing is sent to find out where to"
    return fast


class _Nothing:
    def stream(self, **_: Any) -> list[bytes]:
        return []


def plain(headers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
        if name.lower() not in APART
    }


def same(options: StoreOptions, bucket: str = "some-bucket", key: str = "a/b.wav", **metadata: str) -> Origin:
    """Assert that both send the same, and that ours is signed as it is sent; return where to."""
    theirs, (origin, method, target, headers, body) = both(options, bucket, key, **metadata)
    assert method == theirs.method
    host = headers["host"]
    shown = theirs.url.replace(f":{origin.port}/", "/", 1) if f":{origin.port}" not in host else theirs.url
    assert f"{origin.scheme}://{host}{target}" == shown
    assert plain(headers) == plain(theirs.headers)
    assert bytes(body) == BYTES
    signed = [
        text.partition("SignedHeaders=")[2].split(",")[0]
        for text in (headers["authorization"], theirs.headers["Authorization"].decode())
    ]
    assert signed[0] == signed[1]
    check_signature(method, target, headers, {ACCESS_KEY: SECRET_KEY})
    return origin


OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "class": {"storage_class": "GLACIER_IR"},
    "aes": {"sse": "aes256"},
    "kms": {"sse": "kms"},
    "kms key": {"sse": "kms", "kms_key_id": "arn:aws:kms:eu-central-1:123456789012:key/a-b"},
    "tags": {"tags": {"team": "voice + data", "kind": "a=b&c", "é": "ü/?~ %"}},
    "lock": {"object_lock_mode": "compliance", "object_lock_days": 30},
    "governance": {"object_lock_mode": "governance", "object_lock_days": 1},
    "required": {"request_checksum_calculation": "when_required"},
    "all": {
        "storage_class": "STANDARD_IA",
        "sse": "kms",
        "kms_key_id": "alias/calls",
        "tags": {"a": "b"},
        "object_lock_mode": "compliance",
        "object_lock_days": 3650,
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_sent_as_botocore_sends_it(name: str) -> None:
    same(StoreOptions.model_validate(OPTIONS[name]), item="17-4", note="a b é % + ~")


@pytest.mark.parametrize(
    "key",
    [
        "a b/c d.wav",
        "a+b.wav",
        "~tilde~.wav",
        "100%.wav",
        "%41.wav",
        "a//b.wav",
        "naïve/ключ/鍵.wav",
        "year=2026/month=02/x.wav",
        "a?b#c&d.wav",
        "-_.!*'();:@,$[].wav",
        "\U0001f4de.wav",
    ],
)
def test_every_key_is_named_as_botocore_names_it(key: str) -> None:
    same(StoreOptions(), key=key)
    same(StoreOptions(addressing_style="path"), key=key)


@pytest.mark.parametrize(
    ("style", "bucket", "host"),
    [
        ("auto", "some-bucket", "some-bucket.s3.eu-central-1.amazonaws.com"),
        ("virtual", "some-bucket", "some-bucket.s3.eu-central-1.amazonaws.com"),
        ("path", "some-bucket", "s3.eu-central-1.amazonaws.com"),
        ("auto", "some.bucket", "s3.eu-central-1.amazonaws.com"),
    ],
)
def test_the_bucket_is_where_botocore_finds_it(style: Any, bucket: str, host: str) -> None:
    assert same(StoreOptions(addressing_style=style), bucket) == Origin("https", host, 443)


@pytest.mark.parametrize(
    ("endpoint", "origin"),
    [
        ("http://127.0.0.1:9000", Origin("http", "127.0.0.1", 9000)),
        ("http://store.example:80", Origin("http", "store.example", 80)),
        ("https://store.example:443", Origin("https", "store.example", 443)),
        ("https://Store.Example", Origin("https", "store.example", 443)),
        ("https://store.example/below/it", Origin("https", "store.example", 443)),
        ("http://[::1]:9000", Origin("http", "::1", 9000)),
    ],
)
def test_an_endpoint_is_used_as_botocore_uses_it(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, origin: Origin
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    theirs, (where, _, target, headers, _) = both(
        StoreOptions(addressing_style="path"), "some-bucket", "a.wav"
    )
    assert where == origin
    assert theirs.url.lower().endswith(target)
    assert plain(headers) == plain(theirs.headers)
    check_signature("PUT", target, headers, {ACCESS_KEY: SECRET_KEY})


def test_dualstack_and_fips_lead_where_botocore_is_led(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert same(StoreOptions()).host == "some-bucket.s3.dualstack.eu-central-1.amazonaws.com"
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    assert same(StoreOptions()).host == "some-bucket.s3-fips.dualstack.us-east-2.amazonaws.com"


def test_a_session_token_goes_along_and_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t0ken/+=")
    same(StoreOptions())
    _, (*_, headers, _) = both(StoreOptions(), "some-bucket", "a")
    assert headers["x-amz-security-token"] == "t0ken/+="


def test_what_is_signed_otherwise_is_left_to_botocore() -> None:
    session = boto3.session.Session()
    outpost = "arn:aws:s3-outposts:eu-central-1:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/a"
    assert prepared(session, StoreOptions(), outpost, Recorder()) is None
    access_point = "arn:aws:s3:eu-central-1:123456789012:accesspoint/calls"
    assert same(StoreOptions(), access_point).host.startswith("calls-123456789012.s3-accesspoint.")


def refreshing(clock: list[int]) -> botocore.credentials.RefreshableCredentials:
    """Return credentials that are over each time they are looked at; ``clock`` counts."""

    def refresh() -> dict[str, str]:
        clock.append(1)
        return {
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "token": f"token-{len(clock)}",
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=5)).isoformat(),
        }

    return botocore.credentials.RefreshableCredentials.create_from_metadata(
        refresh(), refresh_using=refresh, method="test"
    )


def made(wire: Any, credentials: Any = None) -> FastPuts:
    fast = prepared(boto3.session.Session(), StoreOptions(), "some-bucket", wire, credentials)
    assert fast is not None
    return fast


def put(fast: FastPuts, data: bytes = BYTES, sha256: str = SHA256, size: int | None = None) -> bool:
    asked = parameters(StoreOptions())
    return fast.put("k", io.BytesIO(data), len(data) if size is None else size, sha256, asked)


def test_credentials_that_expire_are_renewed_for_each_put() -> None:
    recorder, clock = Recorder(), list[int]()
    fast = made(recorder, refreshing(clock))
    put(fast)
    put(fast)
    tokens = [sent[3]["x-amz-security-token"] for sent in recorder.sent]
    assert len(set(tokens)) == 2
    for _, method, target, headers, _ in recorder.sent:
        check_signature(method, target, headers, {ACCESS_KEY: SECRET_KEY})


@pytest.mark.parametrize("ours", [True, False], ids=["wrong here", "damaged on the way"])
def test_bytes_that_the_store_refuses_are_looked_at_here(ours: bool) -> None:
    """What was wrong before it left is an error; what was damaged on the way is sent again."""
    refusal = b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>"
    fast = made(Recorder())
    fast.wire = Recorder(status=400, content=refusal)  # type: ignore[assignment]
    wrong = pytest.raises(Failed) if ours else pytest.raises(botocore.exceptions.ClientError)
    with wrong as caught:
        put(fast, BYTES[:-1] + b"!" if ours else BYTES)
    if ours:
        assert isinstance(caught.value, Failed)
        assert caught.value.code == "checksum"


@pytest.mark.parametrize("size", [len(BYTES), 3_000_000])
@pytest.mark.parametrize("damaged", [False, True])
def test_what_was_on_a_disk_is_not_sent_whole_when_it_was_damaged_there(size: int, damaged: bool) -> None:
    """Also where a store would take anything."""
    data = (BYTES * (size // len(BYTES) + 1))[:size]
    sent: list[bytes] = []

    class Lax(Recorder):
        def request(self, *args: Any, **_: Any) -> Recorder:
            body = args[4]
            if isinstance(body, bytes):
                sent.append(body)
                return self
            view = memoryview(bytearray(100_000))
            while count := body.readinto(view):
                sent.append(bytes(view[:count]))
            return self

    fast = made(Recorder())
    fast.wire = Lax()  # type: ignore[assignment]
    with tempfile.TemporaryFile() as file:
        file.write(data[:-1] + b"!" if damaged else data)
        file.seek(0)
        sha256 = hashlib.sha256(data).hexdigest()
        if not damaged:
            assert fast.put("k", file, size, sha256, parameters(StoreOptions()))
            assert b"".join(sent) == data
            return
        with pytest.raises(Failed) as caught:
            fast.put("k", file, size, sha256, parameters(StoreOptions()))
        assert caught.value.code == "checksum"
        assert sum(map(len, sent)) < size


@pytest.mark.parametrize("lasting", [True, False])
def test_only_credentials_at_hand_are_opened_before_processes_share_them(
    monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    """Those of a service come over a connection, and two processes must not read from one."""
    if not lasting:
        clock: list[int] = []
        kept = refreshing(clock)
        monkeypatch.setattr("boto3.session.Session.get_credentials", lambda self: kept)
    store = S3Store("some-bucket", inline=True)
    store.prepare()
    assert (store._opened is not None) is lasting
    assert (store._fast is not None) is lasting
    store._forget()
    assert store._opened is None


def test_a_header_changed_on_the_way_would_be_found_out() -> None:
    """The check that the others rest on can fail."""
    recorder = Recorder()
    put(made(recorder))
    _, method, target, headers, _ = recorder.sent[0]
    with pytest.raises(Refusal):
        check_signature(method, target, {**headers, "if-none-match": "x"}, {ACCESS_KEY: SECRET_KEY})


# ── what an answer means ─────────────────────────────────────────────────────────────────────


def meaning(s3: RunningS3, fault: Fault, size: int, monkeypatch: pytest.MonkeyPatch, **env: str) -> Any:
    """Return class, code and wait of what a put raises."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    data = bytes(size)

    async def main() -> Any:
        store = S3Store(s3.make_bucket(), "pre", StoreOptions(read_timeout=1.0))
        s3.quiet()
        s3.front.faults.append(fault)
        try:
            sha256 = hashlib.sha256(data).hexdigest()
            return await store.put("k", io.BytesIO(data), size=size, sha256=sha256)
        except MediapipeError as error:
            return type(error), error.code, error.hint, getattr(error, "retry_after", None)
        finally:
            await store.aclose()

    return anyio.run(main)


ANSWERS = [
    (403, "AccessDenied"),
    (404, "NoSuchBucket"),
    (404, "NoSuchKey"),
    (409, "ConditionalRequestConflict"),
    (412, "PreconditionFailed"),
    (400, "ExpiredToken"),
    (400, "BadDigest"),
    (500, "InternalError"),
    (501, "NotImplemented"),
    (503, "SlowDown"),
    (429, "TooManyRequests"),
    (418, "Teapot"),
]


@pytest.mark.parametrize(("status", "code"), ANSWERS)
def test_an_answer_means_what_it_means_to_botocore(
    s3: RunningS3, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    fault = {"status": status, "code": code, "headers": {"Retry-After": "7"}}
    ours = meaning(s3, Fault("refuse", **fault), 100, monkeypatch)  # type: ignore[arg-type]
    proxy = {"HTTP_PROXY": "http://127.0.0.1:1"}  # NO_PROXY has the host: botocore's own sender, and no other
    theirs = meaning(s3, Fault("refuse", **fault), 100, monkeypatch, **proxy)  # type: ignore[arg-type]
    assert ours == theirs
    assert ours[0] is not Created


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 X\r\nContent-Length: 7\r\n\r\n<html> ",
        b"HTTP/1.1 400 X\r\nContent-Length: 12\r\n\r\n<Error><Code",
        b"HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\nnone",
        b"HTTP/1.1 200 X\r\nContent-Length: 38\r\n\r\n<Error><Code>InternalError</Code></Erro",
        b"HTTP/1.1 200 X\r\nContent-Length: 43\r\n\r\n<Error><Code>InternalError</Code></Error>\r\n",
        b"HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n<Error>",
        b"HTTP/1.1 101 X\r\nConnection: close\r\n\r\n",
    ],
    ids=lambda answer: answer[9:60].decode(),
)
def test_a_broken_answer_is_no_success_here_as_there(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    def scene(actor: Actor) -> None:
        actor.head()
        actor.body(len(BYTES))
        actor.say(answer)

    async def main() -> Any:
        store = S3Store("some-bucket", "pre", StoreOptions(read_timeout=1.0))
        try:
            return await store.put("k", io.BytesIO(BYTES), size=len(BYTES), sha256=SHA256)
        except MediapipeError as error:
            return type(error), error.code
        finally:
            await store.aclose()

    outcomes = []
    for proxy in ("", "http://127.0.0.1:1"):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with staged(scene) as stage:
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
            outcomes.append(anyio.run(main))
    assert not isinstance(outcomes[0], Created)
    if b" 101 " not in answer:  # botocore would wait for what never comes
        assert outcomes[0] == outcomes[1]


def test_a_bucket_of_another_region_is_put_to_where_botocore_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong AWS_REGION cost a redirect before, never the recording."""
    error = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"

    def scene(actor: Actor) -> None:
        while head := actor.head():
            if head.startswith(b"HEAD"):
                actor.answer(200, b"", x_amz_bucket_region="eu-west-3")
                continue
            actor.body(len(BYTES))
            if b"/eu-west-3/" in head:
                actor.answer(200)
            else:
                actor.answer(301, error, x_amz_bucket_region="eu-west-3")

    async def main() -> None:
        store = S3Store("some-bucket", "", StoreOptions())
        for key in ("a", "b", "c"):
            assert await store.put(key, io.BytesIO(BYTES), size=len(BYTES), sha256=SHA256) == Created()
        await store.aclose()

    with staged(scene) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
        anyio.run(main)
        puts = b"".join(actor.heard for actor in stage.actors).count(b"PUT /some-bucket/")
    assert puts == 5  # told once by each way, and remembered


def test_puts_do_go_this_way(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the tests' own S3: else nothing there would show anything."""
    calls: list[str] = []
    real = FastPuts.put

    def counted(self: FastPuts, key: str, *rest: Any) -> bool:
        calls.append(key)
        return real(self, key, *rest)

    monkeypatch.setattr(FastPuts, "put", counted)

    async def main() -> None:
        store = S3Store(s3.make_bucket(), "pre")
        assert await store.put("k", io.BytesIO(BYTES), size=len(BYTES), sha256=SHA256) == Created()
        assert await store.read("k") == BYTES
        await store.aclose()

    anyio.run(main)
    assert calls == ["pre/k"]


def test_the_wire_is_closed_with_the_store(s3: RunningS3) -> None:
    async def main() -> Wire:
        store = S3Store(s3.make_bucket(), "pre")
        await store.put("k", io.BytesIO(BYTES), size=len(BYTES), sha256=SHA256)
        assert store._sender is not None
        wire = store._sender.wire
        assert any(wire._idle.values())
        await store.aclose()
        return wire

    assert not anyio.run(main)._idle
