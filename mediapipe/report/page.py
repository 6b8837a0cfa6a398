"""``report.html``: one self-contained page about a run, for the person who looks after it.

No network, no foreign file: style and script are in the page, and its content policy forbids the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib import resources

import jinja2

from mediapipe.durations import format_size
from mediapipe.errors import EXIT_CODE_MEANINGS
from mediapipe.items import Outcome, Verdict
from mediapipe.redact import redact
from mediapipe.report.outcomes import read_outcomes
from mediapipe.report.rundir import write_failed
from mediapipe.report.summary import RunReport

ATTENTION = (Verdict.UNCERTAIN, Verdict.FAILED, Verdict.REJECTED, Verdict.ABSENT, Verdict.PENDING)
"""Verdicts whose items are listed, those that need somebody first."""

MOST_ROWS = 5_000
"""Rows on the page at most; more make a browser slow. The others are in ``outcomes.jsonl``."""


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"size": format_size, "redact": redact}
    return environment.from_string((resources.files(__package__) / "page.html.j2").read_text("utf-8"))


def attention(outcomes: Iterable[Outcome], most: int = MOST_ROWS) -> list[Outcome]:
    """Return the items that need a look, the most urgent first, at most ``most``; memory stays bounded."""
    found: dict[Verdict, list[Outcome]] = {verdict: [] for verdict in ATTENTION}
    for outcome in outcomes:
        rows = found.get(outcome.verdict)
        if rows is not None and len(rows) < most:
            rows.append(outcome)
    return [outcome for rows in found.values() for outcome in rows][:most]


def render(report: RunReport, rows: list[Outcome]) -> str:
    """Return the page. Everything that came from outside is escaped."""
    return _template().render(
        report=report,
        verdicts=list(Verdict),
        counts=report.tally.counts(),
        reasons=[(v.value, why, n) for v in ATTENTION for why, n in report.reasons(v)],
        rows=rows,
        total=sum(report.tally[verdict] for verdict in ATTENTION),
        meaning=EXIT_CODE_MEANINGS[report.code],
    )


def write_page(report: RunReport) -> None:
    """Write the run's page from its outcomes file. Raises ``DiskFull`` or ``Fatal``."""
    text = render(report, attention(read_outcomes(report.outcomes)))
    try:
        file = os.open(report.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", errors="backslashreplace") as page:
            page.write(text)
    except OSError as error:
        raise write_failed(report.report, error) from None
