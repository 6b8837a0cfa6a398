"""What the prompt commands work with, opened from settings; see ``services``."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mediapipe.audio.targets import V2_PROMPTS, V3_PROMPTS
from mediapipe.audio.workers import AudioWorkers
from mediapipe.convirza.prompts import PromptApi
from mediapipe.exclusive import alone
from mediapipe.ledger.interface import Claim, Ledger, Scope
from mediapipe.library.keeper import Keeper
from mediapipe.library.lockfile import LockFile
from mediapipe.library.plan import Choices
from mediapipe.library.preparing import Preparer
from mediapipe.library.publishing import Tools
from mediapipe.library.releases import Releases
from mediapipe.library.studio import Studio
from mediapipe.renderings import RenderingProfiles
from mediapipe.services import account_of, open_platform, opened_ledger, release_dead
from mediapipe.settings import Settings
from mediapipe.stores.open import open_store
from mediapipe.transfer_services import retry_of

SCOPE = "prompts.apply"


@dataclass(frozen=True, slots=True)
class PromptServices:
    """Everything a deployment works with; ``tools`` are the platform, the ledger, the lock, the releases."""

    tools: Tools
    studio: Studio
    uploads: int
    runs_dir: Path

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self.tools.ledger

    @property
    def preparer(self) -> Preparer:
        """What makes plans."""
        return Preparer(self.tools, self.studio)


def library_of(settings: Settings) -> str:
    """Return the name of the account's library: the API host that serves it, and the user's account name."""
    if settings.prompts.api == "v3":
        return account_of(settings)
    host = settings.convirza.v2_url.partition("://")[2].partition("/")[0].lower()
    return f"{host}/{settings.convirza.account}"


def choices_of(settings: Settings, *, prune: bool, prune_foreign: bool, force: bool) -> Choices:
    """Return what the user chose."""
    ours = settings.prompts
    return Choices(prune, prune_foreign, force, ours.max_delete, ours.on_conflict)


def profiles_for(manifest: Path) -> RenderingProfiles:
    """Return where a manifest's rendering profiles are found."""
    return RenderingProfiles(manifest.parent, os.environ)


def open_studio(settings: Settings, folder: Path) -> Studio:
    """Return what renders prompts into ``folder``; nothing of it has to be closed."""
    target = V3_PROMPTS if settings.prompts.api == "v3" else V2_PROMPTS
    return Studio(
        AudioWorkers(settings.audio),
        replace(target, limit=settings.audio.max_upload_bytes),
        folder,
        settings.workers,
        settings.audio.raw_format,
        settings.audio.max_seconds,
    )


@asynccontextmanager
async def open_releases(settings: Settings) -> AsyncGenerator[Releases, None]:
    """Open where releases and their audio are kept: a folder of the state folder unless the settings say."""
    place = settings.prompts.artefacts or str(settings.state_dir.expanduser().absolute() / "prompts")
    store = open_store(place, settings.store)
    try:
        yield Releases(store, library_of(settings), retry_of(settings))
    finally:
        await store.aclose()


@asynccontextmanager
async def open_prompts(settings: Settings, owner: str, lock: Path) -> AsyncGenerator[PromptServices, None]:
    """Open what the prompt commands need, and close it in the right order; ``lock`` is the lock file."""
    ours = settings.prompts
    library = library_of(settings)
    keeper = Keeper(LockFile(lock, library))
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(opened_ledger(settings, owner))
        platform = await stack.enter_async_context(open_platform(settings))
        releases = await stack.enter_async_context(open_releases(settings))
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="mediapipe-prompts-")))
        api: PromptApi = platform.v3_prompts() if ours.api == "v3" else platform.v2_prompts()
        tools = Tools(
            api, ledger, Scope(SCOPE, library), keeper, releases, ours.lag, ours.attempts,
            settings.imports.uncertain_in_a_row,
        )  # fmt: skip
        yield PromptServices(tools, open_studio(settings, scratch), ours.uploads, settings.runs_dir)


@asynccontextmanager
async def deploying(services: PromptServices, run_id: str) -> AsyncGenerator[Claim, None]:
    """Be the only deployment of a library with this ledger, and take back what dead runs held."""

    async def free(scope: Scope) -> int:
        return await release_dead(services.ledger, scope, services.runs_dir)

    async with alone("apply", services.ledger, services.tools.scope, run_id, free) as lock:
        await free(services.tools.scope)
        await services.ledger.begin(run_id, services.tools.scope)
        yield lock
