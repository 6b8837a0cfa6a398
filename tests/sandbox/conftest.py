"""A sandbox served once for the reading tests, one apiece for the others, and a client that is logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx
import pytest

from mediapipe.sandbox import RunningSandbox, SandboxConfig, running

MONTH = {"start": "2026-02-01T00:00:00.000Z", "end": "2026-03-01T00:00:00.000Z"}


@dataclass
class Api:
    """A sandbox and a client of both generations."""

    box: RunningSandbox
    http: httpx.Client
    env: dict[str, str] = field(init=False)
    v3_headers: dict[str, str] = field(init=False)
    v2_headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.env = self.box.environment()
        body = self.login().json()
        self.v3_headers = {"Authorization": f"Bearer {body.get('data', body)['access_token']}"}
        self.v2_headers = {"Authorization": f"Bearer {self.login_v2().json()['access_token']}"}

    def login(self, **changes: str) -> httpx.Response:
        body = {"email": self.env["CONVIRZA_EMAIL"], "password": self.env["CONVIRZA_PASSWORD"], **changes}
        return self.http.post(f"{self.env['CONVIRZA_V3_OAUTH_URL']}/token", json=body)

    def v2_form(self, **changes: str) -> dict[str, str]:
        return {
            "grant_type": "password",
            "client_id": self.env["CONVIRZA_CLIENT_ID"],
            "client_secret": self.env["CONVIRZA_CLIENT_SECRET"],
            "username": self.env["CONVIRZA_EMAIL"],
            "password": self.env["CONVIRZA_PASSWORD"],
            **changes,
        }

    def login_v2(self, **changes: str) -> httpx.Response:
        return self.http.post(f"{self.env['CONVIRZA_V2_OAUTH_URL']}/token", data=self.v2_form(**changes))

    def list(self, **query: Any) -> httpx.Response:
        params = {**MONTH, "limit": 200, **query}
        url = f"{self.env['CONVIRZA_V3_URL']}/conversations/calls"
        return self.http.get(url, params=params, headers=self.v3_headers)

    def page(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.list(**query)
        assert answer.status_code == 200, answer.text
        calls: list[dict[str, Any]] = answer.json()["data"]["calls"]
        return calls

    def walk(self, limit: int = 200, **query: Any) -> list[int]:
        """The call ids of a whole walk, repeats included, until an empty page."""
        ids: list[int] = []
        while page := self.page(limit=limit, offset=len(ids), **query):
            ids += [call["call_id"] for call in page]
            assert len(ids) < 5000
        return ids

    def call(self, call_id: int, **query: Any) -> httpx.Response:
        url = f"{self.env['CONVIRZA_V3_URL']}/conversations/calls/{call_id}"
        return self.http.get(url, params={"include": "recordings", **query}, headers=self.v3_headers)

    def url(self, call_id: int) -> str:
        """A fresh recording URL."""
        url: str = self.call(call_id).json()["data"]["result"]["recording_details"]["url"]
        return url

    def upload(self, audio: bytes | None, **fields: str | None) -> httpx.Response:
        """Upload a call; a field given as None is left out."""
        form = {"call_date": "2026-02-10T10:00:00.000Z", "group_id": "1201", "caller_id": "18015551234"}
        form |= {"external_id": "x-1"}
        data = {k: v for k, v in {**form, **fields}.items() if v is not None}
        files = {"recording_file": ("call.wav", audio, "audio/wav")} if audio is not None else {"none": b""}
        url = f"{self.env['CONVIRZA_V2_URL']}/call/upload"
        return self.http.post(url, data=data, files=files, headers=self.v2_headers)

    def recorded(self) -> list[int]:
        """The ids of calls whose recording is there, oldest first."""
        state = self.box.state
        return [call.call_id for call in state.calls if call.available(state.now_ms)]


def sample_config(**changes: Any) -> SandboxConfig:
    values = {"until": date(2026, 3, 1), "count": 120, "seconds_max": 3.0, "login_limit_per_minute": 0}
    return SandboxConfig(**{**values, **changes})


@pytest.fixture
def sandbox() -> Iterator[Callable[..., Api]]:
    """Start a sandbox with changes to the sample configuration."""
    with ExitStack() as stack:

        def start(**changes: Any) -> Api:
            box = stack.enter_context(running(sample_config(**changes)))
            return Api(box, stack.enter_context(httpx.Client(timeout=10)))

        yield start


@pytest.fixture
def api(sandbox: Callable[..., Api]) -> Api:
    return sandbox()


@pytest.fixture(scope="session")
def shared() -> Iterator[Api]:
    """One sandbox for all tests that only read."""
    with running(sample_config(count=400)) as box, httpx.Client(timeout=10) as http:
        yield Api(box, http)
