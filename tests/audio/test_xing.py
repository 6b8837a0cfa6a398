from __future__ import annotations

import io
import itertools
import struct
from functools import cache

import av
import lameenc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediapipe.audio.magic import mpeg_frame
from mediapipe.audio.xing import (
    DECODER_DELAY,
    ENCODER_DELAY,
    LAME,
    NOT_GAPLESS,
    SHORT_CLIP,
    XING_ROOM,
    gapless,
    info_frame,
    music_crc,
    read_vbri,
    read_xing,
)
from tests.audio.judges import ffmpeg_samples_of, floats_of, samples_of
from tests.audio.test_magic import encoded

RATES = {
    8000: 32,
    11_025: 32,
    12_000: 32,
    16_000: 64,
    22_050: 64,
    24_000: 64,
    32_000: 96,
    44_100: 96,
    48_000: 96,
}
"""Kbit/s per channel, at which noise comes out much as it went in."""
LENGTHS = (SHORT_CLIP, 575, 576, 577, 1151, 1152, 1153, 5_000)
KINDS = list(itertools.product(RATES, (1, 2)))


def noise(samples: int, channels: int = 1) -> NDArray[np.int16]:
    """Smoothed noise: it resembles itself at no other place."""
    rough = np.random.default_rng(samples).normal(0, 4000, (samples + 3, channels))
    return np.asarray((rough[3:] + rough[2:-1] + rough[1:-2] + rough[:-3]) / 2, np.int16)


def lame(sound: NDArray[np.int16], rate: int) -> bytes:
    """Return bare frames, as the encoder gives them."""
    channels = sound.shape[1]
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_channels(channels)
    encoder.set_in_sample_rate(rate)
    encoder.set_out_sample_rate(rate)
    encoder.set_bit_rate(RATES[rate] * channels)
    encoder.set_quality(5)
    return bytes(encoder.encode(sound.tobytes())) + bytes(encoder.flush())


def counted(frames: bytes) -> tuple[int, int]:
    """Return the number of frames and the samples in each."""
    at = count = samples = 0
    while frame := mpeg_frame(frames[at : at + 4]):
        at, count, samples = at + frame.size, count + 1, frame.samples
    assert at == len(frames)
    return count, samples


def finished(frames: bytes, samples: int, lead: int = 0) -> bytes:
    """Return a whole mp3 that says where the sound is in it."""
    count, each = counted(frames)
    delay, padding = gapless(samples, count, each, lead)
    opening = info_frame(
        frames[:4],
        frames=count,
        size=len(frames),
        delay=delay,
        padding=padding,
        music_crc=music_crc([frames]),
    )
    return opening + frames


@pytest.mark.parametrize(("rate", "channels"), KINDS)
def test_what_was_encoded_comes_out_as_long_as_it_went_in(rate: int, channels: int) -> None:
    for samples in (*LENGTHS, rate):
        raw = finished(lame(noise(samples, channels), rate), samples)
        assert len(floats_of(raw, channels)) == samples, samples


@pytest.mark.parametrize(("rate", "channels"), KINDS)
def test_and_stands_where_it_stood(rate: int, channels: int) -> None:
    """LAME's delay, measured: at no other shift does the sound come as near to itself."""
    sound = noise(rate, channels)
    heard = floats_of(finished(lame(sound, rate), rate), channels)
    middle = slice(1000, rate - 1000)
    errors = {
        shift: float(np.mean((np.roll(heard, shift, axis=0) - sound / 32768)[middle] ** 2))
        for shift in range(-40, 41)
    }
    assert min(errors, key=lambda shift: errors[shift]) == 0
    assert errors[0] < 0.5 * min(error for shift, error in errors.items() if shift)


@pytest.mark.parametrize("rate", [8000, 24_000, 44_100])
def test_another_decoder_agrees(rate: int) -> None:
    for samples in (576, rate):
        raw = finished(lame(noise(samples), rate), samples)
        assert len(ffmpeg_samples_of(raw, "mp3", "s16le")) == 2 * samples


@pytest.mark.parametrize(("rate", "channels"), KINDS)
@pytest.mark.parametrize("samples", [1, SHORT_CLIP - 1])
def test_a_tiny_clip_comes_out_whole_behind_a_lead(rate: int, channels: int, samples: int) -> None:
    sound = np.concatenate([np.zeros((SHORT_CLIP, channels), np.int16), noise(samples, channels)])
    assert len(floats_of(finished(lame(sound, rate), samples, SHORT_CLIP), channels)) == samples


def test_an_encoder_that_was_not_flushed_is_noticed() -> None:
    assert gapless(8000, 16, 576) == (ENCODER_DELAY, 16 * 576 - ENCODER_DELAY - 8000)
    with pytest.raises(ValueError, match="still inside the encoder"):
        gapless(8000, 15, 576)
    with pytest.raises(ValueError, match="under 4,096"):
        gapless(8000, 30, 576)
    with pytest.raises(ValueError, match="under 4,096"):
        gapless(8000, 30, 576, lead=4000)


def headers() -> list[bytes]:
    """One header of layer III for each version, rate, mode, bitrate and checksum flag."""
    made = [
        bytes([0xFF, 0xE0 | version << 3 | 1 << 1 | crc, bitrate << 4 | rate << 2 | 2, mode << 6 | 0x24])
        for version, rate, mode, bitrate, crc in itertools.product(
            (0, 2, 3), range(3), range(4), range(1, 15), (0, 1)
        )
    ]
    assert all(mpeg_frame(header) for header in made)
    return made


