"""Where a manifest's audio paths start when nobody says: its own folder, but for rows that failed before.

``failed.csv`` stands in the folder of a run, far from the audio; a small file beside it knows the way.
"""

from __future__ import annotations

import os
from pathlib import Path

from mediapipe.errors import UsageError

_LONGEST = 65_536


def root_file(manifest: Path) -> Path:
    """Return the file beside a ``failed.csv`` that says where its paths start."""
    return manifest.with_name(f"{manifest.name}.root")


def root_text(root: Path) -> bytes:
    """Return what that file says of a folder."""
    return os.fsencode(root.absolute()) + b"\n"


def default_root(manifest: Path) -> Path:
    """Return the folder that a manifest's audio paths start from, unless a flag says otherwise.

    Raises ``UsageError`` where the file that says so cannot be read.
    """
    folder = manifest.absolute().parent
    name = manifest.name.lower()
    if not (name.startswith("failed") and name.endswith(".csv")):
        return folder
    beside = root_file(manifest)
    try:
        with beside.open("rb") as file:
            said = file.read(_LONGEST).removesuffix(b"\n")
    except FileNotFoundError:
        return folder
    except OSError as error:
        problem = f"{beside} cannot be read: {error.strerror or error}"
        raise UsageError(problem, hint="say with --root where the audio paths start") from None
    if not said.startswith(b"/") or b"\0" in said:
        raise UsageError(f"{beside} names no folder", hint="say with --root where the audio paths start")
    return Path(os.fsdecode(said))
