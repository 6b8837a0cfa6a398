from __future__ import annotations

import io
import struct
import time
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.riff import (
    ALAW,
    FLOAT,
    LONGEST_DATA,
    MULAW,
    PCM,
    Riff,
    header_of,
    padding,
    walk,
    wav_header,
)
from tests.audio.judges import ffmpeg_samples_of, length_of, samples_of
from tests.audio.test_header import chunk, fmt, riff
from tests.audio.test_magic import id3

A = np.random.default_rng(1).integers(-9000, 9000, 4000).astype("<i2").tobytes()
B = np.random.default_rng(2).integers(-9000, 9000, 3000).astype("<i2").tobytes()
LIST = chunk(b"LIST", b"INFOIART\4\0\0\0abcd")
FMT = chunk(b"fmt ", fmt())
UNKNOWN = 0xFFFFFFFF


def found(raw: bytes) -> Riff:
    seen = walk(io.BytesIO(raw), len(raw))
    assert seen is not None
    return seen


def ds64(length: int) -> bytes:
    return chunk(b"ds64", struct.pack("<QqQI", 99, length, 0, 0))


def extensible(tag: int, channels: int, bits: int, valid: int, mask: int) -> bytes:
    guid = struct.pack("<IHH", tag, 0, 16) + bytes.fromhex("800000aa00389b71")
    return fmt(0xFFFE, channels, bits=bits) + struct.pack("<HHI", 22, valid, mask) + guid


