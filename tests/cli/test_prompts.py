"""``mediapipe prompts …`` as people and scripts use it: what is printed, exit codes, what is left behind."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from mediapipe.sandbox import Endpoint, FaultRule
from tests.cli.command import Command
from tests.prompt_runs import spoken

QUICK = {"MEDIAPIPE_PROMPTS_LAG": "0.3s"}


@pytest.fixture
def library(cli: Command) -> Path:
    """A folder with six prompts and a drafted manifest."""
    folder = cli.folder / "library"
    for number, source in enumerate(spoken(6)):
        place = folder / ("whispers" if number == 5 else "es-MX" if number == 4 else "") / f"p{number}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read_bytes())
    cli.extra |= QUICK
    drafted = cli.inside("prompts", "init", folder, "--output", folder / "prompts.csv")
    assert (drafted.code, drafted.out) == (0, "")
    assert "6 rows, 0 files left out" in drafted.err
    return folder / "prompts.csv"


def test_a_draft_takes_types_and_languages_from_folders(cli: Command, library: Path) -> None:
    lines = library.read_text("utf-8").splitlines()
    assert lines[0] == "file,type,name,language,profile"
    assert "es-MX/p4.wav,prompt,p4,es-MX," in lines
    assert "whispers/p5.wav,whisper,p5,," in lines
    again = cli.inside("prompts", "init", library.parent, "--output", library)
    again.refused("is there already")


def test_plan_apply_and_plan_again(cli: Command, library: Path) -> None:
    planned = cli.run("prompts", "plan", library, "--exit-code")
    assert planned.code == 10
    assert "+ create    prompt/p4-es-MX" in planned.out
    assert "Plan: 6 to create, 0 unchanged." in planned.out
    assert cli.sandbox is not None
    assert not cli.sandbox.state.prompts
    told = cli.inside("prompts", "plan", library, "--exit-code", "--json")
    assert (told.code, told.report["exit_code"]) == (10, 10)
    assert cli.inside("prompts", "plan", library, "--json").report["exit_code"] == 0
    applied = cli.run("prompts", "apply", library, "--json")
    assert (applied.code, applied.counts) == (0, {"done": 6})
    assert applied.report["job"] == "prompts.apply"
    assert applied.report["release"] == 1
    assert applied.report["summary"]["create"] == 6
    keys = [json.loads(line) for line in Path(applied.report["outcomes"]).read_text().splitlines()]
    assert {one["key"] for one in keys} >= {"prompt/p0", "whisper/p5"}
    assert all(len(one["sha256"]) == len(one["sent_sha256"]) == 64 for one in keys)
    again = cli.inside("prompts", "plan", library, "--exit-code")
    assert again.code == 0
    assert "Nothing to do. Plan: 6 unchanged." in again.out


def test_list_releases_diff_and_rollback(cli: Command, library: Path) -> None:
    lock = library.parent / "prompts.lock.json"
    assert cli.run("prompts", "apply", library).code == 0
    other = spoken(9)[8]
    (library.parent / "p0.wav").write_bytes(other.read_bytes())
    assert cli.run("prompts", "apply", library).code == 0
    told = cli.inside("prompts", "list", "--lock", lock)
    assert told.code == 0
    assert [line.split()[2] for line in told.out.splitlines()[1:]].count("ours") == 6
    assert "superseded" in told.out
    listed = cli.inside("prompts", "list", "--lock", lock, "--json").report
    assert {one["standing"] for one in listed["prompts"]} == {"ours", "superseded"}
    assert cli.inside("prompts", "diff", 1, 2).out == "~ prompt/p0  (other audio)\n"
    assert cli.inside("prompts", "diff", 1, 2, "--json").report["changed"] == {"prompt/p0": "other audio"}
    dry = cli.inside("prompts", "rollback", 1, "--lock", lock, "--dry-run", "--json")
    assert (dry.code, dry.counts) == (0, {"pending": 1, "skipped": 5})
    back = cli.inside("prompts", "rollback", 1, "--lock", lock, "--json")
    assert (back.code, back.counts, back.report["release"]) == (0, {"done": 1, "skipped": 5}, 3)
    releases = cli.inside("prompts", "releases", "--json").report["releases"]
    assert [one["number"] for one in releases] == [1, 2, 3]
    assert releases[2]["note"] == "release 1 again"
    cli.inside("prompts", "rollback", 9, "--lock", lock).refused("there is no release 9", "there are 1 to 3")
    gone = json.loads(lock.read_text())["libraries"]
    number = next(iter(gone.values()))["prompts"]["whisper/p5"]["id"]
    assert cli.sandbox is not None
    cli.sandbox.state.library.delete(int(number), cli.sandbox.state.now_ms)
    drifted = cli.inside("prompts", "list", "--lock", lock, "--exit-code")
    assert (drifted.code, "gone" in drifted.out) == (10, True)


def test_a_plan_is_saved_and_applied_exactly(cli: Command, library: Path) -> None:
    saved = cli.folder / "plan.json"
    assert cli.inside("prompts", "plan", library, "--out", saved).code == 0
    (library.parent / "p1.wav").write_bytes(spoken(9)[8].read_bytes())
    stale = cli.inside("prompts", "apply", library, "--plan", saved)
    assert stale.code == 2
    assert "the plan's ground has moved" in stale.err
    flags = cli.inside("prompts", "apply", library, "--plan", saved, "--prune")
    flags.refused("a saved plan says itself")
    saved.unlink()
    assert cli.inside("prompts", "plan", library, "--out", saved).code == 0
    applied = cli.run("prompts", "apply", library, "--plan", saved, "--json")
    assert (applied.code, applied.counts) == (0, {"done": 6})


def test_blocked_prompts_and_bad_rows_are_all_named_and_nothing_is_sent(cli: Command, library: Path) -> None:
    silent = library.parent / "p2.wav"
    silent.write_bytes(silent.read_bytes()[:44] + bytes(16_000))
    library.write_text(library.read_text().replace("p3.wav,prompt", "p3.wav,promt"))
    ended = cli.run("prompts", "apply", library)
    assert ended.code == 3
    assert "silent: nothing is to be heard" in ended.out
    assert "did you mean prompt?" in ended.out
    assert "held_back" not in ended.err
    assert cli.sandbox is not None
    assert cli.sandbox.state.stats.total(Endpoint.PROMPT_UPLOAD) == 0


def test_the_missing_languages_are_a_table(cli: Command, library: Path) -> None:
    ended = cli.inside("prompts", "plan", library, "--require-languages", "en,es-MX")
    assert ended.code == 3
    assert "missing languages" in ended.out
    assert "prompts are not there in every required language" in ended.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("plan", "nowhere.csv"), "no such file"),
        (("plan", "-"), "--lock FILE"),
        (("apply", "library/prompts.csv", "--rendering", "telefony"), "did you mean telephony?"),
        (("apply", "library/prompts.csv", "--on-conflict", "merge"), "on_conflict"),
        (("plan", "library/prompts.csv", "--api", "v4"), "api"),
        (("init", "nowhere"), "no such folder"),
        (("diff", "1", "2"), "there is no release 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cli: Command, library: Path, args: tuple[str, ...], words: str
) -> None:
    ended = cli.inside("prompts", *args)
    assert ended.code in (2, 3)
    assert words in ended.err + ended.out


def test_without_a_login_the_exit_code_says_so(cli: Command, library: Path) -> None:
    ended = cli.inside("prompts", "plan", library, env={"CONVIRZA_EMAIL": None})
    assert (ended.code, "CONVIRZA_EMAIL is not set" in ended.err) == (4, True)


def test_a_signal_drains_and_the_next_run_goes_on(cli: Command, library: Path) -> None:
    assert cli.sandbox is not None
    cli.sandbox.state.faults.set([FaultRule(name="prompt_listed_late", seconds=0.5)])
    stats = cli.sandbox.state.stats
    process = cli.start(
        "prompts", "apply", library, "--json",
        env={"MEDIAPIPE_PROMPTS_UPLOADS": "1", "MEDIAPIPE_PROMPTS_LAG": "5s"},
    )  # fmt: skip
    ended = cli.stop(process, signal.SIGTERM, lambda: stats.total(Endpoint.PROMPT_UPLOAD) >= 1)
    assert ended.code == 130
    time.sleep(0.6)
    cli.sandbox.state.faults.set(())
    again = cli.run("prompts", "apply", library, "--json")
    assert again.code == 0
    assert len(cli.sandbox.state.prompts) == 6
    assert {one.name for one in cli.sandbox.state.prompts} == {"p0", "p1", "p2", "p3", "p4-es-MX", "p5"}
