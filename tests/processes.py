"""Are processes gone that should be?"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_gone(pids: Collection[int], seconds: float = 8.0) -> None:
    """Wait for processes to end; it is a failure when one does not."""
    until = time.monotonic() + seconds
    while not all(map(gone, pids)):
        assert time.monotonic() < until, "a process outlives its parent"
        time.sleep(0.02)
