"""A plan in a file: what was looked at and agreed to, and applied as it is or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mediapipe.errors import UsageError
from mediapipe.library.plan import Choices
from mediapipe.library.preparing import Prepared, moved

VERSION = 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan as it was saved: for which library, with which choices, on which ground, and its changes."""

    library: str
    choices: Choices
    ground: Mapping[str, str]
    changes: tuple[Mapping[str, Any], ...]


def save_plan(path: Path, prepared: Prepared, library: str, choices: Choices) -> None:
    """Write a plan to a new file; raises ``UsageError`` where there is one already."""
    told = prepared.as_json()
    saved = {
        "version": VERSION,
        "library": library,
        "choices": asdict(choices),
        "ground": told["ground"],
        "changes": told["changes"],
    }
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump(saved, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"--out {path}: is there already, and nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}") from None


def load_plan(path: Path, library: str) -> SavedPlan:
    """Return a saved plan; raises ``UsageError`` for one of another library, or that is none."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        version, made_for = raw["version"], raw["library"]
        saved = SavedPlan(made_for, Choices(**raw["choices"]), raw["ground"], tuple(raw["changes"]))
    except OSError as error:
        raise UsageError(f"--plan {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--plan {path}: is no saved plan ({type(error).__name__})") from None
    if version != VERSION:
        raise UsageError(f"--plan {path}: was written by another version of this program")
    if made_for != library:
        raise UsageError(f"--plan {path}: was made for {made_for}, not for {library}")
    return saved


def check_ground(saved: SavedPlan, prepared: Prepared) -> None:
    """Raise ``UsageError`` (``plan_stale``) unless all is as it was when the plan was made."""
    told = prepared.as_json()
    changed = moved(saved.ground, told["ground"])
    if not changed and _acts(saved.changes) != _acts(told["changes"]):
        changed = ["what routes mention"]
    if changed:
        raise UsageError(
            f"the plan's ground has moved: {', '.join(changed)} changed since it was made",
            code="plan_stale",
            hint="nothing was done; make a new plan and look at it",
        )


def _acts(changes: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what is done; the words of the reasons may hold dates."""
    return [(one["action"], one["key"], one["id"]) for one in changes]
