"""What is printed, where, and what happens to a reader who is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.cli.output import data, one_line, problem, rows
from tests.lacking import lacking

PRINT = "import sys; from mediapipe.cli.output import data; data('x' * 100_000, kept='/runs/1')"


@pytest.mark.parametrize("show", [data, rows])
def test_a_result_is_on_stdout_and_a_problem_on_stderr(show, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    show("a,b")
    problem("it broke\nand more: Bearer abcdef0123456789abcdef")
    printed = capsys.readouterr()
    assert printed.out == "a,b\n"
    assert printed.err.startswith("error: it broke and more")
    assert printed.err.count("\n") == 1
    assert "abcdef0123456789" not in printed.err


def test_a_reader_who_has_left_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, "")


def test_a_full_disk_is_said_once_with_where_the_result_also_is() -> None:
    full = Path("/dev/full")
    if not full.exists():
        lacking("/dev/full")
    with full.open("w") as stdout:
        ended = subprocess.run(
            [sys.executable, "-c", PRINT], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode != 0
    assert "stdout cannot be written: No space left on device" in ended.stderr
    assert "/runs/1" in ended.stderr
    assert "Exception ignored" not in ended.stderr


@given(st.text(max_size=200))
def test_one_line_is_one_line_for_every_reader(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable()
    assert len(line) == len(text)
