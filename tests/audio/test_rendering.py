from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mediapipe.audio import rendering
from mediapipe.audio.rendering import PromptRules, RenderingProfile, parse_rendering_profile
from mediapipe.audio.targets import V2_PROMPTS, V3_PROMPTS, Recipe
from mediapipe.errors import UsageError

FOLDER = Path(__file__).parent.parent.parent / "profiles" / "rendering"
RATES = {"telephony": 8_000, "wideband": 16_000, "silence": 8_000}
SHIPPED = sorted(FOLDER.glob("*.toml"))


def parsed(text: str) -> RenderingProfile:
    return parse_rendering_profile(text, "here.toml")


def test_nothing_set_is_made_for_telephones() -> None:
    profile = parsed("")
    assert profile == RenderingProfile()
    assert profile.output.recipe == Recipe("wav", "pcm_s16le", 8_000, 1)
    assert (profile.level.active_db, profile.level.true_peak_db) == (-22.0, -2.0)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_profile_explains_itself_and_every_target_takes_what_it_makes(file: Path) -> None:
    profile = parse_rendering_profile(file.read_text(), str(file))
    assert file.read_text().startswith(f"# {file.stem}: ")
    assert profile.description
    assert profile.output.recipe == Recipe("wav", "pcm_s16le", RATES[file.stem], 1)
    for target in (V2_PROMPTS, V3_PROMPTS):
        assert target.takes(profile.output.container, profile.output.codec)


def test_these_are_shipped() -> None:
    assert {file.stem for file in SHIPPED} == RATES.keys()


@pytest.mark.parametrize("name", ["telephony", "wideband"])
def test_what_voices_are_rendered_by_spells_the_defaults_out(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text()
    profile, default = parsed(text), RenderingProfile()
    assert (profile.level, profile.trim) == (default.level, default.trim)
    content = tomllib.loads(text)
    assert content["trim"].keys() == default.trim.model_dump().keys()
    assert content["level"].keys() >= default.level.model_dump().keys() - {"loudness_lufs", "loudness_min_s"}


def test_of_a_section_only_what_is_written_differs_from_the_defaults() -> None:
    profile = parsed('[quality]\nclipping = "warn"\n[output]\ncontainer = "mp3"\nbitrate = 48')
    assert profile.quality == PromptRules(clipping="warn")
    assert profile.output.recipe == Recipe("mp3", "mp3", 8_000, 1, 48)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[level]\nactive_db = 3", ["level.active_db", "-10", "3"]),
        ('[level]\nactive_db = "loud"', ["level.active_db", "'loud'"]),
        ("[level]\ntrue_peak_db = nan", ["level.true_peak_db", "nan"]),
        ("[level]\nactive = -20", ["level.active", "unknown", "-20", "active_db"]),
        ("[trimm]\nhead_ms = 5", ["trimm", "unknown", "did you mean trim"]),
        ("[trim]\nhead_ms = 5.5", ["trim.head_ms", "5.5"]),
        ("[output]\ncontainer = 'ogg'", ["output.container", "'ogg'", "mp3"]),
        ("[output]\nsample_rate = 9000", ["output", "sample_rate", "9000", "16000"]),
        ("[output]\nchannels = 3", ["output.channels", "3"]),
        ("[output]\ncontainer = 'mp3'", ["output", "bitrate", "missing"]),
        ("[output]\ncontainer = 'mp3'\nbitrate = 500", ["output", "bitrate", "500", "64"]),
        ("[output]\nbitrate = 64", ["output", "bitrate = 64"]),
        ("[output]\ncodec = 'mp3'", ["output", "pcm_s16le", "mp3"]),
        ("[quality]\nsilent = 'maybe'", ["quality.silent", "'maybe'", "block"]),
        ("level = 3", ["level", "3"]),
        ("max_seconds = 0", ["max_seconds", "0"]),
        ("= 3", ["TOML", "line 1"]),
        ("max_seconds = 0\n[level]\nactive_db = 3", ["max_seconds", "level.active_db"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place_key_and_value(text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(text)
    message = str(caught.value)
    assert message.startswith("here.toml: ")
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text",
    [
        "[output]\nsample_rate = 16000",
        "[output]\nchannels = 2",
        "[output]\ncontainer = 'mp3'\nbitrate = 32",
        "[output]\ncontainer = 'mp3'\nbitrate = 48",
        "[level]\nactive_db = -21.9",
        "[level]\nloudness_lufs = -19",
        "[level]\nloudness_min_s = 4",
        "[level]\ntrue_peak_db = -3",
        "[level]\nmax_limiting_db = 5",
        "[trim]\nenabled = false",
        "[trim]\nsilence_db = -40",
        "[trim]\nhead_ms = 60",
        "[trim]\nfade_out_ms = 20",
    ],
)
def test_what_decides_the_bytes_decides_the_hash(text: str) -> None:
    assert parsed(text).recipe_hash != parsed("").recipe_hash
    assert parsed(text).recipe_hash == parsed(text).recipe_hash


@pytest.mark.parametrize(
    "text",
    [
        "description = 'other words'",
        "max_seconds = 20",
        "[level]\ntolerance_db = 0.5",
        "[level]\nactive_db = -22",
        "[quality]\nsilent = 'pass'\nshort_s = 3",
        "[output]\ncodec = 'pcm_s16le'\ncontainer = 'wav'",
    ],
)
def test_what_only_refuses_or_explains_does_not(text: str) -> None:
    assert parsed(text).recipe_hash == parsed("").recipe_hash


def test_another_engine_makes_other_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parsed("").recipe_hash
    assert len(bytes.fromhex(before)) == 32
    monkeypatch.setattr(rendering, "ENGINE", 2)
    assert parsed("").recipe_hash != before
