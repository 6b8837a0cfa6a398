"""One row of a call manifest: what it says, typed, and everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from mediapipe.manifest.columns import API_FIELDS, DURATION, GROUPS, RECORDINGS, REQUIRED
from mediapipe.manifest.moments import NotAMoment, api_text, read_moment
from mediapipe.manifest.options import ManifestOptions
from mediapipe.manifest.phones import NotANumber, read_phone
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
from mediapipe.manifest.words import (
    LONGEST_ID,
    NULLS,
    folded,
    readers,
)

V = TypeVar("V")

NO_KEY = frozenset(("duplicate_row", "duplicate_external_id", "unusable_id", "nul_byte", "damaged_text"))
"""Problems of a row that cannot be told by its external id."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_USUAL = re.compile(r"(?:https|s3)://[a-z0-9.-]+/[A-Za-z0-9._~/%?=&+-]+", re.ASCII)
"""An address that needs no closer look."""
_NEEDED = frozenset(REQUIRED)
_LOST = "\ufffd"
_PHONES = ("caller_id", "tracking_number", "ring_to")
_BOOLEANS = ("swap_channels", "is_outbound", "transcribe")
_ROUNDED = re.compile(r"[1-9]\d{12,}000", re.ASCII)
"""More than 15 digits, and none at the end."""


