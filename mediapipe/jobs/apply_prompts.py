"""``prompts apply``: the account's library made equal to the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mediapipe.errors import ExitCode, UsageError
from mediapipe.items import Verdict
from mediapipe.library.deploying import Deployed, Deployment
from mediapipe.library.plan import Action
from mediapipe.library.planfile import SavedPlan, check_ground
from mediapipe.library.preparing import Prepared, Wishes
from mediapipe.library.recovery import recover
from mediapipe.line import Sink
from mediapipe.prompt_services import PromptServices, deploying
from mediapipe.report.summary import exit_code

JOB = "prompts.apply"


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user asked for; with a ``saved`` plan exactly that is done, or nothing."""

    wishes: Wishes
    saved: SavedPlan | None = None


@dataclass(slots=True)
class Applied:
    """What was planned and what came of it."""

    prepared: Prepared
    deployed: Deployed
    exit_code: ExitCode = ExitCode.OK


async def apply_prompts(
    services: PromptServices,
    ask: Ask,
    *,
    run_id: str,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    show: Callable[[Prepared], None] | None = None,
    signals: bool = False,
) -> Applied:
    """Plan, render everything, and carry the plan out unless something speaks against it.

    ``show`` gets the plan before anything of it is done.
    Raises ``UsageError``: another apply is at work, the ground of a saved plan has moved, or more would be
    deleted than was allowed.
    """
    async with deploying(services, run_id) as lock:
        found = await recover(services.tools, run_id)
        prepared = await services.preparer.prepare(ask.wishes, found, signals=signals)
        if ask.saved is not None:
            check_ground(ask.saved, prepared)
        if show is not None:
            show(prepared)
        if expect is not None:
            expect(len(prepared.desired) + len(prepared.plan.of(Action.DELETE)))
        deployment = Deployment(
            services.tools, run_id, sink, lock, services.uploads, signals, Deployed(ending=prepared.ending)
        )
        applied = Applied(prepared, deployment.result)
        if prepared.obstacles or applied.deployed.over:
            _hold_back(applied, sink)
        else:
            await deployment.carry_out(prepared.plan, found, prepared.session.ready)
        applied.exit_code = _code(applied)
        counts, size = applied.deployed.tally.counts(), applied.deployed.tally.bytes
        await services.ledger.end(run_id, exit_code=applied.exit_code, counts=counts, size=size)
    deletes, most = len(prepared.plan.of(Action.DELETE)), ask.wishes.choices.most_deletes
    if deletes > most and not prepared.faulty:
        raise UsageError(
            f"{deletes:,} prompts would be deleted, and {most:,} may be: nothing was done",
            code="max_delete",
            hint="look at the plan; --max-delete allows more",
        )
    return applied


def _hold_back(applied: Applied, sink: Sink) -> None:
    """Report every prompt when nothing is done."""
    for outcome in applied.prepared.held():
        if outcome.verdict is Verdict.PENDING:
            said = (
                f"would {outcome.reason}; held back: {'; '.join(applied.prepared.obstacles) or 'interrupted'}"
            )
            outcome = replace(outcome, reason="held_back", message=said)
        applied.deployed.tally.add(outcome)
        sink(outcome)


def _code(applied: Applied) -> ExitCode:
    deployed = applied.deployed
    code = exit_code(
        deployed.tally,
        unproven=deployed.unproven,
        interrupted=deployed.ending.interrupted,
        fatal=deployed.ending.fatal,
    )
    return ExitCode.ITEMS if code is ExitCode.OK and applied.prepared.obstacles else code
