"""The columns of a call manifest: which there are, which are needed, and what a header makes of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mediapipe.errors import UsageError
from mediapipe.manifest.problems import Problem, quoted

RECORDINGS = ("recording_file", "recording_url")
GROUPS = ("group_id", "group_ext_id")
REQUIRED = ("external_id", "call_date", "caller_id")
"""What every row needs, besides one of ``RECORDINGS`` and one of ``GROUPS``."""

API_FIELDS = (
    *("call_date", "group_id", "group_ext_id", "external_id", "channel_id", "campaign_id", "caller_id"),
    *("tracking_number", "disposition", "line_type", "ring_to", "assign_to"),
    *(f"custom_source_type_{number}" for number in range(1, 6)),
    *("company_name", "city", "zip_code", "caller_name", "address", "state"),
    *("swap_channels", "is_outbound", "tag_name", "transcribe"),
)
"""The fields of an upload, by the API's own names."""

DURATION = "duration"
"""The length that the old system knew. It is compared with the audio and never sent."""

KNOWN = frozenset((*RECORDINGS, *API_FIELDS, DURATION))

_INVISIBLE = "\ufeff\u200b\u200e\u200f"
_GAPS = re.compile(r"[\s\-]+")


def normalise(name: str) -> str:
    """Return a header's name as it is compared: ``" Call-Date "`` is ``call_date``."""
    return _GAPS.sub("_", name.strip().strip(_INVISIBLE).strip()).lower()


@dataclass(frozen=True, slots=True)
class Header:
    """The columns in the file's order, normalised; an empty name is a column without one.

    ``cells`` are the names as they stand, ``line`` where, ``warnings`` what is odd but no obstacle.
    """

    names: tuple[str, ...]
    cells: tuple[str, ...]
    line: int
    warnings: tuple[Problem, ...] = ()


def read_header(where: str, cells: Sequence[str], line: int) -> Header:
    """Return a file's header; raises ``UsageError`` for one that no row could be read by."""
    names = tuple(normalise(cell) for cell in cells)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UsageError(
            f"{where}, line {line}: more than one column {', '.join(map(quoted, twice))}",
            hint="upper and lower case, blanks and dashes make no difference",
        )
    for needed in (("external_id",), RECORDINGS):
        if not set(needed) & set(names):
            raise UsageError(
                f"{where}, line {line}: no column {' or '.join(needed)}{_similar(needed[0], names)}",
                hint=f"it has {', '.join(quoted(name, 30) for name in names[:12])}",
            )
    return Header(names, tuple(cells), line, tuple(_odd(names)))


def _similar(wanted: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(wanted, names, n=1)
    return f", but {quoted(close[0])}" if close else ""


def _odd(names: Sequence[str]) -> list[Problem]:
    found = []
    for name in names:
        if name and name not in KNOWN:
            close = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f"did you mean {close[0]}?" if close else "no field of a call; it is left out"
            found.append(Problem("unknown_column", "is not known and is passed over", name, hint=hint))
    if unnamed := sum(not name for name in names):
        found.append(Problem("unnamed_column", f"{unnamed} columns have no name and are passed over"))
    for needed in (("call_date",), ("caller_id",), GROUPS):
        if not set(needed) & set(names):
            said = " or ".join(needed)
            found.append(Problem("missing_column", "is missing: no row can be imported without it", said))
    return found
