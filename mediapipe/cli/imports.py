"""``mediapipe calls import`` and ``mediapipe calls reconcile``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded

if TYPE_CHECKING:
    from mediapipe.audio.workers import AudioWorkers
    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.items import Outcome
    from mediapipe.jobs.import_calls import Ask
    from mediapipe.jobs.reconcile_calls import Ask as ReconcileAsk
    from mediapipe.manifest.calls import CallRow
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings


AllOrNothing = Annotated[
    bool,
    options.switch(
        "--all-or-nothing", "ALL_OR_NOTHING", "Send nothing unless all rows and their audio are good."
    ),
]
Resend = Annotated[
    bool,
    options.switch(
        "--resend-uncertain",
        "RESEND_UNCERTAIN",
        "Send uncertain uploads again that are still not listed after one more look.",
    ),
]
Insist = Annotated[
    bool,
    options.switch(
        "--insist", "INSIST", "Import with a new ledger although rows seem to be in the account already."
    ),
]
Canary = Annotated[
    int | None,
    typer.Option("--canary", metavar="N", help="Upload N first; go on if they show up as they were meant."),
]
MaxItems = Annotated[int | None, typer.Option("--max-items", metavar="N", help="Upload N at the most.")]
MaxDuration = Annotated[
    str | None, typer.Option("--max-duration", metavar="TIME", help="Begin no upload after so long: 6h.")
]
Budget = Annotated[
    int | None, typer.Option("--daily-budget", metavar="N", help="Uploads a day (UTC), over all runs.")
]
Between = Annotated[
    str | None,
    typer.Option(
        "--between", metavar="HOURS", help="Begin uploads only then, wait else: 22:00-06:00 in --tz."
    ),
]
Rate = Annotated[
    str | None, typer.Option("--bytes-per-second", metavar="SIZE", help="Send so much a second at the most.")
]
Requests = Annotated[
    float | None, typer.Option("--requests-per-second", metavar="N", help="Requests a second, at the most.")
]
Uploads = Annotated[
    int | None, typer.Option("--uploads", metavar="N", help="Uploads at the same time, at most.")
]
ByUrl = Annotated[
    bool | None,
    typer.Option("--by-url", help="Hand s3:// and https:// addresses on; the platform fetches the audio."),
]


def import_calls(
    manifest: options.Manifest,
    root: options.Root = None,
    tz: options.Tz = None,
    dst: options.Dst = None,
    strict: options.Strict = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    raw_format: options.RawFormat = None,
    all_or_nothing: AllOrNothing = False,
    resend_uncertain: Resend = False,
    insist: Insist = False,
    by_url: ByUrl = None,
    canary: Canary = None,
    max_items: MaxItems = None,
    max_duration: MaxDuration = None,
    daily_budget: Budget = None,
    between: Between = None,
    uploads: Uploads = None,
    requests_per_second: Requests = None,
    bytes_per_second: Rate = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
    engine: options.Engine = "local",
) -> None:
    """Upload the recordings of a manifest, each call once.

    All rows are validated before the first upload. What was uploaded is never uploaded again: run it again
    after a crash, or with failed.csv. An upload whose answer was lost is looked up, not repeated.
    """
    with guarded():
        from mediapipe.cli.setup import check_engine, load
        from mediapipe.jobs.import_calls import Ask

        check_engine(engine)
        flags = options.given(
            manifest__dst=dst,
            manifest__strict=strict,
            manifest__encoding=encoding,
            manifest__delimiter=delimiter,
            audio__raw_format=raw_format,
            imports__by_url=by_url,
            imports__canary=canary,
            imports__max_items=max_items,
            imports__max_duration=max_duration,
            imports__daily_budget=daily_budget,
            imports__between=between,
            imports__uploads=uploads,
            imports__bytes_per_second=bytes_per_second,
            pace__requests_per_second=requests_per_second,
            ledger=ledger,
            workers=workers,
            tz=tz,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        opened, folder = options.open_manifest(manifest, root, settings.manifest)
        ask = Ask(
            opened,
            folder,
            tz=options.told_zone(settings),
            all_or_nothing=all_or_nothing,
            resend_uncertain=resend_uncertain,
            insist=insist,
        )
        work = plan_and_report if dry_run else import_and_report
        raise typer.Exit(work(settings, ask, as_json=as_json, engine=engine).code)


@asynccontextmanager
async def audio_on(engine: str, settings: Settings) -> AsyncGenerator[AudioWorkers | None, None]:
    """Open where audio is decoded and rendered; None is this process's own workers."""
    if engine == "local":
        yield None
        return
    from mediapipe.engines.audio import ray_audio

    async with ray_audio(settings.audio) as audio:
        yield audio


