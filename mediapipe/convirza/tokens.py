"""Bearer tokens of one API generation: cached on disk, renewed by one process at a time, logins paced.

A v3 refresh token works once. Two processes that refresh together, or one lost answer, break the
chain; so read → refresh → write happens under a file lock, the new pair is on disk before it is
used, and a refused refresh falls back to one login. Token calls are limited to 10 a minute per IP
address for everybody behind it: the times of recent logins stand beside the cache, under the lock.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import anyio
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from mediapipe.convirza.models import Tokens, User
from mediapipe.errors import CredentialsError, DiskFull, PlatformDown, Transient, UsageError
from mediapipe.pacing import RetryPolicy

EXPIRY_MARGIN_S = 30.0
LOCK_PATIENCE_S = 180.0
MINUTE_S = 60.0

_TOKENS = TypeAdapter(Tokens)


class Login(Protocol):
    """How one generation hands out tokens. Both calls are single attempts; errors are translated."""

    async def log_in(self) -> Tokens:
        """Return fresh tokens; raises ``CredentialsError`` when refused, ``Transient`` when unreachable."""
        ...

    async def refresh(self, refresh_token: str) -> Tokens | None:
        """Return the next pair, or None when the token is spent, expired or revoked."""
        ...


class TokenCache:
    """The file that holds one login's tokens, mode 0600, and the lock and login times beside it.

    The name is a hash, so that neither host nor e-mail address shows in a listing. ``limited_with`` names
    what the limit on logins counts, such as the host: several logins share lock and times then.
    """

    def __init__(self, folder: Path, *identity: str, limited_with: str = "") -> None:
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = folder / f"{_name(*identity)}.json"
        shared = _name(limited_with) if limited_with else _name(*identity)
        self._logins = folder / f"{shared}.logins"
        # Taken in one thread and let go in another when a task moves: not thread-local.
        self._lock = FileLock(folder / f"{shared}.lock", thread_local=False, mode=0o600)

    def read(self) -> Tokens | None:
        """Return the cached tokens, or None when there are none that can be read."""
        try:
            tokens = _TOKENS.validate_json(self._file.read_bytes(), strict=True)
        except (OSError, ValueError):  # damage of any kind: a login mends it
            return None
        return tokens if tokens.access else None

    def write(self, tokens: Tokens) -> None:
        """Replace the cached tokens; on disk when this returns."""
        body = {**asdict(tokens), "user": tokens.user.model_dump() if tokens.user else None}
        _replace(self._file, json.dumps(body))

    def forget(self) -> None:
        """Drop the cached tokens."""
        self._file.unlink(missing_ok=True)

    def login_wait(self, per_minute: int, now: float) -> float:
        """Return how many seconds the next token call has to wait."""
        recent = [at for at in self._login_times() if now - MINUTE_S < at <= now]
        return 0.0 if len(recent) < per_minute else recent[-per_minute] + MINUTE_S - now

    def note_login(self, now: float) -> None:
        """Remember that a token call is being made."""
        recent = [at for at in self._login_times() if now - MINUTE_S < at <= now]
        _replace(self._logins, json.dumps([*recent, now]))

    def _login_times(self) -> list[float]:
        try:
            return sorted(float(at) for at in json.loads(self._logins.read_text()))
        except (OSError, ValueError, TypeError, OverflowError, RecursionError):
            return []

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Hold the lock across processes; polls, so that a cancelled waiter leaves at once."""
        with anyio.move_on_after(LOCK_PATIENCE_S) as patience:
            while True:  # the other holder is another process
                try:
                    if not self._lock.is_locked:  # one of our own tasks would get it a second time
                        self._lock.acquire(timeout=0)
                        break
                except Timeout:
                    pass
                await anyio.sleep(0.05)
        if patience.cancelled_caught:
            raise Transient("another process holds the login lock for too long", code="login_lock")
        try:
            yield
        finally:
            self._lock.release()


def _name(*identity: str) -> str:
    return hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]


