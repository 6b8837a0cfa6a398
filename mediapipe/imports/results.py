"""How an import ended and what it learned, for programs and for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mediapipe.errors import ExitCode
from mediapipe.groups import Resolution
from mediapipe.imports.canary import Sighting
from mediapipe.imports.validation import Validated
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.line import Ending

_PROOFS = {
    "": "answer",
    "fetched": "answer",
    "matched_by_marker": "marker",
    "matched": "likely",
    "adopted_by_marker": "marker",
    "adopted": "likely",
}
"""How it is known of a done row that its call exists, by its reason."""


class Proofs(Counter[str]):
    """Counts done rows by how it is known that their calls exist."""

    def add(self, outcome: Outcome) -> None:
        """Count one row, if it is done."""
        if outcome.verdict is Verdict.DONE:
            self[_PROOFS.get(outcome.reason, "answer")] += 1

    def as_json(self) -> dict[str, int]:
        """Return all kinds, also those that did not occur."""
        return {how: self[how] for how in dict.fromkeys(_PROOFS.values())}


@dataclass(slots=True)
class Result:
    """What an import learned. ``stopped`` says why not all was sent although nothing failed."""

    ending: Ending = field(default_factory=Ending)
    tally: Tally = field(default_factory=Tally)
    exit_code: ExitCode = ExitCode.OK
    validated: Validated = field(default_factory=lambda: Validated(0))
    groups: Resolution | None = None
    there: list[dict[str, str]] = field(default_factory=list)
    canaries: list[Sighting] = field(default_factory=list)
    relisted: dict[str, int] = field(default_factory=dict)
    proofs: Proofs = field(default_factory=Proofs)
    stopped: str = ""
    unproven: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what the report says besides the counts."""
        told: dict[str, Any] = {
            "rows": self.validated.rows,
            "dates": sorted(day.isoformat() for day in self.validated.days),
            "relisted": self.relisted,
            "proof": self.proofs.as_json(),
        }
        if self.groups is not None:
            told["groups_checked"] = self.groups.checked
            told["unresolved_groups"] = [
                {
                    "column": one.column,
                    "value": one.value,
                    "rows": one.rows,
                    "why": one.why,
                    "nearest": one.nearest,
                }
                for one in self.groups.unresolved
            ]
        optional = {
            "canaries": [one.as_json() for one in self.canaries],
            "there_already": self.there,
            "stopped": self.stopped,
        }
        return told | {name: value for name, value in optional.items() if value}

    def notes(self) -> list[str]:
        """Say the same in sentences, where somebody has to read it."""
        said = self.validated.notes()
        if self.proofs:
            said.append(
                f"accepted by the platform's own answer: {self.proofs['answer']:,}; found listed: "
                f"{self.proofs['marker']:,} proven by their marker, {self.proofs['likely']:,} likely"
            )
        if self.groups is not None and not self.groups.checked:
            said.append(f"groups were not looked up: {self.groups.why_not}")
        said += map(str, self.groups.unresolved if self.groups else ())
        said += [f"canary {one.key}: {'; '.join(one.complaints)}" for one in self.canaries if not one.fine]
        if self.stopped:
            said.append(self.stopped)
        return said
