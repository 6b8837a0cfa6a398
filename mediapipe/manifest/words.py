"""Words that the API knows, and cells that are more than free text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from mediapipe.manifest.problems import Problem

DISPOSITIONS = ("ANSWERED", "NO ANSWER", "BUSY", "FAILED", "VOICEMAIL", "ABANDONED", "TRANSFERRED")
"""The list filter of v3 knows all of them; that an upload may carry one is known of the first three."""
PROVEN = frozenset(DISPOSITIONS[:3])

TEXTS = (
    *("group_ext_id", "company_name", "city", "caller_name", "address", "state"),
    *(f"custom_source_type_{number}" for number in range(1, 6)),
)
"""Columns whose cells are sent as they stand."""

LONGEST_TEXT = 255
LONGEST_ID = 200
_LONGEST_WORD = 40

NULLS = frozenset(("null", "NULL", "Null", "None", "none", "N/A", "n/a", "#N/A"))
"""What other systems write for nothing. Never sent: the API would keep the word."""

_INTEGER = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SEVERAL = re.compile(r"[,;|]")


def folded(values: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the tables of another system's words with their words as they are compared."""
    return {
        column: {theirs.strip().casefold(): ours.strip() for theirs, ours in words.items()}
        for column, words in values.items()
    }


@lru_cache(maxsize=1024)
def _near(word: str, known: tuple[str, ...]) -> str:
    """Return the known word that may have been meant; remembered, as one word is wrong in many rows."""
    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def unmapped(column: str, word: str, known: tuple[str, ...] = ()) -> Problem:
    """Return the problem of a word that nothing says the meaning of."""
    near = _near(word.upper(), known) if len(word) <= _LONGEST_WORD else ""
    hint = f"did you mean {near}? " if near else ""
    return Problem(
        "unmapped_value", "is no word of the API", column, word, f"{hint}map it: [manifest.values.{column}]"
    )


Said = tuple[str, Problem | None, Problem | None]
"""What is sent of a cell (empty: nothing), a problem, a warning."""
Read = Callable[[str, str], Said]
"""``(column, text) → Said``"""


def readers(tag_separator: str, line_types: Collection[str], marker: str = "") -> dict[str, Read]:
    """Return what reads each column of words, ids and texts.

    ``line_types`` are the words that the user maps to; ``marker`` is the column an upload keeps for itself.
    """
    table: dict[str, Read] = {
        **dict.fromkeys(TEXTS, free_text),
        **dict.fromkeys(("group_id", "campaign_id", "channel_id"), integer),
        "assign_to": email,
        "disposition": disposition,
        "line_type": lambda name, text: line_type(name, text, line_types),
        "zip_code": zip_code,
        "tag_name": lambda name, text: tags(name, text, tag_separator),
    }
    if marker:
        table[marker] = marker_taken
    return table


def disposition(name: str, word: str) -> Said:
    """Return the API's word for how a call ended."""
    if word in PROVEN:
        return word, None, None
    if word in PROVEN:
        return word, None, None
    upper = " ".join(word.upper().split())
    if upper not in DISPOSITIONS:
        return "", unmapped(name, word, DISPOSITIONS), None
    if upper in PROVEN:
        return upper, None, None
    hint = "try it with --canary first"
    return upper, None, Problem("unproven_disposition", "is known of lists only", name, word, hint)


def line_type(name: str, word: str, known: Collection[str]) -> Said:
    """Return a line type: none are documented, so only those that the user mapped to are taken."""
    return (word, None, None) if word in known else ("", unmapped(name, word), None)


def integer(name: str, text: str) -> Said:
    """Return an id that has to be a whole number."""
    if _INTEGER.fullmatch(text):
        return text, None, None
    return (
        "",
        Problem("not_an_id", "is no id: those are whole numbers", name, text, "write the id, not the name"),
        None,
    )


def zip_code(name: str, text: str) -> Said:
    """Return a zip code as the API takes it: at most five digits."""
    if len(text) == 5 and text.isascii() and text.isdigit():
        return text, None, None
    if match := re.fullmatch(r"(\d{5})[- ]?\d{4}", text, re.ASCII):
        return match[1], None, Problem("zip_cut", "only its first five digits are sent", name, text)
    if re.fullmatch(r"\d{3,4}", text, re.ASCII):
        hint = "a spreadsheet has eaten a zero: format the column as text and export again"
        return "", Problem("short_zip", "has fewer than five digits", name, text, hint), None
    hint = "the API takes five digits only: leave it empty"
    return "", Problem("zip_not_sendable", "is no zip code the API takes", name, text, hint), None


def free_text(name: str, text: str) -> Said:
    """Return a text as it stands, whatever is in it."""
    if len(text) <= LONGEST_TEXT:
        return text, None, None
    what = f"has {len(text)} characters, and {LONGEST_TEXT} are the most"
    return "", Problem("text_too_long", what, name, text, "shorten it"), None


def email(name: str, text: str) -> Said:
    """Return a user's e-mail address."""
    # Length first: the pattern is slow on what goes on for pages.
    if len(text) <= LONGEST_TEXT and not _EMAIL.fullmatch(text):
        return "", Problem("not_an_email", "is no e-mail address of a user", name, text), None
    return free_text(name, text)


def marker_taken(name: str, text: str) -> Said:
    """Refuse what stands where the upload's marker goes."""
    hint = "set imports.marker_slot to another one"
    return "", Problem("marker_slot_taken", "is where the upload's marker goes", name, text, hint), None


def tags(name: str, text: str, separator: str) -> Said:
    """Return the tags of a cell as one text."""
    if separator and separator in text:
        names = [tag.strip() for tag in text.split(separator) if tag.strip()]
        if not NULLS.isdisjoint(names):
            return "", Problem("null_word", "names a tag that is none", name, text, "take it out"), None
        said = f"is sent as {len(names)} tags with commas between them"
        sent, wrong, _ = free_text(name, ",".join(names))
        return sent, wrong, Problem("several_tags", said, name, text) if len(names) > 1 else None
    sent, wrong, _ = free_text(name, text)
    if separator or not _SEVERAL.search(text):
        return sent, wrong, None
    hint = "if they are several, say manifest.tag_separator"
    return sent, wrong, Problem("perhaps_several_tags", "is sent as one tag", name, text, hint)
