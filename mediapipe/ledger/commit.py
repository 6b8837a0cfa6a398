"""Group commit: many concurrent writes, one transaction, without a background task.

Every write appends its operation to a list and then takes a lock. Whoever gets the lock first leads:
it takes the whole list and has it executed in one transaction in a worker thread. The others, when
their turn with the lock comes, find their answer ready. While a transaction is being flushed to disk,
the next batch collects behind the lock, so the batch size follows the load by itself: a lone writer
waits for nobody, sixty-four share a flush.

No task belongs to this module, so nothing can outlive the caller. All operations of a batch are
concurrent (every caller still waits), so ``execute`` may reorder and merge them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import anyio
from anyio import to_thread

Op = TypeVar("Op")
Result = TypeVar("Result")


class _Entry(Generic[Op, Result]):
    """An operation on its way: its answer is set once, by whoever led its batch."""

    __slots__ = ("answer", "operation")

    def __init__(self, operation: Op) -> None:
        self.operation = operation
        self.answer: tuple[Result] | Exception | None = None


class GroupCommit(Generic[Op, Result]):
    """Collect operations of concurrent callers into batches for ``execute``.

    ``execute`` runs in a worker thread. It returns one answer per operation, in order, each a result
    or the exception that this operation alone met; when it raises, every operation of the batch
    fails with that exception.
    """

    def __init__(self, execute: Callable[[Sequence[Op]], Sequence[Result | Exception]]) -> None:
        self._execute = execute
        self._pending: list[_Entry[Op, Result]] = []
        self._lock = anyio.Lock(fast_acquire=True)
        # A thread of its own: writes must not queue behind whatever else fills the shared ones.
        self._limiter = anyio.CapacityLimiter(1)
        self.operations = 0
        self.commits = 0

    async def submit(self, operation: Op) -> Result:
        """Have ``operation`` executed; return its result or raise its error.

        Cancelled while waiting, the operation is withdrawn unless a batch already carries it.
        """
        entry: _Entry[Op, Result] = _Entry(operation)
        self._pending.append(entry)
        try:
            async with self._lock:
                while entry.answer is None:
                    await self._lead()
        finally:
            if entry.answer is None and entry in self._pending:
                self._pending.remove(entry)
        if isinstance(entry.answer, Exception):
            raise entry.answer
        return entry.answer[0]

    async def drain(self) -> None:
        """Wait until no batch is under way."""
        async with self._lock:
            while self._pending:
                await self._lead()

    async def _lead(self) -> None:
        """Execute everything pending as one batch; the lock is held."""
        batch, self._pending = self._pending, []
        answers: Sequence[Result | Exception] = ()
        try:
            # A cancelled leader still brings its followers home.
            with anyio.CancelScope(shield=True):
                answers = await to_thread.run_sync(
                    self._execute, [entry.operation for entry in batch], limiter=self._limiter
                )
        except Exception as error:
            answers = [error] * len(batch)
        finally:
            if not answers:
                # The event loop tore the leader out in spite of the shield. Its followers' operations
                # are asked again by the next leader, which every ledger write stands.
                self._pending[:0] = batch
        self.operations += len(batch)
        self.commits += 1
        for entry, answer in zip(batch, answers, strict=True):
            entry.answer = answer if isinstance(answer, Exception) else (answer,)
