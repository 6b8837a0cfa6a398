from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.listen import players
from mediapipe.audio.master import master
from mediapipe.audio.mastering import ListenRequest, MasterRequest
from mediapipe.audio.probe import probe
from mediapipe.audio.rendering import parse_rendering_profile
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import V2_PROMPTS
from mediapipe.errors import Failed, Rejected
from tests.audio.sources import STATIC, encode, honest, run, voice


def decoded(data: bytes, folder: Path, *form: object) -> np.ndarray:
    path = folder / "player.wav"
    path.write_bytes(data)
    return np.frombuffer(run(STATIC, "-v", "error", "-i", path, *form, "-f", "f64le", "-"), np.float64)


def facts(data: bytes, folder: Path) -> tuple[str, int, int]:
    path = folder / "player.wav"
    path.write_bytes(data)
    found = probe(ProbeRequest(path))
    assert (found.container, found.findings) == ("wav", ())
    return found.codec, found.sample_rate, found.channels


def test_all_three_can_be_played_and_are_what_they_say(tmp_path: Path) -> None:
    plain = tmp_path / "plain.wav"
    plain.write_bytes(honest(np.repeat(voice(2.0, 44_100), 2, axis=0), 44_100))
    source = encode(tmp_path / "source.ogg", plain, "-c:a", "libvorbis")
    profile = parse_rendering_profile("[output]\nsample_rate = 16000", "here")
    done = master(MasterRequest(ProbeRequest(source), profile, V2_PROMPTS, tmp_path / "out.wav"))
    assert done.output is not None
    found = players(ListenRequest(ProbeRequest(source), done.output.path))
    assert found.rendered == done.output.path.read_bytes()
    assert facts(found.source, tmp_path) == ("pcm_s16le", 44_100, 2)
    assert facts(found.heard, tmp_path) == ("pcm_mulaw", 8_000, 1)
    np.testing.assert_allclose(
        decoded(found.source, tmp_path),
        np.frombuffer(run(STATIC, "-v", "error", "-i", source, "-f", "f64le", "-")),
        atol=1e-3,
    )


def test_what_is_heard_is_what_was_rendered_with_the_noise_of_the_line(tmp_path: Path) -> None:
    rendered = tmp_path / "a.wav"
    rendered.write_bytes(honest(voice(2.0)))
    heard = decoded(players(ListenRequest(ProbeRequest(rendered), rendered)).heard, tmp_path)
    sent = np.round(voice(2.0)[0] * 32_768) / 32_768
    assert len(heard) == len(sent)
    noise = 10 * np.log10(np.mean((heard - sent) ** 2) / np.mean(sent**2))
    assert -42 < noise < -34  # mu-law has 38 dB


def test_without_a_rendered_file_the_source_itself_is_heard(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(honest(voice(1.0)))
    found = players(ListenRequest(ProbeRequest(source)))
    assert found.rendered is None
    assert found.heard == players(ListenRequest(ProbeRequest(source), source)).heard


def test_many_channels_are_mixed_for_a_browser(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(honest(np.repeat(voice(1.0), 6, axis=0)))
    assert facts(players(ListenRequest(ProbeRequest(source))).source, tmp_path) == ("pcm_s16le", 8_000, 1)


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(honest(voice(1.0)))
    with pytest.raises(Failed) as failed:
        players(ListenRequest(ProbeRequest(source), tmp_path / "gone.wav"))
    assert failed.value.code == "unreadable"
    with pytest.raises(Rejected) as refused:
        players(ListenRequest(ProbeRequest(source, max_seconds=0.5)))
    assert refused.value.code == "too_long"
