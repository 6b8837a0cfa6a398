from __future__ import annotations

import io
import struct
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.magic import mpeg_frame
from mediapipe.audio.mpeg import Mpeg, behind_id3, scan
from mediapipe.audio.xing import LAME, NOT_GAPLESS, gapless, info_frame
from tests.audio.judges import ffmpeg_samples_of, length_of
from tests.audio.test_magic import encoded, id3
from tests.audio.test_xing import lame, noise

ID3V1 = b"TAG" + b"x" * 125
JUNK = bytes(range(1, 250)) * 2
LYRICS = b"LYRICSBEGIN" + b"a" * 50 + b"000061LYRICS200"


def ape() -> bytes:
    item = struct.pack("<II", 4, 0) + b"Title\0abcd"
    size = struct.pack("<III", 2000, len(item) + 32, 1)
    header, footer = (b"APETAGEX" + size + flags + bytes(8) for flags in (b"\0\0\0\xa0", b"\0\0\0\x80"))
    return header + item + footer


@cache
def split(samples: int = 16_000, rate: int = 8000, channels: int = 1) -> tuple[bytes, ...]:
    """Real frames, of constant bitrate."""
    raw, found, at = lame(noise(samples, channels), rate), [], 0
    while frame := mpeg_frame(raw[at : at + 4]):
        found.append(raw[at : at + frame.size])
        at += frame.size
    return tuple(found)


def audio(samples: int = 16_000) -> bytes:
    return b"".join(split(samples))


def opening(
    samples: int = 16_000,
    *,
    frames: int = 0,
    size: int = 0,
    padding: int | None = None,
    extension: bytes = LAME,
) -> bytes:
    """Return an Info frame that is right, or wrong by so many frames, bytes and samples."""
    count = len(split(samples))
    delay, right = gapless(samples, count, 576)
    return info_frame(
        split(samples)[0][:4],
        frames=count + frames,
        size=len(audio(samples)) + size,
        delay=delay,
        padding=right if padding is None else padding,
        extension=extension,
    )


def vbri(frames: int) -> bytes:
    first = opening()
    words = struct.pack(">HHHIIHHHH", 1, 576, 50, len(audio()), frames, 1, 1, 2, 10)
    return (first[:4] + bytes(32) + b"VBRI" + words).ljust(len(first), b"\0")


@cache
def variants() -> dict[str, bytes]:
    """MP3 files of every kind of disorder, all with two seconds of sound at 8 kHz."""
    raw, half, one = audio(), len(audio()) // 2, len(split()[0])
    middle = 10 * one
    vbr = encoded("mp3", "-q:a", "4", "-ar", "16000", "-id3v2_version", "0")
    assert vbr is not None
    first = mpeg_frame(vbr[:4])
    assert first is not None
    return {
        "bare": raw,
        "info": opening() + raw,
        "info of another encoder": opening(extension=NOT_GAPLESS) + raw,
        "tags at both ends": id3(500) + opening() + raw + ape() + ID3V1,
        "megabytes of art": id3(3_000_000) + opening() + raw,
        "tags at both ends, bare": id3(9) + id3(70) + raw + LYRICS + ID3V1,
        "id3v2 at the end": raw + id3(400),
        "vbr": vbr,
        "vbr without xing": vbr[first.size :],
        "vbri": vbri(len(split())) + raw,
        "vbri wrong": vbri(99_999) + raw,
        "zeros in front": bytes(3000) + raw,
        "garbage in front": JUNK + raw,
        "garbage behind the tag": id3(50) + JUNK + opening() + raw,
        "zeros between": raw[:middle] + bytes(500) + raw[middle:],
        "garbage between": raw[:middle] + JUNK + raw[middle:],
        "garbage between, info": opening() + raw[:middle] + JUNK + raw[middle:],
        "a byte too many": raw[:middle] + b"x" + raw[middle:],
        "a byte too few": opening() + raw[: middle - 1] + raw[middle:],
        "garbage behind": raw + JUNK,
        "garbage behind, info": opening() + raw + JUNK,
        "much garbage behind, info": opening() + raw + bytes(5000) + JUNK,
        "cut": raw[:-50],
        "cut, info": opening() + raw[: half + 17],
        "cut at the last frame, info": opening() + raw[:-20],
        "cut, tagged": opening() + raw[:-50] + ID3V1,
        "joined": raw + audio(9000),
        "joined, info": opening() + raw + opening(9000) + audio(9000),
        "joined, info and tags": id3(50) + opening() + raw + ID3V1 + id3(80) + opening(9000) + audio(9000),
        "little joined, info": opening() + raw + opening(600) + audio(600),
        "info twice": opening() + opening() + raw,
        "too few frames promised": opening(frames=-5) + raw,
        "too few frames, no padding": opening(frames=-5, padding=0) + raw,
        "too many frames promised": opening(frames=5) + raw,
        "no frames promised": opening(frames=-len(split())) + raw,
        "much padding": opening(padding=4095) + raw,
        "no padding": opening(padding=0) + raw,
    }


