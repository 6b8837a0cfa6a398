"""What an import is opened with: keys that do not move, and times that are long enough."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.exclusive import LEASE
from mediapipe.import_services import import_scope, open_import, open_reconcile, pace_of
from mediapipe.settings import Settings
from tests.import_runs import Importer, importing


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    with importing(tmp_path) as it:
        yield it


def test_keys_are_relative_to_the_account_and_to_what_takes_the_uploads(settings: Importer) -> None:
    usual = import_scope(settings.settings())
    assert usual.job == "calls.import"
    assert usual.destination == settings.settings().convirza.v2_url.partition("://")[2]
    assert import_scope(settings.settings(workers=3, imports__uploads=1)) == usual
    assert import_scope(settings.settings(convirza__v2_url="http://127.0.0.1:1")) != usual


def opened(settings: Settings) -> timedelta:
    async def patience() -> timedelta:
        async with open_import(settings, "owner") as services:
            return services.tools.patience

    return anyio.run(patience)


def test_patience_outlasts_an_upload_its_listing_and_the_lease(settings: Importer) -> None:
    usual = settings.settings()
    assert opened(usual) == timedelta(seconds=usual.pace.request_deadline) + usual.imports.lag + LEASE
    slow = settings.settings(imports__bytes_per_second=1_000_000)
    waits = slow.imports.uploads * slow.audio.max_upload_bytes / 1_000_000
    assert opened(slow) == opened(usual) + timedelta(seconds=waits)


def test_a_reconciliation_needs_no_login_that_could_send(settings: Importer) -> None:
    """It reaches as far as an import's uploads may, and it has no v2 client at all."""

    async def main() -> timedelta:
        usual = settings.settings()
        async with open_reconcile(usual, "owner") as services:
            assert services.scope == import_scope(usual)
            assert not hasattr(services, "tools")
            return services.reconciler.reach

    reach = anyio.run(main)
    assert reach >= timedelta(seconds=settings.settings().pace.request_deadline)


@pytest.mark.parametrize(
    ("rate", "named", "taken"),
    [(0, "audio.uplink", None), (10**12, "audio.uplink", None), (1000, "imports.bytes_per_second", 1000)],
)
def test_the_slower_of_line_and_limit_makes_the_pace(
    settings: Importer, rate: int, named: str, taken: int | None
) -> None:
    more = {"imports__bytes_per_second": rate} if rate else {}
    usual = settings.settings(**more)
    pace = pace_of(usual)
    assert (pace.line, pace.bytes_per_second) == (named, taken or usual.audio.uplink)


def test_hours_and_budget_are_part_of_the_pace(settings: Importer) -> None:
    pace = pace_of(settings.settings(imports__between="22:00-06:00", imports__daily_budget=500))
    assert (pace.hours, pace.per_day) == (8.0, 500)
