from __future__ import annotations

import hashlib
import io
import random
import struct
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.mpeg import behind_id3, scan
from mediapipe.audio.rewrap import rewrap
from mediapipe.audio.riff import walk, wav_header
from mediapipe.audio.xing import music_crc
from mediapipe.errors import Failed, Rejected
from tests.audio import test_mpeg
from tests.audio.judges import SILENCE, samples_of, sounds_of
from tests.audio.test_header import chunk, fmt, riff
from tests.audio.test_magic import encoded, id3, mp3
from tests.audio.test_mpeg import ID3V1, audio, opening, split
from tests.audio.test_riff import LIST, UNKNOWN, ds64, extensible

CODECS = {
    "pcm_u8": (),
    "pcm_s16le": (),
    "pcm_s24le": (),
    "pcm_s32le": (),
    "pcm_f32le": (),
    "pcm_f64le": (),
    "pcm_mulaw": (),
    "pcm_alaw": (),
    "adpcm_ms": (),
    "adpcm_ima_wav": (),
    "adpcm_yamaha": (),
    "g722": ("-ar", "16000"),
    "g726": (),
    "libmp3lame": (),
    "mp2": ("-ar", "16000"),
    "aac": (),
    "pcm_s16le, stereo": ("-ac", "2", "-ar", "44100"),
    "libmp3lame, stereo": ("-ac", "2", "-ar", "44100"),
    "libmp3lame, vbr": ("-q:a", "4", "-ar", "22050"),
}


@cache
def coded(codec: str) -> tuple[bytes, bytes]:
    """Return the format chunk's content and the audio of a WAV in this codec."""
    if codec == "gsm":  # no encoder is everywhere, and a decoder makes sound of any bits
        content = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
        return content, random.Random(3).randbytes(65 * 40)
    raw = encoded("wav", "-c:a", codec.partition(",")[0], *CODECS[codec])
    assert raw is not None
    seen = walk(io.BytesIO(raw), len(raw))
    assert seen is not None
    assert seen.fmt is not None
    assert seen.audio is not None
    return seen.fmt.raw, raw[seen.audio.at : seen.audio.at + seen.audio.there]


