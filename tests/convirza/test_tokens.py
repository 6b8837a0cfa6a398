from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.convirza.models import Tokens, User
from mediapipe.convirza.tokens import EXPIRY_MARGIN_S, ReadyToken, TokenCache, TokenManager
from mediapipe.errors import CredentialsError, DiskFull, MediapipeError, PlatformDown, Transient, UsageError
from mediapipe.pacing import RetryPolicy
from tests.convirza.server import Reply, Request, as_json, serving

QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)
USER = User(user_id="5", email="a@example.com", role_id=1, org_unit_id="77")


class Issuer:
    """A platform that hands out tokens; a refresh token works once."""

    def __init__(self, *, life: float | None = 3600.0, pause: float = 0.002) -> None:
        self.life, self.pause = life, pause
        self.live: str | None = None
        self.spent: set[str] = set()
        self.number = 0
        self.at_once = self.most = 0
        self.calls: list[str] = []
        self.faults: list[Exception] = []
        self.lose: list[Exception] = []

    def issue(self) -> Tokens:
        self.number += 1
        self.live = f"refresh-{self.number}"
        expires = None if self.life is None else time.time() + self.life
        return Tokens(f"access-{self.number}", self.live, expires, time.time() + 9000, USER)

    async def _call(self, kind: str) -> None:
        self.calls.append(kind)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await anyio.sleep(self.pause)
        self.at_once -= 1

    async def log_in(self) -> Tokens:
        await self._call("login")
        if self.faults:
            raise self.faults.pop(0)
        return self.issue()

    async def refresh(self, refresh_token: str) -> Tokens | None:
        await self._call("refresh")
        if refresh_token in self.spent or refresh_token != self.live:
            return None
        self.spent.add(refresh_token)
        tokens = self.issue()
        if self.lose:
            raise self.lose.pop(0)
        return tokens


def manager(
    folder: Path, issuer: Issuer, *, per_minute: int = 100, retry: RetryPolicy = QUICK
) -> TokenManager:
    return TokenManager(
        issuer, TokenCache(folder, "v3", "https://x", "a@example.com"), retry, logins_per_minute=per_minute
    )


