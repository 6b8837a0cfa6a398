"""What the library should hold: a manifest's rows with the audio's hash and the recipe it is rendered by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mediapipe.audio.rendering import RenderingProfile
from mediapipe.errors import UsageError
from mediapipe.library.words import PromptType
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.prompts import PromptRow

AS_IS = "as-is"
"""Stands in the manifest's profile column, and for a recipe, where audio is sent as it stands."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A prompt that should stand: its audio's SHA-256, and the hash of the recipe it is rendered by.

    ``recipe`` is ``as-is`` where nothing is rendered. ``path`` is the audio to be rendered by ``profile``.
    Both are None for a prompt of an earlier release, whose ``rendered_sha256`` and ``container`` are known.
    """

    key: str
    type: PromptType
    name: str
    source_sha256: str
    recipe: str
    path: Path | None
    profile: RenderingProfile | None
    row: int | None = None
    file: str = ""
    base: str = ""
    language: str = ""
    profile_name: str = ""
    rendered_sha256: str = ""
    container: str = ""

    @property
    def fingerprint(self) -> tuple[str, str]:
        """What decides whether it has to be made anew."""
        return self.source_sha256, self.recipe

    @property
    def as_is(self) -> bool:
        """Nothing is rendered."""
        return self.recipe == AS_IS


Profiles = Callable[[str], RenderingProfile]
"""Finds a rendering profile by name or path; raises ``UsageError``."""


def desire(
    rows: Iterable[PromptRow], profiles: Profiles, usual: str, *, as_is: bool = False
) -> Iterator[Desired | tuple[PromptRow, Problem]]:
    """Yield what sound rows ask for, or what else is wrong with a row. Reads every file whole; blocking.

    ``usual`` names the profile of rows that name none; ``as_is`` sends those as they stand.
    """
    found: dict[str, RenderingProfile | Problem] = {}
    for row in rows:
        if row.problems or row.type is None:
            continue
        name = row.profile or (AS_IS if as_is else usual)
        # What is sent as it stands is judged all the same, by the usual thresholds.
        judged_by = usual if name == AS_IS else name
        profile = found.get(judged_by)
        if profile is None:
            profile = found[judged_by] = _profile(profiles, judged_by)
        if isinstance(profile, Problem):
            yield row, profile
            continue
        try:
            digest = _sha256(row.path)
        except OSError as error:
            yield row, Problem("unreadable", f"cannot be read: {error.strerror or error}", "file", row.file)
            continue
        recipe = AS_IS if name == AS_IS else profile.recipe_hash
        yield Desired(
            row.key, row.type, row.name, digest, recipe, Path(row.path), profile,
            row.row, row.file, row.base, row.language, name,
        )  # fmt: skip


def _profile(profiles: Profiles, name: str) -> RenderingProfile | Problem:
    try:
        return profiles(name)
    except UsageError as error:
        return Problem("bad_profile", error.message, "profile", name, error.hint)


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_languages(wanted: Iterable[Desired], languages: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return for each prompt, by type and base name, which of ``languages`` it is not there in."""
    needed = tuple(languages)
    there: dict[str, set[str]] = {}
    for one in wanted:
        there.setdefault(f"{one.type.value}/{one.base}", set()).add(one.language)
    lacking = {key: tuple(name for name in needed if name not in held) for key, held in there.items()}
    return {key: missing for key, missing in sorted(lacking.items()) if missing}
