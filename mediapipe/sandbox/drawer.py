"""Where a sandbox keeps what must outlive a restart: a folder, or nothing but memory.

Audio is written beside its final name, synced and renamed; journals are JSON lines, synced one by one. A line
torn by a crash is the last one and is left out on reading.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Drawer:
    """Named blobs, named JSON documents and named journals, in ``folder`` or in memory when it is None."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._blobs: dict[str, bytes] = {}
        if folder is not None:
            (folder / "audio").mkdir(parents=True, exist_ok=True)

    def put_blob(self, name: str, data: bytes) -> None:
        """Keep audio under a name of the sandbox's own making."""
        if self._folder is None:
            self._blobs[name] = data
        else:
            _write(self._folder / "audio" / name, data)

    def blob(self, name: str) -> bytes:
        """Return the audio kept under the name."""
        if self._folder is None:
            return self._blobs[name]
        return (self._folder / "audio" / name).read_bytes()

    def put_document(self, name: str, value: dict[str, Any]) -> None:
        """Keep a small JSON document, replacing the earlier one."""
        if self._folder is not None:
            _write(self._folder / f"{name}.json", json.dumps(value).encode())

    def document(self, name: str) -> dict[str, Any]:
        """Return the document, or an empty one."""
        if self._folder is None:
            return {}
        path = self._folder / f"{name}.json"
        value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return value if isinstance(value, dict) else {}

    def append(self, journal: str, entry: dict[str, Any]) -> None:
        """Add an entry to a journal; it is on disk when this returns."""
        if self._folder is None:
            return
        line = json.dumps(entry).encode() + b"\n"
        with (self._folder / f"{journal}.jsonl").open("ab") as file:
            if file.tell() and not self._ends_well(journal):
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def entries(self, journal: str) -> Iterator[dict[str, Any]]:
        """Yield a journal's entries in the order they were added."""
        path = None if self._folder is None else self._folder / f"{journal}.jsonl"
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # torn by a crash; its request was never answered

    def _ends_well(self, journal: str) -> bool:
        assert self._folder is not None  # noqa: S101
        with (self._folder / f"{journal}.jsonl").open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
