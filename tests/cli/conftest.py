"""A command with a small sandbox behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mediapipe.sandbox import running
from tests.archive_runs import sample, secrets_of
from tests.cli.command import Command


@pytest.fixture
def bare(tmp_path: Path) -> Command:
    """A command that knows no platform."""
    return Command(tmp_path)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Command]:
    """A command whose environment names a sandbox with 20 calls of ten days."""
    with running(sample(20, days=10)) as sandbox:
        yield Command(tmp_path, sandbox, secrets=secrets_of(sandbox))
