from __future__ import annotations

import hashlib
import io
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.probe import hear, probe
from mediapipe.audio.requests import ProbeRequest
from mediapipe.errors import Failed, Rejected
from tests.audio.test_decode import coded, riff, tone, wav_bytes, wav_file


def facts(path: Path, **how: object) -> AudioFacts:
    return probe(ProbeRequest(path, **how))  # type: ignore[arg-type]


def codes(found: AudioFacts) -> set[str]:
    return {finding.code for finding in found.findings}


def test_an_honest_file_is_known_through_and_through(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(2.5, 2))
    found = facts(path)
    assert (found.container, found.codec, found.layout, found.bits) == ("wav", "pcm_s16le", "stereo", 16)
    assert (found.samples, found.seconds, found.declared_s) == (20_000, 2.5, 2.5)
    assert found.size == 80_044
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.bitrate == 256_141
    assert found.findings == ()
    assert found.quality is not None
    assert found.quality.channels[0].peak_db == pytest.approx(-11.2, abs=0.1)
    assert found.as_json()["duration_s"] == 2.5


def test_figures_and_outline_are_there_when_asked_for(tmp_path: Path) -> None:
    path = wav_file(tmp_path, tone(1))
    assert facts(path, quality=False).quality is None
    with_outline = facts(path, envelope=True).quality
    assert with_outline is not None
    assert with_outline.envelope is not None


def test_the_decode_is_the_truth_and_the_header_a_finding(tmp_path: Path) -> None:
    raw = coded(wav_file(tmp_path, tone(30, 1, 44_100), rate=44_100), "b.mp3", "-q:a", "5").read_bytes()
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(raw[: len(raw) // 3])
    found = facts(cut)
    assert found.declared_s == pytest.approx(30, abs=0.2)
    assert found.seconds == pytest.approx(10, rel=0.2)
    assert "shorter_than_header" in codes(found)


@pytest.mark.parametrize(
    ("name", "mismatch"),
    [("a.mp3", True), ("a.flac", True), ("a.wav", False), ("a.WAVE", False), ("a", False), ("a.dat", False)],
)
def test_a_name_that_says_something_else_is_a_finding(tmp_path: Path, name: str, mismatch: bool) -> None:
    path = tmp_path / name
    path.write_bytes(wav_bytes(tone(1)))
    assert ("extension_mismatch" in codes(facts(path))) is mismatch


def test_headerless_audio_is_always_said_to_be_assumed(tmp_path: Path) -> None:
    path = tmp_path / "a.ulaw"
    path.write_bytes(bytes(range(256)) * 100)
    found = facts(path)
    assert (found.container, found.codec, found.seconds) == ("raw", "pcm_mulaw", 3.2)
    assert found.assumed
    assert "raw_format_assumed" in codes(found)
    assert facts(path, raw_format="sln").seconds == 1.6


def test_audio_without_end_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        facts(wav_file(tmp_path, tone(3)), max_seconds=2)
    assert refused.value.code == "too_long"


@pytest.mark.parametrize("name", ["hole.sln", "hole.gsm", "hole.wav"])
def test_a_file_that_is_mostly_hole_is_given_up_before_it_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(wav_bytes(tone(1))[:40] + b"\xff" * 4 if name == "hole.wav" else b"")
    os.truncate(path, 10**12)
    began = time.monotonic()
    with pytest.raises(Rejected) as refused:
        facts(path)
    assert refused.value.code == "too_long"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("name", "how"),
    [("b.wav", ("-c:a", "pcm_mulaw")), ("b.mp3", ()), ("b.m4a", ("-c:a", "aac")), ("b.flac", ())],
)
def test_a_stream_has_the_facts_of_the_file(tmp_path: Path, name: str, how: tuple[str, ...]) -> None:
    path = coded(wav_file(tmp_path, tone(2, 2)), name, *how)
    elsewhere = ProbeRequest(Path("nowhere") / name)
    for stream in (io.BytesIO(path.read_bytes()), path.open("rb")):
        with stream:
            assert probe(elsewhere, stream) == facts(path)
            heard = hear(elsewhere, stream=stream)
            assert sum(block.shape[1] for block in heard.blocks()) == heard.facts.samples


def test_a_stream_with_a_tag_in_front_is_read_behind_it() -> None:
    raw = b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + wav_bytes(tone(1))
    assert probe(ProbeRequest(Path("a.wav")), io.BytesIO(raw)).seconds == 1.0


def test_a_header_alone_is_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav_bytes(tone(1))[:44])
    with pytest.raises(Rejected) as refused:
        facts(path)
    assert refused.value.code == "no_audio"


