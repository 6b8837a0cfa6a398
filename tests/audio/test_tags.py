from __future__ import annotations

import io
import random
import struct
import unicodedata
from functools import cache
from pathlib import Path

import mutagen.id3
import mutagen.mp4
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediapipe.audio.header import read_header
from mediapipe.audio.limits import TAG_BYTES
from mediapipe.audio.mpeg import scan
from mediapipe.audio.riff import padding, walk, wav_header
from mediapipe.audio.tags import MOST_CHARACTERS, clean, read_tags, write_tags
from mediapipe.errors import Failed
from tests.audio.judges import SILENCE, sounds_of
from tests.audio.test_magic import encoded, id3, tone
from tests.audio.test_mpeg import audio, opening

ID, SHA = "call-17", "ab" * 32
WORST = "\U0001f600" * 600
"""Four bytes a character, and more of them than are kept."""

LOSSY = {
    "vorbis.ogg": ("-c:a", "libvorbis"),
    "opus.ogg": ("-c:a", "libopus"),
    "flac.ogg": ("-c:a", "flac"),
    "flac": (),
    "m4a": ("-c:a", "aac"),
    "mp4": ("-c:a", "aac", "-movflags", "+faststart"),
    "ffmpeg.mp3": ("-ar", "16000"),
    "webm": ("-c:a", "libopus"),
    "aac": ("-c:a", "aac"),
}


@cache
def sources() -> dict[str, bytes]:
    """Return a file of each kind by a name that ends in its container."""
    files = {
        "wav": wav_header(data_bytes=16_000, channels=1, sample_rate=8000) + tone(1.0),
        "odd.wav": wav_header(data_bytes=8001, channels=1, sample_rate=8000, bits=8)
        + tone(1.0)[:8001]
        + padding(8001),
        "ours.mp3": opening() + audio(),
    }
    for name, arguments in LOSSY.items():
        raw = encoded(name.rpartition(".")[2], *arguments)
        assert raw is not None
        files[name] = raw
    return files


TAKERS = [name for name in sources() if name not in {"webm", "aac"}]


def container(name: str) -> str:
    return name.rpartition(".")[2]


def tagged(name: str, folder: Path, title: str, external_id: str = ID, sha: str = SHA) -> bytes:
    path = folder / f"file.{container(name)}"
    path.write_bytes(sources()[name])
    assert write_tags(path, container(name), title=title, external_id=external_id, source_sha256=sha)
    return path.read_bytes()


@pytest.mark.parametrize("name", TAKERS)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    raw = tagged(name, tmp_path, "Größe & <Ton>")
    found = read_tags(tmp_path / f"file.{container(name)}")
    assert found == read_tags(io.BytesIO(raw))
    assert (found["title"], found["external_id"], found["source_sha256"]) == ("Größe & <Ton>", ID, SHA)


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("text", ["short", WORST, ""])
def test_tags_change_no_sample_and_add_little(name: str, text: str, tmp_path: Path) -> None:
    before = sources()[name]
    after = tagged(name, tmp_path, text, text, text)
    assert len(after) - len(before) <= TAG_BYTES
    one, other = sounds_of((before, container(name)), (after, container(name)))
    assert one == other
    assert SILENCE not in one


@pytest.mark.parametrize("name", TAKERS)
def test_equal_input_gives_equal_bytes(name: str, tmp_path: Path) -> None:
    assert tagged(name, tmp_path, "a title") == tagged(name, tmp_path, "a title")


@pytest.mark.parametrize("name", TAKERS)
def test_written_again_they_replace_what_stood_there(name: str, tmp_path: Path) -> None:
    once = tagged(name, tmp_path, "first")
    path = tmp_path / f"file.{container(name)}"
    assert write_tags(path, container(name), title="other", external_id=ID, source_sha256=SHA)
    assert len(path.read_bytes()) == len(once)
    assert read_tags(path)["title"] == "other"


@pytest.mark.parametrize("name", ["webm", "aac"])
def test_a_container_without_tags_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"file.{name}"
    path.write_bytes(sources()[name])
    assert not write_tags(path, name, title="t", external_id=ID, source_sha256=SHA)
    assert path.read_bytes() == sources()[name]


@pytest.mark.parametrize("name", ["wav", "odd.wav"])
@pytest.mark.parametrize("title", ["odd", "even"])
def test_the_sizes_of_a_wav_stay_right(name: str, title: str, tmp_path: Path) -> None:
    raw = tagged(name, tmp_path, title)
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    seen = walk(io.BytesIO(raw), len(raw))
    assert seen is not None
    assert (seen.needs, seen.findings) == ((), ())
    assert seen.overhead == len(raw) - len(sources()[name])
    header = read_header(io.BytesIO(raw), len(raw))
    assert header is not None
    assert header.warnings == ()


def test_an_mp3_keeps_its_opening_frame(tmp_path: Path) -> None:
    raw = tagged("ours.mp3", tmp_path, "t")
    mpeg = scan(io.BytesIO(raw), len(raw))
    assert mpeg is not None
    assert (mpeg.findings, mpeg.samples) == ((), 16_000)
    assert raw.startswith(b"ID3")
    assert raw.endswith(sources()["ours.mp3"])