def wav_variants(content: bytes, data: bytes) -> dict[str, bytes]:
    form = chunk(b"fmt ", content)
    whole = riff(form, chunk(b"data", data))
    art = chunk(b"id3 ", bytes(300_001))
    return {
        "plain": whole,
        "id3 in front": id3(701) + whole,
        "chunks": riff(LIST, chunk(b"JUNK", bytes(31)), form, LIST, chunk(b"data", data), LIST, art),
        "size 0": riff(form, chunk(b"data", data, 0)),
        "size unknown, chunk behind": riff(form, chunk(b"data", data, UNKNOWN), LIST),
        "data in front": riff(chunk(b"data", data), form),
        "cut": whole[: -len(data) // 3],
        "odd": riff(form, chunk(b"data", data[: -1 - len(data) % 2]), LIST),
        "garbage behind": whole + b"<html>gone</html>",
        "rf64": riff(ds64(len(data)), form, chunk(b"data", data, UNKNOWN), magic=b"RF64"),
    }


def wrapped(raw: bytes, container: str) -> bytes:
    out = io.BytesIO()
    rewrap(io.BytesIO(raw), len(raw), container, out)
    return out.getvalue()


def refused(raw: bytes, container: str) -> str:
    out = io.BytesIO()
    with pytest.raises(Rejected) as caught:
        rewrap(io.BytesIO(raw), len(raw), container, out)
    assert caught.value.code == "not_rewrappable"
    assert out.getvalue() == b""
    return caught.value.message


def same(raw: bytes, suffix: str, clean: bytes, container: str) -> bool:
    """Tell whether both decoders hear the same of both files, and something at all.

    FFmpeg 8 and 9 open no WAV behind a tag: there they are given what stands behind it.
    """
    source = raw[behind_id3(io.BytesIO(raw), len(raw)) :] if suffix == "wav" else raw
    before, after = sounds_of((source, suffix), (clean, container))
    return before == after and SILENCE not in before


@cache
def cleaned(codec: str, container: str) -> dict[str, tuple[bytes, bytes, bool]]:
    """Return each variant of a WAV, what became of it, and whether both sound the same to both decoders."""
    files = wav_variants(*coded(codec))
    clean = {name: wrapped(raw, container) for name, raw in files.items()}
    tagless = [raw[behind_id3(io.BytesIO(raw), len(raw)) :] for raw in files.values()]
    heard = sounds_of(*((raw, "wav") for raw in tagless), *((raw, container) for raw in clean.values()))
    verdicts = [
        before == after and SILENCE not in before
        for before, after in zip(heard[: len(files)], heard[len(files) :], strict=True)
    ]
    return {name: (files[name], clean[name], verdict) for name, verdict in zip(files, verdicts, strict=True)}


VARIANTS = list(wav_variants(fmt(), b"1234"))


@pytest.mark.parametrize("codec", [*CODECS, "gsm"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wav_sounds_the_same_in_a_clean_one(codec: str, variant: str) -> None:
    _, clean, same_sound = cleaned(codec, "wav")[variant]
    assert same_sound
    seen = walk(io.BytesIO(clean), len(clean))
    assert seen is not None
    assert (seen.needs, seen.findings, seen.overhead, seen.start) == ((), (), 0, 0)
    assert struct.unpack("<I", clean[4:8])[0] == len(clean) - 8
    assert len(clean) % 2 == 0
    assert wrapped(clean, "wav") == clean


@pytest.mark.parametrize(
    ("tag", "channels", "bits", "valid", "mask"),
    [
        (1, 1, 16, 16, 4),
        (1, 2, 16, 16, 3),
        (1, 1, 16, 12, 4),
        (1, 4, 16, 16, 0x33),
        (1, 2, 24, 20, 3),
        (1, 1, 16, 16, 1),
        (3, 2, 32, 32, 3),
        (7, 1, 8, 8, 4),
    ],
)
def test_an_extensible_wav_sounds_the_same(tag: int, channels: int, bits: int, valid: int, mask: int) -> None:
    data = np.random.default_rng(5).normal(0, 0.1, 2400).astype("<f4").tobytes()
    raw = riff(chunk(b"fmt ", extensible(tag, channels, bits, valid, mask)), LIST, chunk(b"data", data))
    assert same(raw, "wav", wrapped(raw, "wav"), "wav")


def test_a_wrong_block_size_is_left_as_it_is() -> None:
    """FFmpeg cuts by it, so with another one it would hear other samples."""
    data = random.Random(1).randbytes(16_000)
    for block in (0, 1, 4, 7):
        content = fmt(1, 2, bits=24)
        raw = riff(
            chunk(b"fmt ", content[:12] + struct.pack("<H", block) + content[14:]), chunk(b"data", data)
        )
        assert same(raw, "wav", wrapped(raw, "wav"), "wav")


@pytest.mark.parametrize(
    ("codec", "block", "samples"), [("gsm", 65, 320), ("adpcm_ima_wav", 1024, 2041), ("adpcm_ms", 1024, 2036)]
)
def test_the_samples_of_blocks_are_counted(codec: str, block: int, samples: int) -> None:
    content, data = coded(codec)
    blocks = len(data) // block
    for said, counted in ((None, samples * blocks), (7, 7), (1 << 31, samples * blocks)):
        fact = b"" if said is None else chunk(b"fact", struct.pack("<I", said))
        clean = wrapped(riff(chunk(b"fmt ", content), fact, chunk(b"data", data)), "wav")
        seen = walk(io.BytesIO(clean), len(clean))
        assert seen is not None
        assert seen.fact == counted
    cut = riff(chunk(b"fmt ", content), chunk(b"fact", b"\xff\xff\0\0"), chunk(b"data", data))[:-block]
    seen = walk(io.BytesIO(wrapped(cut, "wav")), len(cut) + 99)
    assert seen is not None
    assert seen.fact == samples * (blocks - 1)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no WAV"),
        (mp3(), "no WAV"),
        (riff(chunk(b"fmt ", fmt())), "no WAV"),
        (riff(chunk(b"fmt ", fmt(order=">"), order=">"), chunk(b"data", b"1234"), magic=b"RIFX"), "RIFX"),
        (riff(chunk(b"fmt ", fmt()), chunk(b"data", b"12"), chunk(b"data", b"34")), "several data chunks"),
        (riff(chunk(b"fmt ", fmt(channels=9)), chunk(b"data", b"1234")), "9 channels"),
        (
            riff(chunk(b"fmt ", extensible(1, 1, 32, 24, 4)), chunk(b"data", b"1234")),
            "padded to a wider format",
        ),
    ],
)
def test_a_wav_that_cannot_be_the_same_is_refused(raw: bytes, why: str) -> None:
    assert why in refused(raw, "wav")


def test_a_wav_of_more_than_4_gib_is_refused() -> None:
    raw = riff(ds64(1 << 33), chunk(b"fmt ", fmt()), chunk(b"data", b"", UNKNOWN), magic=b"RF64")
    with pytest.raises(Rejected, match="too long"):
        rewrap(io.BytesIO(raw), 1 << 34, "wav", io.BytesIO())


@pytest.mark.parametrize("container", ["flac", "ogg", ""])
def test_other_containers_are_not_made(container: str) -> None:
    assert "not made" in refused(mp3(), container)


NOT_THE_SAME = {
    "info twice": "in the middle",
    "too few frames promised": "in the middle",
}


@pytest.mark.parametrize("name", [name for name in test_mpeg.NAMES if name not in NOT_THE_SAME])
def test_an_mp3_sounds_the_same_in_a_clean_one(name: str) -> None:
    raw = test_mpeg.variants()[name]
    clean = wrapped(raw, "mp3")
    assert same(raw, "mp3", clean, "mp3")
    mpeg, before = scan(io.BytesIO(clean), len(clean)), scan(io.BytesIO(raw), len(raw))
    assert mpeg is not None
    assert mpeg.xing is not None
    assert before is not None
    assert (mpeg.needs, mpeg.overhead, mpeg.samples) == ((), 0, before.samples)
    assert (mpeg.xing.frames, mpeg.xing.size) == (mpeg.run.count, len(clean))
    assert mpeg.xing.variable == before.run.variable
    assert struct.unpack(">H", mpeg.xing.extension[32:34])[0] == music_crc([clean[mpeg.lead :]])
    assert wrapped(clean, "mp3") == clean


@pytest.mark.parametrize("name", NOT_THE_SAME)
def test_an_mp3_that_would_sound_different_is_refused(name: str) -> None:
    assert NOT_THE_SAME[name] in refused(test_mpeg.variants()[name], "mp3")


def test_gapless_figures_stay() -> None:
    for name, delay, padding in (
        ("info", 576, 704),
        ("tags at both ends", 576, 704),
        ("garbage between, info", 576, 704),
        ("bare", 0, 0),
        ("cut, info", 576, 0),
        ("too many frames promised", 576, 0),
        ("no padding", 576, 0),
        ("info of another encoder", 0, 0),
    ):
        clean = wrapped(test_mpeg.variants()[name], "mp3")
        mpeg = scan(io.BytesIO(clean), len(clean))
        assert mpeg is not None
        assert mpeg.xing is not None
        assert (mpeg.xing.delay, mpeg.xing.padding) == (delay, padding), name
        assert mpeg.xing.gapless == bool(delay)


def test_the_table_of_contents_points_at_the_time() -> None:
    """Loud and quiet by turns, at a bitrate that varies."""
    raw = encoded("mp3", "-af", "volume='if(lt(t,15),0.0001,0.9)':eval=frame", "-q:a", "0", seconds=20.0)
    assert raw is not None
    clean = wrapped(raw, "mp3")
    mpeg, theirs = scan(io.BytesIO(clean), len(clean)), scan(io.BytesIO(raw), len(raw))
    assert mpeg is not None
    assert mpeg.xing is not None
    assert theirs is not None
    assert theirs.xing is not None
    assert mpeg.run.variable
    table = mpeg.xing.toc
    assert table[0] <= 1
    assert list(table) == sorted(table)
    assert max(abs(ours - other) for ours, other in zip(table, theirs.xing.toc, strict=True)) <= 3
    assert table[50] < 100, "the quiet half takes less than half of the bytes"


@pytest.mark.parametrize("codec", ["libmp3lame", "libmp3lame, stereo", "libmp3lame, vbr"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_mp3_inside_a_wav_sounds_the_same_outside(codec: str, variant: str) -> None:
    _, clean, same_sound = cleaned(codec, "mp3")[variant]
    assert same_sound
    mpeg = scan(io.BytesIO(clean), len(clean))
    assert mpeg is not None
    assert mpeg.needs == ()


def test_a_header_inside_a_wav_is_silence_and_stays() -> None:
    inside = opening() + audio()
    raw = riff(chunk(b"fmt ", fmt(0x55, bits=0) + bytes(2)), chunk(b"data", inside))
    assert same(raw, "wav", wrapped(raw, "mp3"), "mp3")


def first_is_different() -> bytes:
    """A WAV whose first frame says stereo where the others say joint stereo."""
    frames = list(split(6000, 16_000, 2))
    frames[0] = frames[0][:3] + bytes([frames[0][3] ^ 0x40]) + frames[0][4:]
    return riff(chunk(b"fmt ", fmt(0x55, 2, bits=0) + bytes(2)), chunk(b"data", b"".join(frames)))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "no MP3 frames"),
        (id3(400), "no MP3 frames"),
        (split()[0], "no MP3 frames"),
        (opening() + split()[0], "no MP3 frames"),
        (audio() + b"".join(split(6000, 16_000)), "change midway"),
        (audio() + b"".join(split(6000, 8000, 2)), "change midway"),
        (audio() + (b"x" + split()[3] + split()[4]) * 1001, "more than 1,000 places"),
        (opening(frames=-27, padding=4095) + audio()[: 3 * len(split()[0])], "drop all of it"),
        (wav_header(data_bytes=4, channels=1, sample_rate=8000) + b"1234", "does not hold MP3"),
        (first_is_different(), "do not belong together"),
        (b"RIFF\0\0\0\0WAVE", "does not hold MP3"),
    ],
)
def test_what_is_no_clean_mp3_is_refused(raw: bytes, why: str) -> None:
    assert why in refused(raw, "mp3")


