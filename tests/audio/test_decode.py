from __future__ import annotations

import io
import struct
import subprocess
import wave
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from mediapipe.audio.decode import Decoder, Opening
from mediapipe.audio.raw import RAW_FORMATS
from mediapipe.errors import Rejected

RATE = 8000
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def tone(seconds: float = 1.0, channels: int = 1, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [(9000 * np.sin(2 * np.pi * (300 + 100 * n) * t)).astype(np.int16) for n in range(channels)]
    )


def wav_bytes(samples: np.ndarray, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setparams((len(samples), 2, rate, 0, "NONE", ""))
        writer.writeframes(samples.T.tobytes())
    return out.getvalue()


def wav_file(folder: Path, samples: np.ndarray, name: str = "a.wav", rate: int = RATE) -> Path:
    path = folder / name
    path.write_bytes(wav_bytes(samples, rate))
    return path


def coded(source: Path, name: str, *options: str) -> Path:
    path = source.with_name(name)
    subprocess.run([FFMPEG, "-v", "error", "-y", "-i", source, *options, path], check=True)
    return path


def judged(path: Path, rate: int, channels: int, *how: str) -> np.ndarray:
    """What ffmpeg decodes, as 16-bit samples of shape (channels, n)."""
    command = [FFMPEG, "-v", "error", *how, "-i", path, "-f", "s16le", "-ar", str(rate), "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.int16).reshape(-1, channels).T


def decoded(path: Path, container: str = "wav", size: int = 1000, **how: object) -> np.ndarray:
    with Decoder(path, container, Opening(**how)) as decoder:  # type: ignore[arg-type]
        return np.concatenate(list(decoder.blocks(size)), axis=1)


@pytest.mark.parametrize("size", [1, 7, 800, 64_000, 10**6])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_samples_come_in_blocks_of_the_size_asked_for(tmp_path: Path, size: int, channels: int) -> None:
    samples = tone(0.3 if size == 1 else 3.0, channels)
    path = wav_file(tmp_path, samples)
    with Decoder(path, "wav") as decoder:
        blocks = list(decoder.blocks(size))
    assert {block.shape[1] for block in blocks[:-1]} <= {size}
    assert 0 < blocks[-1].shape[1] <= size
    assert (np.concatenate(blocks, axis=1) == samples).all()


def test_blocks_stay_as_they_are_while_others_are_decoded(tmp_path: Path) -> None:
    samples = tone(30)
    source = wav_file(tmp_path, samples)
    for name, container in (("b.mp3", "mp3"), ("b.flac", "flac")):
        path = coded(source, name)
        with Decoder(path, container) as decoder:
            blocks = list(decoder.blocks(4000))
            kept = [block.copy() for block in blocks]
        again = [block.copy() for block in blocks]
        assert all((one == other).all() for one, other in zip(kept, again, strict=True))


@pytest.mark.parametrize(
    ("codec", "bits", "scale", "ceiling"),
    [
        ("pcm_u8", 8, 2.0**15, 32_512),
        ("pcm_s16le", 16, 2.0**15, 32_767),
        ("pcm_s24le", 24, 2.0**31, 2.0**31 - 256),
        ("pcm_s32le", 32, 2.0**31, 2.0**31 - 256),
        ("pcm_f32le", 32, 1.0, 0.99),
        ("pcm_f64le", 64, 1.0, 0.99),
        ("pcm_mulaw", 8, 2.0**15, 32_124),
        ("pcm_alaw", 8, 2.0**15, 32_256),
        ("adpcm_ima_wav", 0, 2.0**15, 2.0**15 * 0.99),
    ],
)
def test_every_coding_in_a_wav_has_its_scale(
    tmp_path: Path, codec: str, bits: int, scale: float, ceiling: float
) -> None:
    path = coded(wav_file(tmp_path, tone(1)), "b.wav", "-c:a", codec)
    with Decoder(path, "wav") as decoder:
        assert decoder.coding.codec == codec
        assert (decoder.coding.bits, decoder.coding.full_scale) == (bits, scale)
        assert decoder.coding.ceiling == pytest.approx(ceiling)
        samples = np.concatenate(list(decoder.blocks(800)), axis=1).astype(float) / scale
    assert np.abs(samples).max() == pytest.approx(9000 / 32_768, rel=0.1)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_alaw"])
@pytest.mark.parametrize("size", [100, 5000, 64_000])
def test_every_block_of_every_coding_is_right(tmp_path: Path, codec: str, size: int) -> None:
    path = coded(wav_file(tmp_path, tone(20, 2)), "b.wav", "-c:a", codec)
    with Decoder(path, "wav") as decoder:
        blocks = list(decoder.blocks(size))
        ours = np.concatenate(blocks, axis=1) / decoder.coding.full_scale
    theirs = judged(path, 8000, 2) / 32_768.0
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 2.0**-15


def test_floats_that_are_no_numbers_become_ones(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1e30, -0.5] * 100, dtype="<f4").tobytes()
    path = tmp_path / "a.wav"
    form = struct.pack("<HHIIHH", 3, 1, 8000, 32_000, 4, 32)
    path.write_bytes(riff(form, odd))
    found = decoded(path)
    assert np.isfinite(found).all()
    assert found[0, :5].tolist() == [0.0, 4.0, -4.0, 4.0, -0.5]


@pytest.mark.parametrize(
    ("name", "container", "options"),
    [
        ("b.mp3", "mp3", ("-b:a", "32k")),
        ("b.m4a", "m4a", ("-c:a", "aac")),
        ("b.ogg", "ogg", ("-c:a", "libopus")),
        ("b.flac", "flac", ()),
        ("b.webm", "webm", ("-c:a", "libopus")),
        ("b.aiff", "aiff", ()),
        ("b.aac", "aac", ("-c:a", "aac")),
        ("b.caf", "caf", ("-c:a", "pcm_s16le")),
        ("b.au", "au", ("-c:a", "pcm_mulaw")),
        ("b.w64", "w64", ()),
        ("b.wma", "asf", ("-c:a", "wmav2")),
    ],
)
def test_every_container_decodes_to_what_ffmpeg_makes_of_it(
    tmp_path: Path, name: str, container: str, options: tuple[str, ...]
) -> None:
    path = coded(wav_file(tmp_path, tone(2, 2, 16_000), rate=16_000), name, *options)
    with Decoder(path, container) as decoder:
        coding = decoder.coding
        ours = np.concatenate(list(decoder.blocks(1600)), axis=1) / coding.full_scale
        assert decoder.errors == 0
    theirs = judged(path, coding.sample_rate, 2) / 32_768.0
    assert abs(ours.shape[1] - theirs.shape[1]) <= 0.02 * coding.sample_rate
    both = min(ours.shape[1], theirs.shape[1])
    assert np.abs(ours[:, :both] - theirs[:, :both]).max() < 2e-3


def test_an_mp3_s_gapless_tag_is_honoured(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(1)), "b.mp3")
    assert decoded(path, "mp3").shape[1] == RATE


