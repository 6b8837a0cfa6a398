"""Objects that a manifest names: read whole or not at all, and lent without a trace of the signature."""

from __future__ import annotations

import hashlib
import logging
import os
import resource
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Throttled, Transient
from mediapipe.stores.options import StoreOptions
from mediapipe.stores.s3 import new_client
from mediapipe.stores.s3_source import CHUNK, Fetched, S3Source
from tests.s3.front import Fault, Kind
from tests.s3.server import SECRET_KEY, RunningS3

pytest_plugins = ["tests.s3.fixtures"]

BYTES = b"RIFF" + bytes(range(256)) * 64
KEY = "2026/a b+c?d#é.wav"


_CLIENTS: dict[tuple[object, ...], Any] = {}


@pytest.fixture(autouse=True)
def few_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each kind of client once: that takes longer than most tests, and a closed one opens again."""

    def made_once(options: StoreOptions) -> Any:
        told = [os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID")]
        kind = (options.read_timeout, *told)
        if kind not in _CLIENTS:
            _CLIENTS[kind] = new_client(options)
        return _CLIENTS[kind]

    monkeypatch.setattr("mediapipe.stores.s3.new_client", made_once)


@pytest.fixture
def bucket(s3: RunningS3) -> str:
    name = s3.make_bucket()
    with s3.client() as client:
        client.put_object(Bucket=name, Key=KEY, Body=BYTES)
    s3.front.seen.clear()
    return name


def run(ask: Callable[[S3Source], Awaitable[Any]], **options: Any) -> Any:
    @asynccontextmanager
    async def opened() -> AsyncIterator[S3Source]:
        chosen: dict[str, Any] = {"max_bytes": 1 << 24, **options}
        source = S3Source(StoreOptions(read_timeout=chosen.pop("read_timeout", 5.0)), **chosen)
        try:
            yield source
        finally:
            source.close()

    async def main() -> Any:
        async with opened() as source:
            with anyio.fail_after(20):
                return await ask(source)

    return anyio.run(main)


def fetch(bucket: str, folder: Path, key: str = KEY, **options: Any) -> tuple[Fetched, Path]:
    path = folder / "original.wav"
    got: Fetched = run(lambda source: source.fetch(bucket, key, path), **options)
    return got, path


def refused(
    kind: type[MediapipeError], code: str, bucket: str, folder: Path, key: str = KEY, **options: Any
) -> MediapipeError:
    with pytest.raises(kind) as caught:
        fetch(bucket, folder, key, **options)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert SECRET_KEY not in str(caught.value)
    return caught.value


# ── read ────────────────────────────────────────────────────────────────────────────────────


def test_an_object_arrives_whole_with_its_hash_and_only_we_may_read_it(bucket: str, tmp_path: Path) -> None:
    got, path = fetch(bucket, tmp_path)
    assert path.read_bytes() == BYTES
    assert got == Fetched(len(BYTES), hashlib.sha256(BYTES).hexdigest())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_object_is_one_request(s3: RunningS3, bucket: str, tmp_path: Path) -> None:
    fetch(bucket, tmp_path)
    assert [seen.method for seen in s3.front.seen] == ["GET"]


def test_an_object_of_many_chunks_and_an_empty_one(s3: RunningS3, bucket: str, tmp_path: Path) -> None:
    large = bytes(CHUNK) * 2 + b"tail"
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="large", Body=large)
        client.put_object(Bucket=bucket, Key="empty", Body=b"")
    (tmp_path / "1").mkdir()
    got, path = fetch(bucket, tmp_path, "large")
    assert (path.read_bytes(), got.size) == (large, len(large))
    assert fetch(bucket, tmp_path / "1", "empty")[0].size == 0


def test_a_file_that_is_there_already_is_not_written_over(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "original.wav").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        fetch(bucket, tmp_path)
    assert (tmp_path / "original.wav").read_bytes() == b"kept"


def test_many_at_once_share_one_client(s3: RunningS3, bucket: str, tmp_path: Path) -> None:
    async def main(source: S3Source) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(source.fetch, bucket, KEY, tmp_path / str(number))

    run(main)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {BYTES}


def test_who_has_no_such_recordings_does_not_import_boto3() -> None:
    code = "import sys, mediapipe.stores.s3_source; print([m for m in sys.modules if m.startswith('boto')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ── what it is held against ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("claim", ["0" * 64, "F" * 64])
def test_bytes_that_differ_from_the_checksum_in_the_metadata_are_refused(
    s3: RunningS3, bucket: str, tmp_path: Path, claim: str
) -> None:
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="odd", Body=BYTES, Metadata={"SHA256": claim})
    refused(Failed, "checksum", bucket, tmp_path, "odd")


@pytest.mark.parametrize("claim", [hashlib.sha256(BYTES).hexdigest().upper(), "x" * 64, "d41d8", ""])
def test_metadata_that_fits_or_says_nothing_does_no_harm(
    s3: RunningS3, bucket: str, tmp_path: Path, claim: str
) -> None:
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="odd", Body=BYTES, Metadata={"sha256": claim})
    assert fetch(bucket, tmp_path, "odd")[0].size == len(BYTES)


def test_a_body_damaged_on_the_way_is_a_passing_fault(s3: RunningS3, bucket: str, tmp_path: Path) -> None:
    """Where the store keeps a checksum of its own."""
    with s3.client() as client:
        client.put_object(Bucket=bucket, Key="sealed", Body=BYTES, ChecksumAlgorithm="SHA256")
    s3.front.faults = [Fault("damage", method="GET")]
    refused(Transient, "checksum", bucket, tmp_path, "sealed")
    (tmp_path / "original.wav").unlink()
    assert fetch(bucket, tmp_path, "sealed")[0].size == len(BYTES)


def test_the_checksum_of_an_object_made_in_parts_is_not_one_of_its_bytes(
    s3: RunningS3, bucket: str, tmp_path: Path
) -> None:
    with s3.client() as client:
        begun = client.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256")
        same: dict[str, Any] = {"Bucket": bucket, "Key": "parts", "UploadId": begun["UploadId"]}
        part = client.upload_part(**same, PartNumber=1, Body=BYTES, ChecksumAlgorithm="SHA256")
        parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
        client.complete_multipart_upload(**same, MultipartUpload={"Parts": parts})  # type: ignore[typeddict-item]
    assert fetch(bucket, tmp_path, "parts")[0].sha256 == hashlib.sha256(BYTES).hexdigest()


# ── bounds ──────────────────────────────────────────────────────────────────────────────────


def test_an_object_above_the_limit_is_not_read(bucket: str, tmp_path: Path) -> None:
    error = refused(Rejected, "too_large", bucket, tmp_path, max_bytes=len(BYTES) - 1)
    assert "imports.max_source_bytes" in error.hint
    assert not (tmp_path / "original.wav").exists()
    assert fetch(bucket, tmp_path, max_bytes=len(BYTES))[0].size == len(BYTES)


class _Endless(BaseHTTPRequestHandler):
    """A store that names no length and never comes to an end: fast, or by drips."""

    protocol_version = "HTTP/1.1"
    gap_s = 0.0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        size = 4096 if self.gap_s else CHUNK
        try:
            while True:
                self.wfile.write(b"%x\r\n%b\r\n" % (size, bytes(size)))
                time.sleep(self.gap_s)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.mark.parametrize(
    ("gap", "kind", "code"), [(0.0, Rejected, "too_large"), (0.0005, Transient, "network")]
)
def test_a_body_without_an_end_is_cut_by_size_or_time(
    s3: RunningS3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    gap: float,
    kind: type[MediapipeError],
    code: str,
) -> None:
    handler = type("Handler", (_Endless,), {"gap_s": gap})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        begun = time.monotonic()
        refused(kind, code, "bucket", tmp_path, "endless", longest=0.3, max_bytes=8 * CHUNK)
        assert time.monotonic() - begun < 15
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def test_a_file_system_without_room_is_not_taken_for_a_fault_of_the_store(
    bucket: str, tmp_path: Path
) -> None:
    """A passing fault would be tried again and again, on a disk that stays full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch(bucket, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ── what S3 says ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["nothing here", "NoSuchBucket", "AccessDenied"])
