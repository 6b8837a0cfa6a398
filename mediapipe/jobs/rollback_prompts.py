"""``prompts rollback``: the library as it was at an earlier release, from audio that was kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mediapipe.errors import ExitCode, ItemError, UsageError
from mediapipe.items import Outcome, Verdict
from mediapipe.library.attempts import entry_of
from mediapipe.library.deploying import Deployed, Deployment
from mediapipe.library.desired import AS_IS, Desired
from mediapipe.library.plan import UPLOADS, Action, Change, Choices
from mediapipe.library.preparing import Prepared, foreseen
from mediapipe.library.publishing import Ready, about, ended
from mediapipe.library.recovery import foresee, recover
from mediapipe.library.releases import Release, Released, Releases
from mediapipe.library.words import PromptType
from mediapipe.line import Sink
from mediapipe.prompt_services import PromptServices, deploying
from mediapipe.report.summary import exit_code

JOB = "prompts.rollback"


@dataclass(frozen=True, slots=True)
class Ask:
    """Which release is wanted, and what may be done for it; ``dry_run`` only plans."""

    number: int
    choices: Choices
    dry_run: bool = False


@dataclass(slots=True)
class RolledBack:
    """What was planned and what came of it."""

    prepared: Prepared
    deployed: Deployed
    exit_code: ExitCode = ExitCode.OK


async def rollback_prompts(
    services: PromptServices,
    ask: Ask,
    *,
    run_id: str,
    sink: Sink,
    expect: Callable[[int], None] | None = None,
    signals: bool = False,
) -> RolledBack:
    """Bring an earlier release back; raises ``UsageError`` for one that there is not."""
    release = await services.tools.releases.read(ask.number)
    desired = [_desired(one) for one in release.prompts.values()]
    if ask.dry_run:
        found = await foresee(services.tools)
        prepared = await services.preparer.plan(desired, found, ask.choices)
        return _told(RolledBack(prepared, Deployed()), [foreseen(one) for one in _items(prepared)], sink)
    async with deploying(services, run_id) as lock:
        found = await recover(services.tools, run_id)
        prepared = await services.preparer.plan(desired, found, ask.choices)
        _allowed(prepared, ask.choices)
        if expect is not None:
            expect(len(desired) + len(prepared.plan.of(Action.DELETE)))
        deployment = Deployment(services.tools, run_id, sink, lock, services.uploads, signals)
        done = RolledBack(prepared, deployment.result)
        with TemporaryDirectory(prefix="mediapipe-rollback-") as folder:
            ready, lacking = await _fetched(
                services.tools.releases, prepared.plan.of(*UPLOADS), release, Path(folder)
            )
            if lacking:
                prepared.obstacles.append(
                    f"{len(lacking):,} prompts of release {ask.number} have no audio kept"
                )
            if blocked := prepared.plan.of(Action.BLOCKED):
                prepared.obstacles.append(f"{len(blocked):,} prompts cannot be decided")
            if prepared.obstacles:
                _told(done, _held(prepared, lacking), sink)
            else:
                note = f"release {ask.number} again"
                await deployment.carry_out(prepared.plan, found, ready, note=note)
        done.exit_code = _code(done)
        counts, size = done.deployed.tally.counts(), done.deployed.tally.bytes
        await services.ledger.end(run_id, exit_code=done.exit_code, counts=counts, size=size)
    return done


def _desired(one: Released) -> Desired:
    word, _, name = one.key.partition("/")
    return Desired(
        one.key,
        PromptType(word),
        name,
        one.source_sha256,
        one.recipe or AS_IS,
        None,
        None,
        file=one.file,
        language=one.language,
        profile_name=one.profile,
        rendered_sha256=one.rendered_sha256,
        container=one.container,
    )


def _allowed(prepared: Prepared, choices: Choices) -> None:
    deletes = len(prepared.plan.of(Action.DELETE))
    if deletes > choices.most_deletes:
        raise UsageError(
            f"{deletes:,} prompts would be deleted, and {choices.most_deletes:,} may be: nothing was done",
            code="max_delete",
            hint="look at it with --dry-run; --max-delete allows more",
        )


async def _fetched(
    releases: Releases, changes: list[Change], release: Release, folder: Path
) -> tuple[list[Ready], dict[str, Outcome]]:
    """Bring back the audio that has to be uploaded; what is not to be had, with why."""
    ready: list[Ready] = []
    lacking: dict[str, Outcome] = {}
    for change in changes:
        wanted = change.desired
        if wanted is None:
            continue
        if not wanted.rendered_sha256:
            said = "it was taken over as it was, so nobody here ever had its audio"
            lacking[change.key] = ended(about(change), Verdict.REJECTED, "no_audio_kept", said)
            continue
        try:
            path = await releases.fetch(wanted.rendered_sha256, wanted.container, folder)
        except ItemError as error:
            lacking[change.key] = ended(about(change), Verdict.FAILED, error.code, str(error))
            continue
        size = release.prompts[change.key].bytes
        entry = entry_of(wanted, sha256=wanted.rendered_sha256, size=size, container=wanted.container)
        ready.append(Ready(change, path, entry))
    return ready, lacking


def _items(prepared: Prepared) -> list[Change]:
    return [one for one in prepared.plan.changes if one.desired is not None]


def _held(prepared: Prepared, lacking: dict[str, Outcome]) -> list[Outcome]:
    held = []
    for change in _items(prepared):
        outcome = lacking.get(change.key) or foreseen(change)
        if outcome.verdict is Verdict.PENDING:
            said = f"would {outcome.reason}; held back: {'; '.join(prepared.obstacles)}"
            outcome = replace(outcome, reason="held_back", message=said)
        held.append(outcome)
    return held


def _told(done: RolledBack, outcomes: list[Outcome], sink: Sink) -> RolledBack:
    for outcome in outcomes:
        done.deployed.tally.add(outcome)
        sink(outcome)
    done.exit_code = _code(done)
    return done


def _code(done: RolledBack) -> ExitCode:
    deployed = done.deployed
    return exit_code(
        deployed.tally,
        unproven=deployed.unproven,
        interrupted=deployed.ending.interrupted,
        fatal=deployed.ending.fatal,
    )