def test_tags_that_were_there_stay(tmp_path: Path) -> None:
    path = tmp_path / "file.mp3"
    path.write_bytes(sources()["ours.mp3"])
    old = mutagen.id3.ID3()  # type: ignore[no-untyped-call]
    old.add(mutagen.id3.TPE1(encoding=3, text=["Allison"]))  # type: ignore[no-untyped-call]
    old.add(mutagen.id3.COMM(encoding=3, lang="eng", desc="x", text=["two\nlines"]))  # type: ignore[no-untyped-call]
    old.save(path)
    write_tags(path, "mp3", title="t", external_id=ID, source_sha256=SHA)
    found = read_tags(path)
    assert (found["artist"], found["comment"], found["title"]) == ("Allison", "two lines", "t")


def test_what_is_no_such_file_fails(tmp_path: Path) -> None:
    path = tmp_path / "secret-name.m4a"
    for container_ in ("m4a", "flac", "ogg", "wav"):
        path.write_bytes(b"nothing of the kind" * 99)
        with pytest.raises(Failed) as caught:
            write_tags(path, container_, title="t", external_id=ID, source_sha256=SHA)
        assert caught.value.code == "tags_failed"
    with pytest.raises(Failed):
        write_tags(tmp_path / "missing.flac", "flac", title="t", external_id=ID, source_sha256=SHA)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("  two\r\n lines\x00and\ta tab ", "two lines and a tab"),
        ("\ud800half a pair", "half a pair"),
        ("line\u2028separator", "line separator"),
        ("x" * 700, "x" * MOST_CHARACTERS),
        ("", ""),
        ("\0\1\2", ""),
    ],
)
def test_a_text_is_cleaned(text: str, kept: str) -> None:
    assert clean(text) == kept


@given(st.text(st.characters(codec=None), max_size=700))
def test_any_text_is_cleaned_to_something_that_can_be_written(text: str) -> None:
    kept = clean(text)
    assert len(kept) <= MOST_CHARACTERS
    assert not {unicodedata.category(char) for char in kept} & {"Cc", "Cs"}
    assert clean(kept) == kept
    kept.encode()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["wav", "ours.mp3", "flac", "m4a"]), st.text(max_size=30))
def test_any_title_survives(tmp_path: Path, name: str, title: str) -> None:
    tagged(name, tmp_path, title)
    assert read_tags(tmp_path / f"file.{container(name)}").get("title", "") == clean(title)


@settings(deadline=None)
@given(
    st.sampled_from(TAKERS),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255))),
    st.integers(0, 9000),
)
def test_damage_makes_it_read_less_not_raise(name: str, flips: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(sources()[name])
    for at, value in flips:
        raw[at % len(raw)] = value
    for damaged in (bytes(raw), bytes(raw[:cut]), bytes(raw[cut:])):
        for key, value in read_tags(io.BytesIO(damaged)).items():
            assert key.isascii()
            assert 0 < len(value) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    "raw", [b"", b"ID3", b"fLaC", b"<html>", id3(50), id3(200_000_000)[:5000], bytes(3000)]
)
def test_where_there_are_no_tags_there_are_none(raw: bytes, tmp_path: Path) -> None:
    assert read_tags(io.BytesIO(raw)) == {}
    path = tmp_path / "file"
    path.write_bytes(raw)
    assert read_tags(path) == {}
    assert read_tags(tmp_path / "missing") == {}


class Watched(io.BytesIO):
    """A file that remembers how much was asked of it at once, and in all."""

    largest = total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        there = len(self.getvalue()) - self.tell()
        asked = there if size is None or size < 0 else size
        self.largest = max(self.largest, asked - max(0, there))
        got = super().read(size)
        self.total += len(got)
        return got


def test_no_header_makes_it_ask_for_more_than_there_is() -> None:
    huge = struct.pack(">I4sQ", 1, b"moov", 1 << 60)
    for raw in (
        b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom" + huge + bytes(100),
        b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom" + struct.pack(">I4s", 0x7FFFFFFF, b"moov") + bytes(100),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(200),
        b"fLaC\x00\x00\x00\x22" + bytes(34) + b"\x84\xff\xff\xff" + bytes(50),
    ):
        file = Watched(raw)
        read_tags(file)
        assert file.largest <= 0


def test_tags_of_many_megabytes_are_not_read() -> None:
    picture = b"image/jpeg\0\x03\0" + random.Random(1).randbytes(40_000_000)
    frame = b"APIC" + struct.pack(">IH", len(picture) + 1, 0) + b"\0" + picture
    size = len(frame)
    raw = b"ID3\x03\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame + audio()
    file = Watched(raw)
    assert read_tags(file) == {}
    assert file.total <= 33 << 20


def test_the_file_of_a_caller_stays_open() -> None:
    file = io.BytesIO(sources()["flac"])
    read_tags(file)
    assert not file.closed
