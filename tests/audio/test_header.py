from __future__ import annotations

import io
import struct
import subprocess
import time
from dataclasses import replace

import imageio_ffmpeg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.header import LONGEST_S, Header, read_header
from mediapipe.audio.magic import AMR, HEAD_BYTES, MP3, WAV, WEBM, Format, mpeg_frame
from tests.audio.test_magic import ENCODINGS, encoded, id3, mp3, tone
from tests.lacking import lacking

RATE = 8000


def read(raw: bytes) -> Header | None:
    return read_header(io.BytesIO(raw), len(raw))


def header(raw: bytes) -> Header:
    found = read(raw)
    assert found is not None
    return found


def chunk(name: bytes, body: bytes, length: int | None = None, order: str = "<") -> bytes:
    size = len(body) if length is None else length
    return name + struct.pack(order + "I", size) + body + b"\0" * (len(body) % 2)


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    *,
    byte_rate: int | None = None,
    order: str = "<",
) -> bytes:
    align = channels * bits // 8
    speed = rate * align if byte_rate is None else byte_rate
    return struct.pack(
        order + "HHIIHH", tag, channels & 0xFFFF, rate, speed & 0xFFFFFFFF, align & 0xFFFF, bits
    )


def riff(*chunks: bytes, magic: bytes = b"RIFF", order: str = "<", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(order + "I", len(body) if size is None else size) + body


AUDIO = tone(2.0, RATE)  # 32,000 bytes, 2 s


def decoded_seconds(raw: bytes, suffix: str) -> float:
    """What a full decode finds: the judge."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        "-",
        "-f",
        "s16le",
        "-ac",
        "1",
        "-ar",
        "8000",
        "-",
    ]
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    return len(done.stdout) / 16_000


def test_an_honest_wav_is_read_whole() -> None:
    found = header(riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO)))
    assert found == Header(WAV, "pcm", RATE, 1, 2.0)
    assert found.media() == {
        "format": "wav",
        "content_type": "audio/wav",
        "codec": "pcm",
        "sample_rate": RATE,
        "channels": 1,
        "duration_s": 2.0,
    }


@pytest.mark.parametrize(
    "size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36]
)
def test_a_size_nobody_knew_is_taken_from_the_bytes(size: int) -> None:
    """A pipe's placeholder: ffmpeg, sox, arecord and mpg123 each write another."""
    found = header(riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO, size), size=0xFFFFFFFF))
    assert found.duration_s == 2.0
    assert found.complete
    assert found.readable
    assert "size_unknown_in_header" in found.warnings


