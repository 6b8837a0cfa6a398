from __future__ import annotations

import io
import math
import struct
import subprocess
import wave
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import lameenc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.magic import (
    AAC,
    AIFF,
    AMR,
    CONTENT_TYPES,
    FLAC,
    HEAD_BYTES,
    M4A,
    MP3,
    MP4,
    OGG,
    WAV,
    WEBM,
    Format,
    adts_frame,
    after_id3,
    error_page,
    mpeg_frame,
    recognise,
)
from tests.lacking import lacking


def tone(seconds: float, rate: int = 8000) -> bytes:
    """Mono 16-bit samples."""
    count = round(seconds * rate)
    return b"".join(struct.pack("<h", round(9000 * math.sin(n * 0.3))) for n in range(count))


@cache
def wav(seconds: float = 1.0, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(tone(seconds, rate))
    return out.getvalue()


@cache
def mp3(seconds: float = 1.0, rate: int = 8000, bitrate: int = 16) -> bytes:
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_bit_rate(bitrate)
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_channels(1)
    return bytes(encoder.encode(tone(seconds, rate)) + encoder.flush())


def id3(size: int) -> bytes:
    """Return a tag of version 2.4 that is padding, ``size`` bytes beyond its own ten."""
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


@cache
def encoded(suffix: str, *arguments: str, seconds: float = 2.0, rate: int = 8000) -> bytes | None:
    """Return what ffmpeg makes of a tone, or None when this build lacks the encoder."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"out.{suffix}"
        command = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-v",
            "error",
            "-f",
            "wav",
            "-i",
            "-",
            *arguments,
            str(target),
        ]
        done = subprocess.run(command, input=wav(seconds, rate), capture_output=True, check=False)
        return target.read_bytes() if done.returncode == 0 else None


ENCODINGS: list[tuple[str, tuple[str, ...], Format]] = [
    ("wav", (), WAV),
    ("wav", ("-c:a", "pcm_mulaw"), WAV),
    ("mp3", ("-ar", "16000"), MP3),
    ("mp3", ("-write_xing", "0", "-id3v2_version", "0"), MP3),
    ("mp2", ("-ar", "16000", "-c:a", "mp2"), MP3),
    ("ogg", ("-c:a", "libvorbis"), OGG),
    ("ogg", ("-c:a", "libopus"), OGG),
    ("flac", (), FLAC),
    ("m4a", ("-c:a", "aac"), M4A),
    ("mp4", ("-c:a", "aac"), MP4),
    ("webm", ("-c:a", "libopus"), WEBM),
    ("aac", ("-c:a", "aac"), AAC),
    ("amr", ("-c:a", "libopencore_amrnb"), AMR),
    ("aiff", (), AIFF),
]


@pytest.mark.parametrize(("suffix", "arguments", "expected"), ENCODINGS, ids=lambda value: str(value))
def test_what_ffmpeg_writes_is_recognised(suffix: str, arguments: tuple[str, ...], expected: Format) -> None:
    made = encoded(suffix, *arguments)
    if made is None:
        lacking(f"this ffmpeg cannot write {suffix} {arguments}")
    assert recognise(made[:HEAD_BYTES]) == expected
    assert recognise(id3(40) + made[: HEAD_BYTES - 50]) == expected


def test_what_lame_writes_is_recognised_with_and_without_a_tag() -> None:
    assert recognise(mp3()) == MP3
    assert recognise(id3(5000) + mp3()) == MP3
    assert recognise(id3(100) + id3(200) + mp3()) == MP3
    assert recognise(id3(HEAD_BYTES)[:HEAD_BYTES]) == MP3
    assert recognise(bytes(100) + mp3()) == MP3


@pytest.mark.parametrize("magic", [b"RIFF", b"RIFX", b"RF64", b"BW64"])
def test_every_kind_of_wave_is_a_wav(magic: bytes) -> None:
    assert recognise(magic + b"\xff\xff\xff\xffWAVE") == WAV
    assert recognise(magic + b"\xff\xff\xff\xffAVI ") is None


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"<!DOCTYPE html><html>", "html"),
        (b"\xef\xbb\xbf  \r\n<HTML><body>", "html"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "html"),
        (b'{"code":410,"message":"expired"}', "json"),
        (b"\n [1]", "json"),
        (b"upstream connect error", "text"),
        (b"ID3 is not here", "text"),
        (b"", ""),
        (b"\x00\x01\x02", ""),
    ],
)
def test_a_page_is_told_from_audio(page: bytes, kind: str) -> None:
    assert error_page(page) == kind
    if not page.startswith(b"ID3"):
        assert recognise(page) is None


@pytest.mark.parametrize("text", ['{"code": 410, "message": "expired"}', "<html>no</html>", "plain"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_page_in_any_encoding_is_no_audio(text: str, encoding: str) -> None:
    assert recognise(text.encode(encoding)) is None
    assert recognise((text * 40).encode(encoding)) is None


def test_a_lone_sync_word_is_no_audio() -> None:
    assert recognise(mp3()[:4]) is None
    assert recognise(b"\xff\xfb\x90\x00" + b"hello" * 300) is None
    assert recognise(b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"hello" * 300) is None


def test_one_whole_frame_is_audio() -> None:
    frame = mpeg_frame(mp3()[:4])
    assert frame is not None
    assert recognise(mp3()[: frame.size]) == MP3


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_looked_at_without_complaint(raw: bytes) -> None:
    for head in (raw, b"ID3" + raw, b"\xff" + raw, bytes(20) + raw, b"RIFF" + raw):
        found = recognise(head)
        assert found is None or found.extension in CONTENT_TYPES
        assert error_page(head) in {"", "html", "json", "text"}
        assert after_id3(head) >= 0
        mpeg_frame(head)
        adts_frame(head)


def test_a_head_full_of_empty_tags_is_read_in_no_time() -> None:
    assert recognise(id3(0) * 6553) is MP3
    assert recognise(bytes(HEAD_BYTES)) is None


def test_frame_headers_match_what_lame_was_asked_for() -> None:
    frame = mpeg_frame(mp3(1.0, 16000, 32)[:4])
    assert frame is not None
    assert (frame.sample_rate, frame.channels, frame.bitrate, frame.samples) == (16000, 1, 32000, 576)
