"""Where a manifest's audio stands: real files below one folder, and help when a name does not fit.

Reads the disk, as little as possible: one look per file, and a folder's names only when one is missing.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from functools import lru_cache
from pathlib import Path

from mediapipe.errors import UsageError
from mediapipe.manifest.nearest import Names, how_they_differ
from mediapipe.manifest.problems import Problem, quoted

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL})
_FOLDERS = 4096
"""Folders whose real place is remembered."""

OUTSIDE = "only files below --root are read"


class Root:
    """The folder that audio paths start from and may not leave, be it by ``..``, in full or by a link.

    May be used from one thread at a time. Raises ``UsageError`` when it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"--root {folder}: {'is not a folder' if folder.exists() else 'no such folder'}")
        self.path = os.path.realpath(folder)
        self._inside = self.path.rstrip("/") + "/"
        self._folder = lru_cache(_FOLDERS)(self._real_folder)
        self._names = Names()

    def _real_folder(self, text: str) -> str:
        return os.path.realpath(os.path.join(self.path, text)).rstrip("/") + "/"

    def find(self, text: str, column: str) -> str | Problem:
        """Return the real path of the file that a cell names, or what is wrong with it."""
        if _WINDOWS.match(text):
            hint = "write it relative to --root, with / between the folders"
            return Problem("windows_path", "is a path of Windows", column, text, hint)
        try:
            real, mode = self._look(text)
        except OSError as error:
            return self._unreadable(text, column, error)
        except ValueError:  # a NUL in it, or half of a character
            return Problem("no_such_file", "holds what no name of a file can", column, text)
        if not real:
            return Problem("outside_root", f"is not below {self.path}", column, text, OUTSIDE)
        if not stat.S_ISREG(mode):
            what = "is a folder" if stat.S_ISDIR(mode) else "is not a file"
            return Problem("not_a_file", what, column, text, "name the audio file itself")
        return real

    def _look(self, text: str) -> tuple[str, int]:
        """Return a path's real form and its mode; an empty one where it leads outside."""
        name = text.rpartition("/")[2]
        if name in (".", ".."):
            name = ""
        folder = self._folder(text[: len(text) - len(name)] if name else text)
        if not folder.startswith(self._inside):
            return "", 0
        real = folder + name
        mode = os.lstat(real).st_mode
        if stat.S_ISLNK(mode):
            real = os.path.realpath(real)
            if not real.startswith(self._inside):
                return "", 0
            mode = os.lstat(real).st_mode
        return real, mode

    def _unreadable(self, text: str, column: str, error: OSError) -> Problem:
        if error.errno in _GONE:
            return Problem("no_such_file", f"no such file below {self.path}", column, text, self._help(text))
        what = f"cannot be looked at: {error.strerror or error}"
        return Problem("unreadable", what, column, text, passing=True)

    def _help(self, text: str) -> str:
        """Return the nearest name there is, and how it differs; or how far the path leads."""
        place = self.path
        found: list[str] = []
        inside = text.removeprefix(self._inside).replace("\\", "/")
        parts = [part for part in inside.split("/") if part.strip() not in ("", ".")]
        for part in parts:
            names = self._names.of(place)
            name = names.match(part)
            if name is None:
                near = names.close(part)
                here = "/".join(found) or "that folder"
                return f"in {here} the nearest is {quoted(near)}" if near else f"nothing like it in {here}"
            found.append(name)
            place = os.path.realpath(os.path.join(place, name))
            if not f"{place}/".startswith(self._inside):
                return OUTSIDE
        # Its parts are all there: what differs is how they are written.
        return f"there is {quoted('/'.join(found))}: {how_they_differ(text, parts, found)}"
