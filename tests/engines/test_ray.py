"""``archive run --engine ray`` on a local cluster and a real PostgreSQL, with a worker that is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.errors import ExitCode
from mediapipe.items import Outcome, Verdict
from mediapipe.jobs.archive_recordings import Ask
from mediapipe.liveness import alive, new_run_id, owner_of
from mediapipe.sandbox import FaultRule, RunningSandbox, running
from mediapipe.settings import load_settings
from tests.archive_runs import END, START, check_folder, expected, sample
from tests.cli.command import ALL, Command
from tests.crash.test_archive_kill import environment
from tests.crash.test_shard_kill import Pods
from tests.lacking import lacking
from tests.postgres.server import PASSWORD, Postgres

pytest_plugins = ["tests.postgres.fixtures"]

NAME = b"ray::archive_share"
WORKERS = 3
"""Recordings that a worker has in hand."""


@pytest.fixture(autouse=True)
def _ray_is_there() -> None:
    if importlib.util.find_spec("ray") is None:
        lacking("ray is not installed: pip install 'convirza-mediapipe[ray]'")


def at_work(parent: int, name: bytes = NAME) -> list[int]:
    """Return the Ray workers below a process that go by this name: they have a share in hand."""
    parents: dict[int, int] = {}
    named: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = above
        if words.startswith(name):
            named.append(int(folder.name))

    def below(pid: int) -> bool:
        while pid not in (0, 1, parent):
            pid = parents.get(pid, 0)
        return pid == parent

    return sorted(pid for pid in named if below(pid))


@pytest.fixture
def cluster(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    """A sandbox that is slow and fails, a ledger on PostgreSQL, and three workers that know their secrets."""
    import ray

    slow = FaultRule(name="recording_slow", seconds=0.1)
    faults = (slow, FaultRule(name="recording_410", rate=0.1), FaultRule(name="list_500", rate=0.1))
    with running(sample(140, faults=faults, days=12)) as sandbox:
        pods = Pods(tmp_path, sandbox, postgres.new_database(), str(tmp_path / "archive"), {})
        for name, value in environment(sandbox, tmp_path, MEDIAPIPE_LEDGER=pods.dsn).items():
            monkeypatch.setenv(name, value)
        ray.init(
            num_cpus=3, include_dashboard=False, log_to_driver=False, configure_logging=False,
            object_store_memory=80 * 2**20,
        )  # fmt: skip
        try:
            yield pods
        finally:
            ray.shutdown()


def on_ray(pods: Pods, calls: int) -> tuple[Any, list[Outcome], Path]:
    """Run in this process on the cluster; return what it came to, its outcomes and its folder."""
    from mediapipe.engines.ray import Telling, archive_with_ray

    settings = load_settings(
        None,
        {"archive.dest": pods.dest, "workers": WORKERS, "archive.url_budget": 10, "pace.retry_attempts": 30},
    ).settings
    run_id, outcomes = new_run_id(), []
    folder = settings.runs_dir / run_id
    folder.mkdir(parents=True)
    arrived: list[Outcome] = []

    async def run() -> Any:
        telling = Telling(folder, outcomes.append, arrived.append, lambda size: None)
        ask = Ask(datetime.now(UTC), START, END)
        return await archive_with_ray(
            settings, ask, run_id=run_id, owner=owner_of(run_id), telling=telling, calls=calls
        )

    with alive(folder):
        ran = anyio.run(run)
    assert {one.key for one in arrived} == {one.key for one in outcomes}
    return ran, outcomes, folder


class Killer(threading.Thread):
    """Kills one worker with a share in hand once something has been archived."""

    def __init__(self, pods: Pods) -> None:
        super().__init__()
        self.pods, self.killed = pods, 0

    def run(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self.killed:
            workers = at_work(os.getpid())
            if workers and self.pods.done() >= 20:
                os.kill(workers[0], signal.SIGKILL)
                self.killed = workers[0]
            time.sleep(0.02)


def no_secret_in(folder: Path, sandbox: RunningSandbox) -> None:
    """Assert that what Ray wrote down holds no secret that this run has."""
    config = sandbox.state.config
    hushed = [word.encode() for word in (config.password, config.client_secret, PASSWORD)]
    for path in folder.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert not [word for word in hushed if word in raw], path


@pytest.mark.timeout(150)
def test_a_killed_workers_share_runs_again_and_nothing_is_lost_or_twice(cluster: Pods) -> None:
    import ray

    killer = Killer(cluster)
    killer.start()
    ran, outcomes, folder = on_ray(cluster, calls=90)
    killer.join()
    assert killer.killed, "no worker was killed at work"
    whole = expected(cluster.sandbox)
    check_folder(cluster.sandbox, Path(cluster.dest))
    assert ran.shares > 3
    assert ran.result.exit_code is ExitCode.OK, ran.result.findings
    assert ran.result.findings.watermark == END
    keys = [one.key for one in outcomes]
    assert len(set(keys)) == len(keys), "an item was counted twice"
    # What the killed worker had done counts as done in this run, but for what it had not noted down yet.
    unnoted = [one for one in outcomes if one.verdict is Verdict.SKIPPED]
    assert {one.reason for one in unnoted} <= {"present"}
    assert len(unnoted) <= WORKERS
    assert ran.result.tally[Verdict.DONE] + len(unnoted) == len(whole)
    assert sum(one.bytes for one in outcomes) == sum(map(len, whole.values()))
    assert cluster.done() == len(whole)
    assert list(folder.iterdir()) == [folder / "alive.lock"], "the shares' files are folded into one"

    again, _, _ = on_ray(cluster, calls=90)
    assert again.result.exit_code is ExitCode.OK
    assert again.result.tally[Verdict.SKIPPED] == len(whole)
    assert again.result.tally[Verdict.DONE] == 0
    from ray._private.worker import _global_node

    assert ray.is_initialized()
    no_secret_in(Path(_global_node.get_session_dir_path()), cluster.sandbox)


@pytest.mark.timeout(150)
def test_the_command_prints_one_summary_and_drains_when_told_to(tmp_path: Path, postgres: Postgres) -> None:
    slow = FaultRule(name="recording_slow", seconds=0.3)
    dsn = postgres.new_database()
    with running(sample(60, faults=(slow,), days=10)) as sandbox:
        cli = Command(tmp_path, sandbox, {"MEDIAPIPE_LEDGER": dsn})
        args = ("archive", "run", "--dest", cli.archive, "--json", "--engine", "ray", "--workers", "2")
        pods = Pods(tmp_path, sandbox, dsn, str(cli.archive), {})
        process = cli.start(*args, "--from", "2025-10-01", "--to", "2026-03-01")
        while pods.done() < 5:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        ended = cli.end(process)
        assert ended.code == ExitCode.INTERRUPTED, ended.err
        assert 5 <= ended.report["counts"]["done"] < len(expected(sandbox))

        whole = cli.end(cli.start(*args, "--from", "2025-10-01", "--to", "2026-03-01"))
        assert whole.code == 0, whole.err
        assert "ray:" not in whole.out
        report = whole.report
        assert (report["engine"], report["shares"]) == ("ray", 4)
        assert report["watermark"] == "2026-03-01T00:00:00+00:00"
        assert report["counts"]["done"] + report["counts"]["skipped"] == len(expected(sandbox))
        assert report["counts"]["skipped"] == ended.report["counts"]["done"]
        check_folder(sandbox, cli.archive)


def test_a_refused_login_is_exit_code_4_with_its_counts_and_no_cluster(tmp_path: Path) -> None:
    with running(sample(4)) as sandbox:
        cli = Command(tmp_path, sandbox)
        args = ("archive", "run", "--dest", cli.archive, *ALL, "--json", "--engine", "ray")
        ended = cli.inside(*args, env={"CONVIRZA_PASSWORD": "wrong-Secret-value"})
        assert ended.code == ExitCode.CREDENTIALS
        assert sum(ended.report["counts"].values()) == 0
        assert ended.report["unsettled_windows"][0]["reason"] == "not walked: the run was stopped"
        assert "wrong-Secret-value" not in ended.err + ended.out
        assert not at_work(os.getpid())
