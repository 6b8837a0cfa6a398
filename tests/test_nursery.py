"""What forks members: it is there when asked, and leaves nobody behind. Whole crews: see ``test_crew``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import wait_gone

PRELUDE = """
import os, signal, socket, sys, threading, time
from mediapipe.nursery import Nursery

def open_shared(setup):
    opened = [setup, os.getpid()]  # once, in the nursery
    def serve(parent):
        parent.sendall(repr((opened, os.getpid(), os.getpgid(0))).encode() + b"\\n")
        while parent.recv(100):
            pass
        os._exit(0)
    return serve

def busy(setup):
    # members that never look at their socket themselves
    from mediapipe.crew_member import _leave_with
    def serve(parent):
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
        parent.sendall(repr((0, os.getpid())).encode() + b"\\n")
        time.sleep(60)
        os._exit(0)
    return serve

def hear(one):
    return eval(one.makefile().readline())
"""

BODY = {
    "forks": """
nursery = Nursery(fork=open_shared)
ones = [nursery.member("told") for _ in range(3)]
said = [hear(one) for one in ones]
assert {tuple(opened) for opened, _, _ in said} == {("told", nursery._pid)}
assert len({pid for _, pid, _ in said}) == 3
assert all(pid == group != os.getpgid(0) for _, pid, group in said)
assert nursery._process is None
ones[0].close()
again = hear(nursery.member("not heard"))
assert again[0][0] == "told"
nursery.close()
nursery.close()
print(*(pid for _, pid, _ in said), again[1])
""",
    "threads": """
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
nursery = Nursery(fork=open_shared)
assert nursery._process is not None, "a fork would hold what that thread holds"
nursery.close()
print(nursery._process.pid)
""",
    "idle": """
nursery = Nursery(fork=open_shared)
print(nursery._pid)
nursery.close()
""",
    "stopped": """
nursery = Nursery(fork=open_shared)
one = nursery.member("told")
pid = hear(one)[1]
os.kill(pid, signal.SIGSTOP)
began = time.monotonic()
nursery.close()
assert time.monotonic() - began < 2
print(pid)
""",
    "stopped nursery": """
import mediapipe.nursery
mediapipe.nursery.PATIENCE_S = 0.3
nursery = Nursery(fork=open_shared)
pid = hear(nursery.member("told"))[1]
os.kill(nursery._pid, signal.SIGSTOP)
print(nursery._pid)
nursery.close()
os.kill(pid, signal.SIGKILL)
""",
    "nursery killed": """
nursery = Nursery(fork=busy)
one = nursery.member("told")
pid = hear(one)[1]
one.sendall(b"what it is told does not end it")
os.kill(nursery._pid, signal.SIGKILL)
time.sleep(0.1)
os.kill(pid, 0)
nursery.close()
one.close()
print(pid)
""",
    "children ignored": """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
nursery = Nursery(fork=busy)
ones = [nursery.member("told") for _ in range(3)]
pids = [hear(one)[1] for one in ones]
os.kill(pids[0], signal.SIGKILL)
time.sleep(0.1)
nursery.close()
print(*pids)
""",
    "no more": """
fork, count = os.fork, [0]
def failing():
    count[0] += 1
    if count[0] in {3, 4}:  # the nursery itself is the first
        raise BlockingIOError(11, "no more processes")
    return fork()
os.fork = failing
nursery = Nursery(fork=open_shared)
first = nursery.member("told")
hear(first)
for _ in range(2):
    assert nursery.member("told").recv(10) == b""
hear(nursery.member("told"))
first.sendall(b"still there")
print(nursery._pid)
nursery.close()
""",
    "inherits nothing": """
read, write = os.pipe()
os.set_inheritable(write, True)
nursery = Nursery(fork=open_shared)
one = nursery.member("told")
pid = hear(one)[1]
os.close(write)
assert os.read(read, 1) == b"", "somebody else holds it"
assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
nursery.close()
print(pid)
""",
    "killed": """
nursery = Nursery(fork=open_shared)
one = nursery.member("told")
print(nursery._pid, hear(one)[1], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
""",
    "gone": """
nursery = Nursery(fork=open_shared)
os.kill(nursery._pid, signal.SIGKILL)
time.sleep(0.1)
try:
    nursery.member("told")
except OSError:
    print(nursery._pid)
nursery.close()
""",
    "signals": """
nursery = Nursery(fork=open_shared)
one = nursery.member("told")
pid = hear(one)[1]
for number in (signal.SIGINT, signal.SIGTERM):
    os.kill(pid, number)
    os.kill(nursery._pid, number)
time.sleep(0.1)
hear(nursery.member("told"))
one.sendall(b"still there")
print(pid)
nursery.close()
""",
    "prints": """
def open_shared(setup):
    print("from the nursery", flush=True)
    def serve(parent):
        print("from a member", flush=True)
        parent.sendall(b"1\\n")
        parent.recv(1)
        os._exit(0)
    return serve
nursery = Nursery(fork=open_shared)
hear(nursery.member("told"))
print(nursery._pid)
nursery.close()
""",
}


@pytest.mark.parametrize("name", BODY)
def test_it_forks_when_asked_and_leaves_nobody_behind(name: str) -> None:
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + BODY[name]],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert done.returncode == (-signal.SIGKILL if name == "killed" else 0), done.stderr
    assert "Traceback" not in done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids, done.stderr
    wait_gone(pids)