NAMES = list(variants())


def found(raw: bytes) -> Mpeg:
    mpeg = scan(io.BytesIO(raw), len(raw))
    assert mpeg is not None
    return mpeg


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_counted_as_decoders_decode_them(name: str) -> None:
    raw = variants()[name]
    assert found(raw).samples == length_of(raw, "mp3")
    assert found(raw).samples == len(ffmpeg_samples_of(raw, "mp3")) // 8


FINDINGS = {
    "vbr without xing": ("vbr_without_xing",),
    "vbri wrong": ("header_duration",),
    "zeros in front": ("garbage",),
    "garbage in front": ("garbage",),
    "garbage behind the tag": ("garbage",),
    "zeros between": ("garbage",),
    "garbage between": ("garbage",),
    "garbage between, info": ("garbage",),
    "a byte too many": ("garbage",),
    "a byte too few": ("header_duration", "shorter_than_header", "garbage"),
    "garbage behind": ("garbage",),
    "garbage behind, info": ("garbage",),
    "much garbage behind, info": ("garbage",),
    "cut, info": ("header_duration", "shorter_than_header"),
    "cut at the last frame, info": ("shorter_than_header",),
    "cut, tagged": ("garbage",),
    "joined, info": ("header_duration", "concatenated"),
    "joined, info and tags": ("header_duration", "concatenated", "garbage"),
    "little joined, info": ("header_duration", "concatenated"),
    "too few frames promised": ("header_duration",),
    "too few frames, no padding": ("header_duration",),
    "too many frames promised": ("header_duration",),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_has_a_code(name: str) -> None:
    mpeg = found(variants()[name])
    expected = FINDINGS.get(name, ())
    assert mpeg.findings == expected
    assert mpeg.needs == tuple(code for code in expected if code != "concatenated")


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_is_accounted_for(name: str) -> None:
    raw = variants()[name]
    mpeg = found(raw)
    assert mpeg.run.spans is not None
    assert mpeg.run.length == sum(end - start for start, end in mpeg.run.spans)
    assert mpeg.overhead == len(raw) - mpeg.lead - mpeg.run.length
    assert 0 <= mpeg.junk <= mpeg.overhead


def test_tags_are_told_from_garbage() -> None:
    raw = audio()
    for behind, names, junk in (
        (ID3V1, ("id3v1",), 0),
        (ape() + ID3V1, ("ape", "id3v1"), 0),
        (LYRICS + ID3V1, ("lyrics3", "id3v1"), 0),
        (id3(400), ("id3v2",), 0),
        (id3(40) + ape() + LYRICS + ID3V1, ("id3v2", "ape", "lyrics3", "id3v1"), 0),
        (id3(40)[:5] + b"\x10" + id3(40)[6:] + b"3DI\4\0\x10\0\0\0\x28", ("id3v2",), 0),
        (JUNK + ape(), ("ape",), len(JUNK)),
        (ape() + JUNK, (), len(ape()) + len(JUNK)),
        (b"APETAGEX" + b"\xff" * 24, (), 32),
        (b"999999LYRICS200", (), 15),
        (id3(400)[:100], (), 100),
    ):
        mpeg = found(id3(77) + raw + behind)
        assert (mpeg.tags, mpeg.junk) == (names, junk)
        assert mpeg.overhead == 87 + len(behind)


def test_figures_of_a_stream() -> None:
    mpeg = found(variants()["info"])
    assert (mpeg.frame.sample_rate, mpeg.frame.channels, mpeg.frame.samples) == (8000, 1, 576)
    assert (mpeg.samples, mpeg.bitrate, mpeg.run.variable) == (16_000, 32_000, False)
    assert mpeg.xing is not None
    assert (mpeg.xing.frames, mpeg.xing.version) == (len(split()), "LAME3.100")
    assert found(variants()["vbr"]).run.variable
    assert found(variants()["vbri"]).vbri is not None


def test_frames_inside_a_wav_are_all_audio() -> None:
    raw = opening() + audio()
    mpeg = scan(io.BytesIO(bytes(60) + raw + b"LIST"), 60 + len(raw), 60, bare=True)
    assert mpeg is not None
    assert (mpeg.run.count, mpeg.lead, mpeg.xing) == (len(split()) + 1, 0, None)
    assert mpeg.samples == 576 * mpeg.run.count
    assert mpeg.overhead == 0
    one = scan(io.BytesIO(split()[0]), len(split()[0]), bare=True)
    assert one is not None
    assert one.samples == 576


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"RIFF",
        bytes(3000),
        id3(50),
        id3(5000)[:2000],
        b"<html>" * 3000,
        split()[0],
        opening() + split()[0],
        opening(),
        b"\xff" * 100_000,
    ],
)
def test_what_decoders_cannot_open_is_no_stream(raw: bytes) -> None:
    assert scan(io.BytesIO(raw), len(raw)) is None
    assert not length_of(raw, "mp3")


