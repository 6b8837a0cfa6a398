"""The part of the demo that deploys a prompt library: apply, change one, apply again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mediapipe.cli import options, output
from mediapipe.errors import ExitCode

if TYPE_CHECKING:
    from mediapipe.report.summary import RunReport
    from mediapipe.sandbox.server import RunningSandbox

PROMPTS = (
    ("welcome", "prompt"),
    ("hours", "prompt"),
    ("please hold", "prompt"),
    ("sales", "whisper"),
    ("after hours", "voicemail"),
    ("how was it", "survey"),
)
CHANGED = "hours"


def write_library(folder: Path) -> Path:
    """Write a few made-up prompts with their manifest, unless an earlier demo did; return the manifest."""
    from mediapipe.sandbox.sound import conversation

    manifest = folder / "prompts.csv"
    if manifest.exists():
        return manifest
    options.usable_folder(folder, flag="--dir")
    rows = []
    for number, (name, kind) in enumerate(PROMPTS, 1):
        file = f"{name.replace(' ', '-')}.wav"
        (folder / file).write_bytes(conversation(7_000 + number, 3 + number % 3))
        rows.append([file, kind, name])
    with manifest.open("w", encoding="utf-8", newline="") as written:
        writer = csv.writer(written)
        writer.writerow(["file", "type", "name"])
        writer.writerows(rows)
    return manifest


def record_again(folder: Path, take: int) -> None:
    """Let one prompt have other audio: another take of it."""
    from mediapipe.sandbox.sound import conversation

    (folder / f"{CHANGED}.wav").write_bytes(conversation(8_000 + take, 4))


def deploy(sandbox: RunningSandbox, folder: Path, state: Path) -> RunReport:
    """Apply the library and return the report."""
    from mediapipe.cli.prompts import apply_and_report
    from mediapipe.jobs.apply_prompts import Ask
    from mediapipe.library.lockfile import NAME
    from mediapipe.library.preparing import Wishes
    from mediapipe.manifest.prompts import read_prompts
    from mediapipe.manifest.roots import Root
    from mediapipe.prompt_services import choices_of, profiles_for
    from mediapipe.settings import load_settings

    flags = {
        "state_dir": str(state),
        "pace.requests_per_second": 100,
        "log_level": "ERROR",
        "prompts.lag": "2s",
    }
    settings = load_settings(None, flags, sandbox.environment()).settings
    manifest = write_library(folder)
    wishes = Wishes(
        read_prompts(manifest, Root(folder)),
        profiles_for(manifest).find,
        settings.prompts.rendering,
        choices_of(settings, prune=False, prune_foreign=False, force=False),
    )
    return apply_and_report(settings, Ask(wishes), folder / NAME, as_json=False)


def check(sandbox: RunningSandbox, *reports: RunReport) -> None:
    """End with the first trouble's exit code; a prompt that did not arrive is a bug."""
    for report in reports:
        if report.code is not ExitCode.OK:
            raise typer.Exit(report.code)
    lost = {name for name, _ in PROMPTS} - {one.name for one in sandbox.state.prompts}
    if lost:
        output.problem(f"{', '.join(sorted(lost))} did not arrive")
        raise typer.Exit(ExitCode.BUG)
