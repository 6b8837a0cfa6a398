"""``mediapipe prompts preview``: listen before you ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded
from mediapipe.cli.prompt_manifest import Languages, Manifest, Rendering, lock_place, read_wishes

if TYPE_CHECKING:
    from mediapipe.cli.runs import JobRun
    from mediapipe.errors import ExitCode
    from mediapipe.jobs.preview_prompts import Previewed
    from mediapipe.library.preparing import Wishes
    from mediapipe.library.preview import Base
    from mediapipe.report.summary import RunReport
    from mediapipe.settings import Settings

AsIs = Annotated[
    bool | None, typer.Option("--as-is", help="Judge audio as it stands where the platform takes it so.")
]
Out = Annotated[
    Path,
    typer.Option("--out", metavar="FILE", help="The page. An earlier preview is replaced, nothing else."),
]
Changed = Annotated[
    bool, typer.Option("--changed", help="Leave out what the last release has as it is: a small page.")
]


def preview(
    manifest: Manifest,
    out: Out = Path("preview.html"),
    changed: Changed = False,
    root: options.Root = None,
    rendering: Rendering = None,
    as_is: AsIs = None,
    languages: Languages = None,
    api: options.Api = None,
    lock: options.LockFile = None,
    profile: options.Profile = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
) -> None:
    """Make a page on which every prompt is heard before it is sent: no login, no network.

    Source, rendered, and as callers hear it over G.711; with waveforms, levels, what stands out and what
    changed since the last release. Audio and all are in the one file. Exit code 3: something is blocked.
    """
    with guarded():
        from mediapipe.cli.setup import load
        from mediapipe.prompt_services import choices_of

        flags = options.given(
            prompts__rendering=rendering,
            prompts__as_is=as_is,
            prompts__languages=languages,
            prompts__api=api,
            workers=workers,
            quiet=quiet,
            log_format=log_format,
        )
        settings = load(profile, flags)
        choices = choices_of(settings, prune=False, prune_foreign=False, force=False)
        wishes = read_wishes(settings, manifest, root, choices)
        place = lock_place(lock, manifest)
        raise typer.Exit(
            preview_and_report(settings, wishes, place, out, changed=changed, as_json=as_json).code
        )


def preview_and_report(
    settings: Settings, wishes: Wishes, lock: Path, out: Path, *, changed: bool, as_json: bool
) -> RunReport:
    """Write the page, print where it is and what is on it, and return the report."""
    from mediapipe.cli.runs import conduct
    from mediapipe.jobs.preview_prompts import JOB

    async def work(run: JobRun) -> ExitCode:
        from tempfile import TemporaryDirectory

        from mediapipe.jobs.preview_prompts import Ask, preview_prompts
        from mediapipe.prompt_services import open_studio
        from mediapipe.report.preview_page import check_place

        check_place(out)
        ask = Ask(wishes, out, await _base(settings, lock), changed)
        with TemporaryDirectory(prefix="mediapipe-preview-") as scratch:
            done = await preview_prompts(
                open_studio(settings, Path(scratch)), ask, sink=run.sink, expect=run.progress.grow,
                signals=True,
            )  # fmt: skip
        run.effect = "sent"
        run.fatal = done.ending.fatal
        _tell(run, done, out, as_json=as_json)
        return done.exit_code

    return conduct(JOB, settings, work, as_json=as_json)


async def _base(settings: Settings, lock: Path) -> Base:
    """Return what the set is compared with; the store of releases is opened only where there is one."""
    from mediapipe.library.lockfile import LockFile
    from mediapipe.library.preview import find_base
    from mediapipe.prompt_services import library_of, open_releases

    held = LockFile(lock, library_of(settings)).lock
    if not held.release:
        return await find_base(held, None, lock.name)
    async with open_releases(settings) as releases:
        return await find_base(held, releases, lock.name)


def _tell(run: JobRun, done: Previewed, out: Path, *, as_json: bool) -> None:
    """Print where the page is and what is on it, and put that into the report."""
    from mediapipe.cli import output
    from mediapipe.durations import format_size

    size = out.stat().st_size if done.written else 0
    run.extra |= {
        "page": str(out) if done.written else None,
        "page_bytes": size,
        "prompts": dict(done.counts),
        "shown": done.shown,
        "missing_languages": {key: list(names) for key, names in done.lacking.items()},
        "outliers": list(done.outliers),
        "gone": list(done.gone),
    }
    run.notes += done.notes
    run.notes += [f"stands out: {one}" for one in done.outliers]
    if done.lacking:
        run.notes.append(f"{len(done.lacking):,} prompts are not there in every required language")
    if as_json:
        return
    if not done.written:
        output.rows("No page was written.\n", kept=run.writer.path)
        return
    counts = ", ".join(f"{number:,} {word}" for word, number in done.counts.items() if number)
    output.rows(f"{out}\n{done.shown:,} prompts, {format_size(size)}: {counts}\n", kept=run.writer.path)
