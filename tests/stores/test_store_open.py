"""From ``--dest`` to a store, and which options fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mediapipe.errors import UsageError
from mediapipe.stores.folder import FolderStore
from mediapipe.stores.open import open_store
from mediapipe.stores.options import StoreOptions


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    url = (tmp_path / "a b%20c").resolve().as_uri()
    for dest in (
        url,
        f"{tmp_path}/a b%20c/",
        "a b%20c",
        "./a b%20c",
        "~/a b%20c",
        f"FILE://localhost{url[7:]}",
    ):
        store = open_store(dest)
        assert isinstance(store, FolderStore)
        assert store.url == url


@pytest.mark.parametrize("dest", ["./s3:bucket", "a:b", "2026:02", "s3", "~nobody/x"])
def test_what_is_a_path_after_all(dest: str) -> None:
    assert isinstance(open_store(dest), FolderStore)


@pytest.mark.parametrize(
    ("dest", "url"),
    [
        ("s3://some-bucket", "s3://some-bucket"),
        ("s3://some-bucket/", "s3://some-bucket"),
        ("S3://some-bucket/a/b//", "s3://some-bucket/a/b"),
        ("s3://some-bucket/a b/é", "s3://some-bucket/a b/é"),
    ],
)
def test_buckets(dest: str, url: str) -> None:
    assert open_store(dest).url == url


@pytest.mark.parametrize(
    "dest",
    [
        "",
        "  ",
        "a\x00b",
        "gs://bucket/x",
        "http://host/x",
        "s3:/bucket",
        "s3:bucket",
        "file:relative",
        "calls:2026",
        "s3:///x",
        "s3://",
        "s3://b?x",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/.mediapipe",
        "file://host/x",
        "file:/x?y",
        "file:///x#y",
        "file:///%00",
    ],
)
def test_what_is_no_destination(dest: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(dest)
    assert caught.value.hint


def test_a_secret_in_a_destination_is_not_repeated() -> None:
    for dest in ("s3://AKIAKEY:hush-hush@bucket/x", "file://me:hush-hush@host/x", "ftp://me:hush-hush@host/"):
        with pytest.raises(UsageError) as caught:
            open_store(dest)
        assert "hush" not in str(caught.value)


def test_the_endpoint_in_a_name_must_be_the_one_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://user:hush@127.0.0.1:9000/")
    url = "s3://some-bucket/a?endpoint=127.0.0.1:9000"
    assert open_store("s3://some-bucket/a").url == url
    assert open_store(url).url == url
    with pytest.raises(UsageError):
        open_store("s3://some-bucket/a?endpoint=127.0.0.1:9001")
    for endpoint, place in {
        "https://s3.example.com": "s3.example.com:443",
        "http://[::1]": "[::1]:80",
    }.items():
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        assert open_store("s3://some-bucket").url == f"s3://some-bucket?endpoint={place}"


@pytest.mark.parametrize(
    "options",
    [
        {"kms_key_id": "x"},
        {"kms_key_id": "x", "sse": "aes256"},
        {"object_lock_mode": "governance"},
        {"object_lock_days": 3},
        {"object_lock_mode": "compliance", "object_lock_days": 0},
        {"storage_class": "CHEAP"},
        {"sse": "AES256"},
        {"tags": {str(number): "" for number in range(11)}},
        {"tags": {"": "x"}},
        {"tags": {"x": "y" * 257}},
        {"multipart_threshold": 0},
        {"multipart_threshold": 5 * 1024**3 + 1},
        {"unknown": 1},
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StoreOptions.model_validate(options)


def test_every_option_is_described() -> None:
    assert all(field.description for field in StoreOptions.model_fields.values())
