"""``mediapipe prompts``: the account's prompt library, as a folder and a manifest say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.drafts import init
from mediapipe.cli.guard import guarded
from mediapipe.cli.preview import preview
from mediapipe.cli.prompt_manifest import Languages, Manifest, Rendering, lock_place, read_wishes
from mediapipe.cli.releases import diff, releases, rollback

if TYPE_CHECKING:
    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.jobs.apply_prompts import Ask
    from mediapipe.jobs.list_prompts import Row
    from mediapipe.library.plan import Choices
    from mediapipe.library.preparing import Prepared, Wishes
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings

app = typer.Typer(help="The account's prompt library.", no_args_is_help=True, rich_markup_mode=None)
app.command("init")(init)
app.command("rollback")(rollback)
app.command("releases")(releases)
app.command("diff")(diff)
app.command("preview")(preview)

AsIs = Annotated[
    bool | None, typer.Option("--as-is", help="Send audio as it stands where the platform takes it so.")
]
OnConflict = Annotated[
    str | None,
    typer.Option(
        "--on-conflict",
        metavar="adopt|replace|skip|fail",
        help="What becomes of a prompt whose name somebody else's has already. Default: adopt.",
    ),
]
ExitCodeFlag = Annotated[
    bool, options.switch("--exit-code", "EXIT_CODE", "End with 10 when there is something to do.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Save the plan to a new file, for apply --plan."),
]
SavedPlan = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="Apply exactly this saved plan, or nothing."),
]


@app.command("plan")
def plan(
    manifest: Manifest,
    root: options.Root = None,
    rendering: Rendering = None,
    as_is: AsIs = None,
    on_conflict: OnConflict = None,
    prune: options.Prune = False,
    prune_foreign: options.PruneForeign = False,
    max_delete: options.MaxDelete = None,
    force: options.Force = False,
    languages: Languages = None,
    api: options.Api = None,
    lock: options.LockFile = None,
    out: Out = None,
    exit_code: ExitCodeFlag = False,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
) -> None:
    """Say what an apply would create, replace, leave and delete, and why. Nothing is changed.

    Audio that would be uploaded is rendered and judged. --dry-run changes nothing: a plan never does.
    """
    with guarded():
        from mediapipe.cli.setup import load

        flags = options.given(
            prompts__rendering=rendering,
            prompts__as_is=as_is,
            prompts__on_conflict=on_conflict,
            prompts__max_delete=max_delete,
            prompts__languages=languages,
            prompts__api=api,
            ledger=ledger,
            workers=workers,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        choices = _choices(settings, prune, prune_foreign, force)
        place = lock_place(lock, manifest)
        wishes = read_wishes(settings, manifest, root, choices)
        report = plan_and_report(settings, wishes, place, out, tell=exit_code, as_json=as_json)
        raise typer.Exit(report.code)


def plan_and_report(
    settings: Settings,
    wishes: Wishes,
    lock: Path,
    out: Path | None = None,
    *,
    tell: bool = False,
    as_json: bool,
) -> RunReport:
    """Make the plan, print it and return the report; ``tell`` by the exit code when something is to do."""
    from mediapipe.cli.runs import conduct
    from mediapipe.errors import ExitCode
    from mediapipe.jobs.plan_prompts import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.jobs.plan_prompts import plan_prompts
        from mediapipe.library.planfile import save_plan
        from mediapipe.prompt_services import library_of, open_prompts

        async with open_prompts(settings, run.owner, lock) as services:
            planned = await plan_prompts(
                services, wishes, sink=run.sink, expect=run.progress.grow, signals=True
            )
        prepared = planned.prepared
        run.effect = "would send"
        run.fatal = prepared.ending.fatal
        _tell(run, prepared, wishes, settings, as_json=as_json)
        if out is not None and not prepared.obstacles and not prepared.ending.interrupted:
            save_plan(out, prepared, library_of(settings), wishes.choices)
            run.notes.append(f"the plan is saved: prompts apply {wishes.manifest.path} --plan {out}")
        pending = tell and planned.exit_code is ExitCode.OK and not prepared.plan.empty
        return ExitCode.CHANGES if pending else planned.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


@app.command("apply")
def apply(
    manifest: Manifest,
    root: options.Root = None,
    rendering: Rendering = None,
    as_is: AsIs = None,
    on_conflict: OnConflict = None,
    prune: options.Prune = False,
    prune_foreign: options.PruneForeign = False,
    max_delete: options.MaxDelete = None,
    force: options.Force = False,
    languages: Languages = None,
    api: options.Api = None,
    lock: options.LockFile = None,
    saved: SavedPlan = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
) -> None:
    """Make the account's library equal the manifest. What it replaces stays there until --prune.

    Everything that would be uploaded is rendered and judged first: one prompt that is blocked stops it all
    before the first upload. What stands is written to prompts.lock.json beside the manifest: commit it.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.errors import UsageError
        from mediapipe.jobs.apply_prompts import Ask
        from mediapipe.library.planfile import load_plan
        from mediapipe.prompt_services import library_of

        flags = options.given(
            prompts__rendering=rendering,
            prompts__as_is=as_is,
            prompts__on_conflict=on_conflict,
            prompts__max_delete=max_delete,
            prompts__languages=languages,
            prompts__api=api,
            ledger=ledger,
            workers=workers,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        choices = _choices(settings, prune, prune_foreign, force)
        plan = None
        if saved is not None:
            if prune or prune_foreign or force or max_delete is not None or on_conflict is not None:
                raise UsageError("a saved plan says itself what may be deleted", hint="leave the flags out")
            plan = load_plan(saved, library_of(settings))
            choices = plan.choices
        place = lock_place(lock, manifest)
        wishes = read_wishes(settings, manifest, root, choices)
        if dry_run:
            raise typer.Exit(plan_and_report(settings, wishes, place, as_json=as_json).code)
        raise typer.Exit(apply_and_report(settings, Ask(wishes, plan), place, as_json=as_json).code)


def apply_and_report(settings: Settings, ask: Ask, lock: Path, *, as_json: bool) -> RunReport:
    """Apply, print what came of it and return the report."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.apply_prompts import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.jobs.apply_prompts import apply_prompts
        from mediapipe.prompt_services import open_prompts

        async with open_prompts(settings, run.owner, lock) as services:
            applied = await apply_prompts(
                services,
                ask,
                run_id=run.run_id,
                sink=run.sink,
                expect=run.progress.grow,
                show=lambda prepared: _tell(run, prepared, ask.wishes, settings, as_json=as_json),
                signals=True,
            )
        deployed = applied.deployed
        run.effect = "sent"
        run.fatal = deployed.ending.fatal
        run.notes += deployed.notes
        run.extra["release"] = deployed.release.number if deployed.release else None
        if deployed.release is not None:
            run.notes.append(f"this is release {deployed.release.number}; {lock.name} is to be committed")
        return applied.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


def _tell(run: JobRun, prepared: Prepared, wishes: Wishes, settings: Settings, *, as_json: bool) -> None:
    """Print a plan, and put it into the report."""
    from mediapipe.cli import output
    from mediapipe.library.plan import CHANGES as TO_DO
    from mediapipe.library.plan import SIGNS, Action
    from mediapipe.report.plan_lines import PlanLine, matrix_lines, plan_lines, summary_line

    run.extra |= prepared.as_json() | {"nothing_to_do": prepared.plan.empty}
    run.notes += [*wishes.manifest.warnings, *prepared.notes, *prepared.obstacles]
    run.notes += [f"stands out: {one}" for one in prepared.outliers]
    if as_json:
        return
    quiet = {Action.UNCHANGED} | ({Action.SKIP} if settings.quiet else set())
    shown = [
        PlanLine(SIGNS[one.action], one.action.value, one.key, one.reason, one.notes)
        for one in prepared.plan.changes
        if one.action not in quiet or one.notes
    ]
    bad = [PlanLine("x", "blocked", one.key, f"{one.reason}: {one.message}") for one in prepared.faulty]
    blocked = {one.key for one in bad}
    told = [one for one in shown if not (one.action == Action.BLOCKED.value and one.key in blocked)]
    lines = [*plan_lines([*told, *bad]), *matrix_lines(prepared.lacking, wishes.languages)]
    nothing = not any(one.action in TO_DO for one in prepared.plan.changes) and not prepared.faulty
    head = "Nothing to do. " if nothing else ""
    output.rows("\n".join([*lines, head + summary_line(prepared.plan.summary()), ""]), kept=run.writer.path)


def _choices(settings: Settings, prune: bool, prune_foreign: bool, force: bool) -> Choices:
    from mediapipe.prompt_services import choices_of

    return choices_of(settings, prune=prune, prune_foreign=prune_foreign, force=force)


@app.command("list")
def list_library(
    api: options.Api = None,
    lock: options.LockFile = None,
    exit_code: ExitCodeFlag = False,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
) -> None:
    """Show what the account holds, with ids: ours, superseded, foreign, and what drifted.

    What is ours says the lock file, prompts.lock.json of this folder unless --lock names another.
    --exit-code ends with 10 when something drifted.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.errors import ExitCode
        from mediapipe.jobs.list_prompts import DRIFTED
        from mediapipe.library.lockfile import NAME

        flags = options.given(
            prompts__api=api, ledger=ledger, workers=workers, quiet=quiet, log_format=log_format
        )
        settings = load(profile, flags)
        rows = _listed(settings, lock if lock is not None else Path(NAME), as_json=as_json)
        drifted = any(row.standing in DRIFTED for row in rows)
        raise typer.Exit(ExitCode.CHANGES if exit_code and drifted else ExitCode.OK)


def _listed(settings: Settings, lock: Path, *, as_json: bool) -> list[Row]:
    import json

    import anyio

    from mediapipe.cli import output
    from mediapipe.jobs.list_prompts import JOB, list_prompts
    from mediapipe.liveness import new_run_id, owner_of
    from mediapipe.prompt_services import library_of, open_prompts

    async def work() -> list[Row]:
        async with open_prompts(settings, owner_of(new_run_id()), lock) as services:
            return await list_prompts(services)

    rows = anyio.run(work)
    if as_json:
        told = {"job": JOB, "library": library_of(settings), "prompts": [row.as_json() for row in rows]}
        output.data(json.dumps(told, ensure_ascii=False))
        return rows
    width = max([len(row.key) for row in rows], default=4)
    head = f"{'prompt':<{width}}  {'id':<10}  {'state':<10}  {'uploaded':<20}  note"
    lines = [
        f"{row.key:<{width}}  {row.prompt_id or '?':<10}  {row.standing.value:<10}"
        f"  {row.uploaded[:20]:<20}  {row.note}"
        for row in rows
    ]
    output.data("\n".join(output.one_line(line).rstrip() for line in [head, *lines]))
    return rows
