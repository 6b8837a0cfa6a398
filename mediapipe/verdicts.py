"""What becomes of one row of a call manifest: its text and its audio together. Pure.

A row is refused for everything at once: the outcome's reason is the first problem's code, its message has
them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, assert_never

from mediapipe.audio.channels import Swap
from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.audio.plan import explain, kind
from mediapipe.audio.targets import AsIs, Plan, Reject, Rewrap, Split, Target, Transcode
from mediapipe.errors import Failed, ItemError
from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.problems import Problem

UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Judged:
    """One row's outcome; the facts of its audio, None where none was decoded; the faults of that audio."""

    outcome: Outcome
    facts: AudioFacts | None = None
    faults: tuple[Finding, ...] = ()


def about(row: CallRow, verdict: Verdict = Verdict.FAILED, reason: str = "", message: str = "") -> Outcome:
    """Return an outcome that says which row it is of, and what is odd in its text."""
    remarks = tuple([Remark(one.code, str(one)) for one in row.warnings]) if row.warnings else ()
    return Outcome(row.key, verdict, reason, message, row.recording, row.row, warnings=remarks)


def unheard(row: CallRow) -> Judged:
    """Return what becomes of a row whose audio is not looked at: it stands elsewhere, or nobody asked."""
    if row.problems:
        return Judged(_refused(row, row.problems))
    said = (
        "its audio stands elsewhere; a check fetches nothing" if row.remote else "its audio was not looked at"
    )
    return Judged(about(row, Verdict.PENDING, UNCHECKED, said))


def undecodable(row: CallRow, error: ItemError) -> Judged:
    """Return what becomes of a row whose audio gave an error."""
    passing = isinstance(error, Failed)
    problem = Problem(error.code, error.message, hint=error.hint, passing=passing)
    fault = Finding(error.code, str(error), Level.BLOCK)
    return Judged(_refused(row, (*row.problems, problem)), None, (fault,))


def decided(row: CallRow, facts: AudioFacts, plan: Plan, swap: Swap, target: Target) -> Judged:
    """Return what becomes of a row whose audio was decoded and planned for."""
    faults = plan.problems if isinstance(plan, Reject) else ()
    if isinstance(plan, Split):
        hint = 'audio.when_too_large = "compress" makes it fit'
        said = f"would have to be cut into {plan.parts} files, and a row is one call ({hint})"
        faults = (Finding("too_large", said, Level.BLOCK),)
    if swap.problem is not None:
        faults = (*faults, swap.problem)
    problems = (*row.problems, *(Problem(one.code, one.message) for one in faults))
    if problems or isinstance(plan, Reject):
        outcome = _refused(row, problems)
    else:
        said = explain(plan, facts, target) + ("; channels to be swapped" if swap.value else "")
        outcome = replace(about(row), verdict=Verdict.DONE, reason=kind(plan), message=said, bytes=plan.bytes)
    remarks = tuple(_remark(one) for one in plan.warnings)
    audio = {
        "facts": facts.as_json(),
        "plan": plan_json(plan),
        "swap_channels": {"value": swap.value, "why": swap.why},
    }
    warned = replace(outcome, sha256=facts.sha256, warnings=(*outcome.warnings, *remarks), audio=audio)
    found = (*faults, *plan.warnings)
    # Nobody draws a recording without faults, and thousands of outlines would fill the memory.
    return Judged(warned, facts if found else _undrawn(facts), found)


def _undrawn(facts: AudioFacts) -> AudioFacts:
    if facts.quality is None or facts.quality.envelope is None:
        return facts
    return replace(facts, quality=replace(facts.quality, envelope=None))


def _refused(row: CallRow, problems: Sequence[Problem]) -> Outcome:
    verdict = Verdict.FAILED if all(one.passing for one in problems) else Verdict.REJECTED
    said = "; ".join(map(str, problems))
    return about(row, verdict, problems[0].code, f"{row.place}: {said}")


def _remark(one: Finding) -> Remark:
    return Remark(one.code, one.message, one.channel, one.start_s, one.end_s)


def channels_sent(plan: Plan, facts: AudioFacts) -> int:
    """Return how many channels go to the platform."""
    return plan.recipe.channels if isinstance(plan, Transcode | Split) else facts.channels


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan for outcomes: its kind, why, and what is made."""
    told: dict[str, Any] = {"kind": kind(plan)}
    match plan:
        case AsIs():
            return told | {"bytes": plan.bytes}
        case Rewrap():
            return told | {"bytes": plan.bytes, "why": list(plan.why), "container": plan.container}
        case Transcode():
            return told | {"bytes": plan.bytes, "why": list(plan.why), "recipe": plan.recipe.as_json()}
        case Split():
            made = {"parts": plan.parts, "samples": plan.samples, "recipe": plan.recipe.as_json()}
            return told | {"bytes": plan.bytes, "why": list(plan.why), **made}
        case Reject():
            return told | {"why": [one.code for one in plan.problems]}
        case _ as never:
            assert_never(never)