def test_one_login_serves_everybody_who_asks_at_once(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        got: list[str] = []

        async def ask() -> None:
            got.append(await tokens.bearer())

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        assert got == ["access-1"] * 20
        assert tokens.user == USER
        assert (tokens.logins, tokens.refreshes) == (1, 0)

    anyio.run(main)
    assert issuer.calls == ["login"]


def test_a_dead_token_is_refreshed_once_for_everybody_who_saw_it_die(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        dead = await tokens.bearer()
        got: list[str] = []

        async def renew() -> None:
            got.append(await tokens.renew(dead))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(renew)
        assert got == ["access-2"] * 20

    anyio.run(main)
    assert issuer.calls == ["login", "refresh"]


def test_the_next_process_finds_the_token_in_the_cache(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        first = await manager(tmp_path, issuer).bearer()
        again = manager(tmp_path, issuer)
        assert await again.bearer() == first
        assert again.user == USER

    anyio.run(main)
    assert issuer.calls == ["login"]


def test_managers_that_share_a_folder_never_break_the_chain(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        managers = [manager(tmp_path, issuer) for _ in range(4)]

        async def work(tokens: TokenManager) -> None:
            token = await tokens.bearer()
            for _ in range(5):
                token = await tokens.renew(token)

        async with anyio.create_task_group() as group:
            for tokens in managers:
                group.start_soon(work, tokens)

    anyio.run(main)
    assert issuer.calls.count("login") == 1
    assert issuer.most == 1
    assert issuer.spent == {f"refresh-{n}" for n in range(1, issuer.number)}


def test_managers_that_share_one_cache_object_take_turns_too(tmp_path: Path) -> None:
    issuer = Issuer()
    cache = TokenCache(tmp_path, "v3")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(TokenManager(issuer, cache, QUICK).bearer)

    anyio.run(main)
    assert issuer.calls == ["login"]


PROCESS = """
import sys, anyio
from pathlib import Path
from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.session import V3Login
from mediapipe.convirza.tokens import TokenCache, TokenManager
from mediapipe.pacing import RetryPolicy

async def main(url, folder):
    async with open_http(Timeouts(5, 5, 5, 5), connections=2) as http:
        login = V3Login(http, url, "a@example.com", lambda: "pw")
        retry = RetryPolicy(attempts=2, wait_initial=0.01, wait_max=0.02, total=5.0)
        tokens = TokenManager(login, TokenCache(Path(folder), "v3"), retry, logins_per_minute=1000)
        token = await tokens.bearer()
        for _ in range(6):
            token = await tokens.renew(token)
            print(token)

anyio.run(main, *sys.argv[1:])
"""


def test_processes_that_share_a_folder_never_break_the_chain(tmp_path: Path) -> None:
    lock = threading.Lock()
    state: dict[str, Any] = {"number": 0, "logins": 0, "live": None, "reused": 0, "inside": 0, "most": 0}

    def handle(request: Request) -> Reply:
        with lock:
            state["inside"] += 1
            state["most"] = max(state["most"], state["inside"])
        time.sleep(0.01)
        with lock:
            state["inside"] -= 1
            if request.path == "/token":
                state["logins"] += 1
            elif request.json()["refresh_token"] != state["live"]:
                state["reused"] += 1
                return as_json({"code": 401, "message": "spent"}, 401)
            state["number"] += 1
            state["live"] = f"r{state['number']}"
            return as_json(
                {"access_token": f"a{state['number']}", "refresh_token": state["live"], "expires_in": 3600}
            )

    with serving(handle) as server:
        running = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, server.url, str(tmp_path)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert [len(lines) for lines in outputs] == [6, 6]
    assert state["logins"] == 1
    assert state["reused"] == 0
    assert state["most"] == 1


@pytest.mark.parametrize("fault", [Transient("reset"), Transient("unreadable", code="unreadable_answer")])
def test_a_lost_refresh_answer_is_mended_by_one_login(tmp_path: Path, fault: Exception) -> None:
    issuer = Issuer()

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        dead = await tokens.bearer()
        issuer.lose.append(fault)
        assert await tokens.renew(dead) == "access-3"
        assert await tokens.renew("access-3") == "access-4"

    anyio.run(main)
    assert issuer.calls == ["login", "refresh", "login", "refresh"]


def test_a_refused_refresh_is_mended_by_one_login(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        dead = await tokens.bearer()
        issuer.live = None
        assert await tokens.renew(dead) == "access-2"

    anyio.run(main)
    assert issuer.calls == ["login", "refresh", "login"]


def test_a_crash_after_the_refresh_leaves_a_cache_that_a_login_mends(tmp_path: Path) -> None:
    issuer = Issuer()

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        dead = await tokens.bearer()
        issuer.pause = 5
        with anyio.move_on_after(0.05):
            await tokens.renew(dead)
        issuer.pause = 0.002
        issuer.spent.add("refresh-1")  # the platform had done it
        assert await manager(tmp_path, issuer).renew(dead) == "access-2"

    anyio.run(main)
    assert issuer.calls == ["login", "refresh", "refresh", "login"]


def test_an_expired_refresh_token_is_not_tried(tmp_path: Path) -> None:
    issuer = Issuer()
    TokenCache(tmp_path, "v3", "https://x", "a@example.com").write(Tokens("old", "r", None, time.time() - 1))
    assert anyio.run(manager(tmp_path, issuer).renew, "old") == "access-1"
    assert issuer.calls == ["login"]


@pytest.mark.parametrize(("left", "again"), [(EXPIRY_MARGIN_S - 5, True), (EXPIRY_MARGIN_S + 60, False)])
def test_a_token_about_to_expire_is_renewed_beforehand(tmp_path: Path, left: float, again: bool) -> None:
    issuer = Issuer()
    issuer.live = "r"
    cache = TokenCache(tmp_path, "v3", "https://x", "a@example.com")
    cache.write(Tokens("old", "r", time.time() + left, None))
    assert anyio.run(manager(tmp_path, issuer).bearer) == ("access-1" if again else "old")


@pytest.mark.parametrize("life", [5.0, 0.0, -90_000.0])
def test_a_token_just_given_is_used_whatever_our_clock_says_of_it(tmp_path: Path, life: float) -> None:
    """A clock that runs days ahead, or a very short life, must not make every request log in."""
    issuer = Issuer(life=life)

    async def main() -> None:
        tokens = manager(tmp_path, issuer)
        assert [await tokens.bearer() for _ in range(5)] == ["access-1"] * 5
        assert await tokens.renew("access-1") == "access-2"
        assert await tokens.bearer() == "access-2"

    anyio.run(main)
    assert issuer.calls == ["login", "refresh"]


def test_a_login_is_repeated_on_passing_faults_only(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.faults = [Transient("503"), Transient("503")]
    assert anyio.run(manager(tmp_path, issuer).bearer) == "access-1"
    assert len(issuer.calls) == 3
    issuer.faults = [CredentialsError("no")]
    with pytest.raises(CredentialsError):
        anyio.run(manager(tmp_path / "other", issuer).bearer)
    assert len(issuer.calls) == 4


def test_a_platform_that_answers_no_login_is_down_for_the_whole_run(tmp_path: Path) -> None:
    """Retry in one place: the request that wanted the token must not repeat the repeated login."""
    issuer = Issuer()
    issuer.faults = [Transient("503")] * 50
    with pytest.raises(PlatformDown, match="503"):
        anyio.run(manager(tmp_path, issuer).bearer)
    assert len(issuer.calls) == QUICK.attempts


def test_the_cache_is_for_its_owner_only_and_tells_nobody_who(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "tokens"
    mask = os.umask(0)
    try:
        anyio.run(manager(folder, Issuer()).bearer)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert any("access-1" in path.read_text() for path in files)
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert "example" not in path.name
        assert not path.name.endswith(".tmp")


def test_logins_have_caches_of_their_own(tmp_path: Path) -> None:
    one, other = TokenCache(tmp_path, "v3", "a"), TokenCache(tmp_path, "v2", "a")
    one.write(Tokens("x"))
    assert other.read() is None
    assert TokenCache(tmp_path, "v3", "a").read() == Tokens("x")


def test_a_cache_gives_back_what_was_put_in(tmp_path: Path) -> None:
    cache = TokenCache(tmp_path, "v3")
    for tokens in (Tokens("a"), Tokens("a", "r", 1.5, 2.5, USER), Tokens("a", None, 1.5, None, User())):
        cache.write(tokens)
        assert cache.read() == tokens
    cache.forget()
    cache.forget()
    assert cache.read() is None


DAMAGED = [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff\xfe", b"[" * 100_000, b"{}", b'{"access": null}']
DAMAGED += [
    b'{"access": ""}',
    b'{"access": 5}',
    b'{"access": "a", "user": 5}',
    b'{"access": "a", "extra": 1}',
]
DAMAGED += [
    b'{"access": "a", "expires_at": "soon"}',
    b'{"access": "a", "refresh": 5}',
    b'{"access": "a", "user": []}',
]
DAMAGED += [
    b'{"access": "a", "expires_at": [1]}',
    b'{"access": "a", "refresh_expires_at": {}}',
    b'{"access": ["a"]}',
]


@pytest.mark.parametrize("raw", DAMAGED)
def test_a_damaged_cache_is_no_cache(tmp_path: Path, raw: bytes) -> None:
    issuer = Issuer()
    anyio.run(manager(tmp_path, issuer).bearer)
    for path in tmp_path.iterdir():
        if path.suffix in {".json", ".logins"}:
            path.write_bytes(raw)
    usable = b'"a"' in raw and b"access" in raw
    token = anyio.run(manager(tmp_path, issuer).bearer)
    assert token == "access-2" or (usable and token == "a")
    anyio.run(manager(tmp_path, issuer).renew, token)


def test_logins_are_paced_over_managers_and_processes(tmp_path: Path) -> None:
    cache = TokenCache(tmp_path, "v3")
    for at in (100.0, 110.0, 120.0):
        cache.note_login(at)
    again = TokenCache(tmp_path, "v3")
    assert again.login_wait(3, 125.0) == 35.0
    assert again.login_wait(4, 125.0) == 0.0
    assert again.login_wait(3, 160.5) == 0.0
    assert again.login_wait(2, 160.5) == pytest.approx(9.5)
    assert again.login_wait(3, 50.0) == 0.0, "times of a clock that was set back do not count"


def test_a_login_waits_for_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediapipe.convirza.tokens.MINUTE_S", 0.3)
    issuer = Issuer()

    async def main() -> float:
        tokens = manager(tmp_path, issuer, per_minute=2)
        token = await tokens.bearer()
        began = time.monotonic()
        for _ in range(4):
            token = await tokens.renew(token)
        return time.monotonic() - began

    assert anyio.run(main) >= 0.5
    assert len(issuer.calls) == 5


def test_every_try_counts_against_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediapipe.convirza.tokens.MINUTE_S", 0.3)
    issuer = Issuer()
    issuer.faults = [Transient("503")] * 2
    began = time.monotonic()
    anyio.run(manager(tmp_path, issuer, per_minute=1).bearer)
    assert time.monotonic() - began >= 0.55


def test_a_lock_held_elsewhere_for_too_long_is_a_passing_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediapipe.convirza.tokens.LOCK_PATIENCE_S", 0.15)

    async def main() -> None:
        async with TokenCache(tmp_path, "v3").locked():
            with pytest.raises(Transient) as caught:
                async with TokenCache(tmp_path, "v3").locked():
                    raise AssertionError("two at once")
            assert caught.value.code == "login_lock"
        async with TokenCache(tmp_path, "v3").locked():
            pass

    anyio.run(main)


def test_one_who_waits_for_the_lock_can_be_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        cache = TokenCache(tmp_path, "v3")
        async with TokenCache(tmp_path, "v3").locked():
            began = time.monotonic()
            with anyio.move_on_after(0.05) as scope:
                async with cache.locked():
                    raise AssertionError("two at once")
            assert scope.cancelled_caught
            assert time.monotonic() - began < 2
        async with cache.locked():
            pass

    anyio.run(main)


def test_a_body_that_fails_lets_go_of_the_lock(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.faults = [CredentialsError("no")]

    async def main() -> None:
        with pytest.raises(CredentialsError):
            await manager(tmp_path, issuer).bearer()
        assert await manager(tmp_path, issuer).bearer() == "access-1"

    anyio.run(main)


def broken_disk(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, "broken")

    return fail


@pytest.mark.parametrize(("number", "kind"), [(28, DiskFull), (30, UsageError), (13, UsageError)])
def test_a_cache_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[MediapipeError]
) -> None:
    tokens = manager(tmp_path, Issuer())
    monkeypatch.setattr("mediapipe.convirza.tokens.os.fsync", broken_disk(number))
    with pytest.raises(kind) as caught:
        anyio.run(tokens.bearer)
    assert "access-1" not in repr(caught.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        TokenCache(tmp_path / "file" / "tokens", "v3")


def test_a_ready_token_is_used_as_it_is_and_never_renewed() -> None:
    token = ReadyToken("opaque", "CONVIRZA_V3_TOKEN")
    assert anyio.run(token.bearer) == "opaque"
    with pytest.raises(CredentialsError) as caught:
        anyio.run(token.renew, "opaque")
    assert "CONVIRZA_V3_TOKEN" in str(caught.value)
    assert "opaque" not in repr(caught.value) + str(caught.value)
    assert token.user is None


def test_no_token_shows_in_a_repr(tmp_path: Path) -> None:
    tokens = manager(tmp_path, Issuer())
    anyio.run(tokens.bearer)
    assert "access-1" not in repr(tokens) + repr(tokens._current) + repr(vars(tokens))
    written = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert [body["access"] for body in written] == ["access-1"]


def test_logins_on_one_host_share_their_limit_whoever_logs_in(tmp_path: Path) -> None:
    one = TokenCache(tmp_path, "v3", "a@example.com", limited_with="v3 host")
    other = TokenCache(tmp_path, "v3", "b@example.com", limited_with="v3 host")
    elsewhere = TokenCache(tmp_path, "v3", "b@example.com", limited_with="v3 elsewhere")
    one.note_login(1000.0)
    assert other.login_wait(1, 1010.0) == pytest.approx(50.0)
    assert elsewhere.login_wait(1, 1010.0) == 0.0
    one.write(Tokens("x"))
    assert other.read() is None
