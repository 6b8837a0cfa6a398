"""The one place that opens and closes clients, store and ledger from settings.

Jobs get what is opened here and never look at settings themselves.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from mediapipe.convirza.clients import HttpClient, open_http
from mediapipe.convirza.grants import Grants
from mediapipe.convirza.posts import open_posts
from mediapipe.convirza.prompts import V2Prompts, V3Prompts
from mediapipe.convirza.session import Session, TokenSource, V2Credentials, V2Login, V3Login
from mediapipe.convirza.tokens import ReadyToken, TokenCache, TokenManager
from mediapipe.convirza.v2 import V2, Posting
from mediapipe.convirza.v3 import V3
from mediapipe.convirza.wired import wire_of, wired
from mediapipe.crew import Crew
from mediapipe.errors import CredentialsError, UsageError
from mediapipe.existing import Existing
from mediapipe.ledger.interface import Ledger, Scope
from mediapipe.ledger.open import open_ledger
from mediapipe.listing import Rules
from mediapipe.liveness import is_dead
from mediapipe.nursery import Nursery
from mediapipe.pacing import (
    AdaptiveLimit,
    ByteRate,
    Pacer,
    Pause,
    RateLimit,
    RequestBudget,
    RetryPolicy,
)
from mediapipe.settings import ConvirzaSettings, Settings
from mediapipe.sources import resolve_secret
from mediapipe.stores.interface import Store
from mediapipe.stores.open import open_store
from mediapipe.transfer import Kept, NeedsGrant, Tools, Transfer, transfer
from mediapipe.transfer_services import crew_of, retry_of, timeouts_of, transfer_tools

PROVEN = "destination_proven"
API_CONNECTIONS = 4


def account_of(settings: Settings) -> str:
    """Return the account part of every ledger key: API host and the user's name for the account."""
    return f"{urlsplit(settings.convirza.v3_url).netloc.lower()}/{settings.convirza.account}"


@dataclass(frozen=True, slots=True)
class Platform:
    """Both API generations under one login, sharing one pause."""

    v3: V3
    v2: Callable[[], V2]
    v3_url: str
    v2_url: str
    login: str
    pause: Pause
    v3_prompts: Callable[[], V3Prompts]
    v2_prompts: Callable[[], V2Prompts]


@asynccontextmanager
async def open_platform(
    settings: Settings, budget: RequestBudget | None = None
) -> AsyncGenerator[Platform, None]:
    """Open the platform's clients. Nothing is sent and no secret is fetched before the first request.

    ``budget`` is shared with other processes; without one the settings say how often this one may ask.
    """
    ours, pace, imports, prompts = settings.convirza, settings.pace, settings.imports, settings.prompts
    async with AsyncExitStack() as stack:
        timeouts = timeouts_of(settings, pace.read_timeout)
        http = await stack.enter_async_context(open_http(timeouts, connections=API_CONNECTIONS))
        posts = await stack.enter_async_context(
            open_posts(timeouts, connections=max(imports.uploads, prompts.uploads))
        )
        shared = budget or RequestBudget(Pause(), RateLimit(pace.requests_per_second))
        pause, rate, retry = shared.pause, shared.rate, retry_of(settings)
        pacer = Pacer(AdaptiveLimit(API_CONNECTIONS), pause, rate)
        posting = Posting(
            posts,
            Pacer(AdaptiveLimit(imports.uploads), pause, rate),
            imports.file_field,
            imports.retry_503,
            ByteRate(imports.bytes_per_second).allow if imports.bytes_per_second else None,
        )

        prompt_posting = replace(posting, pacer=Pacer(AdaptiveLimit(prompts.uploads), pause, rate))

        def session(base: str, tokens: TokenSource) -> Session:
            return Session(http, base, tokens, pacer, retry, deadline=pace.request_deadline)

        v3 = session(ours.v3_url, _v3_tokens(settings, http))
        yield Platform(
            v3=V3(v3),
            # Only who uses v2 needs its client id and secret.
            v2=lambda: V2(session(ours.v2_url, _v2_tokens(settings, http)), posting),
            v3_url=ours.v3_url,
            v2_url=ours.v2_url,
            login=ours.email or "",
            pause=pause,
            v3_prompts=lambda: V3Prompts(
                v3,
                prompt_posting,
                file_field=prompts.file_field,
                routes_looked_at=prompts.routes_looked_at,
            ),
            v2_prompts=lambda: V2Prompts(session(ours.v2_url, _v2_tokens(settings, http)), prompt_posting),
        )


def _v3_tokens(settings: Settings, http: HttpClient) -> TokenSource:
    ours = settings.convirza
    if ours.v3_token is not None:
        return ReadyToken(ours.v3_token.get_secret_value(), "CONVIRZA_V3_TOKEN")
    email = _required(ours.email, "CONVIRZA_EMAIL")
    login = V3Login(http, ours.v3_oauth_url, email, lambda: _password(ours))
    return _manager(settings, login, "v3", ours.v3_oauth_url, email)


def _v2_tokens(settings: Settings, http: HttpClient) -> TokenSource:
    ours = settings.convirza
    if ours.v2_token is not None:
        return ReadyToken(ours.v2_token.get_secret_value(), "CONVIRZA_V2_TOKEN")
    email = _required(ours.email, "CONVIRZA_EMAIL")
    credentials = V2Credentials(
        email,
        lambda: _password(ours),
        _required(ours.client_id, "CONVIRZA_CLIENT_ID"),
        lambda: _client_secret(ours),
    )
    return _manager(settings, V2Login(http, ours.v2_oauth_url, credentials), "v2", ours.v2_oauth_url, email)