# What is heard, and what is to be mended and to be known: seen with FFmpeg 5, 8 and 9.
ODD = {
    "plain": (riff(FMT, chunk(b"data", A)), A, (), ()),
    "size 0": (riff(FMT, chunk(b"data", A, 0)), A, ("size_unknown_in_header",), ()),
    "size 0, chunk behind": (
        riff(FMT, chunk(b"data", A, 0), LIST),
        A + LIST,
        ("size_unknown_in_header",),
        (),
    ),
    "size -1, chunk behind": (
        riff(FMT, chunk(b"data", A, UNKNOWN), LIST),
        A + LIST,
        ("size_unknown_in_header",),
        (),
    ),
    "2 GiB, chunk behind": (
        riff(FMT, chunk(b"data", A, 0x7FFFFFFF), LIST),
        A + LIST,
        ("size_unknown_in_header",),
        (),
    ),
    "more than there": (
        riff(FMT, chunk(b"data", A, len(A) + 100), LIST),
        A + LIST,
        (),
        ("shorter_than_header",),
    ),
    "cut": (riff(FMT, chunk(b"data", A))[:-999], A[:-1000], (), ("shorter_than_header",)),
    "data before fmt": (riff(chunk(b"data", A), FMT), A, ("data_before_fmt",), ()),
    "odd data": (riff(FMT, chunk(b"data", A[:-1]), LIST), A[:-2], (), ()),
    "odd data without padding": (
        riff(FMT, chunk(b"data", A[:-1])[:-1], LIST),
        A[:-2],
        ("odd_padding",),
        (),
    ),
    "odd chunk in front": (riff(FMT, chunk(b"LIST", b"INFOx"), chunk(b"data", A)), A, (), ()),
    "two data chunks": (riff(FMT, chunk(b"data", A), chunk(b"data", B)), B, (), ("second_data_chunk",)),
    "two data chunks among others": (
        riff(FMT, chunk(b"data", A), LIST, chunk(b"data", B), LIST),
        B,
        (),
        ("second_data_chunk",),
    ),
    "second data chunk cut": (
        riff(FMT, chunk(b"data", A), chunk(b"data", B))[:-1000],
        B[:-1000],
        (),
        ("second_data_chunk", "shorter_than_header"),
    ),
    "two formats": (
        riff(FMT, chunk(b"fmt ", fmt(MULAW, 1, 16_000, 8)), chunk(b"data", A)),
        A,
        (),
        (),
    ),
    "a page behind": (
        riff(FMT, chunk(b"data", A)) + b"<html>gone</html>" * 5,
        A,
        ("trailing_garbage",),
        (),
    ),
    "data behind garbage": (
        riff(FMT, chunk(b"data", A)) + b"xx" + chunk(b"data", B),
        A,
        ("trailing_garbage",),
        ("longer_than_header",),
    ),
    "zeros, then data": (
        riff(FMT, chunk(b"data", A)) + bytes(16) + chunk(b"data", B),
        B,
        (),
        ("second_data_chunk",),
    ),
    "rf64": (riff(ds64(len(A)), FMT, chunk(b"data", A, UNKNOWN), LIST, magic=b"RF64"), A, ("rf64",), ()),
    "bw64": (riff(ds64(len(A)), FMT, chunk(b"data", A, UNKNOWN), LIST, magic=b"BW64"), A, ("rf64",), ()),
    "rf64, sizes differ": (
        riff(ds64(len(A) - 100), FMT, chunk(b"data", A), LIST, magic=b"RF64"),
        A[:-100],
        ("rf64", "trailing_garbage"),
        (),
    ),
    "rf64, more than there": (
        riff(ds64(1 << 62), FMT, chunk(b"data", A, UNKNOWN), LIST, magic=b"RF64"),
        A + LIST,
        ("rf64",),
        ("shorter_than_header",),
    ),
    "ds64 in a plain file": (
        riff(ds64(100), FMT, chunk(b"data", A, UNKNOWN)),
        A,
        ("size_unknown_in_header",),
        (),
    ),
    "riff size wrong": (riff(FMT, chunk(b"data", A), size=7), A, (), ()),
    "empty": (riff(FMT, chunk(b"data", b"")), b"", (), ()),
    "12 bits": (riff(chunk(b"fmt ", fmt(bits=16)[:-2] + b"\x0c\0"), chunk(b"data", A)), A, (), ()),
    "foreign chunks": (
        riff(LIST, chunk(b"JUNK", bytes(3001)), FMT, chunk(b"bext", bytes(700)), chunk(b"data", A), LIST),
        A,
        (),
        (),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_heard_of_odd_files(name: str) -> None:
    raw, audio, needs, findings = ODD[name]
    seen = found(raw)
    whole = audio[: len(audio) // 2 * 2]
    assert samples_of(raw, "wav") == whole
    assert ffmpeg_samples_of(raw, "wav", "s16le") == whole
    assert seen.audio is not None
    assert raw[seen.audio.at :].startswith(whole)
    assert seen.samples == len(whole) // 2
    assert (seen.needs, seen.findings) == (needs, findings)


@pytest.mark.parametrize(
    ("raw", "audio"),
    [
        (riff(FMT, chunk(b"data", b""), chunk(b"data", B)), B),
        (riff(FMT, chunk(b"data", A), chunk(b"data", b"")), A),
        (riff(FMT, chunk(b"data", A), chunk(b"data", b""), LIST), A),
        (riff(FMT, chunk(b"data", b""), LIST, chunk(b"data", B)), B),
    ],
)
def test_an_empty_data_chunk_is_not_the_audio(raw: bytes, audio: bytes) -> None:
    """Where FFmpeg hears nothing, or the next chunk's header as a click."""
    seen = found(raw)
    assert seen.audio is not None
    assert raw[seen.audio.at :][: seen.audio.there] == audio
    assert (seen.needs, seen.findings) == (("empty_data_chunk",), ())


@pytest.mark.parametrize("extra", [riff(FMT, chunk(b"data", B)), riff(FMT, LIST, chunk(b"data", A))])
def test_a_file_joined_to_another_holds_audio_twice(extra: bytes) -> None:
    seen = found(riff(FMT, chunk(b"data", A)) + extra)
    assert seen.findings == ("second_data_chunk",)


@pytest.mark.parametrize(("behind", "told"), [(100, False), (4096, False), (4097, True), (100_000, True)])
def test_much_behind_the_audio_may_be_audio_too(behind: int, told: bool) -> None:
    seen = found(riff(FMT, chunk(b"data", A)) + b"\xff" * behind)
    assert ("longer_than_header" in seen.findings) is told


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (extensible(1, 1, 32, 24, 4), "padded_samples"),
        (extensible(1, 1, 32, 20, 4), "padded_samples"),
        (extensible(1, 1, 16, 12, 4), ""),
        (fmt(1, 2, 8000, 24)[:12] + struct.pack("<HH", 8, 24), "block_size_mismatch"),
        (fmt(1, 1, 8000, 16)[:12] + struct.pack("<HH", 4, 16), "block_size_mismatch"),
        (fmt(1, 2, 8000, 24), ""),
    ],
)
def test_samples_with_room_around_them_are_told(form: bytes, code: str) -> None:
    seen = found(riff(chunk(b"fmt ", form), chunk(b"data", A)))
    assert seen.findings == ((code,) if code else ())


def test_figures_of_a_plain_file() -> None:
    seen = found(riff(LIST, FMT, chunk(b"fact", struct.pack("<I", 4000)), chunk(b"data", A), LIST))
    assert (seen.start, seen.order, seen.magic, seen.fact) == (0, "<", b"RIFF", 4000)
    assert seen.fmt is not None
    assert (seen.fmt.tag, seen.fmt.channels, seen.fmt.sample_rate, seen.fmt.bits) == (PCM, 1, 8000, 16)
    assert (seen.fmt.byte_rate, seen.fmt.block_align, seen.fmt.valid_bits) == (16_000, 2, 16)
    assert (seen.overhead, seen.trailing) == (2 * len(LIST), 0)
    assert [(data.promised, data.there) for data in seen.data] == [(8000, 8000)]
    assert (seen.truncated, seen.size_unknown, seen.data_before_fmt) == (False, False, False)


@pytest.mark.parametrize("size", [0, 10, 101, 70_000, 2_000_000])
def test_a_tag_in_front_is_stepped_over(size: int) -> None:
    """FFmpeg 8 and 9 do not do that, so this has to be mended before anything else."""
    plain = riff(FMT, chunk(b"LIST", b"INFOx"), chunk(b"data", A))
    for tags in (id3(size), id3(3) + id3(size)):
        seen = found(tags + plain)
        assert (seen.start, seen.samples) == (len(tags), 4000)
        assert seen.needs == ("id3_before_riff",)
        assert seen.overhead == len(tags) + 14


def test_rifx_is_read_in_its_byte_order() -> None:
    big = {"order": ">"}
    raw = riff(
        chunk(b"fmt ", fmt(order=">"), **big),  # type: ignore[arg-type]
        chunk(b"fact", struct.pack(">I", 7), **big),  # type: ignore[arg-type]
        chunk(b"data", A, **big),  # type: ignore[arg-type]
        magic=b"RIFX",
        order=">",
    )
    seen = found(raw)
    assert (seen.order, seen.samples, seen.fact, seen.needs) == (">", 4000, 7, ())
    assert length_of(raw, "wav", 2) == 4000


@pytest.mark.parametrize("length", [0, -1, -(1 << 63)])
@pytest.mark.parametrize("late", [True, False])
def test_rf64_without_a_usable_length_is_all_there_is(length: int, late: bool) -> None:
    """FFmpeg gives up on these, or hears nothing."""
    chunks = [FMT, ds64(length)] if late else [ds64(length), FMT]
    raw = riff(*chunks, chunk(b"data", A, UNKNOWN), magic=b"RF64")
    seen = found(raw)
    assert seen.samples == 4000
    assert seen.needs == ("size_unknown_in_header", "rf64")


def test_an_extensible_format_tells_its_codec() -> None:
    for tag, bits, valid, mask in ((PCM, 16, 16, 4), (MULAW, 8, 8, 0), (FLOAT, 32, 32, 3), (PCM, 32, 20, 4)):
        seen = found(riff(chunk(b"fmt ", extensible(tag, 1, bits, valid, mask)), chunk(b"data", A)))
        assert seen.fmt is not None
        assert (seen.fmt.tag, seen.fmt.bits, seen.fmt.valid_bits) == (tag, bits, valid)
        assert seen.fmt.channel_mask == mask
        assert seen.samples == 8000 // (bits // 8)
    strange = extensible(PCM, 1, 16, 16, 4)[:-8] + bytes(8)
    seen = found(riff(chunk(b"fmt ", strange), chunk(b"data", A)))
    assert seen.fmt is not None
    assert seen.fmt.tag == 0xFFFE


def test_24_bits_in_32_are_named_since_ffmpeg_takes_them_for_floating_point() -> None:
    ramp = (np.arange(1000, dtype="<i4") << 8).tobytes()
    raw = riff(chunk(b"fmt ", extensible(PCM, 1, 32, 24, 4)), chunk(b"data", ramp))
    assert found(raw).findings == ("padded_samples",)
    heard = np.frombuffer(samples_of(raw, "wav") or b"", "<f4")
    assert not np.allclose(heard, np.arange(1000) / 2**23, atol=1e-6)


def test_packed_codecs_have_no_samples_but_blocks() -> None:
    gsm = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    seen = found(riff(chunk(b"fmt ", gsm), chunk(b"data", bytes(650))))
    assert seen.samples is None
    assert seen.fmt is not None
    assert seen.fmt.samples_per_block == 320
    seen = found(riff(chunk(b"fmt ", fmt(0x55)), chunk(b"data", bytes(650))))
    assert seen.fmt is not None
    assert seen.fmt.samples_per_block == 0


@pytest.mark.parametrize(
    ("channels", "rate", "absurd"),
    [(1, 4000, 0), (8, 192_000, 0), (0, 8000, 1), (9, 8000, 1), (65_535, 8000, 1), (1, 3999, 1), (1, 0, 1),
     (1, 100_000_000, 1), (1, 0xFFFFFFFF, 1)],
)  # fmt: skip
def test_absurd_figures_are_named(channels: int, rate: int, absurd: int) -> None:
    seen = found(riff(chunk(b"fmt ", fmt(channels=channels, rate=rate)), chunk(b"data", A)))
    assert ("header_absurd" in seen.findings) == bool(absurd)


@pytest.mark.parametrize(
    "raw",
    [
        riff(),
        riff(FMT),
        riff(chunk(b"data", A)),
        riff(chunk(b"fmt ", fmt()[:14]), chunk(b"data", A)),
        riff(chunk(b"data", A, 0), FMT),
        riff(chunk(b"data", A, UNKNOWN), FMT),
        riff(chunk(b"LIST", b"abcd", 1 << 30), FMT, chunk(b"data", A)),
        riff(FMT, chunk(b"data", A))[:30],
    ],
)
def test_without_format_or_audio_nothing_can_be_mended(raw: bytes) -> None:
    seen = found(raw)
    assert "header_unreadable" in seen.findings
    assert seen.needs == ()
    assert seen.samples is None


@pytest.mark.parametrize("raw", [b"", b"RIFF", b"RIFF\0\0\0\0AVI ", b"FORM\0\0\0\0WAVE", id3(50), bytes(50)])
def test_what_is_no_wave_is_none(raw: bytes) -> None:
    assert walk(io.BytesIO(raw), len(raw)) is None


def test_endless_chunks_are_given_up() -> None:
    began = time.monotonic()
    for name in (b"JUNK", bytes(4)):
        raw = riff(FMT, chunk(b"data", A), (name + bytes(4)) * 400_000)
        assert found(raw).samples == 4000
        assert "header_unreadable" in found(riff((name + bytes(4)) * 400_000, FMT)).findings
    assert time.monotonic() - began < 5


def test_the_walk_costs_microseconds() -> None:
    raw = io.BytesIO(riff(FMT, chunk(b"data", A), LIST))
    size = len(raw.getvalue())
    best = 9.0
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(200):
            walk(raw, size)
        best = min(best, (time.perf_counter() - began) / 200)
    assert best < 500e-6, "10 µs on a quiet machine"


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_plain_header_is_read_by_others(bits: int, channels: int) -> None:
    audio = A[: 7 * channels * bits // 8]
    head = wav_header(data_bytes=len(audio), channels=channels, sample_rate=11_025, bits=bits)
    assert len(head) == 44
    raw = head + audio + padding(len(audio))
    with wave.open(io.BytesIO(raw)) as file:
        assert file.getparams()[:4] == (channels, bits // 8, 11_025, 7)
        assert file.readframes(99) == audio
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    assert len(raw) % 2 == 0
    seen = found(raw)
    assert (seen.needs, seen.findings, seen.overhead, seen.samples) == ((), (), 0, 7)


@pytest.mark.parametrize(
    ("channels", "bits", "is_float", "length"), [(2, 32, True, 58), (6, 16, False, 68), (4, 32, True, 80)]
)
def test_a_header_says_more_where_it_has_to(channels: int, bits: int, is_float: bool, length: int) -> None:
    size = 10 * channels * bits // 8
    head = wav_header(data_bytes=size, channels=channels, sample_rate=48_000, bits=bits, is_float=is_float)
    assert len(head) == length
    seen = found(head + A[:size])
    assert seen.fmt is not None
    assert seen.fmt.tag == (FLOAT if is_float else PCM)
    assert (seen.fmt.channels, seen.fmt.bits, seen.samples) == (channels, bits, 10)
    assert seen.fact == (10 if is_float else None)
    assert (seen.needs, seen.findings, seen.overhead) == ((), (), 0)
    assert length_of(head + A[:size], "wav", bits // 8, channels) == 10


def test_a_header_is_as_long_for_any_length() -> None:
    for channels, is_float in ((1, False), (2, True), (3, False)):
        lengths = {
            len(wav_header(data_bytes=size, channels=channels, sample_rate=8000, bits=32, is_float=is_float))
            for size in (0, 12, LONGEST_DATA)
        }
        assert len(lengths) == 1
    for size in (-1, LONGEST_DATA + 1):
        with pytest.raises(ValueError, match="do not fit"):
            wav_header(data_bytes=size, channels=1, sample_rate=8000)


def test_what_needs_no_extensible_format_gets_none() -> None:
    for mask, valid, length in ((0, 16, 16), (4, 16, 16), (1, 16, 40), (0, 12, 40)):
        seen = found(riff(chunk(b"fmt ", extensible(PCM, 1, 16, valid, mask)), chunk(b"data", A)))
        assert seen.fmt is not None
        assert len(seen.fmt.canonical()) == length
    for tag, length in ((MULAW, 18), (ALAW, 18)):
        seen = found(riff(chunk(b"fmt ", extensible(tag, 1, 8, 8, 4)), chunk(b"data", A)))
        assert seen.fmt is not None
        assert len(seen.fmt.canonical()) == length
        assert header_of(seen.fmt, 10, 10)[38:42] == b"fact"


NAMES = st.sampled_from(
    [b"fmt ", b"data", b"fact", b"ds64", b"LIST", b"id3 ", b"JUNK", bytes(4)]
) | st.binary(min_size=4, max_size=4)
SIZES = st.sampled_from([None, 0, 1, 7, 16, 0x7FFF0000, 0x7FFFFFFF, 0x80000000, UNKNOWN]) | st.integers(0, 99)
BODIES = st.sampled_from([fmt(), fmt(MULAW, 2, bits=8), extensible(PCM, 2, 16, 16, 3), A[:50]]) | st.binary(
    max_size=60
)
CHUNKS = st.builds(lambda name, body, size: chunk(name, body, size), NAMES, BODIES, SIZES)
SOUPS = st.builds(
    lambda tags, magic, chunks, rest: tags + magic + bytes(4) + b"WAVE" + b"".join(chunks) + rest,
    st.sampled_from([b"", id3(9)]),
    st.sampled_from([b"RIFF", b"RIFX", b"RF64", b"BW64"]),
    st.lists(CHUNKS, max_size=8),
    st.binary(max_size=12),
)


class Thrifty(io.BytesIO):
    """A file that nobody asks for more than a little at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= 4096
        return super().read(size)


@settings(deadline=None, max_examples=300)
@given(SOUPS, st.integers(-50, 1 << 40))
def test_soups_of_chunks_are_walked_within_bounds(raw: bytes, more: int) -> None:
    for size in (len(raw), max(0, len(raw) + more)):
        seen = walk(Thrifty(raw), size)
        if seen is None:
            continue
        assert 0 <= seen.overhead <= size
        assert 0 <= seen.trailing <= seen.overhead
        for data in seen.data:
            assert 0 <= data.there <= max(0, size - data.at)
        assert seen.samples is None or seen.samples >= 0
        if seen.fmt is not None and not seen.findings:
            assert len(header_of(seen.fmt, 10, 10)) > 40


FOREIGN = st.builds(
    lambda name, body, size: chunk(name, body, size),
    st.sampled_from([b"JUNK", b"fact", b"ds64", b"data", bytes(4), b"\xff\xfe\0\1"]),
    st.binary(max_size=40),
    SIZES,
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from([b"RIFF", b"RIFF", b"RF64"]),
    st.permutations([FMT, chunk(b"data", A[:90]), chunk(b"data", B[:31])]),
    st.lists(st.tuples(st.integers(0, 3), FOREIGN), max_size=2),
)
def test_soups_are_heard_as_ffmpeg_hears_them(
    magic: bytes, chunks: list[bytes], foreign: list[tuple[int, bytes]]
) -> None:
    chunks = list(chunks)
    for at, body in foreign:
        chunks.insert(at, body)
    raw = riff(ds64(60) if magic == b"RF64" else b"", *chunks, magic=magic)
    seen, decoded = found(raw), samples_of(raw, "wav")
    if "empty_data_chunk" in seen.needs:
        pass  # it takes that for the audio
    elif decoded is None:
        assert "header_unreadable" in seen.findings or "header_absurd" in seen.findings
    elif seen.fmt is not None and seen.fmt.raw == fmt():  # not one that a wrong size made of other bytes
        assert seen.samples == len(decoded) // 2
