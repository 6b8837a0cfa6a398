"""Downloads through signed URLs: streamed, hashed on the way, resumed by Range when that is safe.

No bearer token ever goes to the recordings host: this client has none to send. The URL is a
credential; no error or log line holds more of it than its host.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import parse_qsl, urljoin, urlsplit

import anyio
import httpx

from mediapipe.convirza.answers import TRANSIENT_STATUSES, read_problem
from mediapipe.convirza.clients import USER_AGENT
from mediapipe.convirza.hosts import HostPolicy
from mediapipe.convirza.session import translated, without
from mediapipe.errors import Failed, Throttled, Transient
from mediapipe.pacing import Pacer, RetryPolicy, retry_after

MAX_REDIRECTS = 5
LONGEST_ATTEMPT_S = 4 * 3600.0
"""One try of one download ends here; what has arrived is resumed from where the server allows it."""
_WORDS_BYTES = 16_384
"""How much of a refusal's body is read."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class GrantExpired(Failed):
    """The signed URL has expired; the call has to be fetched again for a new one."""

    code = "url_expired"


class GrantRefused(Failed):
    """The recordings host refused the signed URL."""

    code = "url_refused"


@dataclass(frozen=True, slots=True)
class Download:
    """A complete body in the spool. ``proven`` tells whether its length was vouched for by the protocol."""

    size: int
    sha256: str
    proven: bool
    content_type: str
    resumed: int


Check = Callable[[Download], None]
Announced = Callable[[int], object]
"""Told how many bytes will come, where the far side says so."""


@dataclass(slots=True)
class _Progress:
    """What is in the spool so far, and what binds a resume to it."""

    hasher: hashlib._Hash
    size: int = 0
    etag: str = ""
    total: int | None = None
    ranges: bool = False
    resumed: int = 0

    def restart(self, spool: BinaryIO) -> None:
        spool.seek(0)
        spool.truncate()
        self.hasher, self.size, self.etag, self.total, self.ranges = hashlib.sha256(), 0, "", None, False

    @property
    def resumable(self) -> bool:
        return self.size > 0 and self.ranges and bool(self.etag) and self.total is not None


