"""The process from which the members of a crew are forked.

A command forks it before the run has begun anything (no thread, no event loop, no connection, no lock);
others start it afresh. It opens once what all members share, sleeps, and forks one for each socket that it
is handed: that takes milliseconds, and memory that was read by all is kept once. It ends with its parent,
however that ends, and takes its children along.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from mediapipe.frames import packed, read_frame

PATIENCE_S = 5.0
_ANOTHER = b"+"
_BUFFER = 1 << 20
# The current folder is no place to import from, as it is for ``-m``; and the package may not be installed.
_ROOT = str(Path(__file__).parent.parent)
_START = "import sys; sys.path.append(sys.argv.pop(1)); from mediapipe.crew_member import main; main()"

OpenShared = Callable[[object], Callable[[socket.socket], NoReturn]]
"""From what a member has to know to what one does with its socket; exits where that cannot be."""


class Nursery:
    """The parent's side."""

    def __init__(self, fork: OpenShared | None = None) -> None:
        """Start it afresh; or fork it, to call ``fork`` there, so that nothing is imported twice.

        That is for who has not begun anything yet. Where a thread runs it is started afresh all the same:
        what that one holds would stay held in a fork. Raises ``OSError``.
        """
        self._control, theirs = socket.socketpair()
        self._process: subprocess.Popen[bytes] | None = None
        self._told = self._children = False
        with theirs:
            if fork is not None and threading.active_count() == 1:
                self._pid = os.fork()
                if not self._pid:
                    _in_child(lambda: tend(_alone_with(theirs), fork))
                return
            fd = theirs.fileno()
            command = [sys.executable, "-P", "-c", _START, _ROOT, str(fd)]
            try:
                self._process = subprocess.Popen(  # noqa: S603  # this very program
                    command, pass_fds=[fd], process_group=0, stdin=subprocess.DEVNULL
                )
            except OSError:
                self._control.close()
                raise
            self._pid = self._process.pid

    def prepare(self, setup: object) -> None:
        """Say what members will have to know, the first time that it is said; raises ``OSError``."""
        if not self._told:
            self._control.sendall(packed(setup))
            self._told = True

    def member(self, setup: object) -> socket.socket:
        """Have a member forked that knows ``setup``, or what was said before; return the socket to it.

        Raises ``OSError`` when nobody is there to fork. Whether it lives, the socket tells.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                for one in (ours, theirs):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                self.prepare(setup)
                socket.send_fds(self._control, [_ANOTHER], [theirs.fileno()])
                self._children = True
            except OSError:
                ours.close()
                raise
        return ours

    def close(self) -> None:
        """End it and all members at once: what they have in hand is safe to be done again. Idempotent."""
        self._control.close()
        until = time.monotonic() + (PATIENCE_S if self._children else 0)
        while self._pid and not self._ended():
            if time.monotonic() > until:  # it was stopped, hangs, or has nobody to take along
                os.kill(self._pid, signal.SIGKILL)
            time.sleep(0.002)
        self._pid = 0

    def _ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        try:
            return os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


def _alone_with(own: socket.socket) -> socket.socket:
    """Let go of all else that came along with a fork: a lock or a pipe would stay held."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.closerange(3, own.fileno())
    os.closerange(own.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
    return own


def _in_child(work: Callable[[], NoReturn]) -> NoReturn:
    """Run ``work`` in a process that was forked: nothing of its parent's is finished or flushed here."""
    try:
        work()
    except BaseException as error:
        with suppress(OSError):
            os.write(2, f"a transfer process ended: {type(error).__name__}\n".encode())
    finally:
        os._exit(1)


def tend(control: socket.socket, open_shared: OpenShared) -> NoReturn:
    """Fork members until the parent is gone."""
    with suppress(PermissionError):  # it leads a group of its own already
        os.setpgid(0, 0)  # what a terminal sends to the run is the run's to hear
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who ignores it cannot wait for anybody
    os.dup2(2, 1)  # what a run prints is for whoever called it
    children: set[int] = set()
    try:
        with control.makefile("rb", buffering=0) as file:  # what comes next has to be read with its socket
            serve = open_shared(read_frame(file))  # type: ignore[arg-type]  # it reads as other files do
        gc.collect()
        gc.freeze()
        while True:
            asked, fds, _, _ = socket.recv_fds(control, 1, 1)
            if not asked:
                break
            for pid in list(children):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    children.discard(pid)
            if fds:  # else there was no room for one: the parent's end tells that nobody has it
                with socket.socket(fileno=fds[0]) as theirs:
                    children |= _forked(control, serve, theirs)
    except (EOFError, OSError):
        pass
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)  # not waited for yet, so it is still that one's number
        for pid in children:
            os.waitpid(pid, 0)
        os._exit(0)


def _forked(
    control: socket.socket, serve: Callable[[socket.socket], NoReturn], theirs: socket.socket
) -> set[int]:
    """Fork one member; where there can be no more, those that are there go on."""
    try:
        pid = os.fork()
    except OSError as error:
        os.write(2, f"a transfer process could not be forked: {error}\n".encode())
        return set()
    if not pid:
        control.close()
        _in_child(lambda: _member(serve, theirs))
    return {pid}


def _member(serve: Callable[[socket.socket], NoReturn], theirs: socket.socket) -> NoReturn:
    os.setpgid(0, 0)
    serve(theirs)
