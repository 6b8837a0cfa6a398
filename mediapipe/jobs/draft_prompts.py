"""``prompts init``: a prompt manifest drafted from a folder, for a person to look through.

Folders called like a type (``whispers/``) or a language (``es-MX/``) say so for what is in them; the other
folders become part of the name. What cannot be told is left to the usual: a prompt, in no language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mediapipe.audiofiles import audio_files
from mediapipe.errors import UsageError
from mediapipe.library import names
from mediapipe.library.words import PromptType
from mediapipe.manifest.problems import quoted
from mediapipe.manifest.prompts import COLUMNS
from mediapipe.manifest.written import csv_text

TYPE_FOLDERS = {
    **{one.value: one for one in PromptType},
    **{f"{one.value}s": one for one in PromptType},
    "voicemail-greetings": PromptType.VOICEMAIL,
    "greetings": PromptType.VOICEMAIL,
}
"""Folders that say what is in them."""

_SPOKEN = """
ar bg ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu id is it ja ko lt lv ms mt nb nl
no pl pt ro ru sk sl sq sr sv th tl tr uk ur vi zh
"""
LANGUAGES = frozenset(_SPOKEN.split())
"""Languages that a folder may be called by; others have to be written into the manifest."""

SILENCE = "silence"
"""A folder of this name holds pauses, and the rendering profile of this name lets them be silent."""

BEST_FIRST = ("wav", "wave", "flac", "aiff", "aif", "w64", "caf", "au", "m4a", "ogg", "opus", "mp3", "g722")
"""Where one prompt stands in several formats, the first of these is drafted."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """How many files became rows, how many no row can name, and how many are other formats of a row's."""

    rows: int
    left_out: int
    formats: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    path: str
    type: PromptType
    name: str
    language: str
    profile: str = ""


def draft_prompts(folder: Path, emit: Callable[[str], object], complain: Callable[[str], None]) -> Drafted:
    """Print a manifest, sorted by path; ``complain`` gets a line for each file that is left out or unclear.

    ``emit`` gets CSV without the end of its last line. Raises ``UsageError`` where there is no audio at all.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: {'is no folder' if folder.exists() else 'no such folder'}")
    rows, left_out = [], 0
    for path, wrong in audio_files(folder):
        row = _row(path)
        if wrong or not row.name:
            left_out += 1
            complain(f"{quoted(path, 1_000)}: {wrong or 'its name says nothing'}")
        else:
            rows.append(row)
    if not rows and not left_out:
        raise UsageError(f"{folder}: no audio file below it")
    best = _one_format(rows)
    formats, rows = len(rows) - len(best), _apart(sorted(best, key=lambda one: one.path), complain)
    cells = ((one.path, one.type.value, one.name, one.language, one.profile) for one in rows)
    emit(csv_text([COLUMNS, *cells]))
    return Drafted(len(rows), left_out, formats)


def _row(path: str) -> _Row:
    """Return what a path says."""
    *folders, file = PurePosixPath(path).parts
    kind, language, parts = PromptType.PROMPT, "", []
    for folder in folders:
        tag = names.read_language(folder)
        if folder.lower() in TYPE_FOLDERS:
            kind = TYPE_FOLDERS[folder.lower()]
        elif tag is not None and tag.partition("-")[0] in LANGUAGES:
            language = tag
        else:
            parts.append(folder)
    name = names.normalise("-".join([*parts, PurePosixPath(file).stem]))
    profile = SILENCE if SILENCE in {folder.lower() for folder in folders} else ""
    return _Row(path, kind, name, language, profile)


def _one_format(rows: list[_Row]) -> list[_Row]:
    """Return the rows without other formats of the same file: one name, in one folder."""
    ranks = {suffix: rank for rank, suffix in enumerate(BEST_FIRST)}
    best: dict[str, tuple[int, str, _Row]] = {}
    for row in rows:
        stem, _, suffix = row.path.rpartition(".")
        mine = (ranks.get(suffix.lower(), len(ranks)), suffix, row)
        if stem not in best or mine[:2] < best[stem][:2]:
            best[stem] = mine
    return [row for _, _, row in best.values()]


def _apart(rows: list[_Row], complain: Callable[[str], None]) -> list[_Row]:
    """Return the rows with a number behind names that would be taken for each other."""
    taken: set[tuple[PromptType, str, str]] = set()
    apart = []
    for row in rows:
        name, number = row.name, 1
        while (row.type, row.language, names.collision_key(name)) in taken:
            number += 1
            name = f"{row.name}-{number}"
        if number > 1:
            complain(f"{quoted(row.path, 1_000)}: its name is taken; it is drafted as {quoted(name)}")
        taken.add((row.type, row.language, names.collision_key(name)))
        apart.append(replace(row, name=name))
    return apart