def _manager(settings: Settings, login: V3Login | V2Login, *identity: str) -> TokenManager:
    generation, base, *_ = identity
    # The platform counts logins by IP address, whoever logs in; each generation counts for itself.
    limited = f"{generation} {urlsplit(base).netloc.lower()}"
    cache = TokenCache(settings.tokens_dir, *identity, limited_with=limited)
    per_minute = max(1, int(settings.pace.logins_per_minute))
    return TokenManager(login, cache, retry_of(settings), logins_per_minute=per_minute)


def _password(ours: ConvirzaSettings) -> str:
    return resolve_secret(
        "password",
        value=ours.password,
        command=ours.password_command,
        keyring_service=ours.keyring_service,
        keyring_user=ours.email,
    ).get_secret_value()


def _client_secret(ours: ConvirzaSettings) -> str:
    return resolve_secret(
        "client_secret",
        value=ours.client_secret,
        command=ours.client_secret_command,
        keyring_service=ours.keyring_service,
        keyring_user=ours.client_id,
    ).get_secret_value()


def _required(value: str | None, variable: str) -> str:
    if not value:
        raise CredentialsError(
            f"{variable} is not set", code="no_login", hint=f"set {variable} and try again"
        )
    return value


@asynccontextmanager
async def opened_ledger(settings: Settings, owner: str) -> AsyncGenerator[Ledger, None]:
    """Open the ledger that the settings name: SQLite in the state folder unless they say otherwise."""
    ledger = await open_ledger(settings.ledger_dsn, owner=owner)
    try:
        yield ledger
    finally:
        await ledger.aclose()


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncGenerator[Store, None]:
    """Open the archive's destination."""
    if not settings.archive.dest:
        raise UsageError("no destination is given", hint="--dest s3://bucket/prefix or --dest /folder")
    store = open_store(settings.archive.dest, settings.store)
    try:
        yield store
    finally:
        await store.aclose()


async def prove_destination(store: Store, ledger: Ledger, scope: Scope, retry: RetryPolicy) -> None:
    """Show once per destination that it refuses to overwrite; raises ``UnsafeDestination``.

    Later, show that it still is the same place: an empty mount point would take new recordings, and hide
    them when the right disk is mounted again.
    """
    if await ledger.recall(scope, PROVEN) is None:
        await retry.run(store.prove)
        await ledger.remember(scope, PROVEN, "yes")
    elif not await retry.run(store.proven):
        raise UsageError(
            f"{store.url} was used before, but nothing of that is there now",
            hint="is it mounted? If it was emptied on purpose, begin with a new ledger",
        )


async def release_dead(ledger: Ledger, scope: Scope, runs_dir: Path) -> int:
    """Take the claims of this machine's dead runs back; return how many."""
    freed = 0
    for owner in await ledger.holders(scope):
        if owner != ledger.owner and is_dead(owner, runs_dir):
            freed += await ledger.release(scope, owner)
    return freed


@dataclass(frozen=True, slots=True)
class ArchiveServices:
    """Everything the archive job works with."""

    platform: Platform
    grants: Grants
    tools: Tools
    existing: Existing
    ledger: Ledger
    scope: Scope
    rules: Rules
    workers: int
    lookback: timedelta
    settle: timedelta
    runs_dir: Path
    crew: Crew | None = None

    def expect(self, count: int) -> None:
        """Be told that so many recordings may have to be transferred soon."""
        if self.crew is not None:
            self.crew.expect(count)

    async def transfer(self, task: Transfer) -> Kept | NeedsGrant:
        """Keep one recording, in this process or in one of the crew's."""
        return await (self.crew.transfer(task) if self.crew is not None else transfer(task, self.tools))


@asynccontextmanager
async def open_archive(
    settings: Settings,
    job: str,
    owner: str,
    budget: RequestBudget | None = None,
    nursery: Nursery | None = None,
) -> AsyncGenerator[ArchiveServices, None]:
    """Open what ``archive`` jobs need, and close it in the right order.

    ``nursery`` is where its transfer processes come from; without one they are started afresh.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened_store(settings))
        ledger = await stack.enter_async_context(opened_ledger(settings, owner))
        platform = await stack.enter_async_context(open_platform(settings, budget))
        timeouts = timeouts_of(settings, settings.pace.stall_timeout)
        fast = wired(wire_of(timeouts, settings.workers), settings.workers)
        http = await stack.enter_async_context(
            open_http(timeouts, connections=settings.workers, transport=fast)
        )
        retry, archive = retry_of(settings), settings.archive
        downloads = Pacer(AdaptiveLimit(settings.workers), platform.pause)
        tools = transfer_tools(settings, http, store, downloads)
        crew = crew_of(settings, tools, platform.pause, nursery)
        stack.callback(crew.close)
        yield ArchiveServices(
            platform=platform,
            grants=Grants(
                platform.v3.get_call,
                margin=archive.url_margin,
                capacity=max(1024, 4 * archive.page_size),
            ),
            tools=tools,
            existing=Existing(store, tools.layout, retry),
            ledger=ledger,
            scope=Scope(job, account_of(settings), store.url),
            rules=Rules(
                window=archive.window,
                window_max_calls=archive.window_max_calls,
                walk_attempts=archive.walk_attempts,
                page_size=archive.page_size,
                waiting_age=archive.waiting_age,
                url_budget=archive.url_budget,
            ),
            workers=settings.workers,
            lookback=archive.lookback,
            settle=archive.settle,
            runs_dir=settings.runs_dir,
            crew=crew,
        )