class Downloader:
    """Fetches recordings into a spool file."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        hosts: HostPolicy,
        pacer: Pacer,
        retry: RetryPolicy,
        *,
        max_bytes: int,
        longest: float = LONGEST_ATTEMPT_S,
    ) -> None:
        self._longest = longest
        self._http, self._hosts, self._pacer, self._retry = http, hosts, pacer, retry
        self._max_bytes = max_bytes

    async def fetch(
        self, url: str, spool: BinaryIO, check: Check, announced: Announced | None = None
    ) -> Download:
        """Stream ``url`` into ``spool`` (seekable, emptied first) and return what arrived.

        ``check`` looks at the whole body before it counts as arrived: a ``Transient`` from it (an error
        page in place of audio, say) fetches the body again, anything else passes through.

        Raises :class:`GrantExpired` (410), :class:`GrantRefused` (401, 403), ``ForbiddenHost``,
        ``Failed`` (``empty_body``, ``too_large``, ``http_…``), ``Transient`` when passing faults stayed.
        """
        progress = _Progress(hashlib.sha256())
        progress.restart(spool)
        return await self._retry.run(lambda: self._attempt(url, spool, progress, check, announced))

    async def _attempt(
        self, url: str, spool: BinaryIO, progress: _Progress, check: Check, announced: Announced | None
    ) -> Download:
        self._hosts.check(url)
        async with self._pacer.turn():
            if not progress.resumable:
                progress.restart(spool)
            headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
            if progress.size:
                headers |= {"Range": f"bytes={progress.size}-", "If-Range": progress.etag}
            host = urlsplit(url).hostname or ""
            # The read timeout is between two chunks; a body that drips has this to meet.
            with translated(f"download from {host}"), anyio.fail_after(self._longest):
                async with self._open(url, headers) as response:
                    if response.status_code == 416:  # nothing lies behind what we have: no part of this body
                        progress.restart(spool)
                    await _refusals(response, host, url)
                    self._begin(response, spool, progress, host)
                    if announced is not None and progress.total is not None:
                        announced(progress.total)
                    await self._pour(response, spool, progress, host)
            try:
                arrived = _finish(response, progress, host)
                check(arrived)
            except Transient:  # the far side called this whole: there is nothing to continue behind
                progress.restart(spool)
                raise
            return arrived

    @asynccontextmanager
    async def _open(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._http.send(httpx.Request("GET", url, headers=headers), stream=True)
                try:
                    target = response.headers.get("location")
                    if response.status_code not in {301, 302, 303, 307, 308} or not target:
                        yield response
                        return
                finally:
                    await response.aclose()
                url = _joined(url, target)
                self._hosts.check(url)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.RemoteProtocolError) as error:
            # httpx reads where a redirect leads before we do, and has no class of its own for what it cannot.
            if isinstance(error, httpx.RemoteProtocolError) and "location header" not in str(error):
                raise
            # The far side's fault, and this item's alone.
            raise Failed(
                "a recording's URL, or where it redirects to, cannot be read", code="bad_url"
            ) from None
        raise Failed("a recording's URL redirects too often", code="redirect_loop")

    def _begin(self, response: httpx.Response, spool: BinaryIO, progress: _Progress, host: str) -> None:
        """Bind the spool to this answer: continue behind what is there, or start over."""
        if response.status_code == 206:
            match = _RANGE.fullmatch(response.headers.get("content-range", ""))
            same = match and int(match[1]) == progress.size and response.headers.get("etag") == progress.etag
            if not same or not match or match[3] not in {"*", str(progress.total)}:
                progress.restart(spool)
                raise Transient(
                    f"download from {host}: the resumed part does not fit", code="resume_mismatch"
                )
            progress.resumed += 1
            return
        progress.restart(spool)
        etag = response.headers.get("etag", "")
        progress.etag = "" if etag.startswith("W/") else etag
        progress.ranges = response.headers.get("accept-ranges", "").lower() == "bytes"
        length = response.headers.get("content-length", "")
        encoded = response.headers.get("content-encoding", "identity").lower() not in {"", "identity"}
        progress.total = int(length) if length.isdecimal() and not encoded else None
        if progress.total is not None and progress.total > self._max_bytes:
            raise Failed(
                f"the recording is {progress.total:,} bytes, above the limit of {self._max_bytes:,}",
                code="too_large",
            )

    async def _pour(self, response: httpx.Response, spool: BinaryIO, progress: _Progress, host: str) -> None:
        async for chunk in response.aiter_bytes():
            progress.size += len(chunk)
            if progress.size > self._max_bytes:
                raise Failed(
                    f"the recording is above the limit of {self._max_bytes:,} bytes", code="too_large"
                )
            progress.hasher.update(chunk)
            spool.write(chunk)


def _joined(url: str, target: str) -> str:
    try:
        httpx.URL(target)  # reads more strictly than what joins them
        return urljoin(url, target)
    except (ValueError, httpx.InvalidURL):
        raise Failed("a recording's URL redirects to what cannot be read", code="bad_url") from None


async def _words(response: httpx.Response) -> bytes:
    """Return the start of a refusal's body; the status stands, however the body ends."""
    body = bytearray()
    with suppress(httpx.HTTPError, httpx.StreamError):
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_bytes())) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= _WORDS_BYTES:
                    break
    return bytes(body)


def secrets_of(url: str) -> list[str]:
    """Return what may be a secret in a URL, however its parameters are called: its query, and each value."""
    query = urlsplit(url).query
    return [query, *(value for _, value in parse_qsl(query))]


async def _refusals(response: httpx.Response, host: str, url: str) -> None:
    """Raise for every status that carries no recording."""
    status = response.status_code
    if status in {200, 206}:
        return
    secrets = (*secrets_of(url), *secrets_of(str(response.request.url)))  # after a redirect it is another
    words = without(await _words(response), *secrets)
    said = f"download from {host}: {read_problem(status, words)}"
    if status == 410:
        raise GrantExpired(said)
    if status in {401, 403}:
        raise GrantRefused(said)
    if status == 429:
        raise Throttled(said, retry_after=retry_after(response.headers))
    if status == 416 or status in TRANSIENT_STATUSES:
        raise Transient(said, code=f"http_{status}", retry_after=retry_after(response.headers))
    raise Failed(said, code=f"http_{status}")


def _finish(response: httpx.Response, progress: _Progress, host: str) -> Download:
    if progress.total is not None and progress.size != progress.total:
        raise Transient(
            f"download from {host}: {progress.size:,} of {progress.total:,} bytes arrived", code="short_body"
        )
    if progress.size == 0:
        raise Transient(f"download from {host}: the body is empty", code="empty_body")
    chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
    return Download(
        size=progress.size,
        sha256=progress.hasher.hexdigest(),
        proven=progress.total is not None or chunked,
        content_type=response.headers.get("content-type", "").split(";")[0].strip().lower(),
        resumed=progress.resumed,
    )
