"""Tags in audio files, read from anything and written into what we made; the owner of mutagen beside header.

A title for people, and two marks that say where a file comes from: the item's id and its source's SHA-256.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import mutagen
import mutagen.id3
import mutagen.wave

from mediapipe.errors import Failed

# Its own annotations are there, but neither whole nor right.
_mutagen: Any = mutagen
_id3: Any = mutagen.id3
_wave: Any = mutagen.wave

MOST_CHARACTERS = 500

_MOST_READ = 32 << 20
"""A file whose tags are larger than this (cover art, as a rule) has none for us."""
_APPLE = "----:com.apple.iTunes:"
_KNOWN = {
    "title": ("TIT2", "\xa9nam"),
    "artist": ("TPE1", "\xa9ART"),
    "album": ("TALB", "\xa9alb"),
    "date": ("TDRC", "\xa9day"),
    "genre": ("TCON", "\xa9gen"),
    "comment": ("COMM", "description", "\xa9cmt"),
    "encoder": ("TSSE", "\xa9too"),
    "external_id": ("TXXX:external_id", f"{_APPLE}external_id"),
    "source_sha256": ("TXXX:source_sha256", f"{_APPLE}source_sha256"),
}
"""Our name, which is Vorbis's too, and what ID3 and MP4 call it."""
_NAMES = {key.lower(): name for name, keys in _KNOWN.items() for key in (name, *keys)}


def read_tags(source: Path | BinaryIO) -> dict[str, str]:
    """Return the well-known tags of a file by our names; empty when there are none or they are damaged."""
    try:
        if isinstance(source, Path):
            with source.open("rb") as file:
                return _read(file)
        return _read(source)
    except Exception:  # what mutagen raises on damage is not documented
        return {}


def _read(file: BinaryIO) -> dict[str, str]:
    tagged = _mutagen.File(_Bounded(file))
    found: dict[str, str] = {}
    for key, value in (tagged.tags or {}).items() if tagged else ():
        name = _NAMES.get(key.lower()) or _NAMES.get(key.partition(":")[0].lower())
        if name and (text := _text(value)):
            found.setdefault(name, text)
    return found


class _Bounded:
    """A file that gives no more at once than it has, and not without end: mutagen reads what headers say."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._left = _MOST_READ
        self.seek, self.tell = file.seek, file.tell
        file.seek(0)

    def read(self, length: int = -1) -> bytes:
        there = max(0, self._size - self._file.tell())
        length = there if length < 0 else min(length, there)
        self._left -= length
        if self._left < 0:
            raise OSError("too much to read")
        return self._file.read(length)


def _text(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    return clean(first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first))


def clean(text: str) -> str:
    """Return a text as it may stand in a tag: no control characters, at most MOST_CHARACTERS."""
    kept = (" " if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} else char for char in text)
    return " ".join("".join(kept).split())[:MOST_CHARACTERS].rstrip()


def write_tags(path: Path, container: str, *, title: str, external_id: str, source_sha256: str) -> bool:
    """Write the tags into a file of ours; False when its container takes none and it was left as it is.

    Its samples stay the same, equal input gives equal bytes, and less is added than plans leave room for
    (``limits.TAG_BYTES``). Raises ``Failed`` (``tags_failed``).
    """
    write = _WRITERS.get(container)
    if write is None:
        return False
    given = {"title": title, "external_id": external_id, "source_sha256": source_sha256}
    tags = {name: text for name, value in given.items() if (text := clean(value))}
    try:
        write(path, tags)
    except (_mutagen.MutagenError, OSError) as error:
        raise Failed(f"no tags can be written into {path.name}: {error}", code="tags_failed") from error
    return True


def _no_padding(_: object) -> int:
    return 0


def _write_mp3(path: Path, tags: Mapping[str, str]) -> None:
    try:
        tagged = _id3.ID3(path)
    except _id3.ID3NoHeaderError:
        tagged = _id3.ID3()
    _fill(tagged, tags)
    tagged.save(path, v1=0, padding=_no_padding)


def _write_wav(path: Path, tags: Mapping[str, str]) -> None:
    file = _wave.WAVE(path)
    if file.tags is None:
        file.add_tags()
    _fill(file.tags, tags)
    file.save(padding=_no_padding)


def _fill(tagged: Any, tags: Mapping[str, str]) -> None:
    for name, text in tags.items():
        titled = name == "title"
        tagged.add(_id3.TIT2(3, [text]) if titled else _id3.TXXX(3, desc=name, text=[text]))


def _write_vorbis(path: Path, tags: Mapping[str, str]) -> None:
    file = _opened(path)
    for name, text in tags.items():
        file.tags[name] = text
    file.save(padding=_no_padding)


def _write_mp4(path: Path, tags: Mapping[str, str]) -> None:
    file = _opened(path)
    for name, text in tags.items():
        if name == "title":
            file.tags["\xa9nam"] = [text]
        else:
            file.tags[_APPLE + name] = [text.encode()]
    file.save(padding=_no_padding)


def _opened(path: Path) -> Any:
    file = _mutagen.File(path)
    if file is None:
        raise _mutagen.MutagenError("what is in it is not known")
    if file.tags is None:
        file.add_tags()
    return file


_WRITERS: Mapping[str, Callable[[Path, Mapping[str, str]], None]] = {
    "mp3": _write_mp3,
    "wav": _write_wav,
    "flac": _write_vorbis,
    "ogg": _write_vorbis,
    "m4a": _write_mp4,
    "mp4": _write_mp4,
}
