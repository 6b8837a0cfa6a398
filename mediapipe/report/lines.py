"""One outcome as lines for people, while the run goes on: what became of it, why, and every warning below."""

from __future__ import annotations

from mediapipe.items import Outcome
from mediapipe.report.summary import plain

_INDENT = " " * 10


def outcome_lines(outcome: Outcome) -> str:
    """Return the lines of one outcome, without the last line break; nothing from outside can forge one."""
    row = "" if outcome.row is None else str(outcome.row)
    said = f"{outcome.reason}: {plain(outcome.message)}" if outcome.message else outcome.reason
    lines = [f"{row:>7}  {outcome.verdict.value:<8}  {plain(outcome.key)}  {said}"]
    lines += [f"{_INDENT} warning  {one.code}: {plain(one.message)}" for one in outcome.warnings]
    return "\n".join(lines)