class CallRow(NamedTuple):
    """A row: its place in the file (``row`` from 1, ``line`` as an editor counts), and what was read.

    Exactly one of ``file`` (its real path) and ``remote`` (an ``https://`` or ``s3://`` address) is set
    where no problem says otherwise. ``recording`` is the cell as written. ``fields`` is what is sent of it:
    the API's own names, values as text, never an empty one. ``at`` is the call's date in UTC, ``offset`` the
    byte at which the row begins (-1: not known), ``cells`` what stood in it. Only a row without ``problems``
    may be used.

    A named tuple and not a dataclass: a manifest may have millions, and these take a third of the time.
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
    fields: Mapping[str, str] = MappingProxyType({})
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    at: datetime | None = None
    offset: int = -1
    cells: Sequence[str] = ()

    @property
    def key(self) -> str:
        """What the row is called: its external id, or its number where it has none."""
        return self.external_id or f"row {self.row}"

    @property
    def has_key(self) -> bool:
        """Whether it has an external id of its own, whatever else is wrong with it."""
        return bool(self.external_id) and not any(one.code in NO_KEY for one in self.problems)

    @property
    def place(self) -> str:
        """Where the row stands in its file, in words."""
        return f"line {self.line}" if self.offset < 0 else f"line {self.line} (byte {self.offset})"


class CallReader:
    """Makes rows of cells. It knows the external ids that came before, so each file needs one of its own.

    ``tz`` is the zone of dates without offset, None when nobody said one; ``marker_slot`` the custom source
    that a row may not fill, because the upload puts a marker there.
    """

    def __init__(
        self,
        root: Root,
        options: ManifestOptions | None = None,
        tz: str | None = None,
        marker_slot: int | None = None,
    ) -> None:
        self._root, self._tz = root, tz
        self._options = options or ManifestOptions()
        self._words = folded(self._options.values)
        self._nothing = frozenset(word.casefold() for word in self._options.null_words)
        self._seen = FirstRows()
        self._marker = f"custom_source_type_{marker_slot}" if marker_slot else ""
        self._now = datetime.now(UTC)
        mapped = {name: frozenset(words.values()) for name, words in self._words.items()}
        self._readers = readers(
            self._options.tag_separator, mapped.get("line_type", frozenset()), self._marker
        )

    def read(
        self, row: int, line: int, names: Sequence[str], cells: Sequence[str], offset: int = -1
    ) -> CallRow:
        """Return the row that these cells, under columns of these names, make."""
        filled = {name: text for name, cell in zip(names, cells, strict=True) if (text := cell.strip())}
        problems, warnings = _damage(names, cells)
        if self._words or self._nothing:
            filled = self._translated(filled)
        if not NULLS.isdisjoint(filled.values()):
            problems += _nulls(filled)
            filled = {name: text for name, text in filled.items() if text not in NULLS}
        problems += _missing(filled)
        external_id = filled.get("external_id", "")
        self._identity(external_id, row, cells, problems, warnings)
        fields: dict[str, str] = {"external_id": external_id} if external_id else {}
        at = self._moment(filled.get("call_date", ""), fields, problems)
        for name in _PHONES:
            if name in filled:
                self._phone(name, filled[name], fields, problems, warnings)
        booleans: dict[str, bool] = {}
        for name in _BOOLEANS:
            if name in filled:
                said = _typed(read_boolean, filled[name], name, "not_a_boolean", BOOLEAN_HELP, problems)
                if said is not None:
                    booleans[name], fields[name] = said, "true" if said else "false"
        self._others(filled, fields, problems, warnings)
        # Never sent, so a length that cannot be read is no obstacle.
        duration = None
        if DURATION in filled:
            duration = _typed(
                read_duration, filled[DURATION], DURATION, "not_a_duration", DURATION_HELP, warnings
            )
        path = filled.get("recording_file", "")
        if path and path == (raw := cells[names.index("recording_file")]).strip():
            path = raw  # not translated, so blanks and all
        file, remote = self._recording(path, filled.get("recording_url", ""), problems)
        if booleans.get("is_outbound"):
            warnings += _direction(fields)
        return CallRow(
            row,
            line,
            external_id,
            path or filled.get("recording_url", ""),
            file,
            remote,
            booleans.get("swap_channels"),
            booleans.get("is_outbound"),
            duration,
            fields,
            tuple(problems),
            tuple(warnings),
            at,
            offset,
            cells,
        )

    def _translated(self, filled: dict[str, str]) -> dict[str, str]:
        """Return cells with another system's words in ours; what means nothing is left out."""
        said = {}
        for name, text in filled.items():
            low = text.casefold()
            words = self._words.get(name)
            ours = words.get(low) if words else None
            if ours is None and low not in self._nothing:
                said[name] = text
            elif ours:
                said[name] = ours
        return said

    def _identity(
        self,
        external_id: str,
        row: int,
        cells: Sequence[str],
        problems: list[Problem],
        warnings: list[Problem],
    ) -> None:
        if not external_id:
            return
        name = "external_id"
        if external_id[0] in "+-0123456789" and is_spoilt(external_id):
            hint = "a spreadsheet has made a number of it: format the column as text and export again"
            problems.append(Problem("spoilt_number", "is no id", name, external_id, hint))
            return
        if len(external_id) > LONGEST_ID or not external_id.isprintable():
            what = (
                f"is longer than {LONGEST_ID} characters"
                if len(external_id) > LONGEST_ID
                else "has characters nobody sees"
            )
            problems.append(Problem("unusable_id", what, name, external_id, "give it a plain id"))
            return
        if external_id[-1] == "0" and _ROUNDED.fullmatch(external_id):
            hint = "spreadsheets keep 15 digits of a number"
            warnings.append(Problem("perhaps_rounded", "may have been rounded", name, external_id, hint))
        mark = hash(tuple(cells)) & 0xFFFFFFFF
        earlier = self._seen.first_marked(external_id, row, mark)
        if earlier is None:
            return
        if earlier[1] == mark:
            what, hint = f"is row {earlier[0]} once more", "the first stands; delete the others"
            problems.append(Problem("duplicate_row", what, name, external_id, hint))
        else:
            hint = "each call needs an id of its own: it is what keeps it from being sent twice"
            what = f"is that of row {earlier[0]}, which says something else"
            problems.append(Problem("duplicate_external_id", what, name, external_id, hint))

    def _moment(self, text: str, fields: dict[str, str], problems: list[Problem]) -> datetime | None:
        if not text:
            return None
        try:
            at = read_moment(text, self._tz, self._options.dst, self._now)
        except NotAMoment as error:
            problems.append(Problem(error.code, error.what, "call_date", text, error.hint))
            return None
        fields["call_date"] = api_text(at)
        return at

    def _phone(
        self, name: str, text: str, fields: dict[str, str], problems: list[Problem], warnings: list[Problem]
    ) -> None:
        try:
            phone = read_phone(text, self._options.region, self._options.phone_form)
        except NotANumber as error:
            problems.append(
                Problem(error.code, error.what, name, text, error.hint.replace("caller_id", name))
            )
            return
        fields[name] = phone.digits
        if phone.doubts:
            warnings += [Problem(code, what, name, text) for code, what in phone.doubts]

    def _others(
        self,
        filled: Mapping[str, str],
        fields: dict[str, str],
        problems: list[Problem],
        warnings: list[Problem],
    ) -> None:
        """Read the columns that are words, ids and texts."""
        for name, text in filled.items():
            read = self._readers.get(name)
            if read is None:
                continue
            said, wrong, odd = read(name, text)
            if odd is not None:
                warnings.append(odd)
            if wrong is not None:
                problems.append(wrong)
            elif said:
                fields[name] = said
        if "group_id" in fields and "group_ext_id" in fields:
            warnings.append(
                Problem("two_groups", "both name the group, and both are sent", " and ".join(GROUPS))
            )

    def _recording(self, path: str, url: str, problems: list[Problem]) -> tuple[str, str]:
        """Return file and address, at most one of them; ``path`` is the cell as written, blanks and all."""
        if bool(path) == bool(url):
            code, what = ("two_recordings", "both are filled") if url else ("no_recording", "both are empty")
            problems.append(Problem(code, what, " and ".join(RECORDINGS), hint="fill exactly one of them"))
            return "", ""
        if "\0" in path:  # said already, and no system call takes it
            return "", ""
        if url or (":" in path and _SCHEME.match(path.strip())):
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