@pytest.mark.parametrize(
    ("name", "raw", "options"),
    [
        ("b.ul", "ulaw", ("-f", "mulaw")),
        ("b.al", "alaw", ("-f", "alaw")),
        ("b.sln", "sln", ("-f", "s16le")),
        ("b.g722", "g722", ("-f", "g722", "-ar", "16000")),
    ],
)
def test_headerless_bytes_are_read_as_they_are_said_to_be(
    tmp_path: Path, name: str, raw: str, options: tuple[str, ...]
) -> None:
    path = coded(wav_file(tmp_path, tone(2)), name, *options)
    form = RAW_FORMATS[raw]
    found = decoded(path, "raw", raw=form)
    assert found.shape == (1, 2 * form.sample_rate)
    assert np.abs(found).max() == pytest.approx(9000, rel=0.05)


def test_bytes_in_front_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + wav_bytes(tone(1)))
    assert (decoded(path, skip=20) == tone(1)).all()


# ── what is not audio, or lies ──────────────────────────────────────────────────────────────


def fmt(rate: int = RATE, channels: int = 1, tag: int = 1) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * 2 & 0xFFFFFFFF, 2, 16)


def riff(form: bytes, data: bytes = bytes(3200)) -> bytes:
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(0, 1), (100_000_000, 1), (RATE, 0), (RATE, 65_535), (3999, 1), (192_001, 1), (RATE, 9)],
)
def test_an_absurd_header_is_refused_before_anything_is_decoded(
    tmp_path: Path, rate: int, channels: int
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(rate, channels)))
    with pytest.raises(Rejected) as refused:
        Decoder(path, "wav", Opening(plain=True))
    assert refused.value.code in {"header_absurd", "decode_failed"}


