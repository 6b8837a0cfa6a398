"""The lock file while prompts are being uploaded: every change durable, many of them in one write."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.to_thread

from mediapipe.library.lockfile import LibraryLock, LockFile

Change = Callable[[LibraryLock], LibraryLock]


class Keeper:
    """Changes a lock file from many tasks.

    Whoever comes while the file is being written shares the next write: a file of ten thousand prompts takes
    its time, and is not written once for each.
    """

    def __init__(self, file: LockFile) -> None:
        self._file = file
        self.lock = file.lock
        """The state in force, maybe not on the disk yet."""
        self._changes = self._written = 0
        self._turn = anyio.Lock()

    async def change(self, how: Change) -> None:
        """Change the lock and return when that is on the disk. Raises ``DiskFull`` or ``Fatal``."""
        self.lock = how(self.lock)
        self._changes += 1
        mine = self._changes
        async with self._turn:
            if self._written >= mine:
                return
            state, upto = self.lock, self._changes
            # Shielded: a write that was begun is waited for, so that its end is known.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._file.save, state)
            self._written = upto
