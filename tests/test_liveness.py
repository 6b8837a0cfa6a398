"""Run ids, owners, and the lock that tells a dead run from a living one."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import Timeout

from mediapipe.liveness import LOCK_NAME, alive, is_dead, new_run_id, owner_of

RUN = "20260214T031500Z-1a2b3c4d"
HOLD = """
import sys
from pathlib import Path
from mediapipe.liveness import alive
with alive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / RUN).mkdir()
    return tmp_path


@contextmanager
def another_process(runs: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run's lock until its stdin ends or it dies."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(runs / RUN)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def owner(host: str = "", run_id: str = RUN) -> str:
    return f"{host or socket.gethostname()}/4711/{run_id}"


def test_a_run_id_sorts_by_time_and_is_never_the_same() -> None:
    moment = datetime(2026, 2, 14, 3, 15, tzinfo=UTC)
    assert re.fullmatch(r"20260214T031500Z-[0-9a-f]{8}", new_run_id(moment))
    assert new_run_id(moment) < new_run_id(moment + timedelta(seconds=1))
    assert len({new_run_id(moment) for _ in range(100)}) == 100
    assert new_run_id()[:8] >= "20260101"


def test_an_owner_names_host_process_and_run() -> None:
    assert owner_of(RUN) == f"{socket.gethostname()}/{os.getpid()}/{RUN}"


def test_a_run_that_is_killed_is_dead_at_once(runs: Path) -> None:
    with another_process(runs) as process:
        assert not is_dead(owner(), runs)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert is_dead(owner(), runs)
        assert is_dead(owner(), runs), "asking must not change the answer"


def test_a_run_of_this_process_is_alive_while_its_block_lasts(runs: Path) -> None:
    with alive(runs / RUN):
        assert not is_dead(owner(), runs)
        with pytest.raises(Timeout), alive(runs / RUN):
            pytest.fail("two runs held one lock")
        assert not is_dead(owner(), runs)
    # Whether the file is left behind or not: a run that ended by itself holds no claims.
    assert is_dead(owner(), runs) == (runs / RUN / LOCK_NAME).exists()


def test_the_lock_is_let_go_of_when_the_run_fails(runs: Path) -> None:
    with pytest.raises(ZeroDivisionError), alive(runs / RUN):
        raise ZeroDivisionError
    with alive(runs / RUN):
        assert not is_dead(owner(), runs)


def test_asking_after_a_run_leaves_it_alive(runs: Path) -> None:
    with another_process(runs) as process:
        for _ in range(3):
            assert not is_dead(owner(), runs)
        assert process.poll() is None
        assert process.stdin
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    "stranger",
    [
        owner("another-host"),
        owner(run_id="20260214T031500Z-ffffffff"),
        owner(run_id=""),
        owner(run_id="../" + RUN),
        owner(run_id=f"{RUN}/.."),
        socket.gethostname(),
        "",
    ],
)
def test_in_doubt_a_run_is_not_dead(runs: Path, stranger: str) -> None:
    (runs / RUN / LOCK_NAME).touch()
    assert is_dead(owner(), runs)
    assert not is_dead(stranger, runs)


def test_a_lock_that_cannot_be_tried_is_not_taken_for_dead(runs: Path) -> None:
    (runs / RUN / LOCK_NAME).mkdir()
    assert not is_dead(owner(), runs)
