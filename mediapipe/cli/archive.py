"""``mediapipe archive``: recordings from the platform into a store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.items import Outcome
    from mediapipe.jobs.archive_recordings import Ask, Result
    from mediapipe.nursery import Nursery
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings
    from mediapipe.shards import Shard

app = typer.Typer(
    help="Recordings from the platform into a store.", no_args_is_help=True, rich_markup_mode=None
)

Unsafe = Annotated[
    bool | None,
    typer.Option("--allow-overwrite-unsafe", help="Take a store that ignores conditional writes."),
]


@app.callback()
def _archive() -> None:
    """Keep ``run`` a subcommand although it is the only one so far."""


@app.command("run")
def run(
    start: options.From = None,
    end: options.To = None,
    dest: options.Dest = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    tz: options.Tz = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
    engine: options.Engine = "local",
    shard: options.Shard = None,
    allow_overwrite_unsafe: Unsafe = None,
) -> None:
    """Copy every recording of the span to the store.

    Without --from, a run covers from the watermark less the look-back (10 days) to now: the nightly use.
    Nothing that was archived is fetched again and nothing is ever overwritten.
    """
    with guarded():
        from mediapipe.cli.setup import check_engine, load, shard_of
        from mediapipe.jobs.archive_recordings import Ask
        from mediapipe.spans import parse_instant, zone

        mine = shard_of(shard, engine)
        check_engine(engine)
        flags = options.given(
            archive__dest=dest,
            archive__allow_overwrite_unsafe=allow_overwrite_unsafe,
            ledger=ledger,
            workers=workers,
            tz=tz,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        now, where = datetime.now(UTC), zone(settings.tz)
        ask = Ask(
            now=now,
            start=parse_instant(start, flag="--from", tz=where, now=now) if start is not None else None,
            end=parse_instant(end, flag="--to", tz=where, now=now) if end is not None else None,
            dry_run=dry_run,
            allow_overwrite_unsafe=settings.archive.allow_overwrite_unsafe,
            shard=mine,
        )
        raise typer.Exit(archive_and_report(settings, ask, as_json=as_json, engine=engine).code)


def _shard_note(shard: Shard, waits_for: Sequence[Shard]) -> str:
    note = f"shard {shard}: of the calls, only its own were worked on"
    if not waits_for:
        return note
    named = ", ".join(map(str, waits_for[:8])) + (" and others" if len(waits_for) > 8 else "")
    return f"{note}; the watermark waits for {named}"


def archive_and_report(settings: Settings, ask: Ask, *, as_json: bool, engine: str = "local") -> RunReport:
    """Run the job on an engine, print its report and return it."""
    from mediapipe.cli.runs import conduct
    from mediapipe.cli.setup import fair
    from mediapipe.jobs.archive_recordings import JOB

    settings = fair(settings, ask.shard)
    nursery = _nursery(settings, ask) if engine == "local" else None

    async def work(run: JobRun) -> ExitCode:
        on = _here(settings, ask, run, nursery) if engine == "local" else _on_ray(settings, ask, run)
        result, destination = await on
        findings, span = result.findings, result.request.span
        run.fatal = result.ending.fatal
        run.extra = {
            "span": {"from": span.start.isoformat(), "to": span.end.isoformat()},
            "destination": destination,
            "dry_run": ask.dry_run,
            "windows": findings.windows,
            "unsettled_windows": findings.unsettled,
            "watermark": findings.watermark.isoformat() if findings.watermark else None,
            "requests": result.requests,
            "call_refetches": result.refetches,
            **run.extra,
        }
        if ask.shard is not None:
            waits_for = [str(one) for one in findings.waits_for]
            run.extra |= {"shard": str(ask.shard), "waits_for": waits_for}
            run.notes.append(_shard_note(ask.shard, findings.waits_for))
        if ask.dry_run:
            run.notes.append("dry run: nothing was changed; pending is what a run would work on")
        for window in findings.unsettled:
            run.notes.append(f"window {window['start']} to {window['end']} is not proven: {window['reason']}")
        return result.exit_code

    try:
        return conduct(JOB, settings, work, as_json=as_json)
    finally:
        if nursery is not None:
            nursery.close()


def _nursery(settings: Settings, ask: Ask) -> Nursery | None:
    """Fork what transfer processes come from, once all is imported and before anything is begun."""
    import mediapipe.services  # noqa: F401
    from mediapipe.crew_member import open_shared
    from mediapipe.nursery import Nursery
    from mediapipe.transfer_services import crew_size, setup_of

    if ask.dry_run or crew_size(settings) == 1 or not settings.archive.dest:
        return None
    nursery = None
    with suppress(OSError):  # the crew says so when it needs one
        nursery = Nursery(fork=open_shared)
        nursery.prepare(setup_of(settings))
    return nursery


async def _here(settings: Settings, ask: Ask, run: JobRun, nursery: Nursery | None) -> tuple[Result, str]:
    """Work in this process; return the result and the destination."""
    from mediapipe.jobs.archive_recordings import JOB, archive
    from mediapipe.services import open_archive

    async with open_archive(settings, JOB, run.owner, nursery=nursery) as services:
        result = await archive(
            services, ask, run_id=run.run_id, sink=run.sink, expect=run.progress.grow, signals=True
        )
        return result, services.scope.destination


async def _on_ray(settings: Settings, ask: Ask, run: JobRun) -> tuple[Result, str]:
    """Work on a Ray cluster; return the result and the destination."""
    from mediapipe.engines.ray import Telling, archive_with_ray

    def sink(outcome: Outcome) -> None:
        run.tally.add(outcome)
        run.writer.write(outcome)

    telling = Telling(run.writer.path.parent, sink, run.progress.update, run.progress.grow)
    ran = await archive_with_ray(settings, ask, run_id=run.run_id, owner=run.owner, telling=telling)
    run.extra |= {"engine": "ray", "shares": ran.shares}
    return ran.result, ran.destination
