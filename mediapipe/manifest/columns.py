"""The columns of a call manifest: which there are, which are needed, and what a header makes of them."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediapipe.errors import UsageError
from mediapipe.manifest.aliases import ALIASES
from mediapipe.manifest.options import ManifestOptions
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

ADDED = ("reason", "message")
"""What ``failed.csv`` has besides; passed over without a word."""

_DEFAULTS = ManifestOptions()
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


def recognised(options: ManifestOptions = _DEFAULTS) -> frozenset[str]:
    """Return every name, normalised, that says something to us in a header."""
    return KNOWN.union(ADDED, ALIASES, map(normalise, options.columns))


def read_header(where: str, cells: Sequence[str], line: int, options: ManifestOptions = _DEFAULTS) -> Header:
    """Return a file's header; raises ``UsageError`` for one that no row could be read by."""
    plain = tuple(normalise(cell) for cell in cells)
    told = _told(options)
    place = f"{where}, line {line}"
    renamed = tuple(told.get(name, name) for name in plain)
    _refuse_doubles(place, cells, renamed)
    aliases = _aliases(renamed)
    names = tuple(aliases.get(name, name) for name in renamed)
    for needed in (("external_id",), RECORDINGS):
        if not set(needed) & set(names):
            raise UsageError(
                f"{place}: no column {' or '.join(needed)}{_similar(needed, names)}",
                hint=f"it has {', '.join(quoted(name, 30) for name in names[:12])}",
            )
    unknown = [name for name in names if name and name not in KNOWN and name not in ADDED]
    if unknown and options.strict:
        raise UsageError(
            f"{place}: not known: {', '.join(map(quoted, unknown))}",
            hint="say what they are in [manifest.columns]; an empty name there leaves a column out",
        )
    lacking = [theirs for theirs in options.columns if normalise(theirs) not in plain]
    unnamed = sum(not name for name in plain)
    warnings = (*_renamed(aliases), *_lacking(lacking), *_odd(unknown, unnamed), *_missing(names))
    return Header(names, tuple(cells), line, warnings)


def _told(options: ManifestOptions) -> dict[str, str]:
    """Return our names by theirs, as the settings say; an empty one is left out."""
    told: dict[str, str] = {}
    for theirs, ours in options.columns.items():
        name = normalise(ours)
        if name and name not in KNOWN:
            raise UsageError(
                f"the setting manifest.columns makes {quoted(theirs)} a column {quoted(ours)}, not known"
                f"{_similar((name,), sorted(KNOWN))}",
                hint="see `mediapipe calls template` for the columns there are",
            )
        if told.setdefault(normalise(theirs), name) != name:
            raise UsageError(f"the setting manifest.columns says two things of {quoted(theirs)}")
    return told


def _refuse_doubles(place: str, cells: Sequence[str], names: Sequence[str]) -> None:
    for name in sorted(set(names) - {""}):
        if names.count(name) > 1:
            same = [quoted(cell) for cell, one in zip(cells, names, strict=True) if one == name]
            raise UsageError(
                f"{place}: more than one column {quoted(name)}: {', '.join(same)}",
                hint="upper and lower case, blanks and dashes make no difference; [manifest.columns] counts",
            )


def _aliases(names: Sequence[str]) -> dict[str, str]:
    """Return what other systems' usual headers mean: never what is there already, or what two could mean."""
    found = {name: ALIASES[name] for name in names if name in ALIASES}
    taken = Counter(_kind(ours) for ours in found.values())
    taken.update(_kind(name) for name in names if name in KNOWN)
    return {theirs: ours for theirs, ours in found.items() if taken[_kind(ours)] == 1}


def _kind(name: str) -> str:
    """Return what stands for a column where one of several will do."""
    return RECORDINGS[0] if name in RECORDINGS else name


def _similar(wanted: Sequence[str], names: Sequence[str]) -> str:
    meant = [quoted(name) for name in names if ALIASES.get(name) in wanted]
    if len(meant) > 1:
        return f", and {' or '.join(meant)} could be it: say which in [manifest.columns]"
    close = difflib.get_close_matches(wanted[0], names, n=1)
    return f", but {quoted(close[0])}" if close else ""


def _renamed(aliases: Mapping[str, str]) -> list[Problem]:
    return [
        Problem("alias_column", f"is read as {ours}", theirs, hint="[manifest.columns] may say otherwise")
        for theirs, ours in aliases.items()
    ]


def _lacking(theirs: Sequence[str]) -> list[Problem]:
    what = "is not there, although the setting manifest.columns speaks of it"
    return [Problem("mapped_column_missing", what, name) for name in theirs]


def _odd(unknown: Sequence[str], unnamed: int) -> list[Problem]:
    found = []
    for name in unknown:
        close = difflib.get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {close[0]}?" if close else "no field of a call; it is left out"
        if name in ALIASES:
            hint = f"if it is {ALIASES[name]}, say so in [manifest.columns]"
        found.append(Problem("unknown_column", "is not known and is passed over", name, hint=hint))
    if unnamed:
        found.append(Problem("unnamed_column", f"{unnamed} columns have no name and are passed over"))
    return found


def _missing(names: Sequence[str]) -> list[Problem]:
    found = []
    for needed in (("call_date",), ("caller_id",), GROUPS):
        if not set(needed) & set(names):
            said = " or ".join(needed)
            found.append(Problem("missing_column", "is missing: no row can be imported without it", said))
    return found
