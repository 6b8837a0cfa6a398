"""One row of a call manifest: what it says, typed, and everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from mediapipe.manifest.columns import API_FIELDS, DURATION, GROUPS, RECORDINGS, REQUIRED
from mediapipe.manifest.problems import Problem
from mediapipe.manifest.roots import Root
from mediapipe.manifest.unique import FirstRows
from mediapipe.manifest.values import (
    BOOLEAN_HELP,
    DURATION_HELP,
    is_spoilt,
    read_boolean,
    read_duration,
)

V = TypeVar("V")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PLAIN = frozenset(API_FIELDS) - {"external_id", "swap_channels", "is_outbound"}
_NEEDED = frozenset(REQUIRED)
_LOST = "\ufffd"


@dataclass(frozen=True, slots=True)
class CallRow:
    """A row: its place in the file (``row`` from 1, ``line`` as an editor counts), and what was read.

    Exactly one of ``file`` (its real path) and ``remote`` (an ``https://`` or ``s3://`` address) is set
    where no problem says otherwise. ``recording`` is the cell as written. ``fields`` are the other filled
    cells that are fields of a call, as text. Only a row without ``problems`` may be used.
    """

    row: int
    line: int
    external_id: str = ""
    recording: str = ""
    file: str = ""
    remote: str = ""
    swap_channels: bool | None = None
    is_outbound: bool | None = None
    duration_s: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def key(self) -> str:
        """What the row is called: its external id, or its number where it has none."""
        return self.external_id or f"row {self.row}"


class CallReader:
    """Makes rows of cells. It knows the external ids that came before, so each file needs one of its own."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._seen = FirstRows()

    def read(self, row: int, line: int, names: Sequence[str], cells: Sequence[str]) -> CallRow:
        """Return the row that these cells, under columns of these names, make."""
        filled = {name: text for name, cell in zip(names, cells, strict=True) if (text := cell.strip())}
        problems, warnings = _damage(names, cells)
        problems += _missing(filled)
        external_id = filled.get("external_id", "")
        problems += self._identity(external_id, row)
        swap = _typed(read_boolean, filled, "swap_channels", "not_a_boolean", BOOLEAN_HELP, problems)
        outbound = _typed(read_boolean, filled, "is_outbound", "not_a_boolean", BOOLEAN_HELP, problems)
        # Never sent, so a length that cannot be read is no obstacle.
        duration = _typed(read_duration, filled, DURATION, "not_a_duration", DURATION_HELP, warnings)
        path = cells[names.index("recording_file")] if "recording_file" in filled else ""
        file, remote = self._recording(path, filled.get("recording_url", ""), problems)
        return CallRow(
            row=row,
            line=line,
            external_id=external_id,
            recording=path or filled.get("recording_url", ""),
            file=file,
            remote=remote,
            swap_channels=swap,
            is_outbound=outbound,
            duration_s=duration,
            fields={name: text for name, text in filled.items() if name in _PLAIN},
            problems=tuple(problems),
            warnings=tuple(warnings),
        )

    def _identity(self, external_id: str, row: int) -> list[Problem]:
        if not external_id:
            return []
        if is_spoilt(external_id):
            hint = "a spreadsheet has rounded it: format the column as text and export again"
            return [Problem("spoilt_number", "is no id", "external_id", external_id, hint)]
        if earlier := self._seen.first(external_id, row):
            hint = "each call needs an id of its own: it is what keeps it from being sent twice"
            return [
                Problem(
                    "duplicate_external_id", f"is that of row {earlier}", "external_id", external_id, hint
                )
            ]
        return []

    def _recording(self, path: str, url: str, problems: list[Problem]) -> tuple[str, str]:
        """Return file and address, at most one of them; ``path`` is the cell as written, blanks and all."""
        if bool(path) == bool(url):
            code, what = ("two_recordings", "both are filled") if url else ("no_recording", "both are empty")
            problems.append(Problem(code, what, " and ".join(RECORDINGS), hint="fill exactly one of them"))
            return "", ""
        if "\0" in path:  # said already, and no system call takes it
            return "", ""
        if url or _SCHEME.match(path.strip()):
            remote = url or path.strip()
            wrong = _address(remote, RECORDINGS[bool(url)])
            if wrong is None:
                return "", remote
            problems.append(wrong)
            return "", ""
        found = self._root.find(path, "recording_file")
        if isinstance(found, Problem):
            problems.append(found)
            return "", ""
        return found, ""


def _damage(names: Sequence[str], cells: Sequence[str]) -> tuple[list[Problem], list[Problem]]:
    """Return problems and warnings of text that was damaged before it came here."""
    text = "".join(cells)
    if "\0" not in text and _LOST not in text:
        return [], []
    hint = "the file is damaged: export it again"
    pairs = list(zip(names, cells, strict=True))
    return (
        [Problem("nul_byte", "holds a NUL byte", *pair, hint) for pair in pairs if "\0" in pair[1]],
        [
            Problem("damaged_text", "holds characters that are lost", *pair, hint)
            for pair in pairs
            if _LOST in pair[1]
        ],
    )


def _missing(filled: Mapping[str, str]) -> list[Problem]:
    grouped = any(name in filled for name in GROUPS)
    if grouped and filled.keys() >= _NEEDED:
        return []
    missing = [name for name in REQUIRED if name not in filled]
    found = [Problem("missing_value", "is empty, and every call needs it", name) for name in missing]
    if not grouped:
        found.append(Problem("missing_value", "one of them has to say the group", " or ".join(GROUPS)))
    return found


def _typed(
    read: Callable[[str], V],
    filled: Mapping[str, str],
    column: str,
    code: str,
    hint: str,
    problems: list[Problem],
) -> V | None:
    text = filled.get(column)
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        problems.append(Problem(code, str(error), column, text, hint))
        return None


def _address(text: str, column: str) -> Problem | None:
    """Return what is wrong with an address: a column takes only its own kind."""
    wanted = "s3://bucket/key or a path" if column == "recording_file" else "https://host/…"
    scheme = "s3" if column == "recording_file" else "https"
    try:
        parts = urlsplit(text)
        usable = parts.scheme == scheme and bool(parts.hostname) and len(parts.path) > 1
    except ValueError:
        usable = False
    if usable:
        return None
    hint = f"write {wanted}"
    if column == "recording_file" and text.lower().startswith("https://"):
        hint = "an https:// address belongs in recording_url"
    return Problem("not_an_address", "is not an address that can be read from here", column, text, hint)
