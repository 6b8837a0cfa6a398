"""What a command costs with all the processes it starts: time, CPU seconds, peak memory. Linux only.

Orphans are adopted (``PR_SET_CHILD_SUBREAPER``), so that the CPU time of a fork server counts too. Memory is
the sum of the proportional shares (Pss: a page that n processes share counts 1/n in each), sampled; the
sampling itself takes CPU, so measure time and memory in runs of their own.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SUBREAPER = 36
SAMPLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, CPU seconds of all processes together, peak bytes (0 when not asked for)."""

    wall: float
    cpu: float
    peak: int
    code: int


def measure(command: Sequence[str], *, env: Mapping[str, str] | None = None, memory: bool = False) -> Cost:
    """Run a command to its end, and everything that it leaves behind; what ran before goes on."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    before = _descendants(os.getpid())  # servers that go on
    sampler = _Sampler(before) if memory else None
    started = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if sampler:
        sampler.start()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    while _descendants(os.getpid()) - before:
        try:
            _, _, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += used.ru_utime + used.ru_stime
    return Cost(wall, cpu, sampler.stop() if sampler else 0, process.returncode)


class _Sampler(threading.Thread):
    def __init__(self, before: set[int]) -> None:
        super().__init__(daemon=True)
        self._before = before
        self._over, self._peak = threading.Event(), 0

    def run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._peak = max(self._peak, sum(map(_share, _descendants(os.getpid()) - self._before)))

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self._peak


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)] = int(words[1])
    found: set[int] = set()
    frontier = {root}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