def test_a_wav_cut_short_says_so_and_counts_what_is_there() -> None:
    whole = riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO))
    found = header(whole[: 44 + len(AUDIO) // 2])
    assert found.duration_s == 1.0
    assert not found.complete
    assert found.warnings == ("shorter_than_header",)


@pytest.mark.parametrize("promised", [0, 32_000, 0xFFFFFFFF])
def test_a_header_alone_is_no_length_of_audio(promised: int) -> None:
    found = header(riff(chunk(b"fmt ", fmt()), chunk(b"data", b"", promised)))
    assert found.duration_s == 0.0
    assert found.warnings


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_codec_of_an_extensible_wav_is_in_its_sub_format(order: str) -> None:
    guid = struct.pack(order + "IHH", 7, 0, 16) + bytes.fromhex("800000aa00389b71")
    extended = fmt(0xFFFE, bits=8, order=order) + struct.pack(order + "HHI", 22, 8, 4) + guid
    magic = b"RIFF" if order == "<" else b"RIFX"
    raw = riff(
        chunk(b"fmt ", extended, order=order), chunk(b"data", AUDIO, order=order), magic=magic, order=order
    )
    assert header(raw).codec == "mulaw"
    assert header(raw).duration_s == 4.0


@pytest.mark.parametrize(
    ("tag", "bits", "codec", "seconds"),
    [
        (6, 8, "alaw", 4.0),
        (7, 8, "mulaw", 4.0),
        (1, 24, "pcm", 4 / 3),
        (3, 32, "float", 1.0),
        (1, 8, "pcm", 4.0),
    ],
)
def test_every_linear_codec_has_its_length(tag: int, bits: int, codec: str, seconds: float) -> None:
    found = header(riff(chunk(b"fmt ", fmt(tag, bits=bits)), chunk(b"data", AUDIO)))
    assert found.codec == codec
    assert found.duration_s == pytest.approx(seconds)


@pytest.mark.parametrize("byte_rate", [0, 1, 999_999])
def test_a_wrong_byte_rate_does_not_matter_to_linear_audio(byte_rate: int) -> None:
    found = header(riff(chunk(b"fmt ", fmt(byte_rate=byte_rate)), chunk(b"data", AUDIO)))
    assert found.readable
    assert found.duration_s == 2.0


def test_gsm_is_measured_by_its_byte_rate() -> None:
    gsm = struct.pack("<HHIIHHHH", 0x31, 1, RATE, 1625, 65, 0, 2, 320)
    found = header(riff(chunk(b"fmt ", gsm), chunk(b"data", bytes(16_250))))
    assert (found.codec, found.duration_s) == ("gsm", 10.0)


def test_an_unknown_codec_is_named_by_its_number() -> None:
    assert header(riff(chunk(b"fmt ", fmt(0x1234)), chunk(b"data", AUDIO))).codec == "0x1234"


def test_rifx_is_read_in_its_byte_order() -> None:
    raw = riff(
        chunk(b"fmt ", fmt(order=">"), order=">"), chunk(b"data", AUDIO, order=">"), magic=b"RIFX", order=">"
    )
    assert header(raw).duration_s == 2.0


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_rf64_takes_its_length_from_ds64(magic: bytes) -> None:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 99, len(AUDIO), len(AUDIO) // 2, 0))
    raw = riff(
        ds64,
        chunk(b"fmt ", fmt()),
        chunk(b"data", AUDIO, 0xFFFFFFFF),
        chunk(b"LIST", bytes(3200)),
        magic=magic,
    )
    found = header(raw)
    assert found.duration_s == 2.0
    assert found.complete
    cut = header(raw[: -3208 - 16_000])
    assert not cut.complete
    assert cut.duration_s == 1.0


def test_rf64_without_a_usable_ds64_is_taken_from_the_bytes() -> None:
    for ds64 in (b"", chunk(b"ds64", bytes(28)), chunk(b"ds64", b"\xff" * 28), chunk(b"ds64", b"")):
        found = header(riff(ds64, chunk(b"fmt ", fmt()), chunk(b"data", AUDIO, 0xFFFFFFFF), magic=b"RF64"))
        assert found.duration_s == 2.0


@pytest.mark.parametrize("size", [10, 5000, HEAD_BYTES, 3 * HEAD_BYTES])
def test_a_tag_in_front_of_a_wav_is_stepped_over_whatever_its_size(size: int) -> None:
    found = header(id3(size) + riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO)))
    assert found.format == WAV
    assert found.duration_s == 2.0
    assert "id3_before_riff" in found.warnings


@pytest.mark.parametrize("size", [7, 1000, HEAD_BYTES - 8, HEAD_BYTES, 5 * HEAD_BYTES + 1])
@pytest.mark.parametrize("where", ["first", "between"])
def test_chunks_in_front_of_the_audio_are_stepped_over_whatever_their_size(size: int, where: str) -> None:
    big = chunk(b"LIST", bytes(size))
    chunks = [big, chunk(b"fmt ", fmt())] if where == "first" else [chunk(b"fmt ", fmt()), big]
    found = header(riff(*chunks, chunk(b"data", AUDIO)))
    assert found.readable
    assert found.duration_s == 2.0


def test_data_in_front_of_its_format_is_read() -> None:
    found = header(riff(chunk(b"data", AUDIO), chunk(b"fmt ", fmt())))
    assert found.readable
    assert found.duration_s == 2.0


def test_chunks_behind_the_audio_do_not_count() -> None:
    found = header(riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO), chunk(b"LIST", bytes(3200))))
    assert found.duration_s == 2.0


