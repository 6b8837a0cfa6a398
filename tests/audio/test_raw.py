from __future__ import annotations

from pathlib import PurePath

import pytest

from mediapipe.audio.raw import RAW_FORMATS, by_suffix, raw_format
from mediapipe.errors import UsageError


@pytest.mark.parametrize(
    ("name", "wanted", "rate"),
    [
        ("a.ulaw", "ulaw", 8000),
        ("a.UL", "ulaw", 8000),
        ("a.pcm", "ulaw", 8000),
        ("a.alaw", "alaw", 8000),
        ("a.gsm", "gsm", 8000),
        ("a.g722", "g722", 16_000),
        ("a.sln", "sln", 8000),
        ("a.raw", "sln", 8000),
        ("a.sln16", "sln16", 16_000),
        ("a.sln44", "sln44", 44_100),
    ],
)
def test_a_suffix_suggests_a_format(name: str, wanted: str, rate: int) -> None:
    found = by_suffix(PurePath(name))
    assert found is not None
    assert (found.name, found.sample_rate) == (wanted, rate)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a", "a.txt", "gsm"])
def test_other_names_suggest_nothing(name: str) -> None:
    assert by_suffix(PurePath(name)) is None


def test_an_unknown_name_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"'mulaw'.*ulaw, alaw, gsm"):
        raw_format("mulaw")
    assert raw_format("gsm") is RAW_FORMATS["gsm"]
