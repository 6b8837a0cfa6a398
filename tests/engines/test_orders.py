"""What is passed to workers on other machines: every setting, and no secret."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mediapipe.engines.orders import SECRETS, Order, settings_of, told
from mediapipe.errors import UsageError
from mediapipe.jobs.archive_recordings import Ask
from mediapipe.settings import Settings, load_settings, mask_dsn

HIDDEN = {
    "CONVIRZA_PASSWORD": "hush-password",
    "CONVIRZA_CLIENT_SECRET": "hush-client",
    "CONVIRZA_V2_TOKEN": "hush-v2",
    "CONVIRZA_V3_TOKEN": "hush-v3",
    "MEDIAPIPE_LEDGER": "postgresql://me:hush-ledger@db/x",
}
ASK = Ask(datetime(2026, 2, 1, tzinfo=UTC))


def ordered(settings: Settings, state: str | None = None) -> Order:
    return Order(3, ASK, told(settings), mask_dsn(settings.ledger_dsn) or "", state)


def crossed(order: Order) -> tuple[bytes, Order]:
    raw = pickle.dumps(order)
    again: Any = pickle.loads(raw)  # noqa: S301
    return raw, again


def test_the_same_settings_arrive_without_their_secrets(tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(
        'workers = 3\ntz = "America/Denver"\n[archive]\nlookback = "2d"\ndest = "s3://bucket/x"\n'
        '[imports]\nbetween = "22:00-06:00"\n[store.tags]\nkind = "call"\n'
        '[manifest.columns]\n"Call ID" = "external_id"\n'
        '[convirza]\npassword_command = "cat /secret"\n'
    )
    environ = {**HIDDEN, "MEDIAPIPE_PROFILE": str(profile), "CONVIRZA_EMAIL": "me@example.com"}
    settings = load_settings(None, {"pace.requests_per_second": 2}, environ).settings
    raw, order = crossed(ordered(settings, str(settings.state_dir)))
    assert b"hush" not in raw
    # On the node there is a profile of the same name that says something else, or none at all.
    node = {**HIDDEN, "MEDIAPIPE_PROFILE": "nowhere", "MEDIAPIPE_WORKERS": "60"}
    assert settings_of(order, node) == settings


def test_every_secret_is_known_to_be_one() -> None:
    assert {
        "CONVIRZA_PASSWORD",
        "CONVIRZA_CLIENT_SECRET",
        "CONVIRZA_V2_TOKEN",
        "CONVIRZA_V3_TOKEN",
    } == SECRETS


def test_defaults_arrive_too_and_nodes_have_their_own_state_folder() -> None:
    settings = Settings()
    again = settings_of(crossed(ordered(settings))[1], {})
    assert again.ledger_dsn == settings.ledger_dsn
    assert again.model_copy(update={"ledger": None}) == settings


@pytest.mark.parametrize("known", ["", "postgresql://me:hush@elsewhere/x", "postgresql://db/x"])
def test_a_node_with_another_ledger_works_on_nothing(known: str) -> None:
    settings = load_settings(None, {}, HIDDEN).settings
    with pytest.raises(UsageError) as caught:
        settings_of(ordered(settings), {"MEDIAPIPE_LEDGER": known})
    assert "postgresql://me:***@db/x" in caught.value.message
    assert "hush" not in str(caught.value)


def test_a_ledger_without_a_password_needs_no_variable() -> None:
    settings = load_settings(None, {"ledger": "postgresql://db/x"}, {}).settings
    assert settings_of(ordered(settings), {"MEDIAPIPE_LEDGER": "postgresql://other/y"}).ledger_dsn == (
        "postgresql://db/x"
    )