@pytest.mark.parametrize(
    ("rate", "channels"),
    [
        (0, 1),
        (100_000_000, 1),
        (0xFFFFFFFF, 1),
        (RATE, 0),
        (RATE, 65_535),
        (999, 1),
        (384_001, 1),
        (RATE, 65),
    ],
)
def test_absurd_figures_are_not_figures(rate: int, channels: int) -> None:
    found = header(
        riff(chunk(b"fmt ", fmt(channels=channels, rate=rate, byte_rate=16_000)), chunk(b"data", AUDIO))
    )
    assert not found.readable
    assert (found.sample_rate, found.channels, found.duration_s) == (None, None, None)
    assert "header_absurd" in found.warnings


def test_an_absurd_length_is_no_length() -> None:
    slow = struct.pack("<HHIIHH", 0x31, 1, RATE, 1, 65, 0)
    raw = riff(chunk(b"fmt ", slow), chunk(b"data", bytes(int(LONGEST_S) + 10)))
    assert header(raw).duration_s is None


@pytest.mark.parametrize(
    "raw",
    [
        riff(),
        riff(chunk(b"fmt ", fmt())),
        riff(chunk(b"data", AUDIO)),
        riff(chunk(b"fmt ", fmt()[:10]), chunk(b"data", AUDIO)),
        riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO))[:20],
        riff(chunk(b"data", AUDIO, 0xFFFFFFFF), chunk(b"fmt ", fmt())),
        riff(chunk(b"LIST", b"", 0xFFFFFFF0), chunk(b"fmt ", fmt())),
    ],
)
def test_a_wav_without_its_parts_is_unreadable_not_an_error(raw: bytes) -> None:
    found = header(raw)
    assert not found.readable
    assert found.warnings == ("header_unreadable",)


def test_endless_empty_chunks_are_given_up() -> None:
    raw = riff(b"JUNK\0\0\0\0" * 400_000, chunk(b"fmt ", fmt()), chunk(b"data", AUDIO))
    began = time.monotonic()
    assert not header(raw).readable
    assert time.monotonic() - began < 10


def test_an_mp3_of_constant_rate_has_its_length() -> None:
    raw = mp3(10.0)
    found = header(raw)
    assert (found.format, found.codec, found.sample_rate, found.channels) == (MP3, "mp3", 8000, 1)
    assert found.duration_s == pytest.approx(decoded_seconds(raw, "mp3"), abs=0.3)
    assert found.complete


@pytest.mark.parametrize("size", [10, 5000, HEAD_BYTES - 20, HEAD_BYTES - 11, HEAD_BYTES, 3 * HEAD_BYTES])
def test_a_tag_in_front_of_an_mp3_is_stepped_over_whatever_its_size(size: int) -> None:
    plain = header(mp3(3.0))
    assert header(id3(size) + mp3(3.0)) == plain
    assert header(id3(30) + id3(size) + mp3(3.0)) == plain


def test_a_tag_and_nothing_behind_it_is_unreadable() -> None:
    for raw in (id3(50), id3(5 * HEAD_BYTES)[: 2 * HEAD_BYTES], id3(HEAD_BYTES * 2)):
        found = header(raw)
        assert found.format == MP3
        assert not found.readable
    assert read(id3(50) + b"<html>") is None
    assert read(id3(HEAD_BYTES * 2) + b"<html>") is None


def xing(frames: int | None, size: int | None, word: bytes = b"Xing") -> bytes:
    """Return a whole MPEG-2.5 frame that carries a Xing header."""
    first = mp3()[:4]
    frame = mpeg_frame(first)
    assert frame is not None
    flags = (frames is not None) | (size is not None) << 1
    body = word + struct.pack(">I", flags)
    body += b"".join(struct.pack(">I", value) for value in (frames, size) if value is not None)
    # A frame of 40 kbit/s has room for it; the side information of mono is 9 bytes.
    roomy = first[:2] + bytes([first[2] & 0x0F | 0x50]) + first[3:]
    big = mpeg_frame(roomy)
    assert big is not None
    return (roomy + bytes(9) + body).ljust(big.size, b"\0")


