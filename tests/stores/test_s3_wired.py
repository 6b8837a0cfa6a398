"""botocore's sender replaced: what is trusted, what large bodies do, and botocore's own exceptions."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.errors import MediapipeError, Transient, UsageError
from mediapipe.stores.interface import Created, Same
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3 import S3Store
from mediapipe.stores.s3_wired import WiredSender, wire_of
from tests.s3.fixtures import RunningS3
from tests.s3.server import ACCESS_KEY, SECRET_KEY
from tests.stage import Actor, certificate, serving_tls, staged

pytest_plugins = ["tests.s3.fixtures"]

SMALL = b"RIFF" + bytes(1000)
LARGE = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "REQUESTS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


def put(data: bytes, bucket: str = "some-bucket", **options: Any) -> Created | Same:
    async def main() -> Created | Same:
        store = S3Store(bucket, "pre", StoreOptions.model_validate(options))
        try:
            sha256 = hashlib.sha256(data).hexdigest()
            return await store.put("k", io.BytesIO(data), size=len(data), sha256=sha256)
        finally:
            await store.aclose()

    return anyio.run(main)


def takes(actor: Actor) -> None:
    while head := actor.head():
        if b"100-continue" in head:
            actor.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        actor.body(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        actor.answer(200)


SIZES = pytest.mark.parametrize("data", [SMALL, LARGE], ids=["signed", "wired"])


@SIZES
@pytest.mark.parametrize("how", ["environment", "requests", "file"])
def test_whom_botocore_trusts_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, how: str
) -> None:
    pem = certificate(tmp_path, "localhost")
    if how == "file":
        config = tmp_path / "config"
        config.write_text(f"[default]\nca_bundle = {pem}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    else:
        monkeypatch.setenv("AWS_CA_BUNDLE" if how == "environment" else "REQUESTS_CA_BUNDLE", str(pem))
    with staged(takes, tls=serving_tls(pem)) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://localhost:{stage.port}")
        assert put(data, addressing_style="path") == Created()


@SIZES
@pytest.mark.parametrize(
    ("name", "days", "trusted"), [("localhost", 1, 0), ("other", 1, 1), ("localhost", -1, 1)]
)
def test_a_certificate_that_does_not_hold_is_a_matter_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, name: str, days: int, trusted: int
) -> None:
    pem = certificate(tmp_path, name, days=days)
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    with staged(takes, tls=serving_tls(pem)) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://localhost:{stage.port}")
        with pytest.raises(UsageError) as caught:
            put(data, addressing_style="path")
        assert "AWS_CA_BUNDLE" in caught.value.hint
        assert all(not actor.heard for actor in stage.actors)


def test_a_bundle_that_is_not_there_is_left_to_botocore(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert wire_of(StoreOptions(), str(tmp_path / "none.pem")) is None
    (tmp_path / "bad.pem").write_text("no certificate")
    assert wire_of(StoreOptions(), str(tmp_path / "bad.pem")) is None
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://127.0.0.1:9")
    with pytest.raises(MediapipeError):
        put(SMALL)


def test_the_wire_is_left_alone_where_a_proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert wire_of(StoreOptions()) is not None
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert wire_of(StoreOptions()) is None


def refuses_at_once(actor: Actor) -> None:
    actor.head()
    actor.answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
    actor.head()


def test_a_refusal_before_a_large_body_spares_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what stands there is looked at: over botocore's own connection."""

    def looks(actor: Actor) -> None:
        while actor.head():
            actor.answer(200, b"", x_amz_meta_sha256=hashlib.sha256(LARGE).hexdigest())

    with staged(refuses_at_once, looks) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
        with pytest.raises(MediapipeError) as caught:
            put(LARGE)
        assert caught.value.code == "conflict"  # the same hash, but another length
        assert b"expect: 100-continue" in stage.actors[0].heard.lower()
        assert len(stage.actors[0].heard) < 3000


def test_a_refusal_in_the_middle_of_a_large_body_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import time

    def scene(actor: Actor) -> None:
        actor.head()
        actor.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        actor.body(10_000)
        actor.answer(503, b"<Error><Code>SlowDown</Code></Error>", Retry_After="7", Connection="close")
        actor.connection.shutdown(socket.SHUT_WR)
        time.sleep(0.3)

    with staged(scene) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
        with pytest.raises(Transient) as caught:
            put(LARGE * 10)
        assert (caught.value.code, caught.value.retry_after) == ("throttled", 7)


def resets(actor: Actor) -> None:
    actor.head()
    actor.reset()


def ends(actor: Actor) -> None:
    actor.head()


def stays_silent(actor: Actor) -> None:
    while actor.head():
        pass


def half(actor: Actor) -> None:
    actor.head()
    actor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")


def says_no_more(actor: Actor) -> None:
    actor.head()
    actor.say(b"HTTP/1.1 100 Continue\r\n\r\n")


@SIZES
@pytest.mark.parametrize("scene", [resets, ends, stays_silent, half, says_no_more])
def test_what_breaks_off_is_a_passing_fault(
    monkeypatch: pytest.MonkeyPatch, data: bytes, scene: Callable[[Actor], None]
) -> None:
    with staged(scene) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
        with pytest.raises(Transient):
            put(data, read_timeout=0.3)


def test_a_success_before_the_body_was_sent_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def eager(actor: Actor) -> None:
        actor.head()
        actor.answer(200)
        actor.head()

    with staged(eager) as stage:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", stage.url)
        with pytest.raises(Transient):
            put(LARGE)


def test_a_body_that_goes_in_chunks_is_left_to_botocore() -> None:
    class Chunked:
        url = "http://127.0.0.1:9/some-bucket/key"
        headers = {"Transfer-Encoding": "chunked"}  # noqa: RUF012

    wire = wire_of(StoreOptions())
    assert wire is not None
    assert WiredSender(wire).send(Chunked()) is None


@SIZES
def test_both_sizes_go_over_the_wire(s3: RunningS3, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the tests' own S3, which checks signature and bytes: else the tests there would show nothing."""
    from mediapipe.wire import Wire

    asked: list[str] = []
    real = Wire.request

    def counted(self: Wire, origin: Any, method: str, *rest: Any, **more: Any) -> Any:
        asked.append(method)
        return real(self, origin, method, *rest, **more)

    monkeypatch.setattr(Wire, "request", counted)
    bucket = s3.make_bucket()
    assert put(data, bucket) == Created()
    assert put(data, bucket) == Same()
    assert asked == ["PUT", "PUT"]
