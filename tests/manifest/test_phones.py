from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.manifest import phones
from mediapipe.manifest.phones import NotANumber, read_phone


def code(text: str, region: str = "US") -> str:
    with pytest.raises(NotANumber) as caught:
        read_phone(text, region)
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "as_given", "national", "international"),
    [
        ("18015821234", "18015821234", "8015821234", "18015821234"),
        ("8015821234", "8015821234", "8015821234", "18015821234"),
        ("+18015821234", "18015821234", "8015821234", "18015821234"),
        ("(801) 582-1234", "8015821234", "8015821234", "18015821234"),
        ("1-801-582-1234", "18015821234", "8015821234", "18015821234"),
        ("+1\u00a0801\u00a0582\u00a01234", "18015821234", "8015821234", "18015821234"),
        ("+44 20 7946 0018", "442079460018", "2079460018", "442079460018"),
        ("011 44 20 7946 0018", "442079460018", "2079460018", "442079460018"),
    ],
)
def test_the_digits_that_are_sent(text: str, as_given: str, national: str, international: str) -> None:
    assert read_phone(text).digits == as_given
    assert read_phone(text, form="national").digits == national
    assert read_phone(text, form="international").digits == international


# Item 3 of the field notes, and item 2.
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        *((word, "no_number") for word in ("Anonymous", "Restricted", "PRIVATE", "Unavailable", "unknown")),
        *((digits, "no_number") for digits in ("266696687", "+266696687", "7378742833", "17378742833")),
        *(
            (word, "no_number")
            for word in ("+Anonymous", "no\u00a0caller id", "266-696-687", "(737) 874-2833")
        ),
        ("1.80156E+10", "spoilt_number"),
        ("18015551234.0", "spoilt_number"),
    ],
)
def test_a_sentinel_or_a_spoilt_number_is_none(text: str, wrong: str) -> None:
    assert code(text) == wrong


# Item 4: odd but real.
@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("sip:+18015551234@host", "not_a_number"),
        ("1-800-FLOWERS", "not_a_number"),
        ("ks.8015551234", "not_a_number"),
        ("'+18015551234", "not_a_number"),
        ("=18015551234", "not_a_number"),
        ("-18015551234", "not_a_number"),
        ("\uff11\uff18\uff10\uff11\uff15\uff15\uff15\uff11\uff12\uff13\uff14", "not_a_number"),
        ("8015551234 / 8015559999", "two_numbers"),
        ("8015551234, 8015559999", "two_numbers"),
        ("4711", "impossible_number"),
        ("911", "impossible_number"),
        ("00442079460018", "impossible_number"),
        ("☎", "not_a_number"),
        ("801" + " " * 100_000 + "y", "not_a_number"),
        ("8" * 100_000, "not_a_number"),
        ("8015821234" + " " * 100_000 + "x42", "not_a_number"),
    ],
    ids=lambda text: text[:30],
)
def test_what_only_looks_like_a_number_is_refused_and_never_repaired(text: str, wrong: str) -> None:
    assert code(text) == wrong


def test_a_prefix_for_dialling_abroad_belongs_to_its_region() -> None:
    assert read_phone("00442079460018", "DE").digits == "442079460018"


@pytest.mark.parametrize(
    "text", ["8015821234x42", "8015821234;ext=42", "801-582-1234 ext. 42", "8015821234 #42"]
)
def test_an_extension_is_cut_off_and_said(text: str) -> None:
    found = read_phone(text)
    assert (found.digits, [one for one, _ in found.doubts]) == ("8015821234", ["extension_cut"])


def test_a_possible_number_that_is_not_in_use_is_only_doubtful() -> None:
    """The vendor's own example is one."""
    found = read_phone("+15551234567")
    assert (found.digits, [one for one, _ in found.doubts]) == ("15551234567", ["doubtful_number"])


def test_a_number_without_area_code_never_gets_a_country_code() -> None:
    """With a 1 before it, it would be another number."""
    for form in ("as_given", "national"):
        found = read_phone("582-1234", form=form)  # type: ignore[arg-type]
        assert (found.digits, [one for one, _ in found.doubts]) == ("5821234", ["local_number"])
    with pytest.raises(NotANumber, match="no area code"):
        read_phone("582-1234", form="international")


# Areas in use are tried more often than chance would; 242 and 876 have tables of their own, 555 is in none.
areas = st.one_of(
    st.from_regex(r"\A[2-9][0-9]{2}\Z"),
    st.sampled_from(["801", "212", "416", "800", "888", "900", "242", "876", "787", "555", "737"]),
)
gaps = st.sampled_from(["", "-", ".", " ", "  ", "/"])
nanp = st.builds(
    lambda before, area, opened, closed, first, exchange, second, last: (
        f"{before}{opened}{area}{closed}{first}{exchange}{second}{last}"
    ),
    st.sampled_from(["", "1", "+1", "1-", "+1 ", "1.", "+1-", "+"]),
    areas,
    st.sampled_from(["", "("]),
    st.sampled_from(["", ")"]),
    gaps,
    st.one_of(st.from_regex(r"\A[2-9][0-9]{2}\Z"), st.sampled_from(["555", "911", "411", "874"])),
    gaps,
    st.one_of(st.from_regex(r"\A[0-9]{4}\Z"), st.sampled_from(["2833", "0100"])),
)


@given(nanp, st.sampled_from(["as_given", "national", "international"]))
@settings(max_examples=500)
def test_the_short_way_says_what_the_long_one_says(text: str, form: phones.Form) -> None:
    try:
        short: object = read_phone(text, "US", form)
    except NotANumber as error:
        short = error.code
    try:
        long: object = phones._read(text, "US", form)
    except NotANumber as error:
        long = error.code
    assert short == long


@given(st.text(min_size=1, max_size=30).filter(str.strip))
def test_no_text_whatever_crashes_and_only_digits_are_sent(text: str) -> None:
    with suppress(NotANumber):
        found = read_phone(text.strip())
        assert found.digits.isascii()
        assert found.digits.isdigit()
