from __future__ import annotations

import pytest

from mediapipe.audio.targets import V2_CALLS, V3_PROMPTS, Recipe


@pytest.mark.parametrize(
    ("container", "codec", "calls", "prompts"),
    [
        ("wav", "pcm_s16le", True, True),
        ("wav", "pcm_s24le", True, True),
        ("wav", "pcm_mulaw", False, False),
        ("wav", "gsm_ms", False, False),
        ("wav", "mp3", False, False),
        ("mp3", "mp3", True, True),
        ("mp3", "mp2", False, False),
        ("m4a", "aac", False, True),
        ("mp4", "aac", False, True),
        ("ogg", "opus", False, True),
        ("webm", "opus", False, True),
        ("flac", "flac", False, True),
        ("aac", "aac", False, True),
        ("raw", "pcm_s16le", False, False),
        ("amr", "amrnb", False, False),
    ],
)
def test_what_each_target_takes(container: str, codec: str, calls: bool, prompts: bool) -> None:
    assert V2_CALLS.takes(container, codec) is calls
    assert V3_PROMPTS.takes(container, codec) is prompts


@pytest.mark.parametrize("target", [V2_CALLS, V3_PROMPTS])
def test_what_we_render_is_taken(target: object) -> None:
    assert target.takes(target.lossless, "pcm_s16le")  # type: ignore[attr-defined]
    assert target.takes(target.lossy, "mp3")  # type: ignore[attr-defined]
    assert target.limit == 50_000_000  # type: ignore[attr-defined]


def test_a_recipe_is_told_whole() -> None:
    assert Recipe("mp3", "mp3", 8000, 2, 32).as_json() == {
        "container": "mp3",
        "codec": "mp3",
        "sample_rate": 8000,
        "channels": 2,
        "bitrate": 32,
    }