def test_a_key_that_is_not_there_is_named(bucket: str, tmp_path: Path, key: str) -> None:
    assert (
        f"s3://{bucket}/{key} is not there"
        in refused(Rejected, "source_missing", bucket, tmp_path, key).message
    )


def test_a_bucket_that_is_not_there_costs_its_rows_only(s3: RunningS3, tmp_path: Path) -> None:
    assert "no such bucket" in refused(Rejected, "source_missing", "no-such-bucket-x", tmp_path).message


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (403, "AccessDenied", Failed, "source_forbidden"),
        (403, "AllAccessDisabled", Failed, "source_forbidden"),
        (403, "InvalidObjectState", Failed, "source_archived"),
        (400, "KMS.DisabledException", Failed, "source_refused"),
        (405, "MethodNotAllowed", Failed, "source_refused"),
        (403, "InvalidAccessKeyId", CredentialsError, "credentials"),
        (403, "SignatureDoesNotMatch", CredentialsError, "credentials"),
        (400, "ExpiredToken", CredentialsError, "credentials"),
        (403, "RequestTimeTooSkewed", CredentialsError, "credentials"),
        (503, "SlowDown", Throttled, "throttled"),
        (500, "InternalError", Transient, "transient"),
    ],
)
def test_a_refusal_is_of_the_object_or_of_the_login(
    s3: RunningS3,
    bucket: str,
    tmp_path: Path,
    status: int,
    code: str,
    kind: type[MediapipeError],
    ours: str,
) -> None:
    """What no other object would be spared stops the run; all else is one row's."""
    s3.front.faults = [Fault("refuse", method="GET", status=status, code=code, times=None)]
    error = refused(kind, ours, bucket, tmp_path)
    assert bucket in error.message
    assert not (tmp_path / "original.wav").exists()
    assert len(s3.front.seen) <= 2  # botocore asks no more than for the bucket's region


