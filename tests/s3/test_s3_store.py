"""What only the S3 store does: options that arrive, errors in our words, one request per attempt."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mediapipe.errors import (
    CredentialsError,
    Failed,
    MediapipeError,
    Throttled,
    Transient,
    UnsafeDestination,
    UsageError,
)
from mediapipe.stores.interface import Conflict, Created, Same
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3 import S3Store
from tests.s3.front import Fault
from tests.s3.server import SECRET_KEY, RunningS3

pytest_plugins = ["tests.s3.fixtures"]
pytestmark = pytest.mark.anyio

BYTES = b"RIFF" + bytes(range(256)) * 8


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def opened(s3: RunningS3, bucket: str = "", **options: Any) -> AsyncIterator[S3Store]:
    store = S3Store(bucket or s3.make_bucket(), "pre", StoreOptions.model_validate(options))
    try:
        yield store
    finally:
        await store.aclose()


async def put(store: S3Store, data: bytes = BYTES, key: str = "a/b.wav") -> Created | Same:
    sha256 = hashlib.sha256(data).hexdigest()
    return await store.put(key, io.BytesIO(data), size=len(data), sha256=sha256, content_type="audio/wav")


async def drained(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


@pytest.mark.parametrize("threshold", [1, 10**9], ids=["in parts", "at once"])
async def test_every_option_arrives(s3: RunningS3, threshold: int) -> None:
    bucket = s3.make_bucket(object_lock=True)
    options = {
        "storage_class": "STANDARD_IA",
        "sse": "kms",
        "kms_key_id": "alias/calls",
        "tags": {"team": "voice + data", "kind": "a=b"},
        "object_lock_mode": "compliance",
        "object_lock_days": 30,
        "multipart_threshold": threshold,
    }
    async with opened(s3, bucket, **options) as store:
        assert await put(store) == Created()
    with s3.client() as client:
        answer = client.head_object(Bucket=bucket, Key="pre/a/b.wav")
        tags = client.get_object_tagging(Bucket=bucket, Key="pre/a/b.wav")["TagSet"]
    assert answer["ContentType"] == "audio/wav"
    assert answer["Metadata"] == {"sha256": hashlib.sha256(BYTES).hexdigest()}
    assert answer["StorageClass"] == "STANDARD_IA"
    assert answer["ServerSideEncryption"] == "aws:kms"
    assert answer["SSEKMSKeyId"] == "alias/calls"
    if threshold == 1:  # moto keeps no lock of an upload in parts; that it was asked for must do
        asked = next(seen.headers for seen in s3.front.seen if "uploads" in seen.target)
        assert asked["x-amz-object-lock-mode"] == "COMPLIANCE"
        retained = datetime.fromisoformat(asked["x-amz-object-lock-retain-until-date"])
    else:
        assert answer["ObjectLockMode"] == "COMPLIANCE"
        retained = answer["ObjectLockRetainUntilDate"]
    until = retained - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < until <= timedelta(days=30)
    assert sorted((tag["Key"], tag["Value"]) for tag in tags) == [("kind", "a=b"), ("team", "voice + data")]


async def test_the_other_encryption_and_lock(s3: RunningS3) -> None:
    bucket = s3.make_bucket(object_lock=True)
    async with opened(s3, bucket, sse="aes256", object_lock_mode="governance", object_lock_days=1) as store:
        await put(store)
    with s3.client() as client:
        answer = client.head_object(Bucket=bucket, Key="pre/a/b.wav")
    assert (answer["ServerSideEncryption"], answer["ObjectLockMode"]) == ("AES256", "GOVERNANCE")


async def test_a_put_says_what_it_must(s3: RunningS3) -> None:
    async with opened(s3) as store:
        await put(store)
    headers = next(seen.headers for seen in s3.front.seen if seen.method == "PUT" and "pre/" in seen.target)
    assert headers["if-none-match"] == "*"
    assert headers["content-length"] == str(len(BYTES))
    assert headers["x-amz-content-sha256"] == hashlib.sha256(BYTES).hexdigest()
    assert "x-amz-checksum-sha256" in headers
    assert "x-amz-acl" not in headers
    assert "expect" not in headers


async def test_only_for_a_large_body_the_server_is_asked_first(s3: RunningS3) -> None:
    async with opened(s3) as store:
        for size, asked in ((1024 * 1024, False), (1024 * 1024 + 1, True)):
            s3.quiet()
            await put(store, bytes(size), f"k{size}")
            assert ("expect" in s3.front.seen[0].headers) is asked


def _answers() -> list[Any]:
    refused: dict[str, tuple[int, type[MediapipeError], str]] = {
        "SlowDown": (503, Throttled, "throttled"),
        "TooManyRequests": (429, Throttled, "throttled"),
        "ServiceUnavailable": (503, Transient, "transient"),
        "InternalError": (500, Transient, "transient"),
        "RequestTimeout": (400, Transient, "transient"),
        "ConditionalRequestConflict": (409, Transient, "transient"),
        "OperationAborted": (409, Transient, "transient"),
        "AccessDenied": (403, CredentialsError, "credentials"),
        "InvalidAccessKeyId": (403, CredentialsError, "credentials"),
        "ExpiredToken": (400, CredentialsError, "credentials"),
        "SignatureDoesNotMatch": (403, CredentialsError, "credentials"),
        "NoSuchBucket": (404, UsageError, "usage"),
        "InvalidArgument": (400, UsageError, "usage"),
        "BadDigest": (400, Transient, "checksum"),
        "XAmzContentSHA256Mismatch": (400, Transient, "checksum"),
        "EntityTooLarge": (400, Failed, "store"),
        "NotImplemented": (501, UnsafeDestination, "unsafe_destination"),
    }
    return [pytest.param(code, *rest, id=code) for code, rest in refused.items()]


@pytest.mark.parametrize(("code", "status", "kind", "ours"), _answers())
async def test_an_answer_becomes_our_error_after_one_request(
    s3: RunningS3, code: str, status: int, kind: type[MediapipeError], ours: str
) -> None:
    async with opened(s3) as store:
        s3.quiet()
        s3.front.faults.append(Fault("refuse", status=status, code=code, headers={"Retry-After": "7"}))
        with pytest.raises(kind) as caught:
            await put(store)
        assert type(caught.value) is kind
        assert caught.value.code == ours
        assert len(s3.front.seen) == 1
        if isinstance(caught.value, Transient):
            assert caught.value.retry_after == 7
        assert SECRET_KEY not in str(caught.value)
        assert await store.head("a/b.wav") is None


@pytest.mark.parametrize("kind", ["drop", "hang", "bad_xml", "lose_answer"])
@pytest.mark.parametrize("call", ["put", "head", "list", "read"])
async def test_a_broken_connection_is_transient(s3: RunningS3, kind: Any, call: str) -> None:
    calls: dict[str, Callable[[S3Store], Any]] = {
        "put": put,
        "head": lambda store: store.head("a/b.wav"),
        "list": lambda store: drained(store.list("")),
        "read": lambda store: store.read("a/b.wav"),
    }
    async with opened(s3, read_timeout=0.3) as store:
        s3.quiet()
        for method in ("PUT", "HEAD", "GET"):
            s3.front.faults.append(Fault(kind, method, times=None, seconds=0.6))
        with pytest.raises(Transient):
            await calls[call](store)
        assert len(s3.front.seen) == 1


async def test_nobody_listens(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    async with opened(s3, "some-bucket") as store:
        with pytest.raises(Transient):
            await put(store)


@pytest.mark.parametrize("kind", ["cut", "damage"])
async def test_bytes_that_arrive_damaged_are_never_passed_as_whole(s3: RunningS3, kind: Any) -> None:
    async with opened(s3) as store:
        await put(store)
        s3.front.faults.append(Fault(kind, "GET"))
        with pytest.raises((Transient, Failed)):
            await drained(store.stream("a/b.wav"))
        assert await store.read("a/b.wav") == BYTES


@pytest.mark.parametrize("threshold", [1, 10**9], ids=["in parts", "at once"])
async def test_bytes_damaged_on_the_way_create_nothing(s3: RunningS3, threshold: int) -> None:
    async with opened(s3, multipart_threshold=threshold) as store:
        s3.front.faults.append(Fault("corrupt"))
        with pytest.raises(Transient) as caught:
            await put(store)
        assert caught.value.code == "checksum"
        assert await store.head("a/b.wav") is None
        assert await put(store) == Created()


async def test_wrong_bytes_are_refused_and_sent_once(s3: RunningS3) -> None:
    async with opened(s3) as store:
        s3.quiet()
        with pytest.raises(Failed) as caught:
            await store.put("k", io.BytesIO(BYTES), size=len(BYTES), sha256="0" * 64)
        assert caught.value.code == "checksum"
        assert [seen.method for seen in s3.front.seen] == ["PUT"]
        assert await store.head("k") is None


async def test_wrong_bytes_on_a_disk_are_stopped_before_they_are_sent(s3: RunningS3) -> None:
    async with opened(s3) as store:
        s3.quiet()
        with tempfile.TemporaryFile() as file:
            file.write(BYTES)
            with pytest.raises(Failed) as caught:
                await store.put("k", file, size=len(BYTES), sha256="0" * 64)
        assert caught.value.code == "checksum"
        assert s3.front.seen == []


async def test_a_wrong_secret(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    async with opened(s3) as store:
        with pytest.raises(CredentialsError) as caught:
            await put(store)
        assert "not-the-secret" not in str(caught.value)
        with pytest.raises(CredentialsError):
            await store.head("a/b.wav")


async def test_no_credentials(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with opened(s3) as store:
        with pytest.raises(CredentialsError):
            await put(store)


async def test_a_profile_that_does_not_exist(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError):
        _ = S3Store("some-bucket").url


async def test_an_endpoint_that_is_no_url(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "not a url")
    with pytest.raises(UsageError):
        _ = S3Store("some-bucket").url


async def test_no_such_bucket(s3: RunningS3) -> None:
    async with opened(s3, "never-created") as store:
        with pytest.raises(UsageError):
            await store.prove()
        with pytest.raises(UsageError):
            await put(store)


@pytest.mark.parametrize("threshold", [1, 10**9], ids=["in parts", "at once"])
async def test_a_store_that_ignores_the_condition_is_refused(s3: RunningS3, threshold: int) -> None:
    async with opened(s3, multipart_threshold=threshold) as store:
        s3.front.faults.append(Fault("unconditional", times=None))
        s3.front.faults.append(Fault("unconditional", "POST", times=None))
        with pytest.raises(UnsafeDestination):
            await store.prove()


async def test_a_store_that_ignores_it_only_for_parts_is_refused(s3: RunningS3) -> None:
    async with opened(s3, multipart_threshold=1) as store:
        s3.front.faults.append(Fault("unconditional", "POST", times=None))
        with pytest.raises(UnsafeDestination):
            await store.prove()


async def test_a_failed_upload_in_parts_gives_its_parts_back(s3: RunningS3) -> None:
    bucket = s3.make_bucket()
    async with opened(s3, bucket, multipart_threshold=1) as store:
        s3.front.faults.append(Fault("refuse", "PUT", "partNumber", status=500, code="InternalError"))
        with pytest.raises(Transient):
            await put(store)
        with pytest.raises(Failed):
            await store.put("k", io.BytesIO(BYTES), size=len(BYTES), sha256="0" * 64)
        s3.front.faults.append(
            Fault("refuse", "POST", "uploadId", status=409, code="ConditionalRequestConflict")
        )
        with pytest.raises(Transient):
            await put(store)
    with s3.client() as client:
        assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


async def test_another_writer_between_the_look_and_the_completion(s3: RunningS3) -> None:
    bucket = s3.make_bucket()
    async with opened(s3, bucket) as at_once, opened(s3, bucket, multipart_threshold=1) as in_parts:
        await put(at_once, b"other")
        # The look before the upload is told that nothing is there; only the completion finds out.
        s3.front.faults.append(Fault("refuse", "HEAD", status=404, code="NoSuchKey"))
        with pytest.raises(Conflict):
            await put(in_parts)
        assert await at_once.read("a/b.wav") == b"other"


@pytest.mark.parametrize("checksum", ["SHA256", "CRC32"])
async def test_an_object_of_someone_else(s3: RunningS3, checksum: Any) -> None:
    bucket = s3.make_bucket()
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="pre/a/b.wav", Body=BYTES, ChecksumAlgorithm=checksum)
    async with opened(s3, bucket) as store:
        if checksum == "SHA256":
            assert await put(store) == Same()
        else:
            with pytest.raises(Conflict):
                await put(store)
        with pytest.raises(Conflict):
            await put(store, b"x" * len(BYTES))
        assert await store.read("a/b.wav") == BYTES


async def test_an_object_gone_between_refusal_and_look_is_tried_again(s3: RunningS3) -> None:
    async with opened(s3) as store:
        s3.front.faults.append(Fault("refuse", status=412, code="PreconditionFailed"))
        with pytest.raises(Transient):
            await put(store)
        assert await put(store) == Created()


async def test_a_listing_of_many_pages_is_complete_and_lazy(s3: RunningS3) -> None:
    from moto.s3.models import s3_backends

    bucket = s3.make_bucket()
    backend = s3_backends["123456789012"]["global"]
    wanted = [f"r/{number:04}" for number in range(2100)]
    for key in wanted:
        backend.put_object(bucket, f"pre/{key}", b"x")
    backend.put_object(bucket, "pre/r/", b"")  # the marker a console leaves for a folder
    async with opened(s3, bucket) as store:
        s3.quiet()
        assert [entry.key async for entry in store.list("r/")] == wanted
        assert len(s3.front.seen) == 3
        s3.quiet()
        async with aclosing(store.list("r/")) as entries:  # type: ignore[type-var]
            async for _ in entries:
                break
        assert len(s3.front.seen) == 1


async def test_a_key_too_long_with_its_prefix(s3: RunningS3) -> None:
    store = S3Store("some-bucket", "p" * 100)
    with pytest.raises(ValueError):
        await put(store, key="/".join(["k" * 200] * 5))


async def test_the_name_of_the_place(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> None:
    host = s3.endpoint.removeprefix("http://")
    assert S3Store("some-bucket", "/a/b/").url == f"s3://some-bucket/a/b?endpoint={host}"
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    for region in ("us-east-1", "eu-central-1", "cn-north-1"):
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        assert S3Store("some-bucket", "/a/b/").url == "s3://some-bucket/a/b"
    assert S3Store("some-bucket").url == "s3://some-bucket"


async def test_no_thread_and_no_connection_outlives_the_store(s3: RunningS3) -> None:
    async with opened(s3) as store:
        await put(store)
    assert not any("urllib3" in thread.name for thread in threading.enumerate())


def test_only_s3_destinations_import_boto3() -> None:
    program = """
import sys
from mediapipe.stores.open import open_store
open_store('/tmp/x')
assert not {'boto3', 'botocore'} & set(sys.modules)
open_store('s3://some-bucket/x')
assert 'boto3' in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
