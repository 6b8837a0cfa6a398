"""``mediapipe calls template``: an example of a manifest, or one drafted from the names of audio files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mediapipe.cli import output
from mediapipe.cli.guard import guarded
from mediapipe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mediapipe.manifest.pattern import NamePattern

FromDir = Annotated[
    Path | None,
    typer.Option(
        "--from-dir", metavar="DIR", help="Draft a manifest from the audio files below this folder."
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--pattern",
        metavar="PATTERN",
        help="How paths below DIR are made, without their suffix: "
        "{call_date:%Y%m%d-%H%M%S}_{caller_id}_{external_id}; {_} is passed over, / may be in it.",
    ),
]
Regex = Annotated[
    str | None,
    typer.Option("--regex", metavar="REGEX", help="The same as a regular expression with named groups."),
]
DateFormat = Annotated[
    str | None,
    typer.Option(
        "--date-format", metavar="FORMAT", help="How call_date is written in --regex; else ISO 8601."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="COLUMN=VALUE", help="A cell that every row gets. May be repeated."),
]
All = Annotated[bool, typer.Option("--all", help="Take every file, whatever its suffix.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="A new file to write to, instead of stdout.")
]


def template(
    from_dir: FromDir = None,
    pattern: Pattern = None,
    regex: Regex = None,
    date_format: DateFormat = None,
    constants: Set = None,
    every: All = False,
    output_file: Output = None,
) -> None:
    """Print an example manifest that explains every column.

    With --from-dir it is drafted from the names of the audio files there. A file whose name does not fit,
    or whose date is none, is named on stderr and left out (exit code 3). Rows are sorted by path.
    """
    with guarded():
        from mediapipe.manifest.template import template as example

        if from_dir is None:
            if pattern or regex or date_format or constants or every:
                raise UsageError("only a draft takes these flags", hint="say --from-dir too")
            with emitting(output_file) as emit:
                emit(example())
            return
        fitting = _pattern(pattern, regex, date_format)
        with emitting(output_file) as emit:
            code = _draft(from_dir, fitting, constants or [], every, emit)
        raise typer.Exit(code)


def _pattern(pattern: str | None, regex: str | None, date_format: str | None) -> NamePattern:
    from mediapipe.manifest.pattern import read_pattern, read_regex

    if (pattern is None) == (regex is None):
        raise UsageError("--from-dir takes one of --pattern and --regex")
    if regex is not None:
        return read_regex(regex, date_format or "")
    if date_format is not None:
        raise UsageError("--date-format goes with --regex", hint="in --pattern write {call_date:%Y%m%d}")
    return read_pattern(pattern or "")


def _draft(
    folder: Path, pattern: NamePattern, constants: list[str], every: bool, emit: Callable[[str], object]
) -> ExitCode:
    from mediapipe.jobs.draft_manifest import Ask, draft, read_constants

    ask = Ask(folder, pattern, read_constants(constants, pattern), every)
    drafted = draft(ask, emit, lambda line: output.problem(line, word=""))
    said = (
        f"{drafted.rows:,} rows, {drafted.left_out:,} files left out; their paths start from --root {folder}"
    )
    output.problem(said, word="")
    return ExitCode.ITEMS if drafted.left_out else ExitCode.OK


@contextmanager
def emitting(path: Path | None) -> Iterator[Callable[[str], object]]:
    """Yield what takes lines without their last end: for stdout, or for a file that must be new."""
    if path is None:
        yield output.data
        return
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            try:
                yield lambda text: file.write(f"{text}\n")
            except BaseException:
                path.unlink()  # half a draft would only be in the way of the next
                raise
    except FileExistsError:
        raise UsageError(f"--output {path}: is there already, and nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"--output {path}: cannot be written: {error.strerror or error}") from None
