"""Bytes of manifests: files, packed ones, stdin; read as often as needed, and gone when they are not."""

from __future__ import annotations

import errno
import gc
import gzip
import io
import os
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from mediapipe.errors import DiskFull, UsageError
from mediapipe.manifest.source import STDIN, Source

TEXT = b"external_id,recording_file\n" + b"".join(b"%d,%d.wav\n" % (n, n * n) for n in range(20_000))


def read(source: Source) -> bytes:
    with source.reading() as file:
        return file.read()


def test_a_file_is_read_from_its_beginning_each_time(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(TEXT)
    source = Source(tmp_path / "m.csv")
    assert read(source) == read(source) == TEXT
    assert (source.where, source.packed) == (f"manifest {tmp_path / 'm.csv'}", False)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "is not a file"),
        (tmp_path / "pipe", "is not a file"),
        (tmp_path / ("x" * 300), "too long|no such file"),
    ):
        with pytest.raises(UsageError, match=words):
            Source(path)


def test_gzip_is_taken_off_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]))
    source = Source(tmp_path / "m")
    assert source.packed
    assert read(source) == read(source) == TEXT


@pytest.mark.parametrize("at", [3, 40, -1])
def test_damaged_gzip_is_refused_with_a_word_on_what_to_do(tmp_path: Path, at: int) -> None:
    packed = gzip.compress(TEXT)
    for number, damaged in enumerate(
        (packed[:at], packed[:at] + bytes([packed[at] ^ 255]) + packed[at:][1:], packed + b"rest")
    ):
        (tmp_path / "m").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"its gzip data is damaged: .* \(pack it again"):
            read(Source(tmp_path / "m"))
        assert number < 3


def test_what_unpacks_to_very_much_is_not_held_in_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.gz", "wb", 9) as file:
        for _ in range(200):
            file.write(b"\n" * 1_000_000)
    assert (tmp_path / "bomb.gz").stat().st_size < 300_000
    tracemalloc.start()
    try:
        source, size = Source(tmp_path / "bomb.gz"), 0
        with source.reading() as unpacked:
            while piece := unpacked.read(65_536):
                size += len(piece)
        assert (size, tracemalloc.get_traced_memory()[1] < 3_000_000) == (200_000_000, True)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_stdin_is_kept_and_read_as_often_as_wanted(tmp_path: Path, pack: object) -> None:
    source = Source(STDIN, io.BytesIO(pack(TEXT)), tmp_path)  # type: ignore[operator]
    assert source.where == "manifest on stdin"
    assert os.listdir(tmp_path) == [], "it has no name that could be left behind"
    with source.reading() as one, source.reading() as two:
        assert one.read(5) == two.read(5) == TEXT[:5]
        assert one.read() == two.read() == TEXT[5:]
    assert read(source) == TEXT


def test_what_was_kept_goes_with_the_source() -> None:
    def held() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc") else "/dev/fd"))

    before = held()
    source = Source(STDIN, io.BytesIO(TEXT))
    assert held() == before + 1
    del source
    assert held() == before


def test_stdin_is_the_process_s_own_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert read(Source(STDIN)) == TEXT


def test_no_room_for_stdin_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no place to keep stdin in: No such file"):
        Source(STDIN, io.BytesIO(TEXT), tmp_path / "none")

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(DiskFull, match="stdin cannot be kept: No space left"):
        Source(STDIN, io.BytesIO(TEXT))


def test_a_file_that_is_replaced_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"first")
    source = Source(path)
    other = tmp_path / "other"
    other.write_bytes(b"second")
    other.rename(path)
    with source.reading() as file:
        assert file.read() == b"first"


def test_a_file_that_is_written_to_while_it_is_read_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"first")
    source = Source(path)

    def read_while_somebody_writes() -> None:
        with source.reading() as file:
            file.read()
            with path.open("ab") as more:
                more.write(b"more")

    with pytest.raises(UsageError, match="was changed while it was read"):
        read_while_somebody_writes()
