"""What hears call recordings, opened from settings: what is said there is what is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.audio.targets import V2_CALLS
from mediapipe.call_services import open_check, open_originals, opened_ear
from mediapipe.errors import UsageError
from mediapipe.settings import Settings, load_settings


def settings(**more: Any) -> Settings:
    return load_settings(None, {name.replace("__", "."): value for name, value in more.items()}, {}).settings


def test_the_limit_of_an_upload_is_the_settings_and_the_rest_the_platforms() -> None:
    target = opened_ear(settings(audio__max_upload_bytes="2MB")).target
    assert target.limit == 2_000_000
    assert target.accepts == V2_CALLS.accepts
    assert opened_ear(settings()).target.limit == settings().audio.max_upload_bytes


@pytest.mark.parametrize(
    ("name", "words"), [("source_preset", "preset"), ("raw_format", "raw format|no such|not known")]
)
def test_what_there_is_not_is_refused_before_anything_is_heard(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        opened_ear(settings(**{f"audio__{name}": "no-such-thing"}))


def test_a_check_takes_as_many_rows_and_requests_as_are_set() -> None:
    services = open_check(settings(workers=3, pace__requests_per_second=7))
    assert (services.workers, services.requests_per_second) == (3, 7)


def test_originals_keep_within_their_bounds_and_are_closed_whatever_happens(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    async def main() -> None:
        ours = settings(imports__max_source_bytes="3MB", audio__max_upload_bytes="2MB")
        async with open_originals(ours, tmp_path) as originals:
            assert originals.scratch == tmp_path
            assert originals.share == 2_000_000
            raise Stop

    with pytest.raises(Stop):
        anyio.run(main)
