"""What stands in the store already, by call and recording: one listing per folder instead of one per item.

A recording whose sidecar a crash left out must be found before it is fetched again, whatever its
extension. Asking the store per item would double its requests, so a folder (a day, in the default
layout) is listed once, when the first of its items is about to be fetched. The picture may age: the
conditional put catches what came later.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

import anyio

from mediapipe.layout import Layout
from mediapipe.pacing import RetryPolicy
from mediapipe.stores.interface import Store

FOLDERS_KEPT = 6


class Existing:
    """Looks up the keys that stand under a stem."""

    def __init__(self, store: Store, layout: Layout, retry: RetryPolicy) -> None:
        self._store, self._layout, self._retry = store, layout, retry
        self._folders: OrderedDict[str, dict[str, list[str]]] = OrderedDict()
        self._listing: dict[str, anyio.Lock] = {}

    async def of(self, call_id: str, recording_id: str, started: datetime) -> tuple[str, ...]:
        """Return the keys of this recording: the object, its sidecar, both or none."""
        stem = self._layout.stem(call_id, recording_id, started)
        # A template without the day would make one folder of the whole archive: ask for the stem alone.
        folder = stem[: stem.rfind("/") + 1] if self._layout.dated else f"{stem}."
        lock = self._listing.setdefault(folder, anyio.Lock())
        async with lock:
            found = self._folders.get(folder)
            if found is None:
                found = await self._retry.run(lambda: self._list(folder))
                self._folders[folder] = found
        self._folders.move_to_end(folder)
        while len(self._folders) > FOLDERS_KEPT:
            dropped, _ = self._folders.popitem(last=False)
            self._listing.pop(dropped, None)
        return tuple(found.get(stem, ()))

    async def _list(self, folder: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        async for entry in self._store.list(folder):
            stem, dot, _ = entry.key.rpartition(".")
            if dot:
                found.setdefault(stem, []).append(entry.key)
        return found