@pytest.mark.parametrize("kind", ["drop", "hang", "bad_xml", "cut"])
def test_a_broken_answer_is_a_passing_fault(s3: RunningS3, bucket: str, tmp_path: Path, kind: Kind) -> None:
    s3.front.faults = [Fault(kind, method="GET", seconds=1.0)]
    with pytest.raises(Transient):
        fetch(bucket, tmp_path, read_timeout=0.3)


def test_who_is_nobody_is_told_what_to_set(
    s3: RunningS3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "AWS_PROFILE" in refused(CredentialsError, "credentials", bucket, tmp_path).hint


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("", "a"), ("b", "a"), ("bucket", ""), ("bucket", "é" * 513), ("us er", "a"), ("a:s3cr3t@bucket", "a")],
)
def test_what_names_no_object_is_refused_before_anybody_is_asked(
    s3: RunningS3, tmp_path: Path, bucket: str, key: str
) -> None:
    assert "s3cr3t" not in str(refused(Rejected, "bad_address", bucket, tmp_path, key))
    with pytest.raises(Rejected):
        run(lambda source: source.lend(bucket, key, 60))
    assert s3.front.seen == []


# ── lent ────────────────────────────────────────────────────────────────────────────────────


def read(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def test_a_lent_address_gives_the_object_for_as_long_as_it_was_said(s3: RunningS3, bucket: str) -> None:
    address: str = run(lambda source: source.lend(bucket, KEY, 3600))
    query = parse_qs(urlsplit(address).query)
    assert read(address) == BYTES
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["3600"]
    assert not any("disposition" in name.lower() for name in query)
    assert SECRET_KEY not in address
    with pytest.raises(urllib.error.HTTPError, match="403"):
        read(address.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999"))
    short: str = run(lambda source: source.lend(bucket, KEY, 1))
    time.sleep(1.1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        read(short)


def test_lending_asks_nobody(s3: RunningS3, bucket: str) -> None:
    run(lambda source: source.lend(bucket, "not there", 60))
    assert s3.front.seen == []


def test_a_lent_address_stands_in_no_log_and_no_error(
    s3: RunningS3, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "botocore", "boto3", "urllib3", "mediapipe"):
        caplog.set_level(logging.DEBUG, logger=name)

    async def main(source: S3Source) -> str:
        address = await source.lend(bucket, KEY, 60)
        with pytest.raises(Rejected) as caught:
            await source.fetch(bucket, "missing", tmp_path / "x")
        assert "X-Amz" not in str(caught.value)
        return address

    signature = parse_qs(urlsplit(run(main)).query)["X-Amz-Signature"][0]
    assert len(signature) == 64
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "botocore" in {record.name.partition(".")[0] for record in caplog.records}
    assert signature not in said
    assert "X-Amz-Credential" not in said


def test_without_credentials_nothing_is_lent(
    s3: RunningS3, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(CredentialsError):
        run(lambda source: source.lend(bucket, KEY, 60))