def test_a_codec_nobody_decodes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(tag=0x0161 + 0x1000)))
    with pytest.raises(Rejected) as refused:
        Decoder(path, "wav", Opening(plain=True))
    assert refused.value.code == "no_decoder"


def test_a_playlist_is_not_followed_whatever_it_calls_itself(tmp_path: Path) -> None:
    secret = wav_file(tmp_path, tone(1), "secret.wav")
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n",
    ):
        path = tmp_path / "a.wav"
        path.write_text(text)
        for container in ("wav", "mp3", "ogg", "m4a", "webm", "aac", "flac", "asf", "caf"):
            assert opened_by_mistake(path, container) == []


def opened_by_mistake(path: Path, container: str) -> list[object]:
    try:
        with Decoder(path, container) as decoder:
            return list(decoder.blocks(800))
    except Rejected:
        return []


def test_a_film_without_sound_has_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "color=s=64x64:d=1", "-c:v", "mpeg4", path]
    subprocess.run(command, check=True)
    with pytest.raises(Rejected) as refused:
        Decoder(path, "mp4")
    assert refused.value.code == "no_audio_stream"


def test_a_film_s_sound_is_taken_and_the_film_counted(tmp_path: Path) -> None:
    sound = wav_file(tmp_path, tone(1, rate=16_000), rate=16_000)
    path = tmp_path / "a.mp4"
    film = ("-f", "lavfi", "-i", "color=s=64x64:d=1", "-i", sound, "-i", sound)
    maps = ("-map", "0", "-map", "1", "-map", "2", "-c:v", "mpeg4", "-c:a", "aac")
    subprocess.run([FFMPEG, "-v", "error", *film, *maps, path], check=True)
    with Decoder(path, "mp4") as decoder:
        assert (decoder.audio_streams, decoder.video_streams) == (2, 1)
        assert sum(block.shape[1] for block in decoder.blocks(800)) == pytest.approx(16_000, abs=400)


def test_damage_in_the_middle_is_counted_and_the_rest_is_decoded(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(20)), "b.flac")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 200] = bytes(200)
    path.write_bytes(raw)
    with Decoder(path, "flac") as decoder:
        samples = sum(block.shape[1] for block in decoder.blocks(800))
        assert decoder.errors or samples < 20 * RATE
    assert samples > 15 * RATE


def test_a_rate_that_changes_midway_ends_what_is_used(tmp_path: Path) -> None:
    source = wav_file(tmp_path, tone(1))
    slow = coded(source, "b.aac", "-c:a", "aac", "-ar", "8000").read_bytes()
    fast = coded(source, "c.aac", "-c:a", "aac", "-ar", "16000").read_bytes()
    path = tmp_path / "d.aac"
    path.write_bytes(slow + fast)
    with Decoder(path, "aac") as decoder:
        samples = sum(block.shape[1] for block in decoder.blocks(800))
        assert decoder.mixed
    assert samples <= 1.5 * RATE
