"""Words every job shares: what can become of an item, and how items are counted.

An *item* is one unit of work with one key: a call to import, a recording to archive, a prompt to
deploy. Every item of a run ends in exactly one :class:`Outcome`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of an item in this run. The names are the published counts."""

    DONE = "done"
    """It had its effect in this run."""
    SKIPPED = "skipped"
    """It had its effect in an earlier run."""
    REJECTED = "rejected"
    """It will never pass as it is."""
    FAILED = "failed"
    """It may pass when run again."""
    UNCERTAIN = "uncertain"
    """It may or may not have had its effect."""
    PENDING = "pending"
    """Known, but not ready: a call whose recording does not exist yet."""
    ABSENT = "absent"
    """A call older than the waiting age that has no recording; never final."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about an item that a person should look at; the item passes all the same.

    ``channel`` (from 0) and the seconds say where in a recording it is, None where it has no such place.
    """

    code: str
    message: str
    channel: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item; one line of ``outcomes.jsonl``.

    ``sha256`` is that of the source, ``sent_sha256`` that of what was sent when it was rendered first;
    both lower-case hex. ``row`` counts the manifest's data rows from 1. ``audio`` holds the facts and the
    plan of a recording that was looked at, in JSON's types.
    """

    key: str
    verdict: Verdict
    reason: str = ""
    message: str = ""
    source: str = ""
    row: int | None = None
    sha256: str = ""
    sent_sha256: str = ""
    bytes: int = 0
    attempts: int = 0
    warnings: tuple[Remark, ...] = ()
    audio: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Tally:
    """Counts of outcomes by verdict and reason, and the bytes moved by the ``done`` ones.

    ``warnings`` counts for each code the items that have it.
    """

    verdicts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    reasons: dict[tuple[Verdict, str], int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.verdicts[outcome.verdict] += 1
        if outcome.reason:
            reason = (outcome.verdict, outcome.reason)
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        for code in {remark.code for remark in outcome.warnings}:
            self.warnings[code] = self.warnings.get(code, 0) + 1
        if outcome.verdict is Verdict.DONE:
            self.bytes += outcome.bytes

    def __getitem__(self, verdict: Verdict) -> int:
        return self.verdicts[verdict]

    @property
    def items(self) -> int:
        """The number of items counted."""
        return sum(self.verdicts.values())

    def counts(self) -> Mapping[str, int]:
        """Return the published ``counts`` object."""
        return {verdict.value: number for verdict, number in self.verdicts.items()}
