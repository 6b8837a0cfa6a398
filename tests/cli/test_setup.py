"""Settings and logs as every command begins with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediapipe.cli.setup import check_engine, fair, load, shard_of
from mediapipe.errors import UsageError
from mediapipe.settings import Settings
from mediapipe.shards import Shard


@pytest.fixture(autouse=True)
def _own_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MEDIAPIPE_LOG_FORMAT", raising=False)
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.handlers[:], root.level = handlers, level


def test_an_empty_profile_is_not_no_profile() -> None:
    with pytest.raises(UsageError, match="--profile is empty"):
        load("", {})


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_a_warning_has_the_form_that_was_asked_for(
    by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDIAPIPE_NO_SUCH_THING", "1")
    if by == "environment":
        monkeypatch.setenv("MEDIAPIPE_LOG_FORMAT", "json")
    settings = load(None, {"log_format": "json"} if by == "flag" else {})
    assert settings.log_format == "json"
    (line,) = capsys.readouterr().err.splitlines()
    assert "MEDIAPIPE_NO_SUCH_THING" in json.loads(line)["message"]


def test_the_form_holds_for_what_is_wrong_with_the_settings(tmp_path: Path) -> None:
    """A log collector has to be able to read why nothing ran."""
    (tmp_path / "p.toml").write_text("workers = 'many'\n")
    with pytest.raises(UsageError):
        load(str(tmp_path / "p.toml"), {"log_format": "json"})
    handler = logging.getLogger().handlers[-1]
    assert "Json" in type(handler.formatter).__name__


def test_only_an_engine_that_is_there_is_taken() -> None:
    check_engine("local")
    check_engine("ray")
    for engine, engines in (("temporal", ["local", "ray"]), ("ray", ["local"]), ("", ["local"])):
        with pytest.raises(UsageError, match=f"--engine {engine}: not an engine"):
            check_engine(engine, engines)


def test_a_shard_is_read_and_belongs_to_the_local_engine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert shard_of(None, "ray") is None
    assert shard_of("auto/3", "local") == Shard(2, 3)
    with pytest.raises(UsageError, match="--shard does not go with --engine ray"):
        shard_of("1/3", "ray")


def test_shards_together_ask_no_more_often_than_one_run_may() -> None:
    settings = Settings()
    assert fair(settings, None) is settings
    each = fair(settings, Shard(2, 4))
    assert each.pace.requests_per_second * 4 == settings.pace.requests_per_second
    assert each.pace.retry_attempts == settings.pace.retry_attempts
