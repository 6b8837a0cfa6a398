"""``calls template``: what it prints is a manifest, on stdout or in a new file."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mediapipe.cli.template import template
from mediapipe.manifest.reader import CallManifest
from mediapipe.manifest.template import template as example
from tests.cli.command import Ended

PATTERN = "{call_date:%Y%m%d-%H%M%S}_{caller_id}_{external_id}"
GOOD = "20260203-040506_18015550123_a1"


def run(*args: object) -> Ended:
    app = typer.Typer()
    app.command()(template)
    result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
    return Ended(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    (folder / f"{GOOD}.wav").touch()
    return folder


def test_the_example_is_printed_whole() -> None:
    ended = run()
    assert (ended.code, ended.out, ended.err) == (0, example() + "\n", "")


def test_a_draft_is_a_manifest_with_a_row_for_each_file(calls: Path, tmp_path: Path) -> None:
    ended = run("--from-dir", calls, "--pattern", PATTERN, "--set", "group_id=12", "--set", "city=Orem")
    assert ended.code == 0
    assert ended.err == f"1 rows, 0 files left out; their paths start from --root {calls}\n"
    (tmp_path / "m.csv").write_text(ended.out)
    manifest = CallManifest.open(tmp_path / "m.csv")
    (record,) = manifest.records()
    assert dict(zip(manifest.header.names, record.cells, strict=True)) == {
        "recording_file": f"{GOOD}.wav",
        "external_id": "a1",
        "call_date": "2026-02-03T04:05:06",
        "caller_id": "18015550123",
        "group_id": "12",
        "city": "Orem",
    }


def test_a_file_that_does_not_fit_is_left_out_named_and_counted(calls: Path) -> None:
    (calls / "20261303-040506_18015550123_a2.wav").touch()
    (calls / "hold-music.wav").touch()
    ended = run("--from-dir", calls, "--pattern", PATTERN, "--set", "group_id=12")
    assert ended.code == 3
    assert ended.out.count("\n") == 2
    assert "'20261303-040506_18015550123_a2.wav': '20261303-040506' is no %Y%m%d-%H%M%S date" in ended.err
    assert "'hold-music.wav': does not fit the pattern" in ended.err
    assert "1 rows, 2 files left out" in ended.err


def test_a_regex_does_what_a_pattern_cannot(calls: Path) -> None:
    regex = r"(?P<call_date>\d{8}-\d{6})_(?P<caller_id>\d+)_.*"
    ended = run(
        "--from-dir", calls, "--regex", regex, "--date-format", "%Y%m%d-%H%M%S", "--set", "group_id=1"
    )
    assert (ended.code, ended.out.splitlines()[1]) == (
        0,
        f"{GOOD}.wav,2026-02-03T04:05:06,1,{GOOD}.wav,18015550123",
    )


def test_a_file_that_is_there_is_never_overwritten(calls: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    for flags in ((), ("--from-dir", calls, "--pattern", PATTERN)):
        assert run(*flags, "--output", path).code == 0
        before = path.read_text()
        assert before == run(*flags).out
        run(*flags, "--output", path).refused("is there already, and nothing is overwritten")
        assert path.read_text() == before
        path.unlink()


def test_a_draft_that_cannot_be_made_leaves_no_file(calls: Path, tmp_path: Path) -> None:
    (calls / f"{GOOD}.wav").rename(calls / "a.txt")
    run("--from-dir", calls, "--pattern", PATTERN, "--output", tmp_path / "m.csv").refused(
        "no audio file below"
    )
    assert not (tmp_path / "m.csv").exists()
    ended = run("--from-dir", calls, "--pattern", PATTERN, "--all", "--output", tmp_path / "m.csv")
    assert (ended.code, (tmp_path / "m.csv").exists()) == (3, True)
    run("--output", tmp_path / "none" / "m.csv").refused("cannot be written: No such file")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--pattern", PATTERN], "only a draft takes these flags"),
        (["--set", "group_id=1"], "only a draft"),
        (["--all"], "only a draft"),
        (["--from-dir", "DIR"], "takes one of --pattern and --regex"),
        (["--from-dir", "DIR", "--pattern", PATTERN, "--regex", "(?P<city>.*)"], "takes one of"),
        (["--from-dir", "DIR", "--pattern", PATTERN, "--date-format", "%Y%m%d"], "goes with --regex"),
        (["--from-dir", "DIR", "--pattern", "{x}"], "'x' is no column"),
        (["--from-dir", "DIR", "--pattern", PATTERN, "--set", "x"], "not a column"),
        (["--from-dir", "none", "--pattern", PATTERN], "no such folder"),
    ],
)
def test_flags_that_make_no_sense_are_refused(calls: Path, flags: list[str], words: str) -> None:
    run(*(calls if flag == "DIR" else flag for flag in flags)).refused(words)
