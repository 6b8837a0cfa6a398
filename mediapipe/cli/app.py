"""``mediapipe``: the command tree, and the one place where an error becomes an exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from mediapipe import __version__
from mediapipe.cli import archive, auth, calls, demo, output, prompts, sandbox, status
from mediapipe.errors import EXIT_CODE_MEANINGS

# The \b keeps the lines of the paragraph apart.
EXIT_CODES = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {text}" for code, text in EXIT_CODE_MEANINGS.items()
)

app = typer.Typer(
    name="mediapipe",
    help="Move call audio in and out of the Convirza call-tracking platform in bulk.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("demo")(demo.demo)
app.add_typer(calls.app, name="calls")
app.add_typer(prompts.app, name="prompts")
app.add_typer(archive.app, name="archive")
app.add_typer(sandbox.app, name="sandbox")
app.command("status")(status.status)
app.add_typer(auth.app, name="auth")


def _version(wanted: bool) -> None:
    if wanted:
        output.data(f"mediapipe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Move call audio in and out of the Convirza call-tracking platform in bulk."""


def main() -> None:
    """Run the command; the process exits with the published codes."""
    app()
