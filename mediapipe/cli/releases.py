"""``mediapipe prompts rollback``, ``releases`` and ``diff``: the library as it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded

if TYPE_CHECKING:
    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.jobs.rollback_prompts import Ask
    from mediapipe.library.releases import Release
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings

Number = Annotated[int, typer.Argument(metavar="RELEASE", min=1, help="The release's number.")]


def rollback(
    release: Number,
    prune: options.Prune = False,
    prune_foreign: options.PruneForeign = False,
    max_delete: options.MaxDelete = None,
    force: options.Force = False,
    api: options.Api = None,
    lock: options.LockFile = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
) -> None:
    """Return the library to an earlier release, from the audio that was kept of it.

    A prompt that still stands in the account with the very audio stands again under its old id; the others
    are uploaded and get new ones. The manifest is not changed: its next plan shows the difference.
    The lock file is prompts.lock.json of this folder unless --lock names another.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.jobs.rollback_prompts import Ask
        from mediapipe.library.lockfile import NAME
        from mediapipe.prompt_services import choices_of

        flags = options.given(
            prompts__max_delete=max_delete,
            prompts__api=api,
            ledger=ledger,
            workers=workers,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        choices = choices_of(settings, prune=prune, prune_foreign=prune_foreign, force=force)
        place = lock if lock is not None else Path(NAME)
        ask = Ask(release, choices, dry_run=dry_run)
        raise typer.Exit(rollback_and_report(settings, ask, place, as_json=as_json).code)


def rollback_and_report(settings: Settings, ask: Ask, lock: Path, *, as_json: bool) -> RunReport:
    """Roll back, print what came of it and return the report."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.rollback_prompts import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.cli import output
        from mediapipe.jobs.rollback_prompts import rollback_prompts
        from mediapipe.prompt_services import open_prompts
        from mediapipe.report.plan_lines import summary_line

        async with open_prompts(settings, run.owner, lock) as services:
            done = await rollback_prompts(
                services, ask, run_id=run.run_id, sink=run.sink, expect=run.progress.grow, signals=True
            )
        run.effect = "would send" if ask.dry_run else "sent"
        run.fatal = done.deployed.ending.fatal
        run.extra |= done.prepared.as_json()
        release = done.deployed.release
        run.extra["release"] = release.number if release else None
        run.notes += [*done.prepared.notes, *done.prepared.obstacles, *done.deployed.notes]
        if release is not None:
            run.notes.append(f"this is release {release.number}; {lock.name} is to be committed")
        if not as_json:
            output.rows(f"{summary_line(done.prepared.plan.summary())}\n", kept=run.writer.path)
        return done.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


def releases(
    api: options.Api = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    log_format: options.LogFormat = None,
) -> None:
    """List the releases of the library that were kept here: number, date, prompts, run."""
    with guarded():
        import json

        from mediapipe.cli import output
        from mediapipe.cli.setup import load

        settings = load(profile, options.given(prompts__api=api, log_format=log_format))
        found = _read(settings, None)
        if as_json:
            told = [
                {"number": one.number, "made": one.made, "run_id": one.run_id, "prompts": len(one.prompts),
                 "note": one.note}
                for one in found
            ]  # fmt: skip
            output.data(json.dumps({"job": "prompts.releases", "releases": told}))
            return
        lines = [
            f"{one.number:>7}  {one.made[:19]:<19}  {len(one.prompts):>7,}  {one.run_id}  {one.note}".rstrip()
            for one in found
        ]
        output.data("\n".join(["release  made                 prompts  run", *lines]))


def diff(
    before: Annotated[int, typer.Argument(metavar="A", min=1, help="The earlier release.")],
    after: Annotated[int, typer.Argument(metavar="B", min=1, help="The later one.")],
    api: options.Api = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    log_format: options.LogFormat = None,
) -> None:
    """Say what changed from release A to release B: prompts added, removed, and with other audio or id."""
    with guarded():
        import json

        from mediapipe.cli import output
        from mediapipe.cli.setup import load
        from mediapipe.library.releases import difference

        settings = load(profile, options.given(prompts__api=api, log_format=log_format))
        one, two = _read(settings, [before, after])
        found = difference(one.prompts, two.prompts)
        if as_json:
            told = {"added": found.added, "removed": found.removed, "changed": dict(found.changed)}
            output.data(json.dumps({"job": "prompts.diff", "from": before, "to": after, **told}))
            return
        lines = [f"+ {key}" for key in found.added] + [f"- {key}" for key in found.removed]
        lines += [f"~ {key}  ({why})" for key, why in found.changed]
        output.data("\n".join(lines) or f"releases {before} and {after} are the same")


def _read(settings: Settings, numbers: list[int] | None) -> list[Release]:
    """Return releases by number, or all of them."""
    import anyio

    from mediapipe.prompt_services import open_releases

    async def work() -> list[Release]:
        async with open_releases(settings) as kept:
            return [await kept.read(number) for number in numbers or await kept.numbers()]

    return anyio.run(work)
