"""A plan in a file: what was looked at and agreed to, and applied as it is or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from mediapipe.errors import UsageError
from mediapipe.library.plan import Choices, OnConflict
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
    text = json.dumps(saved, indent=1, ensure_ascii=False) + "\n"
    try:
        file = path.open("xb")
    except FileExistsError:
        raise UsageError(f"--out {path}: is there already, and nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}") from None
    try:
        with file:
            # A name of the account may hold what is no character: it is written as JSON escapes it.
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()  # half a plan would only stand in the way of the next
        raise UsageError(f"--out {path}: cannot be written: {error.strerror or error}") from None


def load_plan(path: Path, library: str) -> SavedPlan:
    """Return a saved plan; raises ``UsageError`` for one of another library, or that is none."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        version, made_for = raw["version"], raw["library"]
        if version != VERSION:
            raise UsageError(f"--plan {path}: was written by another version of this program")
        saved = SavedPlan(made_for, _choices(raw["choices"]), dict(raw["ground"]), tuple(raw["changes"]))
        _acts(saved.changes)
    except OSError as error:
        raise UsageError(f"--plan {path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"--plan {path}: is no saved plan ({type(error).__name__})") from None
    if made_for != library:
        raise UsageError(f"--plan {path}: was made for {made_for}, not for {library}")
    return saved


def _choices(raw: Mapping[str, Any]) -> Choices:
    """Return the choices of a plan; raises ``TypeError`` or ``ValueError`` for what nobody could choose."""
    choices = Choices(**raw)
    for name in ("prune", "prune_foreign", "force"):
        if type(getattr(choices, name)) is not bool:
            raise TypeError(f"{name} is neither true nor false")
    if type(choices.most_deletes) is not int or choices.most_deletes < 0:
        raise TypeError("most_deletes is no number")
    if choices.on_conflict not in get_args(OnConflict):
        raise ValueError("on_conflict is none of its words")
    return choices


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
