"""What the kernel says of this process's children."""

from __future__ import annotations

import os
import re
from pathlib import Path


def descendants(root: int | None = None) -> set[int]:
    """Return the pids of all processes that stem from ``root`` (this process)."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            parents[int(stat.parent.name)] = int(words[1])
    found, frontier = set(), {root or os.getpid()}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def peak_memory(pid: int) -> int:
    """Return the most memory a process has had at once (VmHWM) in bytes, 0 when it is gone."""
    try:
        said = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(said[1]) * 1024 if said else 0
