from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.probe import hear
from mediapipe.audio.remux import remux, sound_of
from mediapipe.audio.requests import ProbeRequest
from mediapipe.errors import Rejected
from tests.audio.test_decode import coded, judged, tone, wav_file


def sound(path: Path) -> str:
    return sound_of(hear(ProbeRequest(path, quality=False)).blocks())


PAIRS = [
    ("b.wav", ("-c:a", "pcm_s16le"), "wav"),
    ("b.wav", ("-c:a", "pcm_mulaw"), "wav"),
    ("b.wav", ("-c:a", "libmp3lame"), "mp3"),
    ("b.mp3", ("-q:a", "6"), "mp3"),
    ("b.mka", ("-c:a", "libopus"), "ogg"),
    ("b.webm", ("-c:a", "libopus"), "ogg"),
    ("b.mka", ("-c:a", "aac"), "m4a"),
    ("b.mka", ("-c:a", "flac"), "flac"),
    ("b.flac", ("-metadata", "title=x"), "flac"),
]


@pytest.mark.parametrize(("name", "how", "container"), PAIRS)
def test_coded_audio_in_a_new_container_sounds_the_same_or_is_seen_not_to(
    tmp_path: Path, name: str, how: tuple[str, ...], container: str
) -> None:
    """By hash of the samples, and by another decoder than ours."""
    rate = 48_000 if "libopus" in how else 16_000
    source = coded(wav_file(tmp_path, tone(3, 2, rate), rate=rate), name, *how)
    heard = hear(ProbeRequest(source, quality=False))
    path = tmp_path / f"out.{container}"
    remux(heard.source, container, path)
    before, after = (judged(one, rate, 2) for one in (source, path))
    same = sound(path) == sound_of(heard.blocks())
    if container not in ("m4a", "ogg"):
        assert same
    if same:
        assert before.shape == after.shape
        assert (before == after).all()


@pytest.mark.parametrize(
    ("name", "how", "container"),
    [("b.ogg", ("-c:a", "libopus"), "flac"), ("b.aac", ("-c:a", "aac"), "m4a")],
)
def test_what_a_container_cannot_hold_is_refused(
    tmp_path: Path, name: str, how: tuple[str, ...], container: str
) -> None:
    source = coded(wav_file(tmp_path, tone(1, 1, 16_000), rate=16_000), name, *how)
    heard = hear(ProbeRequest(source, quality=False))
    with pytest.raises(Rejected) as refused:
        remux(heard.source, container, tmp_path / f"out.{container}")
    assert refused.value.code == "not_rewrappable"
    assert str(tmp_path) not in str(refused.value)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    source = coded(wav_file(tmp_path, tone(2, 2, 48_000), rate=48_000), "b.webm", "-c:a", "libopus")
    heard = hear(ProbeRequest(source, quality=False))
    for name in ("one.ogg", "two.ogg"):
        remux(heard.source, "ogg", tmp_path / name)
    assert (tmp_path / "one.ogg").read_bytes() == (tmp_path / "two.ogg").read_bytes()


def test_a_sound_is_the_same_in_whatever_blocks_it_comes() -> None:
    samples = np.arange(1000, dtype=np.int16).reshape(2, 500)
    cut = [samples[:, :3], samples[:, 3:200], samples[:, 200:]]
    assert sound_of([samples]) == sound_of(cut)
    assert sound_of([samples]) != sound_of([samples[:, :-1]])
