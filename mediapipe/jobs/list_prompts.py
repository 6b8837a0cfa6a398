"""``prompts list``: what the account holds, what of it is ours, and what drifted. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from mediapipe.library.lockfile import LibraryLock
from mediapipe.library.recovery import foresee
from mediapipe.library.words import Listed
from mediapipe.prompt_services import PromptServices

JOB = "prompts.list"


class Standing(StrEnum):
    """What a prompt is to us."""

    OURS = "ours"
    SUPERSEDED = "superseded"
    FOREIGN = "foreign"
    RENAMED = "renamed"
    """Ours by its id, under a name or type we did not give it."""
    GONE = "gone"
    """Ours by the lock file, and not in the account."""


DRIFTED = frozenset({Standing.RENAMED, Standing.GONE})


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt, of the account or of the lock file alone."""

    standing: Standing
    key: str
    prompt_id: str
    uploaded: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        told = asdict(self)
        told["id"] = told.pop("prompt_id")
        return told


async def list_prompts(services: PromptServices) -> list[Row]:
    """Return every prompt by key, then id."""
    found = await foresee(services.tools)
    return standings(found.listed, found.lock)


def standings(listed: Sequence[Listed], lock: LibraryLock) -> list[Row]:
    """Return what each prompt is to us. Pure."""
    current = {entry.prompt_id: key for key, entry in lock.prompts.items() if entry.prompt_id}
    over = {one.prompt_id: one for one in lock.superseded}
    rows = []
    for one in listed:
        name = current.get(one.prompt_id, "") if one.prompt_id else ""
        locked = lock.prompts.get(one.key)
        by_name = locked is not None and not (one.prompt_id and locked.prompt_id)
        if name == one.key or (by_name and one.prompt_id not in over):
            rows.append(Row(Standing.OURS, one.key, one.prompt_id, one.uploaded))
        elif name:
            rows.append(Row(Standing.RENAMED, one.key, one.prompt_id, one.uploaded, f"it was {name}"))
        elif one.prompt_id in over:
            why = over[one.prompt_id]
            rows.append(
                Row(Standing.SUPERSEDED, one.key, one.prompt_id, one.uploaded, f"{why.why} {why.since[:10]}")
            )
        else:
            note = "has the name of one of ours" if one.key in lock.prompts else ""
            rows.append(Row(Standing.FOREIGN, one.key, one.prompt_id, one.uploaded, note))
    there = {one.prompt_id for one in listed}
    names = {one.key for one in listed}
    for key, entry in lock.prompts.items():
        if entry.prompt_id not in there if entry.prompt_id else key not in names:
            rows.append(Row(Standing.GONE, key, entry.prompt_id, entry.uploaded_at, "not in the account"))
    return sorted(rows, key=lambda row: (row.key, row.prompt_id))
