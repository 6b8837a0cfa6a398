"""HTTP with one API generation: bearer token, pacing, retry, and errors translated at one border.

The only module besides ``signed`` that touches httpx. A foreign exception never leaves it.
"""

from __future__ import annotations

import errno
import json as jsonlib
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, quote_plus

import anyio.to_thread
import httpx

from mediapipe.convirza.answers import failure, read_json, read_problem
from mediapipe.convirza.models import Tokens, User, read_tokens
from mediapipe.errors import CredentialsError, DiskFull, Rejected, Transient, UsageError
from mediapipe.pacing import Pacer, RetryPolicy, http_date
from mediapipe.redact import MASK, redact

TOKEN_DEADLINE_S = 60.0
RENEWALS = 4
"""Fresh tokens tried on one read before a 401 counts as a refusal of the login itself."""

SHORTEST_SECRET = 4
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")

T = TypeVar("T")

Query = Mapping[str, str | int | list[str]]


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every httpx exception into one of ours; ``doing`` names the request without its query."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.CookieConflict) as error:
        raise UsageError(f"{doing}: {redact(str(error))}") from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        # ``from None``: httpx exceptions carry the request, and its URL may be a credential.
        raise Transient(f"{doing}: {_why(error)}", code="network") from None
    except (ssl.SSLError, OSError) as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:  # from the spool a body is poured into
            raise DiskFull(f"{doing}: no room for the spool file") from error
        raise Transient(f"{doing}: {type(error).__name__}: {redact(str(error))}", code="network") from None


def _why(error: Exception) -> str:
    cause = f"{type(error).__name__}"
    text = redact(str(error))
    return f"{cause}: {text}" if text else cause


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: parsed JSON and the platform's clock in Unix seconds."""

    body: Any
    server_time: float


def server_time(headers: Mapping[str, str]) -> float:
    """Return the platform's clock from its ``Date`` header, or ours without one."""
    said = http_date(headers.get("date") or "")
    return time.time() if said is None else said


def bearing(token: str) -> dict[str, str]:
    """Return the header that carries a token; one that none can carry is refused without showing it."""
    if not _HEADER_VALUE.fullmatch(token):
        raise CredentialsError("the token holds what no header can carry: a space, a line break, an accent")
    return {"Authorization": f"Bearer {token}"}


def without(body: bytes, *secrets: str) -> bytes:
    """Return a body fit to be quoted: what we sent in confidence may come back in its words."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            for spelled in _spellings(secret):
                body = body.replace(spelled.encode("utf-8", "replace"), MASK.encode())
    return body


def _spellings(secret: str) -> list[str]:
    """Return a secret as a far side may write it, the longest first: as it is, in JSON, in a URL."""
    in_json = [jsonlib.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    slashed = [text.replace("/", "\\/") for text in in_json]
    in_url = [quote(secret, safe=safe, errors="replace") for safe in ("", "/")] + [
        quote_plus(secret, errors="replace")
    ]
    return sorted({secret, *in_json, *slashed, *in_url}, key=len, reverse=True)


class TokenSource(Protocol):
    """What a session needs of a token manager."""

    @property
    def user(self) -> User | None:
        """Who the login is, when known."""
        ...

    async def bearer(self) -> str:
        """Return a token believed to be alive."""
        ...

    async def renew(self, dead: str) -> str:
        """Return another token than the one just refused."""
        ...


def as_answer(answer: Answer) -> Answer:
    """Read an answer as what it is."""
    return answer


class Session:
    """Requests to one generation's API under one login."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base: str,
        tokens: TokenSource,
        pacer: Pacer,
        retry: RetryPolicy,
        *,
        deadline: float = 600.0,
    ) -> None:
        self._http = http
        self.deadline = deadline
        self._base = base.rstrip("/")
        self.tokens = tokens
        self._pacer = pacer
        self.retry = retry
        self.requests = 0
        self.clock_skew = 0.0

    def address(self, path: str) -> str:
        """Return the full address of an endpoint."""
        return self._base + path

    def heard(self, headers: Mapping[str, str]) -> None:
        """Count an answer that did not come through here, and learn the platform's clock from it."""
        self.requests += 1
        self.clock_skew = server_time(headers) - time.time()

    async def get(
        self,
        path: str,
        query: Query | None = None,
        *,
        doing: str,
        read: Callable[[Answer], T] = as_answer,  # type: ignore[assignment]
    ) -> T:
        """GET ``path`` and return what ``read`` makes of its JSON; the token is renewed on 401.

        Repeated on passing faults; one of them is an answer that ``read`` finds unreadable.

        Raises ``Transient`` when it stayed unreachable, ``CredentialsError``, or ``Rejected`` with the
        platform's words (``code`` is ``http_404`` and the like).
        """

        async def once() -> T:
            return read(await self._ask("GET", path, query, doing))

        return await self.retry.run(once)

    async def delete(self, path: str, *, doing: str) -> bool:
        """DELETE ``path``; True when it was deleted, False when nothing was there (any more).

        Repeated like a read, so False may also mean that an earlier try had its effect and lost its answer.
        A success that is neither empty nor JSON proves nothing and is tried again. Raises as ``get`` does.
        """

        async def once() -> None:
            await self._ask("DELETE", path, None, doing, may_be_empty=True)

        try:
            await self.retry.run(once)
        except Rejected as error:
            if error.code in {"http_404", "http_410"}:
                return False
            raise
        return True

    async def _ask(
        self, method: str, path: str, query: Query | None, doing: str, *, may_be_empty: bool = False
    ) -> Answer:
        token = await self.tokens.bearer()
        response = await self._send(method, path, query, token, doing)
        for _ in range(RENEWALS):
            if response.status_code != 401:
                break
            token = await self.tokens.renew(token)
            response = await self._send(method, path, query, token, doing)
        words = without(response.content, token)
        error = failure(response.status_code, response.headers, words, doing=doing)
        if error is not None:
            raise error
        body = read_json(response.content)
        if body is None and not (may_be_empty and not response.content.strip()):
            problem = read_problem(response.status_code, words)
            raise Transient(f"{doing}: the answer is not JSON: {problem}", code="unreadable_answer")
        answer = Answer(body, server_time(response.headers))
        self.clock_skew = answer.server_time - time.time()
        return answer

    async def _send(
        self, method: str, path: str, query: Query | None, token: str, doing: str
    ) -> httpx.Response:
        params = httpx.QueryParams(dict(query)) if query else None
        async with self._pacer.turn():
            self.requests += 1
            headers = bearing(token)
            # The read timeout is between two chunks; an answer that drips has this one to meet.
            sound = self._base.startswith(("https://", "http://")) and "\0" not in self._base
            with (
                _of_the_far_side(doing, token, reached=sound),
                translated(doing),
                anyio.fail_after(self.deadline),
            ):
                response = await self._http.request(method, self._base + path, params=params, headers=headers)
            # A client's answer and its stream hold each other: pages of half a megabyte would stay until the
            # garbage collector comes by, which counts objects and not bytes.
            response.stream = httpx.ByteStream(b"")
            words = without(response.content, token)
            error = failure(response.status_code, response.headers, words, doing=doing)
            if isinstance(error, Transient):  # inside the turn, so that pacing learns of it
                raise error
        return response