@pytest.mark.parametrize("word", [b"Xing", b"Info"])
def test_a_xing_header_tells_frames_and_bytes(word: bytes) -> None:
    audio = mp3(5.0)
    lead = len(xing(1, 1, word))
    whole = xing(70, lead + len(audio), word) + audio
    found = header(whole)
    assert found.duration_s == pytest.approx(70 * 576 / 8000)
    assert found.complete
    cut = header(whole[: len(whole) // 6])
    assert not cut.complete
    assert cut.warnings == ("shorter_than_header",)
    assert header(xing(None, lead + len(audio), word) + audio[:100]).complete is False
    assert header(xing(70, None, word) + audio).duration_s == pytest.approx(70 * 576 / 8000)
    assert header(xing(0, None, word) + audio).duration_s is not None
    assert header(xing(0xFFFFFFFF, None, word) + audio).duration_s is None


@pytest.mark.parametrize(("suffix", "arguments", "expected"), ENCODINGS, ids=lambda value: str(value))
def test_an_honest_header_agrees_with_a_full_decode(
    suffix: str, arguments: tuple[str, ...], expected: Format
) -> None:
    raw = encoded(suffix, *arguments)
    if raw is None:
        lacking(f"this ffmpeg cannot write {suffix} {arguments}")
    found = header(raw)
    assert found.format == expected
    assert found.readable
    if expected not in {WEBM, AMR}:  # nothing here reads their length
        assert found.duration_s == pytest.approx(decoded_seconds(raw, suffix), abs=0.25)


def test_a_wav_written_to_a_pipe_has_its_true_length() -> None:
    raw = encoded("wav")
    assert raw is not None
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "wav", "-i", "-", "-f", "wav", "-"]
    piped = subprocess.run(command, input=raw, capture_output=True, check=True).stdout
    assert header(piped).duration_s == pytest.approx(2.0)
    assert header(piped).complete


@pytest.mark.parametrize("raw", [b"", b"<html></html>", b'{"code":410}', b"text", bytes(3000)])
def test_what_is_no_audio_has_no_header(raw: bytes) -> None:
    assert read(raw) is None


MAGICS = [
    b"RIFF\0\0\0\0WAVEfmt ",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"RIFX\0\0\0\0WAVE",
    b"OggS\0\x02",
    b"fLaC\0\0\0\x22",
]
MAGICS += [
    b"\0\0\0\x20ftypM4A ",
    b"\0\0\0\x08ftypisom\0\0\0\x08moov",
    b"\x1aE\xdf\xa3",
    b"#!AMR\n",
    b"FORM\0\0\0\0AIFFCOMM",
]
MAGICS += [
    b"ID3\x04\0\0\0\0\0\x05",
    b"\xff\xfb\x90\x00",
    b"\xff\xf1\x50\x80",
    b"OggS" + bytes(22) + b"\x01\x1eOpusHead",
]


@settings(deadline=None)
@given(st.sampled_from(MAGICS), st.binary(max_size=400), st.integers(0, 3))
def test_no_bytes_make_it_raise(magic: bytes, rest: bytes, at: int) -> None:
    found = read(magic + bytes(at) + rest)
    if found is not None:
        assert found.duration_s is None or 0 <= found.duration_s <= LONGEST_S
        found.media()


@settings(deadline=None)
@given(
    st.sampled_from(ENCODINGS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12),
    st.integers(0, 5000),
)
def test_no_damage_makes_it_raise(
    kind: tuple[str, tuple[str, ...], Format], flips: list[tuple[int, int]], cut: int
) -> None:
    made = encoded(kind[0], *kind[1])
    if made is None:
        return
    raw = bytearray(made)
    for at, value in flips:
        raw[at] = value
    for damaged in (bytes(raw), bytes(raw[:cut]), bytes(raw[cut:])):
        began = time.monotonic()
        read(damaged)
        assert time.monotonic() - began < 10


def test_a_size_that_lies_beyond_the_bytes_is_survived() -> None:
    """As when only the head of a stored recording was read again."""
    raw = riff(chunk(b"fmt ", fmt()), chunk(b"data", AUDIO * 10))
    found = read_header(io.BytesIO(raw[:HEAD_BYTES]), len(raw))
    assert found == replace(header(raw))
