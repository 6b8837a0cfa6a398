"""Telephone numbers in cells: what is one, what only looks like one, and which digits are sent.

``phonenumbers`` takes much for a number that nobody meant as one, so everything a spreadsheet or another
system is known to leave in such a cell is told apart before it is asked. Nothing is repaired by guessing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

import phonenumbers

Form = Literal["as_given", "national", "international"]

SENTINELS = frozenset(
    {
        *(
            "anonymous",
            "restricted",
            "private",
            "unavailable",
            "unknown",
            "blocked",
            "withheld",
            "no caller id",
        ),
        *("not available", "out of area", "id unavailable", "caller id blocked", "asserted", "undefined"),
        # Twilio's spellings on a keypad: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN, UNAVAILABLE.
        *("266696687", "7378742833", "2562533", "8656696", "86282452253"),
    }
)
"""What systems write where no number was shown, in lower case and without a leading ``+`` or ``+1``."""

_USUAL = re.compile(r"(?:\+?1[-. ]?)?(?:\([2-9]\d\d\)|[2-9]\d\d)[-. ]?[2-9]\d\d[-. ]?\d{4}", re.ASCII)
"""How numbers of the United States and Canada are usually written."""
_MARKS = str.maketrans("", "", "+-. ()\u00a0")
LONGEST = 60
"""Characters of a cell that are looked at: the patterns below are slow on what goes on for pages."""
_EXTENSION = re.compile(
    r"(?:\s*(?:;ext=|,?\s*ext\.?|,?\s*extension|\s*x|#)\s*)(\d{1,7})\s*$", re.IGNORECASE | re.ASCII
)
_PLAIN = re.compile(r"\+?[\d\s().\-/\u00a0\u2010\u2011\u2013]+", re.ASCII)
_SPOILT = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+", re.ASCII)


class NotANumber(ValueError):
    """A cell holds no number that can be sent: ``code``, what it is, and what to do."""

    def __init__(self, code: str, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.hint = code, what, hint


class Phone(NamedTuple):
    """The digits to be sent; ``doubts`` are codes and words of what is odd about the number."""

    digits: str
    doubts: tuple[tuple[str, str], ...] = ()


def _in_use(*regions: str) -> re.Pattern[str]:
    """Return what fits the numbers that are in use there, by the tables of ``phonenumbers``."""
    known = [phonenumbers.PhoneMetadata.metadata_for_region(region) for region in regions]
    kinds = [kind for one in known if one for kind in (one.fixed_line, one.toll_free) if kind]
    return re.compile("|".join(kind.national_number_pattern or "(?!)" for kind in kinds), re.ASCII)


_IN_USE = _in_use("US", "CA")


@lru_cache(maxsize=4096)
def read_phone(text: str, region: str = "US", form: Form = "as_given") -> Phone:
    """Return the number in a filled cell; raises :class:`NotANumber`."""
    # The usual ones take a tenth of the time this way, and the answer is the same.
    if region == "US" and _USUAL.fullmatch(text):
        digits = text.translate(_MARKS)
        ten = digits[-10:]
        if _IN_USE.fullmatch(ten) and ten not in SENTINELS:
            return Phone(digits if form == "as_given" else ten if form == "national" else f"1{ten}")
    return _read(text, region, form)


def _read(text: str, region: str, form: Form) -> Phone:
    if len(text) > LONGEST:
        what = f"has {len(text)} characters, too many for a telephone number"
        raise NotANumber("not_a_number", what, "write one number, and nothing else")
    _refuse_known(text)
    doubts: list[tuple[str, str]] = []
    main = text
    if match := _EXTENSION.search(text):
        main = text[: match.start()]
        doubts.append(("extension_cut", f"the extension {match[1]} is not sent"))
    if not _PLAIN.fullmatch(main) or "+" in main[1:]:
        raise NotANumber("not_a_number", "is no telephone number", "write digits, with + and country code")
    try:
        number = phonenumbers.parse(main.replace("\u00a0", " "), region, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        raise NotANumber("not_a_number", "is no telephone number", _region_hint(region)) from None
    length = phonenumbers.is_possible_number_with_reason(number)
    if length == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        if form == "international":  # its country code before it would make another number
            raise NotANumber("local_number", "has no area code", "write the whole number")
        doubts.append(("local_number", "has no area code"))
    elif length != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise NotANumber(
            "impossible_number", "has not the length of a telephone number", _region_hint(region)
        )
    elif not phonenumbers.is_valid_number(number):
        doubts.append(("doubtful_number", "is of a range that is not in use"))
    return Phone(_digits(main, number, form), tuple(doubts))


def _digits(text: str, number: phonenumbers.PhoneNumber, form: Form) -> str:
    """Return what is sent of a number: its digits, with or without its country code."""
    national = phonenumbers.national_significant_number(number)
    dialled = number.country_code_source == phonenumbers.CountryCodeSource.FROM_NUMBER_WITH_IDD
    if form == "as_given" and not dialled:  # a prefix for dialling abroad is nobody's number
        return "".join(char for char in text if char in "0123456789")
    return national if form == "national" else f"{number.country_code}{national}"


def _region_hint(region: str) -> str:
    return f"numbers without + are read as those of {region} (manifest.region)"


def _refuse_known(text: str) -> None:
    """Refuse what is known to be no number although it may look like one."""
    word = " ".join(text.lower().split()).removeprefix("+")
    digits = text.translate(_MARKS)  # (737) 874-2833 says RESTRICTED too
    if not SENTINELS.isdisjoint((word, digits, digits.removeprefix("1"))):
        hint = 'map it to a number of your own in [manifest.values.caller_id], as "anonymous" = "18005550100"'
        raise NotANumber("no_number", "says that no number was shown", hint)
    if _SPOILT.fullmatch(text):
        hint = "a spreadsheet has rounded it: format the column as text and export again"
        raise NotANumber("spoilt_number", "is no telephone number any more", hint)
    if re.fullmatch(r"[+]?\d+[.,]0+", text, re.ASCII):
        hint = "a spreadsheet has made a decimal of it: format the column as text and export again"
        raise NotANumber("spoilt_number", "ends like a decimal", hint)
    if text[0] in "'=-@":
        raise NotANumber(
            "not_a_number", f"begins with {text[0]}", "a spreadsheet has left it there: take it out"
        )
    if text.lower().startswith(("sip:", "sips:", "tel:")):
        raise NotANumber("not_a_number", "is an address, not a number", "write the number alone")
    if not text.isascii() and any(char.isdigit() and not char.isascii() for char in text):
        raise NotANumber("not_a_number", "holds digits of another script", "write 0 to 9")
    if re.search(r"\d{7,}\s*[,;/&|]\s*\+?\d{7,}", text, re.ASCII):
        raise NotANumber("two_numbers", "holds two numbers", "write one")
    if re.search(r"[A-Za-z]", _EXTENSION.sub("", text)):
        raise NotANumber("not_a_number", "holds letters", "write digits")