def _nulls(filled: Mapping[str, str]) -> list[Problem]:
    hint = 'if it means nothing, say so: manifest.null_words = ["NULL", "N/A"]'
    return [
        Problem("null_word", "is no value", name, text, hint)
        for name, text in filled.items()
        if text in NULLS and name in API_FIELDS
    ]


def _direction(fields: Mapping[str, str]) -> list[Problem]:
    """Return a warning for an outbound call whose numbers look swapped."""
    caller = fields.get("caller_id", "")
    end = caller[-10:]  # one column may have the country code and the other not
    if end and end in (fields.get("tracking_number", "")[-10:], fields.get("ring_to", "")[-10:]):
        hint = "of an outbound call, caller_id is the customer's number"
        return [Problem("numbers_swapped", "is a number of your own as well", "caller_id", caller, hint)]
    return []


def _missing(filled: Mapping[str, str]) -> list[Problem]:
    grouped = not filled.keys().isdisjoint(GROUPS)
    if grouped and filled.keys() >= _NEEDED:
        return []
    missing = [name for name in REQUIRED if name not in filled]
    found = [Problem("missing_value", "is empty, and every call needs it", name) for name in missing]
    if not grouped:
        found.append(Problem("missing_value", "one of them has to say the group", " or ".join(GROUPS)))
    return found


def _typed(
    read: Callable[[str], V],
    text: str,
    column: str,
    code: str,
    hint: str,
    problems: list[Problem],
) -> V | None:
    try:
        return read(text)
    except ValueError as error:
        problems.append(Problem(code, str(error), column, text, hint))
        return None


def _address(text: str, column: str) -> Problem | None:
    """Return what is wrong with an address: a column takes only its own kind."""
    if _USUAL.fullmatch(text) and (text[0] == "s") == (column == "recording_file"):
        return None
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
