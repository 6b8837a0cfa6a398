"""``report.html`` of a run that looked at audio: plots, every faulty recording drawn, a table of all rows.

The pictures are there so that people look instead of read. One page, as self-contained as the plain one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mediapipe.durations import format_duration
from mediapipe.items import Outcome, Verdict
from mediapipe.report.digest import AudioDigest
from mediapipe.report.outcomes import read_outcomes
from mediapipe.report.page import ATTENTION, MOST_ROWS, fill, save
from mediapipe.report.summary import RunReport

_WARNED = len(ATTENTION)
_FINE = _WARNED + 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: an outcome, and what is shown of its audio; None and "" are not known."""

    outcome: Outcome
    codes: tuple[str, ...] = ()
    format: str = ""
    rate: int | None = None
    channels: int | None = None
    seconds: float | None = None
    size: int | None = None
    speech: float | None = None

    @property
    def length(self) -> str:
        """The length as people say it."""
        if self.seconds is None:
            return ""
        digits = 1 if self.seconds < 10 else 0
        return format_duration(timedelta(seconds=round(self.seconds, digits)))


def row_of(outcome: Outcome) -> Row:
    """Return the table's row of an outcome; of what ``audio`` holds it keeps only what is shown."""
    codes = tuple(dict.fromkeys(one.code for one in outcome.warnings))
    facts = (outcome.audio or {}).get("facts")
    light = replace(outcome, audio=None, warnings=())
    if not isinstance(facts, Mapping):
        return Row(light, codes)
    return Row(
        light,
        codes,
        format=" ".join(dict.fromkeys((facts["container"], facts["codec"]))),
        rate=facts["sample_rate"],
        channels=facts["channels"],
        seconds=facts["duration_s"],
        size=facts["bytes"],
        speech=_speech(facts["quality"]),
    )


def _speech(quality: Any) -> float | None:
    levels = [one["active_db"] for one in quality["channels"]] if quality else []
    return max(levels, default=None)


def listed(
    outcomes: Iterable[Outcome], most: int = MOST_ROWS, counts: Mapping[Verdict, int] | None = None
) -> list[Row]:
    """Return the rows for the table: what needs somebody first, at most ``most``; memory stays bounded.

    With ``counts``, reading ends where nothing more could be found.
    """
    ranks: list[list[Row]] = [[] for _ in range(_FINE + 1)]
    left = dict(counts) if counts is not None else {}
    for outcome in outcomes:
        rows = ranks[_rank(outcome)]
        if len(rows) < most:
            rows.append(row_of(outcome))
        if counts is not None:
            left[outcome.verdict] -= 1
            if not any(number and _open(verdict, ranks, most) for verdict, number in left.items()):
                break
    return [row for rows in ranks for row in rows][:most]


def _rank(outcome: Outcome) -> int:
    """Return how urgent an outcome is, 0 the most."""
    if outcome.verdict in ATTENTION:
        return ATTENTION.index(outcome.verdict)
    return _WARNED if outcome.warnings else _FINE


def _open(verdict: Verdict, ranks: list[list[Row]], most: int) -> bool:
    """Tell whether another outcome of this verdict might still be listed."""
    if verdict in ATTENTION:
        return len(ranks[ATTENTION.index(verdict)]) < most
    return len(ranks[_WARNED]) < most or len(ranks[_FINE]) < most


def render(report: RunReport, digest: AudioDigest, rows: list[Row]) -> str:
    """Return the page. Everything that came from outside is escaped."""
    exhibits = digest.exhibits()
    return fill(
        "audio.html.j2",
        report,
        plots=digest.plots(),
        exhibits=exhibits,
        faulty=digest.faulty,
        shown={one.outcome.row for one in exhibits},
        rows=rows,
        total=report.tally.items,
    )


def write_audio_page(report: RunReport, digest: AudioDigest) -> None:
    """Write the run's page from its outcomes and what was gathered. Raises ``DiskFull`` or ``Fatal``."""
    rows = listed(read_outcomes(report.outcomes), counts=report.tally.verdicts)
    save(report, render(report, digest, rows))
