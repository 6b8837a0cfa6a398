"""Settings and logs, the same way for every command."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mediapipe.errors import UsageError
from mediapipe.report.logs import configure
from mediapipe.settings import Settings, load_settings

log = logging.getLogger(__name__)


def load(profile: str | None, flags: Mapping[str, object]) -> Settings:
    """Return the settings in force and configure the log by them; warns of unknown environment names."""
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
