"""Settings and logs as every command begins with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediapipe.cli.setup import check_engine, load
from mediapipe.errors import UsageError


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
    with pytest.raises(UsageError, match="temporal"):
        check_engine("temporal")
