"""From what each share reported to one report: every item once, with the best that became of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mediapipe.errors import CredentialsError, ExitCode, Fatal
from mediapipe.items import Outcome, Verdict
from mediapipe.listing import Findings
from mediapipe.spans import Span

REACH = timedelta(minutes=10)
"""Shares whose spans are no farther apart may have listed the same call: windows are listed with a margin."""

_BEST_FIRST = (
    Verdict.DONE,
    Verdict.SKIPPED,
    Verdict.FAILED,
    Verdict.REJECTED,
    Verdict.UNCERTAIN,
    Verdict.ABSENT,
    Verdict.PENDING,
)
_RANK = {verdict: rank for rank, verdict in enumerate(_BEST_FIRST)}


@dataclass(frozen=True, slots=True)
class Stopped:
    """A ``Fatal`` as a value that crosses from one process to another."""

    code: str
    message: str
    hint: str
    exit_code: ExitCode

    @classmethod
    def of(cls, error: Fatal) -> Stopped:
        """Return what is to be said of an error elsewhere."""
        return cls(error.code, error.message, error.hint, error.exit_code)

    def as_error(self) -> Fatal:
        """Return the error again; it leads to the same exit code."""
        error = Fatal(self.message, code=self.code, hint=self.hint)
        error.exit_code = self.exit_code
        return error


@dataclass(frozen=True, slots=True)
class Report:
    """What one share says of itself; its outcomes are lines of an ``outcomes.jsonl``."""

    number: int
    lines: bytes = b""
    windows: int = 0
    unsettled: tuple[dict[str, str], ...] = ()
    requests: int = 0
    refetches: int = 0
    interrupted: bool = False
    stopped: Stopped | None = None


@dataclass(slots=True)
class Sum:
    """What the shares' reports come to, without their outcomes."""

    findings: Findings = field(default_factory=Findings)
    requests: int = 0
    refetches: int = 0
    interrupted: bool = False
    stopped: Stopped | None = None

    def add(self, report: Report) -> None:
        """Add one share; of several errors one about credentials decides, else the first."""
        self.findings.windows += report.windows
        # The shards of one window may all find the same wrong with it.
        self.findings.unsettled += [one for one in report.unsettled if one not in self.findings.unsettled]
        self.requests += report.requests
        self.refetches += report.refetches
        self.interrupted = self.interrupted or report.interrupted
        credentials = CredentialsError.exit_code
        if report.stopped is not None and (
            self.stopped is None
            or (report.stopped.exit_code is credentials and self.stopped.exit_code is not credentials)
        ):
            self.stopped = report.stopped


def best(one: Outcome, other: Outcome) -> Outcome:
    """Return the outcome that says most: an effect of this run before anything that was seen of it."""
    return one if _RANK[one.verdict] <= _RANK[other.verdict] else other


def folded(
    shares: Iterable[tuple[Span, Iterable[Outcome]]], rest: Iterable[Outcome] = (), reach: timedelta = REACH
) -> Iterator[Outcome]:
    """Yield every item once. ``shares`` are in the order of their spans' starts; ``rest`` may repeat any.

    Only what lies within ``reach`` of the share that comes next is kept in memory, and ``rest``.
    """
    late = {outcome.key: outcome for outcome in rest}
    held: dict[str, tuple[datetime, Outcome]] = {}
    start: datetime | None = None
    for span, outcomes in shares:
        if span.start != start:
            start = span.start
            for key in [key for key, (end, _) in held.items() if end + reach < start]:
                yield held.pop(key)[1]
        for outcome in outcomes:
            end, known = held.get(outcome.key, (span.end, outcome))
            known = best(known, late.pop(outcome.key, known))
            held[outcome.key] = max(end, span.end), best(known, outcome)
    yield from (outcome for _, outcome in held.values())
    yield from late.values()
