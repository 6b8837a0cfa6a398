"""A prompt client against any address, for as long as one question takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio

from mediapipe.convirza.clients import Timeouts, open_http
from mediapipe.convirza.creating import Posting
from mediapipe.convirza.posts import open_posts
from mediapipe.convirza.prompts import PromptApi, PromptUpload, V2Prompts, V3Prompts
from mediapipe.convirza.session import Session
from mediapipe.convirza.tokens import ReadyToken
from mediapipe.library.words import Listed, PromptType
from mediapipe.pacing import AdaptiveLimit, Pacer, Pause, RetryPolicy
from tests.convirza.server import Handler, Reply, Request, as_json

QUICK = RetryPolicy(attempts=3, wait_initial=0.001, wait_max=0.002, total=5.0)

Ask = Callable[[Any], Awaitable[Any]]


def asked(
    kind: type[V2Prompts | V3Prompts],
    base: str,
    ask: Ask,
    *,
    token: str = "t0ken-of-the-run",  # noqa: S107 - no secret of anybody
    read: float = 2.0,
    **more: Any,
) -> Any:
    """Return what ``ask`` makes of a client of this kind whose API is at ``base``."""

    async def main() -> Any:
        async with AsyncExitStack() as stack:
            timeouts = Timeouts(2, read, 2, 2)
            http = await stack.enter_async_context(open_http(timeouts, connections=2))
            posts = await stack.enter_async_context(open_posts(timeouts, connections=2))
            pacer = Pacer(AdaptiveLimit(2), Pause())
            session = Session(http, base, ReadyToken(token, "V"), pacer, QUICK, deadline=5.0)
            return await ask(kind(session, Posting(posts, Pacer(AdaptiveLimit(2), Pause())), **more))

    return anyio.run(main)


def listing(kind: PromptType | None = None, name: str | None = None) -> Ask:
    """Return the question for the list."""

    async def ask(api: PromptApi) -> list[Listed]:
        return await api.list_prompts(kind, name)

    return ask


def sending(uploads: Sequence[PromptUpload], begun: list[int] | None = None) -> Ask:
    """Return the question for an upload; ``begun`` grows each time it begins."""

    async def begin() -> None:
        (begun if begun is not None else []).append(1)

    async def ask(api: PromptApi) -> Any:
        return await api.upload(uploads, begin=begin)

    return ask


def upload_of(path: Path, name: str = "welcome", kind: PromptType = PromptType.PROMPT) -> PromptUpload:
    """Return a file as an upload."""
    return PromptUpload(kind, name, path, f"{name}.wav", "audio/wav", path.stat().st_size)


def query_of(request: Request) -> dict[str, str]:
    """Return the query of a request."""
    return {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}


def paged(
    records: Sequence[Any],
    *,
    cap: int = 10_000,
    offset: bool = True,
    limit: bool = True,
    filters: bool = False,
    wrap: Callable[[list[Any], int], Any] = lambda page, total: {"data": page},
) -> Handler:
    """Return a server of a list; each of its manners can be left out."""

    def handle(request: Request) -> Reply:
        query = query_of(request)
        found = list(records)
        if filters:
            found = [
                record
                for record in found
                if query.get("type", record["type"]) == record["type"]
                and query.get("name", "") in record["name"]
            ]
        start = int(query.get("offset", 0)) if offset else 0
        most = min(cap, int(query.get("limit", 50))) if limit else cap
        return as_json(wrap(found[start : start + most], len(found)))

    return handle
