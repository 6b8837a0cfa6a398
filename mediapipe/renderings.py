"""Where rendering profiles are found: beside the manifest, in the user's own folder, or shipped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from mediapipe.audio.rendering import RenderingProfile, parse_rendering_profile
from mediapipe.errors import UsageError
from mediapipe.sources import did_you_mean, profile_folders

FOLDER = "rendering"


class RenderingProfiles:
    """Finds rendering profiles by name or by path.

    A path starts at ``folder``, the manifest's own, and never leaves it: not by ``..``, in full or by a link.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ
        self.find = lru_cache(maxsize=None)(self._find)

    def _find(self, name: str) -> RenderingProfile:
        file = self._file(name)
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = (
                "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"{error.strerror or error}"
            )
            raise UsageError(f"rendering profile {file}: cannot be read: {why}") from None
        return parse_rendering_profile(text, f"rendering profile {file}")

    def _file(self, name: str) -> Path:
        if name.endswith(".toml") or any(mark in name for mark in "/\\"):
            return self._below(name)
        folders = [folder / FOLDER for folder in profile_folders(self._environ)]
        for folder in folders:
            if _is_file(file := folder / f"{name}.toml"):
                return file
        names = sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
        hint = f"available: {', '.join(names) or 'none'}; own ones belong in {folders[0]}"
        raise UsageError(
            f"rendering profile {name}: there is none of this name{did_you_mean(name, names)}", hint=hint
        )

    def _below(self, name: str) -> Path:
        """Return the file that a path names; what is outside the folder is not even looked at."""
        try:
            file = (self._folder / Path(name).expanduser()).resolve()
            inside = file.is_relative_to(self._folder.resolve())
        except (
            OSError,
            ValueError,
            RuntimeError,
        ):  # no disk takes it; nobody has that home; a link to itself
            file, inside = self._folder, True
        if not inside:
            hint = "only files below the manifest's folder are read; others belong in the user's own folder"
            raise UsageError(f"rendering profile {name}: is not below {self._folder}", hint=hint)
        if not _is_file(file):
            raise UsageError(f"rendering profile {name}: no such file below {self._folder}")
        return file


def _is_file(file: Path) -> bool:
    """Tell whether a file is there; a name that no disk takes is that of none."""
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False
