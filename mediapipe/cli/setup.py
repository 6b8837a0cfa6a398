"""Settings and logs, the same way for every command."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from mediapipe.errors import UsageError
from mediapipe.report.logs import configure
from mediapipe.settings import Settings, load_settings

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


def check_engine(engine: str) -> None:
    """Refuse an engine that is not there: never a silent local run."""
    if engine != "local":
        raise UsageError(f"--engine {engine}: not available in this release", hint="local is the only engine")
