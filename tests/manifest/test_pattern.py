"""What names of files say: one way or not at all, and a date that cannot be is none."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.manifest.pattern import read_pattern, read_regex

USUAL = "{call_date:%Y%m%d-%H%M%S}_{caller_id}_{external_id}"


@pytest.mark.parametrize(
    ("pattern", "name", "cells"),
    [
        (
            USUAL,
            "20260203-040506_18015550123_a-1",
            {"call_date": "2026-02-03T04:05:06", "caller_id": "18015550123", "external_id": "a-1"},
        ),
        ("{Caller-ID}", "+1801 555", {"caller_id": "+1801 555"}),
        ("{_}/{ignore}/x{external_id}.y", "a/b_c/x1-2.y", {"external_id": "1-2"}),
        (
            "{call_date:%Y/%m/%d}/{external_id}",
            "2026/02/03/1",
            {"call_date": "2026-02-03", "external_id": "1"},
        ),
        (
            "{call_date:%Y/%m/%d}/{external_id}_{call_date:%H%M}",
            "2026/02/03/7_2359",
            {"call_date": "2026-02-03T23:59:00", "external_id": "7"},
        ),
        ("{call_date:%d%b%y_%I%M%p}", "03Feb26_1130PM", {"call_date": "2026-02-03T23:30:00"}),
        ("{call_date:%Y%j}{external_id}", "2026034x", {"call_date": "2026-02-03", "external_id": "x"}),
        ("{call_date:%Y%m%dT%H%M%S%z}", "20260203T040506+0100", {"call_date": "2026-02-03T04:05:06+01:00"}),
        ("{call_date:%Y%m%dT%H%M%S%z}", "20260203T040506Z", {"call_date": "2026-02-03T04:05:06+00:00"}),
        ("{call_date:%Y%m%d%H%M%S.%f}", "20260203040506.250", {"call_date": "2026-02-03T04:05:06.250000"}),
        ("rec-{call_date:%s}.{_}", "rec-1770091506.12", {"call_date": "2026-02-03T04:05:06Z"}),
        ("{call_date} {_}", "20260203T040506 x", {"call_date": "2026-02-03T04:05:06"}),
        ("{call_date} {_}", "2026-02-03 x", {"call_date": "2026-02-03"}),
        ("a{{b}}.*{external_id}", "a{b}.*1", {"external_id": "1"}),
        ("{caller_id}x{external_id}", "1x2x3", {"caller_id": "1", "external_id": "2x3"}),
    ],
)
def test_a_name_that_fits_makes_cells(pattern: str, name: str, cells: dict[str, str]) -> None:
    assert read_pattern(pattern).read(name) == cells


@pytest.mark.parametrize(
    ("pattern", "name", "words"),
    [
        (USUAL, "20260203-040506_18015550123_a_1", "does not fit the pattern"),
        (USUAL, "20260203-040506_18015550123", "does not fit"),
        (USUAL, "20260203-040506__a1", "does not fit"),
        (USUAL, "x/20260203-040506_1_a1", "does not fit"),
        (USUAL, "20260203-040506_1_a1\n", "does not fit"),
        (USUAL, "2026020-3040506_1_a1", "does not fit"),
        (USUAL, "\uff12\uff10\uff12\uff160203-040506_1_a1", "does not fit"),
        (USUAL, "20261303-040506_1_a1", "'20261303-040506' is no %Y%m%d-%H%M%S date"),
        (USUAL, "20260229-040506_1_a1", "is no %Y%m%d-%H%M%S date"),
        (USUAL, "20260203-240000_1_a1", "is no %Y%m%d-%H%M%S date"),
        ("{call_date}", "yesterday", "'yesterday' is no ISO 8601 date"),
        ("{call_date}", "17", "is no ISO 8601 date"),
        ("a.b{external_id}", "axb1", "does not fit"),
    ],
)
def test_a_name_that_does_not_fit_makes_none(pattern: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_pattern(pattern).read(name)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "names no column"),
        ("{_}", "names no column"),
        ("{external_id", "expected '}'"),
        ("{}", "'' is no column"),
        ("{0}", "'0' is no column"),
        ("{external_id.real}", "is no column"),
        ("{recording_file}", "'recording_file' is no column that a name can fill"),
        ("{external_id!r}", "takes no !"),
        ("{caller_id}{external_id}", "{external_id} stands right behind another field"),
        ("{_}{external_id}", "stands right behind"),
        ("{call_date:%Y%m%d%H%M%S%f}{external_id}", "stands right behind"),
        ("{external_id}_{external_id}", "external_id is there twice"),
        ("{call_date}_{call_date:%Y%m%d}", "call_date is there twice"),
        ("{call_date:%Y%m%d}_{call_date}", "call_date is there twice"),
        ("{caller_id:%Y}", "only call_date is a date, not caller_id"),
        ("{call_date:%Y%m}", "does not say year, month and day"),
        ("{call_date:%m%d}", "does not say year"),
        ("{call_date:%H%M%S}", "does not say year"),
        ("{call_date:x}", "does not say year"),
        ("{call_date:%Y%m%d%I%M}", "morning or evening"),
        ("{call_date:%Y%m%d%M}", "has %M without %H"),
        ("{call_date:%Y%m%d%H%S}", "has %S without %M"),
        ("{call_date:%Y%m%d %c}", "a date may not say %c"),
        ("{call_date:%Y%m%d%%}", "a date may not say %%"),
        ("{call_date:%s}_{call_date:%Y%m%d}", "stands alone"),
    ],
)
def test_a_pattern_that_leaves_something_open_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_pattern(pattern)
    assert words in str(caught.value)


DATES = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)).map(
    lambda when: when.replace(microsecond=0)
)
WORD = st.text(st.sampled_from("ab1+- .é"), min_size=1, max_size=6)


@given(DATES, WORD, WORD)
def test_what_was_put_into_a_name_comes_out_of_it(when: datetime, caller: str, call: str) -> None:
    name = f"{when:%Y/%m/%d}/{caller}_{when:%H-%M-%S}_{call}"
    pattern = "{call_date:%Y/%m/%d}/{caller_id}_{call_date:%H-%M-%S}_{external_id}"
    assert read_pattern(pattern).read(name) == {
        "call_date": when.isoformat(),
        "caller_id": caller,
        "external_id": call,
    }


@given(
    st.text(max_size=30) | st.text(st.sampled_from("{}:%YmdHs_caller_id!/-"), max_size=30),
    st.text(max_size=20),
)
def test_any_pattern_is_refused_or_works(pattern: str, name: str) -> None:
    try:
        made = read_pattern(pattern)
    except UsageError:
        return
    try:
        assert made.read(name).keys() == made.columns
    except ValueError:
        return


def test_a_regex_names_columns_too() -> None:
    made = read_regex(r"(?P<call_date>\d{14})-(?P<_>\w+)-(?P<External_ID>.+)(?P<city>x)?", "%Y%m%d%H%M%S")
    assert made.columns == {"call_date", "external_id", "city"}
    assert made.read("20260203040506-q-1") == {
        "call_date": "2026-02-03T04:05:06",
        "external_id": "1",
        "city": "",
    }
    # strptime alone would take one digit for a month and find a date in it.
    with pytest.raises(ValueError, match="'2026020304050' is no"):
        read_regex(r"(?P<call_date>\d+)", "%Y%m%d%H%M%S").read("2026020304050")
    assert read_regex("(?P<call_date>.*)").read("2026-02-03T04:05Z") == {
        "call_date": "2026-02-03T04:05:00+00:00"
    }


@pytest.mark.parametrize(
    ("regex", "form", "words"),
    [
        ("(", "", "unterminated subpattern"),
        (".*", "", "names no column"),
        ("(?P<nobody>.*)", "", "'nobody' is no column"),
        ("(?P<recording_url>.*)", "", "is no column"),
        ("(?P<call_date>.*)", "%H", "does not say year"),
        ("(?P<caller_id>.)(?P<CALLER_ID>.)", "", "caller_id is there twice"),
    ],
)
def test_a_regex_that_cannot_be_used_is_refused(regex: str, form: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_regex(regex, form)
    assert words in str(caught.value)
