"""Stopping a run from outside: exit code 130, counts that hold, and a next run that completes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from mediapipe.report.outcomes import read_outcomes
from mediapipe.sandbox import FaultRule
from mediapipe.sandbox.stats import Endpoint
from tests.archive_runs import check_folder
from tests.cli.command import ALL, Command, wait_until

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@BOTH
def test_a_signal_drains_and_the_next_run_completes(cli: Command, number: signal.Signals) -> None:
    assert cli.sandbox
    state = cli.sandbox.state
    state.faults.set([FaultRule(name="recording_slow", seconds=0.5)])
    process = cli.start("archive", "run", "--dest", cli.archive, *ALL, "--json", "--workers", "2")
    ended = cli.stop(process, number, lambda: state.stats.total(Endpoint.RECORDING) >= 1)
    assert ended.code == 130
    assert number.name in ended.err
    assert "Traceback" not in ended.err
    outcomes = list(read_outcomes(Path(ended.report["outcomes"])))
    assert 0 < ended.counts["done"] < 18
    assert len(outcomes) == sum(ended.counts.values())

    state.faults.set([])
    again = cli.inside_archive_run(*ALL)
    assert again.code == 0
    assert again.counts["done"] + ended.counts["done"] == len(list(cli.archive.rglob("*.json")))
    check_folder(cli.sandbox, cli.archive)


def test_a_second_signal_stops_at_once(cli: Command) -> None:
    assert cli.sandbox
    state = cli.sandbox.state
    state.faults.set([FaultRule(name="recording_slow", seconds=30)])
    process = cli.start("archive", "run", "--dest", cli.archive, *ALL, "--json")
    wait_until(lambda: state.stats.in_flight >= 2, process)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    ended = cli.end(process)
    assert time.monotonic() - began < 15
    assert ended.code == 130
    assert "stopping at once" in ended.err
    assert ended.counts == {}

    state.faults.set([])
    assert cli.inside_archive_run(*ALL).code == 0
    check_folder(cli.sandbox, cli.archive)


@BOTH
def test_a_signal_before_the_work_begins_is_an_interrupt_too(bare: Command, number: signal.Signals) -> None:
    """A password command that takes its time holds the command where no job listens for signals."""
    mark = bare.folder / "asked"
    command = bare.folder / "slow.sh"
    command.write_text(f"#!/bin/sh\ntouch '{mark}'\nexec sleep 3\n")
    command.chmod(0o700)
    env = {"CONVIRZA_EMAIL": "a@b.example", "CONVIRZA_PASSWORD_COMMAND": str(command)}
    ended = bare.stop(bare.start("auth", "check", env=env), number, mark.exists)
    assert ended.code == 130
    assert "interrupted; state is safe, run again to resume" in ended.err
    assert "Traceback" not in ended.err
