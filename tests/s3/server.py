"""A running S3 for tests: moto behind the checking front, on free loopback ports."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import boto3.session
from botocore.config import Config

from tests.s3.front import Front

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"


@dataclass
class RunningS3:
    """An S3 that checks what Amazon's checks."""

    endpoint: str
    front: Front
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION
    buckets: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads boto3 here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    @contextlib.contextmanager
    def client(self) -> Iterator[S3Client]:
        """Yield a plain boto3 client, to look at what is there behind a store's back."""
        yield self._client

    @functools.cached_property
    def _client(self) -> S3Client:
        # One for all tests: making a client costs more than most tests do.
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def make_bucket(self, *, object_lock: bool = False) -> str:
        """Create an empty bucket with a name of its own; returns the name."""
        name = f"bucket-{secrets.token_hex(6)}"
        with self.client() as client:
            client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)
        self.buckets.append(name)
        return name

    def quiet(self) -> None:
        """Forget faults and what was seen."""
        self.front.faults.clear()
        self.front.seen.clear()


@contextlib.contextmanager
def running_s3() -> Iterator[RunningS3]:
    """Start moto and the front; both end with the block."""
    # Imported here: it takes half a second, and not every test module that gets here needs it.
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    front = Front(moto.get_host_and_port(), {ACCESS_KEY: SECRET_KEY})
    serving = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    running = RunningS3(f"http://127.0.0.1:{front.server_address[1]}", front)
    try:
        yield running
    finally:
        running.close()
        front.end()
        serving.join()
        moto.stop()