@contextmanager
def _of_the_far_side(doing: str, token: str, *, reached: bool) -> Iterator[None]:
    """Sort what only an answer can be the cause of, where our own address is one (``reached``).

    httpx reads a ``Location`` that it does not follow, and its words may quote what came back.
    """
    try:
        yield
    except (UsageError, UnicodeError) as error:
        if not reached:
            raise
        raise Transient(
            f"{doing}: the answer cannot be read: {type(error).__name__}", code="network"
        ) from None
    except Transient as error:
        said = without(error.message.encode(), token).decode("utf-8", "replace")
        raise Transient(said, code=error.code, retry_after=error.retry_after) from None


_SECRETS = {"password", "client_secret", "refresh_token"}


async def _token_call(
    http: httpx.AsyncClient,
    url: str,
    *,
    json: Mapping[str, str] | None,
    form: Mapping[str, str] | None,
    doing: str,
) -> Tokens:
    # The caller holds a lock that other processes wait for.
    with translated(doing), anyio.fail_after(TOKEN_DEADLINE_S):
        response = await http.post(url, json=json, data=form)
    words = without(
        response.content, *(value for name, value in (json or form or {}).items() if name in _SECRETS)
    )
    error = failure(response.status_code, response.headers, words, doing=doing)
    if isinstance(error, Transient):
        raise error
    if error is not None:
        raise CredentialsError(error.message, hint="check the login and that the account may use this API")
    tokens = read_tokens(read_json(response.content))
    if tokens is None:
        raise Transient(f"{doing}: the answer holds no access token", code="unreadable_answer")
    return tokens


async def _fetched(secret: Callable[[], str]) -> str:
    """Fetch a secret in a thread: it may come from a command that takes its time."""
    return await anyio.to_thread.run_sync(secret)


class V3Login:
    """Logs in to v3: JSON ``{email, password}``; refresh tokens are single-use."""

    def __init__(self, http: httpx.AsyncClient, base: str, email: str, password: Callable[[], str]) -> None:
        self._http, self._base = http, base.rstrip("/")
        self._email, self._password = email, password

    async def log_in(self) -> Tokens:
        """See :class:`~mediapipe.convirza.tokens.Login`."""
        body = {"email": self._email, "password": await _fetched(self._password)}
        return await _token_call(self._http, f"{self._base}/token", json=body, form=None, doing="v3 login")

    async def refresh(self, refresh_token: str) -> Tokens | None:
        """See :class:`~mediapipe.convirza.tokens.Login`. Sent once: a second try would spend a dead token."""
        body = {"refresh_token": refresh_token}
        try:
            return await _token_call(
                self._http, f"{self._base}/refresh-token", json=body, form=None, doing="v3 token refresh"
            )
        except (CredentialsError, Rejected):
            return None


@dataclass(frozen=True, slots=True)
class V2Credentials:
    """What a v2 login needs besides the user; the secrets are fetched when they are used."""

    email: str
    password: Callable[[], str]
    client_id: str
    client_secret: Callable[[], str]


class V2Login:
    """Logs in to v2: form-urlencoded password grant with a client id and secret; there is no refresh."""

    def __init__(self, http: httpx.AsyncClient, base: str, credentials: V2Credentials) -> None:
        self._http, self._base, self._credentials = http, base.rstrip("/"), credentials

    async def log_in(self) -> Tokens:
        """See :class:`~mediapipe.convirza.tokens.Login`."""
        form = {
            "grant_type": "password",
            "client_id": self._credentials.client_id,
            "client_secret": await _fetched(self._credentials.client_secret),
            "username": self._credentials.email,
            "password": await _fetched(self._credentials.password),
        }
        return await _token_call(self._http, f"{self._base}/token", json=None, form=form, doing="v2 login")

    async def refresh(self, refresh_token: str) -> Tokens | None:
        """Return None: v2 has no refresh endpoint."""
        return None