def test_a_file_that_shrinks_meanwhile_fails() -> None:
    whole = wav_header(data_bytes=3_000_000, channels=1, sample_rate=8000) + bytes(3_000_000)
    for raw, container in ((whole, "wav"), (audio() * 300, "mp3")):

        class Shrinking(io.BytesIO):
            """Shorter from the second megabyte on."""

            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(size) if self.tell() < 1 << 20 else b""

        with pytest.raises(Failed) as caught:
            rewrap(Shrinking(raw), len(raw), container, io.BytesIO())
        assert caught.value.code == "source_changed"


def test_memory_does_not_grow_with_the_file() -> None:
    largest = 0

    class Thrifty(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal largest
            assert size is not None
            assert size >= 0
            largest = max(largest, size)
            return super().read(size)

    for raw, container in (
        (
            riff(chunk(b"fmt ", fmt()), chunk(b"id3 ", bytes(4_000_000)), chunk(b"data", bytes(5_000_000))),
            "wav",
        ),
        (id3(4_000_000) + audio() * 500, "mp3"),
    ):
        rewrap(Thrifty(raw), len(raw), container, io.BytesIO())
    assert largest <= 1 << 20


@settings(deadline=None, max_examples=100)
@given(test_mpeg.SOUPS)
def test_soups_of_frames_sound_the_same_or_are_refused(raw: bytes) -> None:
    try:
        clean = wrapped(raw, "mp3")
    except Rejected:
        return
    heard, again = samples_of(raw, "mp3"), samples_of(clean, "mp3")
    assert hashlib.sha256(heard or b"").hexdigest() == hashlib.sha256(again or b"").hexdigest()
    mpeg = scan(io.BytesIO(clean), len(clean))
    assert mpeg is not None
    assert mpeg.needs == ()


FORMS = [
    fmt(),
    fmt(1, 2, 44_100),
    fmt(1, 1, bits=24),
    fmt(1, 2, bits=8),
    fmt(3, 1, bits=32),
    fmt(7, 2, bits=8),
    extensible(1, 3, 16, 16, 7),
    extensible(1, 1, 16, 12, 4),
]
ASIDE = st.lists(
    st.builds(
        lambda name, body: chunk(name, body),
        st.sampled_from([b"JUNK", b"id3 ", b"fact", b"abcd"]),
        st.binary(max_size=40),
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(FORMS),
    ASIDE,
    ASIDE,
    ASIDE,
    st.integers(1, 3000),
    st.booleans(),
    st.sampled_from([None, 0]),
)
def test_any_wav_sounds_the_same_in_a_clean_one(
    content: bytes,
    front: list[bytes],
    between: list[bytes],
    behind: list[bytes],
    length: int,
    data_first: bool,
    size: int | None,
) -> None:
    data = random.Random(length).randbytes(length)
    parts = [chunk(b"fmt ", content), *between, chunk(b"data", data, size)]
    raw = riff(*front, *(parts[::-1] if data_first and size is None else parts), *behind)
    clean = wrapped(raw, "wav")
    assert samples_of(clean, "wav") == samples_of(raw, "wav")
    seen = walk(io.BytesIO(clean), len(clean))
    assert seen is not None
    assert (seen.findings, seen.overhead) == ((), 0)
    assert wrapped(clean, "wav") == clean


def test_the_judges_would_notice() -> None:
    raw = opening() + audio() + ID3V1
    for other in (audio(), opening(padding=600) + audio(), raw[: -len(split()[0]) - 128]):
        assert not same(raw, "mp3", other, "mp3")
    assert not same(b"", "mp3", b"", "mp3")
