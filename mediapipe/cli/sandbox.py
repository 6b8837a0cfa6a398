"""``mediapipe sandbox``: the embedded Convirza-compatible server, alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli.guard import guarded
from mediapipe.errors import UsageError

if TYPE_CHECKING:
    from mediapipe.sandbox.server import RunningSandbox

app = typer.Typer(help="The embedded Convirza-compatible server.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _sandbox() -> None:
    """Keep ``serve`` a subcommand although it is the only one."""


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = 8765,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder that keeps its state; else in memory.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", metavar="FILE", help="TOML file that switches faults on.")
    ] = None,
    calls: Annotated[int | None, typer.Option("--calls", metavar="N", help="How many sample calls.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of the sample calls.")] = None,
) -> None:
    """Serve the sandbox until interrupted, and print the environment a client needs."""
    with guarded():
        from mediapipe.sandbox.config import SandboxConfig
        from mediapipe.sandbox.scenario import load_scenario
        from mediapipe.sandbox.server import serve as serve_sandbox

        sizes = {name: value for name, value in (("count", calls), ("seed", seed)) if value is not None}
        try:
            faults = load_scenario(scenario) if scenario else ()
            config = SandboxConfig(data=data, faults=faults, **sizes)  # type: ignore[arg-type]
            serve_sandbox(config, host, port, ready=_ready)
        except ValueError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _ready(sandbox: RunningSandbox) -> None:
    typer.echo(f"# sandbox at {sandbox.url}; in another shell:")
    for name, value in sandbox.environment().items():
        typer.echo(f"export {name}={value}")
    typer.echo("# mediapipe archive run --from -4w --dest ./archive")
