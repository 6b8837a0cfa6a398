"""Tokens of both API generations: logins, single-use refresh, renewal by use, and the login limit.

The generations keep apart: a token of one is nothing to the other.
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mediapipe.sandbox.config import SandboxConfig

_MINUTE = 60.0
V2, V3 = "v2", "v3"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a successful login or refresh hands out; the times are Unix seconds."""

    access: str
    access_expires: float
    refresh: str
    refresh_expires: float


@dataclass(slots=True)
class _Live:
    """Live tokens of one kind and when each ends."""

    expires: dict[str, float] = field(default_factory=dict)

    def holds(self, token: str, now: float) -> bool:
        return self.expires.get(token, 0.0) > now


class TokenDesk:
    """Hands out tokens and knows which are alive.

    ``now`` is the sandbox's clock in Unix seconds. ``save`` is called with all that is alive after each
    change, so that tokens outlive a restart.
    """

    def __init__(
        self, config: SandboxConfig, now: Callable[[], float], save: Callable[[dict[str, Any]], None]
    ) -> None:
        self._config = config
        self._now = now
        self._save = save
        self._access = {V2: _Live(), V3: _Live()}
        self._refresh = _Live()
        self._logins: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def restore(self, kept: dict[str, Any]) -> None:
        """Take back what ``save`` was given in an earlier life."""
        for generation, live in self._access.items():
            live.expires.update(kept.get(generation, {}))
        self._refresh.expires.update(kept.get("refresh", {}))

    def admits(self, generation: str, address: str) -> bool:
        """Count one login attempt; False when the address is over the limit per minute."""
        limit, now = self._config.login_limit_per_minute, self._now()
        recent = self._logins[generation, address]
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if limit and len(recent) >= limit:
            return False
        recent.append(now)
        return True

    def login_v3(self, email: str, password: str) -> Grant | None:
        """Return a new pair of tokens, or None when the login is wrong."""
        return self._new_pair() if self._knows(email, password) else None

    def login_v2(self, client_id: str, client_secret: str, username: str, password: str) -> Grant | None:
        """Return new tokens of the older generation, or None when anything is wrong."""
        config = self._config
        client = _same(client_id, config.client_id) and _same(client_secret, config.client_secret)
        if not (client and self._knows(username, password)):
            return None
        expires = self._now() + config.v2_token_seconds
        grant = Grant(str(uuid.uuid4()), expires, str(uuid.uuid4()), expires)
        self._access[V2].expires[grant.access] = expires
        self._keep()
        return grant

    def refresh(self, token: str) -> Grant | None:
        """Trade a refresh token for a new pair; the old one is dead from here on. None when it was."""
        alive = self._refresh.holds(token, self._now())
        self._refresh.expires.pop(token, None)
        return self._new_pair() if alive else None

    def opens(self, generation: str, token: str) -> bool:
        """Return whether the access token is alive; a v3 token's life starts anew with each use."""
        live, now = self._access[generation], self._now()
        if not live.holds(token, now):
            return False
        if generation == V3:
            live.expires[token] = now + self._config.access_token_seconds
        return True

    def kill(self, token: str) -> None:
        """Make a token of any kind worthless; one that is dead already is no error."""
        for live in (*self._access.values(), self._refresh):
            live.expires.pop(token, None)
        self._keep()

    def kill_all(self) -> None:
        """Make every token worthless."""
        for live in (*self._access.values(), self._refresh):
            live.expires.clear()
        self._keep()

    def _knows(self, email: str, password: str) -> bool:
        return _same(email, self._config.email) and _same(password, self._config.password)

    def _new_pair(self) -> Grant:
        now, config = self._now(), self._config
        grant = Grant(
            access=secrets.token_urlsafe(48),
            access_expires=now + config.access_token_seconds,
            refresh=secrets.token_urlsafe(48),
            refresh_expires=now + config.refresh_token_seconds,
        )
        self._access[V3].expires[grant.access] = grant.access_expires
        self._refresh.expires[grant.refresh] = grant.refresh_expires
        self._keep()
        return grant

    def _keep(self) -> None:
        kept: dict[str, Any] = {name: live.expires for name, live in self._access.items()}
        self._save({**kept, "refresh": self._refresh.expires})


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
