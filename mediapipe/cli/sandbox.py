"""``mediapipe sandbox``: the embedded Convirza-compatible server, alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import options, output
from mediapipe.cli.guard import guarded
from mediapipe.errors import UsageError

if TYPE_CHECKING:
    from mediapipe.sandbox.scenario import FaultRule
    from mediapipe.sandbox.server import RunningSandbox

app = typer.Typer(
    help="The embedded Convirza-compatible server.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _sandbox() -> None:
    """Keep ``serve`` a subcommand although it is the only one."""


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8765,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder of its state; else in memory.")
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
        from mediapipe.sandbox.server import serve as serve_sandbox

        if data is not None:
            options.usable_folder(data, flag="--data")
        faults = _faults(scenario) if scenario else ()
        sizes = options.given(count=calls, seed=seed)
        try:
            config = SandboxConfig(data=data, faults=faults, **sizes)  # type: ignore[arg-type]
            serve_sandbox(config, host, port, ready=_ready)
        except ValueError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None


def _faults(scenario: Path) -> tuple[FaultRule, ...]:
    """Return a scenario's faults; whatever is wrong with it is one line that names the file."""
    from mediapipe.sandbox.faults import FaultBoard
    from mediapipe.sandbox.scenario import load_scenario

    try:
        faults = load_scenario(scenario)
        FaultBoard(faults)  # knows which faults there are
    except OSError as error:
        raise UsageError(f"scenario {scenario}: cannot be read: {error.strerror or error}") from None
    except (TypeError, AttributeError):
        raise UsageError(f"scenario {scenario}: must hold [[fault]] tables, and perhaps a seed") from None
    except ValueError as error:
        raise UsageError(f"scenario {scenario}: {str(error).removeprefix(f'{scenario}: ')}") from None
    return faults


def _ready(sandbox: RunningSandbox) -> None:
    output.data(f"# sandbox at {sandbox.url}; in another shell:")
    for name, value in sandbox.environment().items():
        output.data(f"export {name}={shlex.quote(value)}")
    output.data("# mediapipe archive run --from -4w --dest ./archive")
