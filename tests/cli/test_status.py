"""``mediapipe status``."""

from __future__ import annotations

from mediapipe.sandbox import FaultRule
from tests.archive_runs import expected
from tests.cli.command import ALL, Command


def test_an_empty_ledger_says_so_and_which_one_it_is(bare: Command) -> None:
    ended = bare.run("status")
    assert (ended.code, ended.err) == (0, "")
    assert (
        ended.out
        == f"The ledger sqlite:///{bare.state / 'ledger.db'} is empty: no run has been made with it.\n"
    )
    report = bare.inside("status", "--json", "--quiet").report
    assert report == {
        "job": "status",
        "ledger": f"sqlite:///{bare.state / 'ledger.db'}",
        "scopes": [],
        "runs": [],
    }


def test_it_shows_what_runs_have_done_and_left_open(cli: Command) -> None:
    assert cli.sandbox
    bad = min(int(key.split("-")[0]) for key in expected(cli.sandbox))
    cli.sandbox.state.faults.set([FaultRule(name="recording_poison", calls=frozenset({bad}))])
    run = cli.inside_archive_run(*ALL)
    assert run.code == 3

    report = cli.inside("status", "--json").report
    (scope,) = report["scopes"]
    assert scope["job"] == "archive.run"
    assert scope["account"] == f"{cli.sandbox.url.removeprefix('http://')}/default"
    assert scope["destination"] == cli.archive.as_uri()
    assert {name: number for name, number in scope["items"].items() if number} == run.counts
    assert scope["watermark"] == "2026-03-01T00:00:00+00:00"
    assert scope["at_work"] == []
    (only,) = report["runs"]
    assert (only["run_id"], only["exit_code"]) == (run.report["run_id"], 3)
    assert only["counts"] == run.report["counts"]

    text = cli.inside("status").out
    assert "1 failed" in text
    assert "watermark  2026-03-01" in text
    assert run.report["run_id"] in text
    assert "exit 3" in text


def test_a_ledger_may_be_named(bare: Command) -> None:
    elsewhere = bare.folder / "elsewhere.db"
    assert str(elsewhere) in bare.inside("status", "--ledger", elsewhere).out
    assert str(elsewhere) in bare.inside("status", env={"MEDIAPIPE_LEDGER": str(elsewhere)}).out


def test_to_look_at_a_ledger_is_not_to_make_one(bare: Command) -> None:
    typo = bare.folder / "typo.db"
    ended = bare.inside("status", "--ledger", typo)
    assert ended.code == 0
    assert "typo.db" in ended.out
    assert not typo.exists()


def test_a_ledger_that_cannot_be_opened_is_one_line(bare: Command) -> None:
    bare.inside("status", "--ledger", bare.folder).refused(str(bare.folder), "is a folder")
    ended = bare.inside("status", "--ledger", "postgresql://me:hunter2@127.0.0.1:9/none")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err.count("\n") == 1
    assert "hunter2" not in ended.err
