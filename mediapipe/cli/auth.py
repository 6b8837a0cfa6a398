"""``mediapipe auth``: can both API generations be reached, and as whom."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mediapipe.cli import options, output
from mediapipe.cli.guard import guarded
from mediapipe.errors import ExitCode
from mediapipe.redact import redact

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
    quiet: options.Quiet = None,
    log_format: options.LogFormat = None,
) -> None:
    """Log in to v3 and v2, ask each for one small thing, and show who one is; secrets masked.

    Archiving needs only v3: --api v3 leaves v2 and its client id out.
    """
    with guarded():
        import anyio

        from mediapipe.cli.setup import load

        settings = load(profile, options.given(quiet=quiet, log_format=log_format))
        reached = anyio.run(_check, settings, ("v3", "v2") if api == "both" else (api,))
        if as_json:
            output.data(json.dumps({"job": "auth.check", "apis": [_as_object(one) for one in reached]}))
        else:
            output.data("\n".join(_as_text(one) for one in reached))
        codes = {one.exit_code for one in reached}
        if codes != {ExitCode.OK}:
            raise typer.Exit(ExitCode.CREDENTIALS if ExitCode.CREDENTIALS in codes else max(codes))


async def _check(settings: Settings, apis: tuple[str, ...]) -> list[Reached]:
    from mediapipe.jobs.check_login import check_login
    from mediapipe.services import open_platform

    async with open_platform(settings) as platform:
        return await check_login(platform, apis)


def _as_object(one: Reached) -> dict[str, object]:
    return {**asdict(one), "message": redact(one.message), "exit_code": int(one.exit_code)}


def _as_text(one: Reached) -> str:
    who = ", ".join(part for part in (one.email, one.role, one.org_unit) if part)
    lines = [f"{'ok    ' if one.ok else 'FAILED'} {one.api}  {one.url}" + (f"  as {who}" if who else "")]
    if one.message:
        lines.append(f"          {redact(one.message)}")
    return "\n".join(map(output.one_line, lines))
