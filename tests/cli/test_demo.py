"""``mediapipe demo``: what a newcomer sees first, and a smoke test."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from mediapipe.sandbox import SandboxConfig, SandboxState
from tests.archive_runs import check_folder, expected
from tests.cli.command import Command


def test_the_demo_archives_its_sandbox_and_may_be_run_again(bare: Command) -> None:
    folder = bare.folder / "a demo"
    began = time.monotonic()
    first = bare.run("demo", "--dir", folder)
    assert (first.code, first.err) == (0, "")
    assert time.monotonic() - began < 60
    told = ("runs at http://127.0.0.1:", "done", "skipped", "likely", "Look around", "report.html")
    for words in (*told, "6 to create", "1 to replace"):
        assert words in first.out
    prompts = [
        (one.type, one.name) for one in SandboxState(SandboxConfig(data=folder / "sandbox")).library.prompts
    ]
    assert len(prompts) == 7, "six prompts, and what one of them replaced"
    assert len(set(prompts)) == 6
    before = datetime.now(UTC)
    second = bare.run("demo", "--dir", folder)
    assert (second.code, second.err) == (0, "")

    # A recording may appear while the demo runs; the archive is then that of one moment or the other.
    archived = {path.stem for path in (folder / "archive").rglob("*.json")}
    moments: list[Any] = [
        SimpleNamespace(state=SandboxState(SandboxConfig(data=folder / "sandbox", now=moment)))
        for moment in (before, datetime.now(UTC))
    ]
    sandbox = next(one for one in moments if expected(one).keys() == archived)
    assert len(archived) > 250
    check_folder(sandbox, folder / "archive")


def test_a_folder_that_cannot_be_made_is_said(bare: Command) -> None:
    (bare.folder / "file").write_text("")
    bare.inside("demo", "--dir", "file").refused("--dir: ", "cannot be used as a folder")