def _replace(path: Path, text: str) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with _told(path.parent):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say what is wrong with the folder of the cache."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no room for the login's tokens in {folder}") from error
        raise UsageError(f"the login's tokens cannot be kept in {folder}: {error.strerror}") from error


class TokenManager:
    """Hands out the bearer token of one generation and renews it when told that it is dead."""

    def __init__(
        self, login: Login, cache: TokenCache, retry: RetryPolicy, *, logins_per_minute: int = 8
    ) -> None:
        self._login = login
        self._cache = cache
        self._retry = retry
        self._per_minute = logins_per_minute
        self._current: Tokens | None = None
        self._renewing = anyio.Lock()
        self.logins = 0
        self.refreshes = 0

    @property
    def user(self) -> User | None:
        """Who the login is, when the platform said."""
        return self._current.user if self._current else None

    async def bearer(self) -> str:
        """Return a token believed to be alive; logs in when there is none."""
        if self._current is None or not _alive(self._current):
            await self._renew(dead=None)
        assert self._current is not None  # noqa: S101
        return self._current.access

    async def renew(self, dead: str) -> str:
        """Return another token than ``dead``, which the platform has just refused."""
        await self._renew(dead=dead)
        assert self._current is not None  # noqa: S101
        return self._current.access

    async def _renew(self, dead: str | None) -> None:
        async with self._renewing:
            if self._usable(self._current, dead):
                return  # somebody else of this process renewed while we waited
            async with self._cache.locked():
                cached = self._cache.read()
                if self._usable(cached, dead):
                    self._current = cached
                    return
                fresh = await self._refresh(cached) or await self._log_in()
                # One that was just given lives, whatever our clock says of it: a clock that runs ahead must
                # not make every request log in. A 401 tells when it is over.
                self._current = fresh if _alive(fresh) else replace(fresh, expires_at=None)
                self._cache.write(self._current)

    def _usable(self, tokens: Tokens | None, dead: str | None) -> bool:
        return tokens is not None and tokens.access != dead and _alive(tokens)

    async def _refresh(self, cached: Tokens | None) -> Tokens | None:
        if cached is None or not cached.refresh:
            return None
        if cached.refresh_expires_at is not None and cached.refresh_expires_at <= time.time():
            return None
        await self._pace()
        try:
            tokens = await self._login.refresh(cached.refresh)
        except Transient:
            tokens = None  # the answer was lost: the token may be spent, and only a login is sure
        if tokens is None:
            self._cache.forget()
            return None
        self.refreshes += 1
        return tokens

    async def _log_in(self) -> Tokens:
        # A login creates nothing, so it may be repeated; every try counts against the limit.
        try:
            return await self._retry.run(self._one_login)
        except Transient as error:
            # Without a login nothing works, and whoever asked for the token would only repeat all of it.
            raise PlatformDown(f"no login could be had: {error.message}") from error

    async def _one_login(self) -> Tokens:
        await self._pace()
        self.logins += 1
        return await self._login.log_in()

    async def _pace(self) -> None:
        while (wait := self._cache.login_wait(self._per_minute, time.time())) > 0:  # noqa: ASYNC110  # the wait is for a clock
            await anyio.sleep(wait)
        self._cache.note_login(time.time())


def _alive(tokens: Tokens) -> bool:
    return tokens.expires_at is None or tokens.expires_at - EXPIRY_MARGIN_S > time.time()


class ReadyToken:
    """A token given by the user: used as it is, and never renewed."""

    user: User | None = None
    logins = 0
    refreshes = 0

    def __init__(self, token: str, variable: str) -> None:
        self._token = token
        self._variable = variable

    async def bearer(self) -> str:
        """Return the token."""
        return self._token

    async def renew(self, dead: str) -> str:
        """Raise: there is no login to renew it with."""
        raise CredentialsError(
            f"the platform refused the token in {self._variable}",
            hint=f"get a new one, or unset {self._variable} and give a login",
        )
