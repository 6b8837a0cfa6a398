"""``report.html``: one self-contained page about a run, for the person who looks after it.

No network, no foreign file: style and script are in the page, and its content policy forbids the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

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
def _environment() -> jinja2.Environment:
    folder = resources.files(__package__)
    loader = jinja2.FunctionLoader(lambda name: (folder / name).read_text("utf-8"))
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {"size": format_size, "redact": redact, "known": _known}
    return environment


def page_template(name: str) -> jinja2.Template:
    """Return a template of this folder: it escapes everything, and fails for what it was not given."""
    return _environment().get_template(name)


def _printable(value: object) -> object:
    """Return text without control characters: a name may hold some that a terminal would obey."""
    if isinstance(value, str) and not hasattr(value, "__html__") and not value.isprintable():
        return "".join(char if char.isprintable() else " " for char in value)
    return value


def _known(value: object) -> object:
    """Return a value to be shown, nothing for one that is not known."""
    return "" if value is None else value


def attention(
    outcomes: Iterable[Outcome], most: int = MOST_ROWS, counts: Mapping[Verdict, int] | None = None
) -> list[Outcome]:
    """Return the items that need a look, the most urgent first, at most ``most``; memory stays bounded.

    With ``counts``, reading ends where nothing more could be found: a file may have a million lines.
    """
    found: dict[Verdict, list[Outcome]] = {verdict: [] for verdict in ATTENTION}
    awaited = {verdict for verdict in ATTENTION if counts is None or counts[verdict]}
    for outcome in outcomes if awaited else ():
        rows = found.get(outcome.verdict)
        if rows is None or len(rows) >= most:
            continue
        rows.append(outcome if outcome.audio is None else replace(outcome, audio=None))
        if counts is not None and len(rows) >= min(most, counts[outcome.verdict]):
            awaited.discard(outcome.verdict)
            if not awaited:
                break
    return [outcome for rows in found.values() for outcome in rows][:most]


def render(report: RunReport, rows: list[Outcome]) -> str:
    """Return the page. Everything that came from outside is escaped."""
    total = sum(report.tally[verdict] for verdict in ATTENTION)
    return fill("page.html.j2", report, rows=rows, total=total)


def fill(template: str, report: RunReport, **more: Any) -> str:
    """Return a page about a run, made of a template that knows what every page has and what is given here."""
    explained = dict.fromkeys((*ATTENTION, *report.explained))
    return page_template(template).render(
        report=report,
        verdicts=list(Verdict),
        counts=report.tally.counts(),
        reasons=[(v.value, why, n) for v in explained for why, n in report.reasons(v)],
        meaning=EXIT_CODE_MEANINGS[report.code],
        **more,
    )


def write_page(report: RunReport) -> None:
    """Write the run's page from its outcomes file. Raises ``DiskFull`` or ``Fatal``."""
    save(report, render(report, attention(read_outcomes(report.outcomes), counts=report.tally.verdicts)))


def save(report: RunReport, text: str) -> None:
    """Write a page, readable by its user only, over an earlier one. Raises ``DiskFull`` or ``Fatal``."""
    try:
        file = os.open(report.report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", errors="backslashreplace") as page:
            page.write(text)
    except OSError as error:
        raise write_failed(report.report, error) from None
