"""``mediapipe calls``: historical recordings into the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded
from mediapipe.cli.imports import import_calls, reconcile
from mediapipe.cli.template import template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.jobs.check_calls import Ask
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings
    from mediapipe.verdicts import Judged

app = typer.Typer(
    help="Historical recordings into the platform.", no_args_is_help=True, rich_markup_mode=None
)

NoAudio = Annotated[
    bool,
    typer.Option(
        "--no-audio",
        envvar="MEDIAPIPE_NO_AUDIO",
        show_envvar=False,
        help="Check rows and paths only; open no audio.",
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        "--report",
        envvar="MEDIAPIPE_REPORT",
        show_envvar=False,
        help="A report.html to look at: plots, all rows, every faulty recording drawn.",
    ),
]


app.command("import")(import_calls)
app.command("reconcile")(reconcile)
app.command("template")(template)


@app.command("check")
def check(
    manifest: options.Manifest,
    no_audio: NoAudio = False,
    report: Report = False,
    root: options.Root = None,
    raw_format: options.RawFormat = None,
    tz: options.Tz = None,
    dst: options.Dst = None,
    strict: options.Strict = None,
    encoding: options.Encoding = None,
    delimiter: options.Delimiter = None,
    profile: options.Profile = None,
    ledger: options.LedgerDsn = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
    dry_run: options.DryRun = False,
) -> None:
    """Say for every row of a manifest whether an import would take it, and what would become of its audio.

    Every local file is decoded to its end. Nothing is asked of any network: audio that stands elsewhere is
    "pending, unchecked". A check has no effect, so it uses no --ledger, and --dry-run changes nothing.
    With --quiet only the rows that need attention are printed.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.jobs.check_calls import Ask

        flags = options.given(
            manifest__dst=dst,
            manifest__strict=strict,
            manifest__encoding=encoding,
            manifest__delimiter=delimiter,
            audio__raw_format=raw_format,
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
            marker_slot=settings.imports.marker_slot,
            audio=not no_audio,
            pictures=report and not no_audio,
        )
        raise typer.Exit(check_and_report(settings, ask, as_json=as_json, rich=report).code)


def check_and_report(settings: Settings, ask: Ask, *, as_json: bool, rich: bool) -> RunReport:
    """Run the job, print its rows and its report, and return the report."""
    from mediapipe.call_services import open_check
    from mediapipe.cli import output
    from mediapipe.cli.runs import conduct
    from mediapipe.items import Verdict
    from mediapipe.jobs.check_calls import JOB

    services = open_check(settings)

    async def work(run: JobRun) -> ExitCode:
        from mediapipe.jobs.check_calls import check
        from mediapipe.report.audio_page import write_audio_page
        from mediapipe.report.digest import AudioDigest
        from mediapipe.report.lines import outcome_lines

        digest = AudioDigest()
        if rich:
            run.write_page = lambda report: write_audio_page(report, digest)
        run.explained = (Verdict.DONE, Verdict.REJECTED, Verdict.FAILED, Verdict.PENDING)
        run.effect = "would send"
        run.extra |= ask.as_json()
        run.notes += ask.notes()

        def sink(rows: Sequence[Judged]) -> None:
            told = []
            for row in rows:
                run.tell(row.outcome)
                if rich:
                    digest.add(row.outcome, row.facts, row.faults)
                fine = row.outcome.verdict in (Verdict.DONE, Verdict.PENDING) and not row.outcome.warnings
                if not as_json and not (fine and settings.quiet):
                    told.append(outcome_lines(row.outcome))
            if told:
                output.rows("\n".join(told), kept=run.writer.path)

        result = await check(
            services, ask, sink=sink, tally=run.tally, expect=run.progress.grow, signals=True
        )
        run.fatal = result.ending.fatal
        run.extra |= result.as_json()
        run.notes += result.notes()
        return result.exit_code

    return conduct(JOB, settings, work, as_json=as_json)
