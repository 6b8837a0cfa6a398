"""``mediapipe prompts init``: a prompt manifest drafted from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediapipe.cli import output
from mediapipe.cli.guard import guarded
from mediapipe.cli.template import Output, emitting
from mediapipe.errors import ExitCode


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the audio.", show_default=False)
    ],
    output_file: Output = None,
) -> None:
    """Draft a manifest from the audio files below DIR. Look it through before anything is deployed.

    Folders called like a type (whispers/) or a language (es-MX/) say so for what is in them; other folders
    become part of the name. Save it into DIR: paths start there. What is left out is named on stderr (exit
    code 3).
    """
    with guarded():
        from mediapipe.jobs.draft_prompts import draft_prompts

        with emitting(output_file) as emit:
            drafted = draft_prompts(folder, emit, lambda line: output.problem(line, word=""))
        said = f"{drafted.rows:,} rows, {drafted.left_out:,} files left out; their paths start from {folder}"
        if drafted.formats:
            said += f"; {drafted.formats:,} files are other formats of the same prompts"
        output.problem(said, word="")
        raise typer.Exit(ExitCode.ITEMS if drafted.left_out else ExitCode.OK)