def test_the_frame_is_legal_for_every_kind_of_stream() -> None:
    for header in headers():
        first = mpeg_frame(header)
        raw = info_frame(header, frames=1234, size=56_789, variable=True, delay=576, padding=1000)
        frame = mpeg_frame(raw[:4])
        assert first is not None
        assert frame is not None
        assert (frame.sample_rate, frame.channels, frame.samples) == (
            first.sample_rate,
            first.channels,
            first.samples,
        )
        assert frame.size == len(raw)
        assert raw[1] & 1, "no checksum is promised"
        found = read_xing(raw[:XING_ROOM])
        assert found is not None
        assert (found.variable, found.frames, found.size) == (True, 1234, 56_789 + len(raw))
        assert (found.version, found.gapless, found.delay, found.padding) == ("LAME3.100", True, 576, 1000)
        assert len(found.toc) == 100
        assert list(found.toc) == sorted(found.toc)


@pytest.mark.parametrize(("rate", "channels"), KINDS)
def test_ffmpeg_finds_the_checksum_of_the_tag_right(rate: int, channels: int) -> None:
    """It names the encoder only then."""
    raw = finished(lame(noise(3000, channels), rate), 3000)
    damaged = bytearray(raw)
    damaged[raw.index(b"LAME") + 11] ^= 1
    for body, named in ((raw, "LAME3.100"), (bytes(damaged), None)):
        with av.open(io.BytesIO(body), format="mp3") as file:
            assert file.streams.audio[0].metadata.get("encoder") == named


@pytest.mark.parametrize("arguments", [(), ("-q:a", "5"), ("-ar", "44100", "-ac", "2")])
def test_the_checksum_of_the_music_is_the_one_that_others_write(arguments: tuple[str, ...]) -> None:
    raw = encoded("mp3", "-id3v2_version", "0", *arguments)
    assert raw is not None
    opening = mpeg_frame(raw[:4])
    found = read_xing(raw[:XING_ROOM])
    assert opening is not None
    assert found is not None
    assert struct.unpack(">H", found.extension[32:34])[0] == music_crc([raw[opening.size :]])


def slow_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 9000), max_size=4))
def test_the_checksum_is_the_same_however_the_blocks_are_cut(seed: int, lengths: list[int]) -> None:
    blocks = [np.random.default_rng(seed).bytes(length) for length in lengths]
    assert music_crc(blocks) == slow_crc(b"".join(blocks))


def test_a_known_checksum() -> None:
    """The check value of CRC-16/ARC."""
    assert music_crc([b"123456789"]) == 0xBB3D


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
def test_without_gapless_figures_decoders_give_all_they_gave(rate: int) -> None:
    frames = lame(noise(4000), rate)
    count, _ = counted(frames)
    opening = info_frame(frames[:4], frames=count, size=len(frames), extension=NOT_GAPLESS)
    assert samples_of(opening + frames, "mp3") == samples_of(frames, "mp3")
    assert ffmpeg_samples_of(opening + frames, "mp3") == ffmpeg_samples_of(frames, "mp3")


def test_sizes_beyond_32_bits_are_not_said() -> None:
    found = read_xing(info_frame(headers()[0], frames=10, size=1 << 33))
    assert found is not None
    assert (found.frames, found.size, len(found.toc), found.version) == (10, 0, 100, "LAME3.100")
    found = read_xing(info_frame(headers()[0], frames=1 << 33, size=10))
    assert found is not None
    assert found.frames == 0
    assert found.size > 10


def test_a_frame_like_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="no header of layer III"):
        info_frame(bytes(4), frames=1, size=1)


def test_the_table_of_contents_is_kept() -> None:
    table = bytes(index * index // 40 for index in range(100))
    found = read_xing(info_frame(headers()[0], frames=10, size=10, toc=table))
    assert found is not None
    assert found.toc == table


@cache
def opening() -> bytes:
    return info_frame(headers()[0], frames=10, size=1000, delay=1105, padding=DECODER_DELAY, extension=LAME)


@pytest.mark.parametrize("cut", range(0, XING_ROOM, 7))
def test_a_header_cut_short_says_what_is_left_of_it(cut: int) -> None:
    found = read_xing(opening()[:cut])
    assert found is None or len(found.extension) == 36


def test_only_layer_three_has_such_a_header() -> None:
    layer2 = bytes([0xFF, opening()[1] & ~6 | 4]) + opening()[2:]
    assert mpeg_frame(layer2[:4])
    assert read_xing(layer2) is None
    assert read_xing(opening().replace(b"Info", b"Zing")) is None


def test_vbri_is_read_where_it_stands() -> None:
    header = headers()[-1]
    frame = header + bytes(32) + b"VBRI" + struct.pack(">HHHIIHHHH", 1, 1105, 75, 4000, 40, 1, 1, 2, 10)
    found = read_vbri(frame)
    assert found is not None
    assert (found.frames, found.size) == (40, 4000)
    assert read_vbri(frame[:53]) is None
    assert read_vbri(frame.replace(b"VBRI\0\1", b"VBRI\0\2")) is None


@given(st.sampled_from(headers()), st.binary(max_size=250), st.sampled_from([b"Xing", b"Info", b"VBRI", b""]))
def test_any_bytes_are_read_without_complaint(header: bytes, rest: bytes, word: bytes) -> None:
    for at in (9, 17, 32):
        frame = header + rest[:at].ljust(at, b"\0") + word + rest[at:]
        found = read_xing(frame)
        if found is not None:
            assert 0 <= found.delay < 4096
            assert 0 <= found.padding < 4096
            assert found.version.isascii() or found.version
        read_vbri(frame)
        read_xing(rest)
