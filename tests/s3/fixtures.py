"""Fixtures around a running S3; a test module takes them by ``pytest_plugins = ["tests.s3.fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.s3.server import RunningS3, running_s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[RunningS3]:
    """One server for all tests of a process."""
    with running_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: RunningS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningS3]:
    """The server without faults, and an environment that leads boto3 there."""
    s3_server.quiet()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    s3_server.quiet()