def test_layer_two_is_another_thing() -> None:
    raw = encoded("mp2", "-ar", "16000", "-c:a", "mp2")
    assert raw is not None
    assert scan(io.BytesIO(raw), len(raw)) is None


def test_tags_in_front_are_stepped_over_whatever_their_number() -> None:
    for tags in (b"", id3(0), id3(5) * 3, id3(0) * 500, id3(200_000)):
        raw = tags + audio()
        assert behind_id3(io.BytesIO(raw), len(raw)) == len(tags)
    assert behind_id3(io.BytesIO(id3(90)), 100) == 0
    assert behind_id3(io.BytesIO(b"ID3"), 3) == 0


PIECES = st.one_of(
    st.tuples(st.integers(0, 28), st.integers(1, 9)).map(lambda cut: b"".join(split()[cut[0] : sum(cut)])),
    st.integers(1, 300).map(bytes),
    st.binary(min_size=1, max_size=120),
    st.sampled_from([opening(), opening(600), ID3V1, ape(), id3(30), split()[3][:-7], b"\xff\xe3\x28\xc4"]),
)
OPENINGS = st.builds(
    opening,
    frames=st.sampled_from([0, 0, 3, -3, -15, -25]),
    size=st.sampled_from([0, 0, 2, -6000, 90_000]),
    padding=st.sampled_from([0, 529, 530, 1000, 1200]),
    extension=st.sampled_from([LAME, NOT_GAPLESS, b"Lavf".ljust(36, b"\0"), b"GOGO".ljust(36, b"\0")]),
)
SOUPS = st.builds(
    lambda front, start, frames, pieces, cut: (
        front + start + b"".join(split()[:frames]) + b"".join(pieces[: 3 - (cut > 0)])
    )[: -cut or None],
    st.sampled_from([b"", id3(40), id3(0) * 2, bytes(90), b"junk"]),
    st.one_of(st.just(b""), OPENINGS),
    st.integers(9, 25),
    st.lists(PIECES, max_size=3),
    st.sampled_from([0, 0, 0, 1, 33]),
)


def cut_inside(mpeg: Mpeg) -> int:
    """Samples of a last frame that is not all there: whether it can be decoded depends on its bits."""
    return mpeg.frame.samples if mpeg.run.cut else 0


@settings(deadline=None, max_examples=150)
@given(SOUPS)
def test_soups_are_counted_as_they_are_decoded(raw: bytes) -> None:
    mpeg = found(raw)
    if mpeg.run.mixed or not mpeg.ends.whole:
        return
    assert 0 <= mpeg.samples - (length_of(raw, "mp3") or 0) <= cut_inside(mpeg)


@settings(deadline=None)
@given(st.binary(max_size=600), st.sampled_from([b"", b"ID3\x04\0\0\0\0\0\x05", opening()[:190], split()[0]]))
def test_any_bytes_are_walked_over_without_complaint(raw: bytes, front: bytes) -> None:
    for body in (front + raw, front + front + raw + front, raw + front):
        for bare in (False, True):
            mpeg = scan(io.BytesIO(body), len(body), bare=bare)
            if mpeg is not None:
                assert mpeg.samples >= 0
                assert mpeg.bitrate > 0
                assert mpeg.junk >= 0
