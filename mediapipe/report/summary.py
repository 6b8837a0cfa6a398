"""How a run ended, for people, programs and the shell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mediapipe.durations import format_duration, format_size
from mediapipe.errors import EXIT_CODE_MEANINGS, ExitCode, Fatal
from mediapipe.items import Tally, Verdict
from mediapipe.redact import redact

EXPLAINED = (Verdict.REJECTED, Verdict.FAILED, Verdict.UNCERTAIN)
"""Verdicts whose reasons the table breaks down."""


def exit_code(
    tally: Tally,
    *,
    unproven: bool = False,
    damaged: bool = False,
    interrupted: bool = False,
    fatal: Fatal | None = None,
) -> ExitCode:
    """Return the published exit code: 4 wins over all; then a stop; then the highest of 3, 5 and 6."""
    if fatal is not None and fatal.exit_code is ExitCode.CREDENTIALS:
        return ExitCode.CREDENTIALS
    if interrupted:
        return ExitCode.INTERRUPTED
    codes = [ExitCode.OK]
    if tally[Verdict.REJECTED] or tally[Verdict.FAILED]:
        codes.append(ExitCode.ITEMS)
    if unproven or tally[Verdict.UNCERTAIN]:
        codes.append(ExitCode.UNPROVEN)
    if damaged:
        codes.append(ExitCode.DAMAGE)
    if fatal is not None:
        codes.append(fatal.exit_code)
    if ExitCode.BUG in codes or ExitCode.USAGE in codes:
        return min(code for code in codes if code in (ExitCode.BUG, ExitCode.USAGE))
    return max(codes)


def plain(text: str) -> str:
    """Return text that a far side may have had a say in: redacted, one line, no control characters."""
    clean = redact(text)
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else " " for c in clean)
    return " ".join(clean.split())


@dataclass(frozen=True, slots=True)
class RunReport:
    """One finished run. ``extra`` adds keys to the JSON object; ``notes`` are sentences for people.

    ``explained`` are the verdicts whose reasons the table breaks down; ``effect`` is what the run did to the
    bytes that it counts.
    """

    job: str
    run_id: str
    tally: Tally
    elapsed_s: float
    outcomes: Path
    report: Path
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    code: ExitCode = ExitCode.OK
    explained: Sequence[Verdict] = EXPLAINED
    effect: str = "moved"

    def as_json(self) -> dict[str, Any]:
        """Return the published object; ``extra`` may add keys to it and replace none."""
        published = {
            "job": self.job,
            "run_id": self.run_id,
            "counts": dict(self.tally.counts()),
            "bytes": self.tally.bytes,
            "elapsed_s": round(self.elapsed_s, 3),
            "outcomes": str(self.outcomes),
            "report": str(self.report),
        }
        return published | {key: value for key, value in self.extra.items() if key not in published}

    def as_table(self) -> str:
        """Return the summary for people: plain text, no trailing line break."""
        lines = [f"{self.job}  {self.run_id}", ""]
        width = len(f"{max(self.tally.verdicts.values(), default=0):,}")
        for verdict in Verdict:
            number = self.tally[verdict]
            if not number and verdict is not Verdict.DONE:
                continue
            moved = f"  {format_size(self.tally.bytes)}" if verdict is Verdict.DONE else ""
            lines.append(f"  {verdict.value:<10} {number:>{width},}{moved}")
            lines += self._reasons(verdict, width)
        lines += ["", f"  elapsed    {self.elapsed}"]
        lines.append(f"  exit code  {int(self.code)}: {EXIT_CODE_MEANINGS[self.code]}")
        lines += [f"  note       {plain(note)}" for note in self.notes]
        lines += [f"  outcomes   {self.outcomes}", f"  report     {self.report}"]
        return "\n".join(lines)

    @property
    def elapsed(self) -> str:
        """The time the run took, for people: whole seconds from a minute on."""
        digits = 1 if self.elapsed_s < 60 else 0
        return format_duration(timedelta(seconds=round(max(0.0, self.elapsed_s), digits)))

    def reasons(self, verdict: Verdict) -> list[tuple[str, int]]:
        """Return the reasons of a verdict with their counts, the most frequent first."""
        found = [(why, count) for (kind, why), count in self.tally.reasons.items() if kind is verdict]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _reasons(self, verdict: Verdict, width: int) -> list[str]:
        if verdict not in self.explained:
            return []
        return [f"             {count:>{width},}  {why}" for why, count in self.reasons(verdict)]
