"""``mediapipe auth``: can both API generations be reached, and as whom."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediapipe.cli import options
from mediapipe.cli.guard import guarded
from mediapipe.errors import ExitCode

if TYPE_CHECKING:
    from mediapipe.jobs.check_login import Reached
    from mediapipe.settings import Settings

app = typer.Typer(help="Logins.", no_args_is_help=True, rich_markup_mode=None)

Api = Annotated[Literal["v3", "v2", "both"], typer.Option("--api", help="Which API generation to ask.")]


@app.callback()
def _auth() -> None:
    """Keep ``check`` a subcommand although it is the only one."""


@app.command("check")
def check(
    profile: options.Profile = None,
    api: Api = "both",
    as_json: options.Json = False,
    log_format: options.LogFormat = None,
) -> None:
    """Log in to v3 and v2, ask each for one small thing, and show who one is; secrets masked."""
    with guarded():
        import anyio

        from mediapipe.cli.setup import load

        settings = load(profile, options.given(log_format=log_format))
        reached = anyio.run(_check, settings, ("v3", "v2") if api == "both" else (api,))
        if as_json:
            typer.echo(json.dumps({"job": "auth.check", "apis": [asdict(one) for one in reached]}))
        else:
            for one in reached:
                _show(one)
        if not all(one.ok for one in reached):
            raise typer.Exit(ExitCode.CREDENTIALS)


async def _check(settings: Settings, apis: tuple[str, ...]) -> list[Reached]:
    from mediapipe.jobs.check_login import check_login
    from mediapipe.services import open_platform

    async with open_platform(settings) as platform:
        return await check_login(platform, apis)


def _show(one: Reached) -> None:
    who = ", ".join(part for part in (one.email, one.role, one.org_unit) if part)
    typer.echo(f"{'ok    ' if one.ok else 'FAILED'} {one.api}  {one.url}" + (f"  as {who}" if who else ""))
    if one.message:
        typer.echo(f"          {one.message}")
