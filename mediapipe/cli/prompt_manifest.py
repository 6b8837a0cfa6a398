"""What the commands over a prompt manifest share: its flags, its lock file's place, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mediapipe.library.plan import Choices
    from mediapipe.library.preparing import Wishes
    from mediapipe.settings import Settings

Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="A row for each prompt: file, type, name; optional language, profile.",
        show_default=False,
    ),
]
Rendering = Annotated[
    str | None,
    typer.Option("--rendering", metavar="NAME", help="Rendering profile of rows that name none."),
]
Languages = Annotated[
    str | None,
    typer.Option(
        "--require-languages", metavar="LIST", help="Languages every prompt has to be there in: en,es."
    ),
]


def lock_place(given: Path | None, manifest: Path) -> Path:
    """Return the lock file's place: beside the manifest unless said."""
    from mediapipe.errors import UsageError
    from mediapipe.library.lockfile import NAME

    if given is None and str(manifest) == "-":
        raise UsageError("a manifest on stdin has no folder for its lock file", hint="say --lock FILE")
    return given if given is not None else manifest.parent / NAME


def read_wishes(settings: Settings, manifest: Path, root: Path | None, choices: Choices) -> Wishes:
    """Read a manifest and return all that is wished for."""
    from mediapipe.library.preparing import Wishes
    from mediapipe.manifest.prompts import read_prompts
    from mediapipe.manifest.roots import Root
    from mediapipe.prompt_services import profiles_for

    ours = settings.prompts
    folder = Root(root if root is not None else manifest.parent)
    read = read_prompts(manifest, folder, pattern=ours.language_names, options=settings.manifest)
    return Wishes(
        read,
        profiles_for(manifest).find,
        ours.rendering,
        choices,
        as_is=ours.as_is,
        languages=ours.languages,
    )
