"""What the words in a cell mean: yes and no, lengths of time, numbers a spreadsheet has spoilt."""

from __future__ import annotations

import re
from functools import lru_cache

BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""The one table of yes and no, in lower case. An empty cell is neither: the field is not sent."""

BOOLEAN_HELP = "write true or false, or leave it empty not to send it"
DURATION_HELP = "write seconds, such as 182.5, or H:MM:SS"

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,9})?)")
_SPOILT = re.compile(r"[+-]?[0-9]+(?:(?:[.,][0-9]+)?[eE][+-]?[0-9]+|\.0)")


def read_boolean(word: str) -> bool:
    """Return what a filled cell says; raises ``ValueError`` for any word that is not in the table."""
    found = BOOLEANS.get(word.lower())
    if found is None:
        raise ValueError("is neither yes nor no")
    return found


@lru_cache(maxsize=8192)
def read_duration(word: str) -> float:
    """Return a length in seconds; raises ``ValueError`` for anything unclear.

    ``3:02`` is refused: minutes and seconds for one system are hours and minutes for another.
    """
    if _SECONDS.fullmatch(word):
        return float(word)
    if clock := _CLOCK.fullmatch(word):
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
    raise ValueError("is no length of time that can be read")


def is_spoilt(text: str) -> bool:
    """Tell whether a spreadsheet has made a number of an id: ``1.80156E+10``, ``18015551234.0``."""
    return _SPOILT.fullmatch(text) is not None
