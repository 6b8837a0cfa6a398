"""Words in cells: one table of yes and no, lengths that can be read one way only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest.values import BOOLEANS, is_spoilt, read_boolean, read_duration


@pytest.mark.parametrize("word", ["true", "TRUE", "T", "yes", "Y", "on", "1"])
def test_yes(word: str) -> None:
    assert read_boolean(word) is True


@pytest.mark.parametrize("word", ["false", "False", "f", "no", "N", "off", "0"])
def test_no(word: str) -> None:
    assert read_boolean(word) is False


@pytest.mark.parametrize("word", ["1.0", "outbound", "N/A", "-", "ja", "2", "truee", "null"])
def test_any_other_word_is_an_error_and_never_no(word: str) -> None:
    with pytest.raises(ValueError, match="neither yes nor no"):
        read_boolean(word)


def test_the_table_is_in_lower_case_and_undecided_about_nothing() -> None:
    assert all(word == word.lower().strip() for word in BOOLEANS)
    assert set(BOOLEANS.values()) == {True, False}


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        ("182", 182.0),
        ("182.5", 182.5),
        ("0", 0.0),
        ("0:03:02", 182.0),
        ("1:00:00.25", 3600.25),
        ("00:41:36.60", 2496.6),
    ],
)
def test_a_length(word: str, seconds: float) -> None:
    assert read_duration(word) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "word", ["3:02", "3m", "-1", "1e3", "nan", "inf", "1,5", "0:60:00", "0:0:5", "1:2:3:4", "٣"]
)
def test_a_length_that_could_mean_two_things_or_none_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="no length"):
        read_duration(word)


@given(st.integers(0, 9999), st.integers(0, 59), st.integers(0, 59))
def test_every_clock_is_read_as_it_is_written(hours: int, minutes: int, seconds: int) -> None:
    assert read_duration(f"{hours}:{minutes:02}:{seconds:02}") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("text", ["1.80156E+10", "1,8E+10", "2E5", "-1.5e-3", "123.0"])
def test_a_number_that_a_spreadsheet_rounded_is_seen(text: str) -> None:
    assert is_spoilt(text)


@pytest.mark.parametrize("text", ["000123", "E5", "call-1E", "12", "1.5", "1.10", "1E", "0x1E5", "1E+10-a"])
def test_an_id_that_only_looks_a_little_like_it_is_left_alone(text: str) -> None:
    assert not is_spoilt(text)
