"""The command tree as data, for tests that compare it with what is written elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from mediapipe.cli.app import app

Path = tuple[str, ...]


def _walk(path: Path, command: Any) -> Iterator[tuple[Path, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk((*path, name), inner)


_TREE: dict[Path, Any] = dict(_walk((), typer.main.get_command(app)))

FLAGS: dict[Path, set[str]] = {
    path: {flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")}
    for path, command in _TREE.items()
}
"""Every command and group by its words, with the flags it takes besides ``--help``."""

COMMANDS: frozenset[Path] = frozenset(p for p, command in _TREE.items() if not hasattr(command, "commands"))
"""The commands that do something: no groups."""
