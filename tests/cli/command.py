"""The real command as a subprocess, against a sandbox in this process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from unittest import mock

from typer.testing import CliRunner

from mediapipe.cli.app import app
from mediapipe.items import Verdict
from mediapipe.sandbox import RunningSandbox

ALL = ("--from", "2026-02-19", "--to", "2026-03-01")
LAST_DAYS = ("--from", "2026-02-26", "--to", "2026-03-01")
COUNTS = {verdict.value for verdict in Verdict}
SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """One command that has ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Stdout as the one JSON object that it must be."""
        assert self.out.endswith("\n"), (self.out, self.err)
        assert self.out.count("\n") == 1, self.out
        loaded = json.loads(self.out)
        assert isinstance(loaded, dict)
        return loaded

    @property
    def counts(self) -> dict[str, int]:
        """The report's counts above zero."""
        return {name: number for name, number in self.report["counts"].items() if number}

    @property
    def error(self) -> str:
        """The one line on stderr that says why nothing was done; stdout must be empty then."""
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: "), self.err
        return self.err.removeprefix("error: ").rstrip()

    def refused(self, *words: str, code: int = 2) -> None:
        """Assert that the command refused to begin: exit code, one line, and these words in it."""
        assert self.code == code, (self.code, self.err)
        missing = [word for word in words if word not in self.error]
        assert not missing, f"{missing} not in {self.error!r}"

    @property
    def log(self) -> list[dict[str, Any]]:
        """Stderr as JSON lines."""
        return [json.loads(line) for line in self.err.splitlines()]


@dataclass
class Command:
    """Runs ``python -m mediapipe`` in a folder of its own, with nothing of the caller's environment."""

    folder: Path
    sandbox: RunningSandbox | None = None
    extra: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def archive(self) -> Path:
        """The usual destination."""
        return self.folder / "archive"

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    def environ(self, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Return a user's environment whose settings are quick enough for tests; None takes one away."""
        environ: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            # The command's own warnings are as much of an error as the tests'.
            "PYTHONWARNINGS": "error",
            "MEDIAPIPE_STATE_DIR": str(self.state),
            "MEDIAPIPE_PACE_REQUESTS_PER_SECOND": "1000",
            "MEDIAPIPE_PACE_LOGINS_PER_MINUTE": "1000",
            "MEDIAPIPE_PACE_RETRY_ATTEMPTS": "3",
            "MEDIAPIPE_PACE_RETRY_INITIAL_WAIT": "0.01",
            "MEDIAPIPE_PACE_RETRY_MAX_WAIT": "0.1",
            **(self.sandbox.environment() if self.sandbox else {}),
            **self.extra,
            **(env or {}),
        }
        return {name: value for name, value in environ.items() if value is not None}

    def start(
        self,
        *args: object,
        env: Mapping[str, str | None] | None = None,
        stderr: int | IO[Any] = subprocess.PIPE,
        stdout: int | IO[Any] = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "mediapipe", *map(str, args)],
            cwd=self.folder,
            env=self.environ(env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            encoding="utf-8",
        )

    def run(self, *args: object, env: Mapping[str, str | None] | None = None) -> Ended:
        """Run a command to its end."""
        return self.end(self.start(*args, env=env))

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for a command's end; nothing it printed may hold a secret."""
        with process:
            try:
                out, err = process.communicate(timeout=SECONDS)
            except BaseException:
                process.kill()
                raise
        for secret in self.secrets:
            assert secret not in (out or "") + (err or ""), "a secret was printed"
        return Ended(process.returncode, out or "", err or "")

    def inside(self, *args: object, env: Mapping[str, str | None] | None = None) -> Ended:
        """Run a command in this process: for what does not depend on being one, and much quicker."""
        with (
            mock.patch.dict(os.environ, self.environ(env), clear=True),
            contextlib.chdir(self.folder),
            _own_log(),
        ):
            result = CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)
        for secret in self.secrets:
            assert secret not in result.stdout + result.stderr, "a secret was printed"
        return Ended(result.exit_code, result.stdout, result.stderr)

    def archive_run(self, *args: object, env: Mapping[str, str | None] | None = None) -> Ended:
        """Run ``archive run --json`` into the usual destination."""
        return self.run("archive", "run", "--dest", self.archive, "--json", *args, env=env)

    def inside_archive_run(self, *args: object, env: Mapping[str, str | None] | None = None) -> Ended:
        """Run ``archive run --json`` into the usual destination, in this process."""
        return self.inside("archive", "run", "--dest", self.archive, "--json", *args, env=env)

    def stop(self, process: subprocess.Popen[str], number: signal.Signals, when: Callable[[], bool]) -> Ended:
        """Send a signal as soon as ``when`` says so, and wait for the end."""
        wait_until(when, process)
        process.send_signal(number)
        return self.end(process)

    def on_a_terminal(self, *args: object) -> Ended:
        """Run a command whose stderr is a terminal; its ``err`` is what the terminal got."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 100, 0, 0))
        try:
            process = self.start(*args, stderr=theirs)
        finally:
            os.close(theirs)
        seen = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    piece = terminal.read(65_536)
                except OSError:  # how a terminal says that its other end has closed
                    break
                if not piece:
                    break
                seen += piece
        ended = self.end(process)
        return Ended(ended.code, ended.out, seen.decode())


@contextlib.contextmanager
def _own_log() -> Iterator[None]:
    """Put the log back as it was: the command sends it to a stderr that is gone afterwards."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level


def wait_until(when: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for a condition while a process runs; give up when it has ended or a minute is over."""
    deadline = time.monotonic() + SECONDS
    while not when():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


@contextlib.contextmanager
def serving(command: Command, *args: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Serve on a free port; yield the process and the environment that it printed."""
    process = command.start("sandbox", "serve", "--port", "0", *args, stderr=subprocess.STDOUT)
    environ = {}
    with process:
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("export "):
                    name, _, value = shlex.split(line)[1].partition("=")
                    environ[name] = value
                if line.startswith("# mediapipe archive run"):
                    break
            yield process, environ
        finally:
            process.kill()
