"""The stage that deletes prompts nobody wants any more. Deleting is idempotent: it may be done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import anyio

from mediapipe.errors import Failed
from mediapipe.items import Outcome, Verdict
from mediapipe.library.plan import Action, Change, Plan
from mediapipe.library.publishing import FIRST_LOOK_S, LONGEST_PAUSE_S, Tools, ended
from mediapipe.line import Finished, Job


@dataclass(slots=True)
class Pruning:
    """What is deleted after all, what is kept since a route mentions it by now, and what is to be said."""

    going: list[Change] = field(default_factory=list)
    kept: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def look_once_more(tools: Tools, plan: Plan) -> Pruning:
    """Return what of a plan is to be deleted still: between planning and now lies the rendering of a set.

    Asks for the routes once, for all of it. Raises as ``PromptApi.routes`` does.
    """
    changes: Sequence[Change] = plan.of(Action.DELETE)
    if plan.force or not changes:
        return Pruning(list(changes))
    routes, result = await tools.api.routes(), Pruning()
    if not routes.visible and plan.routes is not None and plan.routes.visible:
        result.notes.append(f"whether a route mentions what is deleted cannot be seen now: {routes.why}")
    for change in changes:
        if named := routes.named(change.prompt_id):
            why = f"{named} mentions id {change.prompt_id} by now; --force deletes it all the same"
            result.kept.append(replace(change, action=Action.KEEP, reason=why))
            result.notes.append(f"{change.key} is kept: {why}")
        else:
            result.going.append(change)
    return result


@dataclass(frozen=True, slots=True)
class Pruner:
    """Deletes what a plan says."""

    tools: Tools

    async def prune(self, job: Job[Change]) -> Finished:
        """Delete one prompt, see that it is gone, and forget it; the stage of the line."""
        change = job.payload
        item = Outcome(change.key, Verdict.DONE, attempts=job.claim.attempts)
        was_there = await self.tools.api.delete(change.prompt_id)
        await self._gone(change)
        await self.tools.keeper.change(lambda lock: lock.forgotten(change.prompt_id))
        said = f"id {change.prompt_id} is deleted" if was_there else f"id {change.prompt_id} was gone already"
        return Finished(ended(item, Verdict.DONE, "deleted", said))

    async def _gone(self, change: Change) -> None:
        """Return when the list does not show it any more; raises ``Failed`` when it still does at last."""
        ends = anyio.current_time() + self.tools.lag.total_seconds()
        pause = FIRST_LOOK_S
        while change.prompt_id in await self._ids():
            if anyio.current_time() >= ends:
                raise Failed(f"id {change.prompt_id} was deleted and is still listed", code="still_listed")
            await anyio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _ids(self) -> set[str]:
        """Return all ids there are: what the platform calls a foreign prompt's type may be none of ours."""
        return {one.prompt_id for one in await self.tools.api.list_prompts()}