def test_what_cannot_be_opened_may_pass_later(tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        facts(tmp_path / "gone.wav")
    assert failed.value.code == "unreadable"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path, tmp_path / "pipe.wav", Path("/dev/zero")):
        with pytest.raises(Rejected) as refused:
            facts(path)
        assert refused.value.code == "not_a_file"


def test_a_damaged_part_is_counted(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(20)), "b.m4a", "-c:a", "aac")
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 3
    raw[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(raw)
    assert "decode_errors" in codes(facts(path))


def test_samples_are_kept_where_they_are_few(tmp_path: Path) -> None:
    samples = tone(30, 2)
    path = wav_file(tmp_path, samples)
    for keep in (10**9, samples.nbytes, samples.nbytes - 1, 0):
        heard = hear(ProbeRequest(path, quality=False), keep)
        assert (heard.kept is not None) is (keep >= samples.nbytes)
        assert (np.concatenate(list(heard.blocks()), axis=1) == samples).all()


def test_integers_padded_to_a_wider_format_are_read_as_integers(tmp_path: Path) -> None:
    """FFmpeg takes 24 bits in 32 for floats."""
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8000, 32_000, 4, 32, 22, 24, 4)
    form += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    path = tmp_path / "a.wav"
    path.write_bytes(riff(form, (tone(1)[0].astype("<i4") << 16).tobytes()))
    found = facts(path)
    assert found.quality is not None
    assert found.quality.channels[0].peak_db == pytest.approx(-11.2, abs=0.1)
    assert "padded_samples" in found.needs


def test_a_header_that_is_too_much_for_the_decoder_does_not_hide_the_audio(tmp_path: Path) -> None:
    whole = wav_bytes(tone(1))
    path = tmp_path / "a.wav"
    path.write_bytes(whole[:36] + b"LIST\2\0\0\0xx" + whole[36:])
    heard = hear(ProbeRequest(path), 10**6)
    assert (np.concatenate(list(heard.blocks()), axis=1) == tone(1)).all()


@pytest.mark.parametrize("name", ["b.flac", "b.mp3", "b.m4a", "b.ogg"])
def test_tags_are_facts_too(tmp_path: Path, name: str) -> None:
    path = coded(wav_file(tmp_path, tone(1, 1, 48_000), rate=48_000), name, "-metadata", "title=Hello")
    assert facts(path).tags.get("title") == "Hello"


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *(("b.wav", ("-c:a", f"pcm_{form}")) for form in ("u8", "s16le", "s24le", "f32le", "mulaw", "alaw")),
        *(("b.wav", ("-c:a", codec)) for codec in ("adpcm_ima_wav", "adpcm_ms")),
        ("b.mp3", ("-b:a", "32k")),
        ("b.mp3", ("-q:a", "5")),
        ("b.mp3", ("-b:a", "32k", "-write_xing", "0")),
        ("b.flac", ()),
    ],
)
def test_samples_that_are_only_counted_are_those_that_are_decoded(
    tmp_path: Path, name: str, how: tuple[str, ...]
) -> None:
    path = coded(wav_file(tmp_path, tone(1.234, 2)), name, *how)
    for cut in (0, 1, 1001):
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
        counted = facts(path, count_only=True)
        assert counted.samples == facts(path).samples
        assert counted.quality is None
