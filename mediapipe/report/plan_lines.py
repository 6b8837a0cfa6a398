"""A plan of the prompt library for people, the way infrastructure tools show theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mediapipe.redact import redact
from mediapipe.report.summary import plain


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One prompt's change: a sign, what is done, to what, why, and what else there is to know."""

    sign: str
    action: str
    key: str
    reason: str
    notes: Sequence[str] = ()


def plan_lines(lines: Iterable[PlanLine]) -> Iterator[str]:
    """Yield the lines of a plan."""
    for one in lines:
        # Names come from the account too: nothing in them may forge a line, or speak to the terminal.
        why = f"  ({plain(one.reason)})" if one.reason else ""
        yield redact(f"{one.sign} {one.action:<9} {plain(one.key)}{why}")
        for note in one.notes:
            yield redact(f"              {plain(note)}")


def summary_line(summary: Mapping[str, int]) -> str:
    """Return the counts in one sentence."""
    words = (
        ("create", "to create"),
        ("replace", "to replace"),
        ("drifted", "drifted, to upload again"),
        ("adopt", "to adopt"),
        ("delete", "to delete"),
        ("remove", "no longer wanted"),
        ("keep", "kept for a route"),
        ("blocked", "blocked"),
        ("skip", "left alone"),
    )
    parts = [f"{summary[name]:,} {text}" for name, text in words if summary[name]]
    parts.append(f"{summary['unchanged']:,} unchanged")
    rest = []
    if summary["waiting"]:
        rest.append(f"{summary['waiting']:,} superseded or removed stay in the account until --prune")
    if summary["foreign"]:
        rest.append(f"{summary['foreign']:,} in the account are not ours")
    return "; ".join([f"Plan: {', '.join(parts)}", *rest]) + "."


def matrix_lines(lacking: Mapping[str, Sequence[str]], languages: Sequence[str]) -> Iterator[str]:
    """Yield a table of prompts and the languages they are not there in: ``.`` is there, ``-`` is missing."""
    if not lacking:
        return
    title = "missing languages"
    width = max(len(title), *map(len, lacking))
    yield f"{title:<{width}}  {'  '.join(languages)}"
    for key, missing in lacking.items():
        marks = [("-" if name in missing else ".").center(len(name)) for name in languages]
        yield f"{key:<{width}}  {'  '.join(marks)}".rstrip()
