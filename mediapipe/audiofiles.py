"""The audio files below a folder, as a draft of a manifest lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mediapipe.audio.raw import by_suffix

_AUDIO = """
3g2 3gp aac adts aif aifc aiff amr asf au caf flac m4a m4b m4v mka mkv mov mp3 mp4 mpga oga ogg
opus snd w64 wav wave weba webm wma wmv
"""
SUFFIXES = frozenset(_AUDIO.split())
"""Ends of names of files that hold audio, besides those of headerless formats."""

_OUTSIDE = "is a link that leads outside the folder"


def audio_files(folder: Path, *, every: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the files below a folder, relative to it, or what is wrong with one or with a folder.

    Hidden ones are passed over unless all are wanted. No link to a folder is followed: what it leads to
    inside is found at its own place.
    """
    inside = os.path.realpath(folder).rstrip("/") + "/"
    unread: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = sorted(name for name in folders if every or not name.startswith("."))
        for name in folders:
            if not f"{os.path.realpath(os.path.join(place, name))}/".startswith(inside):
                yield os.path.relpath(os.path.join(place, name), folder), _OUTSIDE
        for name in sorted(names):
            if every or (not name.startswith(".") and _is_audio(name)):
                path = os.path.join(place, name)
                yield os.path.relpath(path, folder), _wrong(path, inside)
    for error in unread:
        yield os.path.relpath(error.filename, folder), f"cannot be read: {error.strerror}"


def _is_audio(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower().removeprefix(".")
    return suffix in SUFFIXES or by_suffix(Path(name)) is not None


def _wrong(path: str, inside: str) -> str:
    """Return what keeps a file from being a row, or nothing."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8, and no manifest can say it"
    if not os.path.realpath(path).startswith(inside):
        return _OUTSIDE
    return "" if os.path.isfile(path) else "is no file"
