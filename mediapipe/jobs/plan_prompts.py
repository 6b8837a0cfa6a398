"""``prompts plan``: what an apply would create, replace, leave and delete. Changes nothing anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mediapipe.errors import ExitCode
from mediapipe.items import Tally
from mediapipe.library.preparing import Prepared, Wishes
from mediapipe.library.recovery import foresee
from mediapipe.line import Sink
from mediapipe.prompt_services import PromptServices
from mediapipe.report.summary import exit_code

JOB = "prompts.plan"


@dataclass(slots=True)
class Planned:
    """A plan and its exit code."""

    prepared: Prepared
    tally: Tally = field(default_factory=Tally)
    exit_code: ExitCode = ExitCode.OK


async def plan_prompts(
    services: PromptServices,
    wishes: Wishes,
    *,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
) -> Planned:
    """Make the plan and report what would become of each prompt."""
    found = await foresee(services.tools)
    prepared = await services.preparer.prepare(wishes, found, signals=signals)
    planned = Planned(prepared)
    outcomes = prepared.held()
    if expect is not None:
        expect(len(outcomes))
    for outcome in outcomes:
        planned.tally.add(outcome)
        sink(outcome)
    ending = prepared.ending
    code = exit_code(planned.tally, interrupted=ending.interrupted, fatal=ending.fatal)
    planned.exit_code = ExitCode.ITEMS if code is ExitCode.OK and prepared.obstacles else code
    return planned
