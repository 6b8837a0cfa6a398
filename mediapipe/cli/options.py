"""The flags that commands share, each said once.

A flag that was not given is None and changes nothing: settings come from the profile and the environment
then. So every flag here has None for its default, and its help names the setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.errors import UsageError

if TYPE_CHECKING:
    from mediapipe.manifest.options import ManifestOptions
    from mediapipe.manifest.reader import CallManifest
    from mediapipe.manifest.roots import Root as AudioRoot
    from mediapipe.settings import Settings


def switch(flag: str, variable: str, text: str) -> object:
    """Return the option of a switch that is no setting; its variable is ``MEDIAPIPE_<variable>``."""
    return typer.Option(flag, envvar=f"MEDIAPIPE_{variable}", show_envvar=False, help=text)


Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME|FILE", help="Settings: a shipped or own name, or a TOML file."),
]
LedgerDsn = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="DSN",
        help="Ledger: a SQLite path, or postgresql://… when machines share it. "
        "Others see a command line: a DSN with a password belongs in MEDIAPIPE_LEDGER.",
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Items in hand at a time, at most.")
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        envvar="MEDIAPIPE_JSON",
        show_envvar=False,
        help="One JSON object on stdout instead of a table.",
    ),
]
Quiet = Annotated[bool | None, typer.Option("--quiet", help="No progress bars; warnings and errors only.")]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="text|json", help="Form of the log on stderr.")
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        envvar="MEDIAPIPE_DRY_RUN",
        show_envvar=False,
        help="Say what would be done; change nothing.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        envvar="MEDIAPIPE_ENGINE",
        show_envvar=False,
        metavar="local|ray",
        help="Where the work runs: in this process, or on a Ray cluster (extra [ray]; RAY_ADDRESS, or this "
        "machine alone). Workers take secrets from their own environment only.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard",
        envvar="MEDIAPIPE_SHARD",
        show_envvar=False,
        metavar="K/N",
        help="Work as the K-th of N that share the calls and a ledger, which must be PostgreSQL on several "
        "machines; auto/N takes K from JOB_COMPLETION_INDEX or AWS_BATCH_JOB_ARRAY_INDEX. "
        "The N share pace.requests_per_second.",
    ),
]
RawFormat = Annotated[
    str | None,
    typer.Option(
        "--raw-format",
        metavar="NAME",
        help="What headerless files are: ulaw, alaw, gsm, g722, g726, sln, sln16 …. Default: by suffix.",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        envvar="MEDIAPIPE_ROOT",
        show_envvar=False,
        metavar="DIR",
        help="Where audio paths start, and what they may not leave. Default: the manifest's folder.",
    ),
]
Dest = Annotated[
    str | None,
    typer.Option("--dest", metavar="URL", help="Destination: s3://bucket/prefix, file:///folder or a path."),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        envvar="MEDIAPIPE_FROM",
        show_envvar=False,
        metavar="WHEN",
        help="Start of the span: 2026-02-01, an ISO 8601 instant, -1d.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        envvar="MEDIAPIPE_TO",
        show_envvar=False,
        metavar="WHEN",
        help="Its end, exclusive; as --from. Default: now.",
    ),
]
Manifest = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="A row for each call: .csv, .csv.gz, .jsonl, or - for stdin.",
        show_default=False,
    ),
]
Dst = Annotated[
    str | None,
    typer.Option(
        "--dst", metavar="error|earlier|later", help="What a local time means that is twice or never."
    ),
]
Strict = Annotated[
    bool | None, typer.Option("--strict", help="A column that is not known is an error, not a warning.")
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Encoding of the manifest. Default: found out."),
]
Delimiter = Annotated[
    str | None,
    typer.Option("--delimiter", metavar="CHAR", help="What separates columns, or tab. Default: found out."),
]
Tz = Annotated[str | None, typer.Option("--tz", metavar="ZONE", help="Zone of dates without an offset.")]

Prune = Annotated[
    bool, switch("--prune", "PRUNE", "Delete what is ours and not wanted any more: replaced or removed.")
]
PruneForeign = Annotated[
    bool, switch("--prune-foreign", "PRUNE_FOREIGN", "Delete also what nobody here put into the account.")
]
Force = Annotated[bool, switch("--force", "FORCE", "Delete also what a route mentions.")]
MaxDelete = Annotated[
    int | None, typer.Option("--max-delete", metavar="N", help="Delete N prompts at the most, or nothing.")
]
Api = Annotated[
    str | None,
    typer.Option("--api", metavar="v3|v2", help="API generation; v2 takes prompts and whispers only."),
]
LockFile = Annotated[
    Path | None,
    typer.Option("--lock", metavar="FILE", help="The lock file. Default: prompts.lock.json."),
]


def given(**flags: object) -> dict[str, object]:
    """Return the flags the user gave, by dotted setting: ``given(archive__dest=dest)``."""
    return {name.replace("__", "."): value for name, value in flags.items() if value is not None}


def open_manifest(path: Path, root: Path | None, how: ManifestOptions) -> tuple[CallManifest, AudioRoot]:
    """Open a manifest and the folder its audio stands in: ``--root``, else where it says, else its own."""
    from mediapipe.manifest.origin import default_root
    from mediapipe.manifest.reader import CallManifest
    from mediapipe.manifest.roots import Root

    return CallManifest.open(path, how), Root(root if root is not None else default_root(path))


def told_zone(settings: Settings) -> str | None:
    """Return the zone that somebody chose; the default is nobody's word for what a local time means."""
    return settings.tz if "tz" in settings.model_fields_set else None


def usable_folder(folder: Path, *, flag: str) -> None:
    """Make the folder that a flag names where it is missing; raises ``UsageError`` when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{flag}: {folder} cannot be used as a folder: {error.strerror or error}") from None