def import_and_report(settings: Settings, ask: Ask, *, as_json: bool, engine: str = "local") -> RunReport:
    """Run the import, print its report and return it. ``engine`` is where audio is worked on."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.import_calls import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.import_services import open_import
        from mediapipe.jobs.import_calls import ImportCalls
        from mediapipe.report.failed import FailedWriter

        path = run.writer.path.with_name("failed.csv")
        with FailedWriter(path, ask.manifest.header.cells, root=Path(ask.root.path)) as failed:

            def again(row: CallRow, outcome: Outcome) -> None:
                failed.write(row.cells, outcome.reason, outcome.message)

            run.extra |= {"manifest": ask.manifest.as_json(), "dry_run": False}
            run.notes += ask.manifest.notes(ask.root)
            if engine != "local":
                run.extra["engine"] = engine
            async with (
                audio_on(engine, settings) as audio,
                open_import(settings, run.owner, audio) as services,
            ):
                job = ImportCalls(
                    services, ask, run.run_id, run.sink, again, expect=run.progress.grow, signals=True
                )
                try:
                    result = await job.work()
                finally:
                    run.extra |= job.result.as_json()
                    run.notes += job.result.notes()
        run.fatal = result.ending.fatal
        if failed.rows:
            run.extra["failed"] = str(path)
            run.notes.append(f"rows to be run again: {path}")
        return result.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


def plan_and_report(settings: Settings, ask: Ask, *, as_json: bool, engine: str = "local") -> RunReport:
    """Say what an import would do, print the report and return it. ``engine`` is where audio is worked on."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.import_calls import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.call_services import opened_ear
        from mediapipe.estimate import Estimate
        from mediapipe.import_services import import_scope, pace_of
        from mediapipe.jobs.plan_import import PlanImport, Planned, plan_import, rows_of
        from mediapipe.services import opened_ledger

        planned, ear = Planned(Estimate(pace_of(settings))), opened_ear(settings)
        async with audio_on(engine, settings) as audio, opened_ledger(settings, run.owner) as ledger:
            job = PlanImport(
                ear if audio is None else replace(ear, audio=audio),
                ledger,
                import_scope(settings),
                rows_of(ask.manifest, ask.root, ask.tz, settings.imports.marker_slot),
                settings.workers,
                planned,
                run.sink,
                run.progress.grow,
            )
            await plan_import(job, signals=True)
        run.fatal = planned.ending.fatal
        run.effect = "would send"
        run.extra |= {"manifest": ask.manifest.as_json()} | planned.as_json()
        run.notes += [*ask.manifest.notes(ask.root), *planned.notes()]
        return planned.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


Adopt = Annotated[
    Path | None,
    typer.Option(
        "--adopt",
        metavar="MANIFEST",
        help="Also take rows over that another ledger imported: found in the account, recorded here.",
    ),
]
NoWait = Annotated[
    bool,
    options.switch("--no-wait", "NO_WAIT", "Do not wait for what was sent a moment ago to be listed."),
]


def reconcile(
    adopt: Adopt = None,
    no_wait: NoWait = False,
    root: options.Root = None,
    tz: options.Tz = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
) -> None:
    """Look up every upload whose end is not known, and settle what can be proven. Nothing is ever sent.

    An upload is settled when exactly as many listed calls fit as uploads may have made them. What stays
    uncertain is shown with the calls it may be, for a person to decide.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.errors import UsageError
        from mediapipe.jobs.reconcile_calls import Ask

        flags = options.given(ledger=ledger, workers=workers, tz=tz, quiet=quiet, log_format=log_format)
        settings = load(profile, flags)
        ask = Ask(wait=not no_wait, dry_run=dry_run)
        if adopt is not None:
            if dry_run:
                raise UsageError("--dry-run shows what is uncertain; it does not go with --adopt")
            opened, folder = options.open_manifest(adopt, root, settings.manifest)
            ask = Ask(opened, folder, options.told_zone(settings), wait=not no_wait)
        raise typer.Exit(reconcile_and_report(settings, ask, as_json=as_json).code)


def reconcile_and_report(settings: Settings, ask: ReconcileAsk, *, as_json: bool) -> RunReport:
    """Run the reconciliation, print its report and return it."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.reconcile_calls import JOB

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.import_services import open_reconcile
        from mediapipe.jobs.reconcile_calls import reconcile

        async with open_reconcile(settings, run.owner) as services:
            result = await reconcile(
                services, ask, run_id=run.run_id, sink=run.sink, expect=run.progress.grow, signals=True
            )
        run.fatal = result.ending.fatal
        run.extra |= result.as_json()
        if ask.dry_run:
            run.notes.append("dry run: nothing was looked up; these uploads are uncertain or pending")
        return result.exit_code

    return conduct(JOB, settings, work, as_json=as_json)
