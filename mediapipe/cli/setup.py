"""Settings and logs, the same way for every command."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from mediapipe.errors import UsageError
from mediapipe.report.logs import configure
from mediapipe.settings import Settings, load_settings
from mediapipe.shards import Shard, parse_shard

log = logging.getLogger(__name__)


def load(profile: str | None, flags: Mapping[str, object]) -> Settings:
    """Return the settings in force and configure the log by them; warns of unknown environment names."""
    form = flags.get("log_format") or os.environ.get("MEDIAPIPE_LOG_FORMAT")
    # What is wrong with the settings is said in this form already: a log collector reads it too.
    configure("json" if form == "json" else "text")
    if profile == "":
        # As from --profile "$UNSET": running with other settings than meant would be worse.
        raise UsageError("--profile is empty", hint="name a profile, or leave the flag out")
    loaded = load_settings(profile, flags)
    settings = loaded.settings
    configure(settings.log_format, settings.log_level, quiet=settings.quiet)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return settings


ENGINES = ("local", "ray")


def check_engine(engine: str, engines: Sequence[str] = ENGINES) -> None:
    """Refuse an engine that a command does not run on: never a silent local run."""
    if engine not in engines:
        raise UsageError(f"--engine {engine}: not an engine of this command", hint=" or ".join(engines))


def shard_of(text: str | None, engine: str) -> Shard | None:
    """Return the shard that ``--shard`` names; raises ``UsageError`` where the engine cuts shards itself."""
    if text is None:
        return None
    if engine != "local":
        raise UsageError(f"--shard does not go with --engine {engine}", hint="that engine cuts shards itself")
    return parse_shard(text, os.environ)


def fair(settings: Settings, shard: Shard | None) -> Settings:
    """Return settings under which all shards together ask the platform no more often than one run may."""
    if shard is None:
        return settings
    pace = settings.pace.model_copy(
        update={"requests_per_second": settings.pace.requests_per_second / shard.count}
    )
    return settings.model_copy(update={"pace": pace})
