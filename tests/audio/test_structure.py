from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.decode import Decoder, Opening
from mediapipe.audio.facts import Level
from mediapipe.audio.structure import Structure, read_structure
from mediapipe.errors import Rejected
from tests.audio.test_decode import coded, fmt, riff, tone, wav_bytes, wav_file


def structure(raw: bytes, container: str = "wav") -> Structure:
    return read_structure(io.BytesIO(raw), len(raw), container)


def codes(found: Structure) -> set[str]:
    return {finding.code for finding in found.findings}


def test_an_honest_wav_has_nothing_to_say_but_its_length() -> None:
    found = structure(wav_bytes(tone(2)))
    assert (found.declared_s, found.bits, found.samples) == (2.0, 16, 16_000)
    assert found.opening == Opening(plain=True, codec="0x0001")
    assert (found.findings, found.needs, found.overhead) == ((), (), 0)


def test_a_wav_cut_short_says_where_and_of_how_much() -> None:
    found = structure(wav_bytes(tone(4))[: 44 + 16_000])
    (cut,) = found.findings
    assert (cut.code, cut.level, cut.start_s) == ("shorter_than_header", Level.WARN, 1.0)
    assert "4.00 s" in cut.message
    assert "1.00 s" in cut.message
    assert found.declared_s == 4.0


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_length_nobody_knew_is_no_claim(size: int) -> None:
    raw = bytearray(wav_bytes(tone(1)))
    raw[40:44] = struct.pack("<I", size)
    found = structure(bytes(raw))
    assert found.declared_s is None
    assert found.needs == ("size_unknown_in_header",)
    assert codes(found) == {"size_unknown_in_header"}


def test_a_tag_in_front_is_passed_over_and_cleaned_away() -> None:
    found = structure(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10) + wav_bytes(tone(1)))
    assert (found.opening.skip, found.overhead, found.needs) == (20, 20, ("id3_before_riff",))


def test_megabytes_that_are_no_audio_are_told() -> None:
    raw = wav_bytes(tone(1))
    found = structure(raw + b"LIST" + struct.pack("<I", 3 * 2**20) + bytes(3 * 2**20))
    assert found.overhead > 3 * 2**20
    assert "large_overhead" in codes(found)
    assert "3.1 MB" in next(one.message for one in found.findings if one.code == "large_overhead")


@pytest.mark.parametrize(("rate", "channels"), [(0, 1), (100_000_000, 1), (8000, 0), (8000, 65_535)])
def test_absurd_figures_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(Rejected) as caught:
        structure(riff(fmt(rate, channels)))
    assert caught.value.code == "header_absurd"


@pytest.mark.parametrize("raw", [b"RIFF\0\0\0\0WAVE", wav_bytes(tone(1))[:36]])
def test_a_wav_without_audio_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        structure(raw)
    assert caught.value.code == "no_audio"


def test_an_mp3_with_a_right_header_has_nothing_to_say(tmp_path: Path) -> None:
    raw = coded(wav_file(tmp_path, tone(5)), "b.mp3", "-write_id3v2", "0").read_bytes()
    found = structure(raw, "mp3")
    assert (found.findings, found.needs) == ((), ())
    assert found.declared_s == pytest.approx(5, abs=0.2)


def test_a_variable_bitrate_without_a_header_is_to_be_repaired(tmp_path: Path) -> None:
    how = ("-q:a", "5", "-write_xing", "0")
    raw = coded(wav_file(tmp_path, tone(10, 2, 44_100), rate=44_100), "b.mp3", *how).read_bytes()
    found = structure(raw, "mp3")
    assert "vbr_without_xing" in codes(found)
    assert "vbr_without_xing" in found.needs


def test_an_mp3_cut_short_is_found_by_its_own_header(tmp_path: Path) -> None:
    raw = coded(wav_file(tmp_path, tone(10)), "b.mp3").read_bytes()
    found = structure(raw[: len(raw) // 6], "mp3")
    assert "shorter_than_header" in codes(found)


def test_the_rest_goes_by_mutagen(tmp_path: Path) -> None:
    path = coded(wav_file(tmp_path, tone(3)), "b.flac")
    assert structure(path.read_bytes(), "flac").declared_s == pytest.approx(3)


def test_a_big_endian_wav_is_read_the_right_way_round(tmp_path: Path) -> None:
    samples = tone(1, 2)
    body = samples.T.astype(">i2").tobytes()
    chunks = b"WAVEfmt " + struct.pack(">IHHIIHH", 16, 1, 2, 8000, 32_000, 4, 16)
    chunks += b"data" + struct.pack(">I", len(body)) + body + b"LIST" + struct.pack(">I", 100) + bytes(100)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFX" + struct.pack(">I", len(chunks)) + chunks)
    found = structure(path.read_bytes())
    with Decoder(path, "wav", found.opening) as decoder:
        assert decoder.coding.codec == "pcm_s16be"
        assert (np.concatenate(list(decoder.blocks(800)), axis=1) == samples).all()


def test_a_chunk_without_its_padding_does_not_hide_the_audio(tmp_path: Path) -> None:
    whole = wav_bytes(tone(1))
    path = tmp_path / "a.wav"
    path.write_bytes(whole[:36] + b"note\3\0\0\0odd" + whole[36:])
    found = structure(path.read_bytes())
    assert found.needs == ("odd_padding",)
    with Decoder(path, "wav", found.opening) as decoder:
        assert (np.concatenate(list(decoder.blocks(800)), axis=1) == tone(1)).all()
