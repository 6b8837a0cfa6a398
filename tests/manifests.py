"""Call manifests with real recordings beside them, good ones and bad ones."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from tests.audio.sources import call, encode, honest, silence, voice

USUAL = {
    "call_date": "2026-02-03T04:05:06Z",
    "caller_id": "18015551234",
    "group_id": "77",
}


@cache
def good(seconds: float = 4.0) -> bytes:
    """Return a call of two parties as a plain WAV."""
    return honest(call(seconds))


@cache
def one_sided(seconds: float = 4.0) -> bytes:
    """Return a call whose right channel was not connected."""
    return honest(np.vstack([voice(seconds), silence(seconds)]))


def recordings(folder: Path) -> Path:
    """Fill a folder with recordings: ``good``, ``one_sided``, ``mono``, ``cut``, ``empty`` and ``page``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "good.wav").write_bytes(good())
    (folder / "one_sided.wav").write_bytes(one_sided())
    (folder / "mono.wav").write_bytes(honest(voice(3.0)))
    (folder / "cut.wav").write_bytes(good()[:30_000])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "page.wav").write_bytes(b"<!doctype html><title>expired</title>")
    (folder / "good.mp3").write_bytes(encoded("good.mp3", "-b:a", "32k"))
    (folder / "call.ogg").write_bytes(encoded("call.ogg", "-c:a", "libopus"))
    return folder


@cache
def encoded(name: str, *arguments: str) -> bytes:
    """Return the good call as ffmpeg encodes it."""
    with tempfile.TemporaryDirectory() as folder:
        return encode(Path(folder) / name, good(), *arguments).read_bytes()


def manifest(path: Path, *rows: Mapping[str, str], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write a manifest; each row has the usual cells, an id by its number, and what is given."""
    filled = [USUAL | {"external_id": f"call-{number}"} | row for number, row in enumerate(rows, 1)]
    columns = list(dict.fromkeys(name for row in filled for name in row))
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(filled)
    return path


def named(*files: str) -> list[dict[str, str]]:
    """Return a row for each file."""
    return [{"recording_file": file} for file in files]
