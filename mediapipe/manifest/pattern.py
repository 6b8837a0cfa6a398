"""What a recorder wrote into the names of its files: patterns such as ``{call_date:%Y%m%d}_{caller_id}``.

A name fits in one way or not at all: a field holds none of the marks that the pattern has between its
fields, so ``a_b_c`` does not fit ``{caller_id}_{external_id}``. A date that cannot be is no date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from string import Formatter

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import KNOWN, RECORDINGS, normalise
from mediapipe.manifest.problems import quoted

DATE = "call_date"
EPOCH = "%s"
_Part = tuple[str, str | None, str | None, str | None]
"""What string.Formatter makes of a pattern: the text before a field, the field, its form, a conversion."""

_IGNORED = ("_", "ignore")
_DIRECTIVES: Mapping[str, str] = {
    **dict.fromkeys("mdHMSyI", "[0-9]{2}"),
    "Y": "[0-9]{4}",
    "j": "[0-9]{3}",
    "f": "[0-9]{1,6}",
    "s": "[0-9]{9,11}",
    "b": "[A-Za-z]{3}",
    "B": "[A-Za-z]{3,9}",
    "p": "[AaPp][Mm]",
    "z": "(?:Z|[+-][0-9]{2}:?[0-9]{2})",
}
_CONTROLS = r"\x00-\x1f\x7f"
_HINT = "such as {call_date:%Y%m%d-%H%M%S}_{caller_id}_{external_id}; {_} is passed over"


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern, made ready: which column each group of ``regex`` is of, and how the date is written.

    ``form`` is what the groups of the date say together, in words of strptime; empty means ISO 8601.
    """

    regex: re.Pattern[str]
    groups: tuple[tuple[str, str], ...]
    form: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it fills."""
        return frozenset(column for _, column in self.groups)

    def read(self, name: str) -> dict[str, str]:
        """Return the cells that a name makes; raises ``ValueError`` that says why it makes none."""
        match = self.regex.fullmatch(name)
        if match is None:
            raise ValueError("does not fit the pattern")
        cells: dict[str, str] = {}
        for group, column in self.groups:
            text = match[group] or ""  # a group of somebody's regex may have no part in the match
            cells[column] = f"{cells[column]} {text}" if column in cells else text
        if cells.get(DATE):
            cells[DATE] = self._moment(cells[DATE])
        return cells

    def _moment(self, text: str) -> str:
        """Return a date as ISO 8601, no more exact than it was written, and with an offset if it had one."""
        try:
            if not self.form:
                return _as_iso(text)
            if not re.fullmatch(_date_regex(self.form), text):
                raise ValueError  # strptime would take 2026111 for a date, one way or the other
            if self.form == EPOCH:
                return datetime.fromtimestamp(int(text), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found = datetime.strptime(text, self.form)
        except (ValueError, OverflowError):
            raise ValueError(f"{quoted(text)} is no {self.form or 'ISO 8601'} date") from None
        return found.isoformat() if re.search("%[HI]", self.form) else found.date().isoformat()


def _as_iso(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return datetime.fromisoformat(text).isoformat()


def read_pattern(pattern: str) -> NamePattern:
    """Return a pattern made ready; raises ``UsageError`` for one that could be read in two ways."""
    try:
        parts = list(Formatter().parse(pattern))
    except ValueError as error:
        raise UsageError(f"--pattern {quoted(pattern)}: {error}", hint=_HINT) from None
    marks = {char for text, *_ in parts for char in text if not char.isalnum()} | {"/"}
    groups: list[tuple[str, str]] = []
    forms: list[str] = []
    regex = ""
    for at, (text, field, form, _) in enumerate(parts):
        regex += re.escape(text)
        if field is None:
            continue
        _refuse_joined(pattern, parts[max(0, at - 1) : at + 1])
        ends = marks | set(parts[at + 1][0][:1] if at + 1 < len(parts) else "")
        body = _date_regex(form) if form else f"[^{re.escape(''.join(sorted(ends)))}{_CONTROLS}]+"
        column = _column(field, "--pattern", groups, dated=bool(form), again=bool(forms))
        regex += f"(?P<g{at}>{body})" if column else f"(?:{body})"
        if column:
            groups.append((f"g{at}", column))
            forms += [form] if form else []
    if forms:
        check_date(" ".join(forms), "--pattern")
    return _made(regex, groups, " ".join(forms), "--pattern")


def _refuse_joined(pattern: str, parts: Sequence[_Part]) -> None:
    """Refuse a field whose beginning nothing marks, neither text nor a date of fixed width beside it."""
    text, field, form, conversion = parts[-1]
    before = parts[0] if len(parts) > 1 else ("", None, None, None)
    wrong = conversion is not None
    if wrong or not (text or before[1] is None or _fixed(form) or _fixed(before[2])):
        what = "takes no !" if wrong else "stands right behind another field"
        raise UsageError(f"--pattern {quoted(pattern)}: {{{field}}} {what}", hint=_HINT)


def _fixed(form: str | None) -> bool:
    return bool(form) and not set(re.findall("%(.)", form or "")) & set("fsBz")


def read_regex(regex: str, form: str = "") -> NamePattern:
    """Return a regex with named groups made ready; ``form`` is how its ``call_date`` is written."""
    if form:
        check_date(form, "--date-format")
    try:
        names: Sequence[str] = list(re.compile(regex).groupindex)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--regex {quoted(regex)}: {error}") from None
    groups: list[tuple[str, str]] = []
    for name in names:
        if column := _column(name, "--regex", groups):
            groups.append((name, column))
    return _made(regex, groups, form, "--regex")


def _made(regex: str, groups: Sequence[tuple[str, str]], form: str, flag: str) -> NamePattern:
    if not groups:
        raise UsageError(f"{flag} names no column", hint=_HINT)
    return NamePattern(re.compile(regex), tuple(groups), form)


def _column(
    field: str, flag: str, before: Sequence[tuple[str, str]], *, dated: bool = False, again: bool = False
) -> str:
    """Return the column that a field fills, empty for one that is passed over; raises ``UsageError``.

    Only a date may come in parts: ``dated`` says that this field is one, ``again`` that one came before.
    """
    if field in _IGNORED:
        return ""
    column = normalise(field)
    if column not in KNOWN or column in RECORDINGS:
        raise UsageError(f"{flag}: {quoted(field)} is no column that a name can fill", hint=_HINT)
    if dated and column != DATE:
        raise UsageError(f"{flag}: only {DATE} is a date, not {column}", hint=_HINT)
    if any(column == one and not (dated and again) for _, one in before):
        raise UsageError(f"{flag}: {column} is there twice", hint=_HINT)
    return column


def _date_regex(form: str) -> str:
    parts = re.split(r"%(.)", form, flags=re.DOTALL)
    made = ""
    for at, part in enumerate(parts):
        if at % 2 == 0:
            made += re.escape(part)
        elif part in _DIRECTIVES:
            made += _DIRECTIVES[part]
        else:
            known = " ".join(f"%{name}" for name in sorted(_DIRECTIVES))
            raise UsageError(f"a date may not say %{part}", hint=f"it may say {known}")
    return made


def check_date(form: str, flag: str) -> None:
    """Refuse a form that leaves the day open, or half of it: what is not written is not made up."""
    _date_regex(form)
    said = set(re.findall("%(.)", form))
    if form == EPOCH:
        return
    if "s" in said:
        raise UsageError(f"{flag}: {EPOCH} counts seconds since 1970 and stands alone")
    day = "j" in said or ("d" in said and said & {"m", "b", "B"})
    if not (said & {"Y", "y"} and day):
        raise UsageError(f"{flag}: {quoted(form)} does not say year, month and day")
    if "I" in said and "p" not in said:
        raise UsageError(f"{flag}: %I without %p may be morning or evening")
    for small, large in (("M", "HI"), ("S", "M"), ("f", "S")):
        if small in said and not said & set(large):
            raise UsageError(f"{flag}: {quoted(form)} has %{small} without %{large[0]}")
