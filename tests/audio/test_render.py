from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.render import render
from mediapipe.audio.requests import Labels, ProbeRequest, Rendering, RenderRequest
from mediapipe.audio.tags import read_tags
from mediapipe.audio.targets import (
    V2_CALLS,
    V3_PROMPTS,
    AsIs,
    Recipe,
    Reject,
    Rewrap,
    Split,
    Target,
    Transcode,
)
from mediapipe.errors import Rejected
from tests.audio.test_decode import FFMPEG, coded, decoded, judged, tone, wav_bytes, wav_file


def rendered(path: Path, target: Target = V2_CALLS, *, limit: int = 50_000_000, **how: object) -> Rendering:
    folder = path.parent / "out"
    folder.mkdir(exist_ok=True)
    options = how.pop("options", AudioOptions())
    assert isinstance(options, AudioOptions)
    return render(
        RenderRequest(
            ProbeRequest(path), replace(target, limit=limit), options, folder, "item",
            labels=Labels("A title", "id-1"), **how,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def left(path: Path) -> list[str]:
    return sorted(one.name for one in (path.parent / "out").iterdir())


def test_what_is_fine_is_not_touched(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(2))
    made = rendered(path)
    assert isinstance(made.plan, AsIs)
    assert made.outputs == ()
    assert left(path) == []


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("b.wav", ("-c:a", "pcm_mulaw")),
        ("b.wav", ("-c:a", "pcm_alaw")),
        ("b.wav", ("-c:a", "adpcm_ima_wav")),
        ("b.wav", ("-c:a", "adpcm_ms")),
        ("b.flac", ()),
        ("b.aiff", ()),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_not_taken_becomes_pcm_with_every_sample_as_decoded(
    tmp_path: Path, name: str, how: tuple[str, ...], channels: int
) -> None:
    path = coded(wav_file(tmp_path, tone(3, channels)), name, *how)
    made = rendered(path)
    assert isinstance(made.plan, Transcode)
    (output,) = made.outputs
    assert (output.facts.container, output.facts.codec) == ("wav", "pcm_s16le")
    assert output.facts.samples == made.facts.samples
    assert (judged(output.path, 8000, channels) == judged(path, 8000, channels)).all()
    assert left(path) == ["item.wav"]


def test_the_output_says_what_it_is_of(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(1)), "b.wav", "-c:a", "pcm_mulaw")
    made = rendered(path)
    tags = read_tags(made.outputs[0].path)
    assert tags == {"title": "A title", "external_id": "id-1", "source_sha256": made.facts.sha256}
    assert made.outputs[0].facts.sha256 != made.facts.sha256


def test_a_repaired_container_holds_the_same_sound(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    with path.open("wb") as file:
        source = wav_file(tmp_path, tone(3, 2))
        subprocess.run([FFMPEG, "-v", "error", "-i", source, "-f", "wav", "-"], check=True, stdout=file)
    made = rendered(path)
    assert isinstance(made.plan, Rewrap)
    assert made.plan.why == ("size_unknown_in_header",)
    (output,) = made.outputs
    assert (decoded(output.path) == tone(3, 2)).all()
    assert output.facts.needs == ()


def test_too_large_becomes_an_mp3_under_the_limit(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(60, 2))
    made = rendered(path, limit=400_000)
    assert isinstance(made.plan, Transcode)
    (output,) = made.outputs
    assert output.facts.container == "mp3"
    assert (output.facts.channels, output.facts.sample_rate) == (2, 8000)
    assert output.facts.size <= 400_000
    assert output.facts.seconds == 60.0


def test_an_estimate_that_was_too_low_is_not_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of what was really made is what counts."""
    from mediapipe.audio import limits

    path = wav_file(tmp_path, tone(60))
    honest_rate, honest_size = limits.highest_bitrate, limits.mp3_bytes
    monkeypatch.setattr(limits, "highest_bitrate", lambda rate, s, room: honest_rate(rate, s, 2 * room))
    monkeypatch.setattr(limits, "mp3_bytes", lambda *how: honest_size(*how) // 2)
    made = rendered(path, limit=200_000)
    assert isinstance(made.plan, Transcode)
    assert made.outputs[0].facts.size <= 200_000
    assert left(path) == ["item.mp3"]


def test_parts_are_made_when_they_are_asked_for(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(60))
    made = rendered(path, limit=400_000, options=AudioOptions(when_too_large="split"))
    assert isinstance(made.plan, Split)
    assert len(made.outputs) == made.plan.parts == 3
    assert all(output.facts.size <= 400_000 for output in made.outputs)
    together = np.concatenate([decoded(output.path) for output in made.outputs], axis=1)
    assert (together == tone(60)).all()
    assert left(path) == ["item.1.wav", "item.2.wav", "item.3.wav"]


def test_what_cannot_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(60))
    made = rendered(path, limit=30_000)
    assert isinstance(made.plan, Reject)
    assert made.plan.problems[0].code == "too_large"
    assert left(path) == []


def test_a_recipe_that_was_asked_for_is_followed(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(5, 1, 44_100), rate=44_100)
    made = rendered(path, recipe=Recipe("wav", "pcm_s16le", 8000, 1))
    (output,) = made.outputs
    assert (output.facts.sample_rate, output.facts.seconds) == (8000, 5.0)


def test_a_recipe_is_not_changed_when_it_makes_too_much(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(5))
    with pytest.raises(Rejected) as refused:
        rendered(path, limit=70_000, recipe=Recipe("wav", "pcm_s16le", 8000, 1))
    assert refused.value.code == "too_large"


def test_a_blocked_file_is_not_rendered(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, np.zeros((1, 8000), np.int16)), "b.wav", "-c:a", "pcm_mulaw")
    made = rendered(path, rules=QualityRules(silent="block"))
    assert isinstance(made.plan, Reject)
    assert made.outputs == ()
    also = rendered(path, rules=QualityRules(silent="block"), recipe=Recipe("wav", "pcm_s16le", 8000, 1))
    assert isinstance(also.plan, Reject)


def test_a_cut_file_is_refused_unless_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes(wav_bytes(tone(4))[:30_000])
    assert isinstance(rendered(path).plan, Reject)
    made = rendered(path, options=AudioOptions(keep_partial=True))
    assert not isinstance(made.plan, Reject)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("b.mka", ("-c:a", "aac")),
        ("b.mka", ("-c:a", "libopus")),
        ("b.mka", ("-c:a", "flac")),
        ("b.caf", ("-c:a", "alac")),
    ],
)
def test_what_cannot_move_without_a_change_is_decoded_instead(
    tmp_path: Path, name: str, how: tuple[str, ...]
) -> None:
    path = coded(wav_file(tmp_path, tone(3, 2, 48_000), rate=48_000), name, *how)
    made = rendered(path, V3_PROMPTS)
    if isinstance(made.plan, AsIs):
        return
    (output,) = made.outputs
    assert output.facts.seconds == pytest.approx(made.facts.seconds, abs=0.02)
    before, after = (judged(one, 48_000, 2).astype(int) for one in (path, output.path))
    shared = min(before.shape[1], after.shape[1])
    assert np.abs(before[:, :shared] - after[:, :shared]).max() <= 1


def test_equal_input_and_recipe_give_equal_bytes(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(3)), "b.wav", "-c:a", "pcm_mulaw")
    for recipe in (None, Recipe("mp3", "mp3", 8000, 1, 32)):
        first, second = (rendered(path, recipe=recipe).outputs[0].path.read_bytes() for _ in range(2))
        assert first == second
