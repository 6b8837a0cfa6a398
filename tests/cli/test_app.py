"""The command tree: help, version, and what no flag may ask for."""

from __future__ import annotations

import pytest

from mediapipe import __version__
from mediapipe.errors import EXIT_CODE_MEANINGS
from tests.cli.command import Command
from tests.cli.tree import FLAGS

JOBS = [("archive", "run"), ("calls", "check")]
JOB_FLAGS = {"--profile", "--ledger", "--workers", "--json", "--quiet", "--log-format", "--dry-run"}


@pytest.mark.parametrize("path", FLAGS, ids=" ".join)
def test_every_command_explains_itself(bare: Command, path: tuple[str, ...]) -> None:
    ended = bare.inside(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage: " in ended.out
    for flag in FLAGS[path]:
        assert flag in ended.out
    assert bare.inside(*path, "-h").out == ended.out


def test_the_root_help_prints_the_exit_codes_one_a_line(bare: Command) -> None:
    lines = [line.split(maxsplit=1) for line in bare.run("--help").out.splitlines()]
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert [str(code.value), meaning] in lines


def test_the_version(bare: Command) -> None:
    ended = bare.run("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"mediapipe {__version__}\n", "")


@pytest.mark.parametrize(
    "path", [(), ("archive",), ("calls",), ("sandbox",), ("auth",), ("nope",), ("archive", "nope")]
)
def test_half_a_command_is_usage(bare: Command, path: tuple[str, ...]) -> None:
    ended = bare.inside(*path)
    assert ended.code == 2
    assert "Usage: " in ended.out + ended.err


@pytest.mark.parametrize("path", JOBS, ids=" ".join)
def test_every_job_command_has_the_flags_of_all(path: tuple[str, ...]) -> None:
    assert FLAGS[path] >= JOB_FLAGS
    assert "--engine" in FLAGS[("archive", "run")]


def test_no_flag_takes_a_secret_for_others_see_a_command_line() -> None:
    flags = set().union(*FLAGS.values())
    assert not [
        flag for flag in flags if any(word in flag for word in ("password", "secret", "token", "email"))
    ]
