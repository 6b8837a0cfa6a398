from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.durations import format_duration, format_size, parse_duration, parse_size

CENTURY = timedelta(days=36_525)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10d", 864_000),
        ("15m", 900),
        ("90s", 90),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("2w", 1_209_600),
        ("1.5h", 5_400),
        ("45", 45),
        ("0.25", 0.25),
        (" 5M ", 300),
        (45, 45),
        (0.5, 0.5),
        (timedelta(hours=1), 3_600),
    ],
)
def test_durations_as_people_write_them(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "d", "10x", "30m1h", "-5m", "1h-3m", "ten", "1e3", "P10D", "101y", "4000000d", "٣d"],
        *[-1, float("nan"), float("inf"), True, None, [], timedelta(-1)],
    ],
)
def test_what_is_no_duration_says_what_would_be(text):
    with pytest.raises(ValueError, match=r"10d, 15m, 90s, 1h30m"):
        parse_duration(text)


@given(st.timedeltas(timedelta(), CENTURY))
def test_a_formatted_duration_reads_back_exactly(length):
    assert parse_duration(format_duration(length)) == length


@given(st.integers(0, 10**9))
def test_plain_seconds_are_seconds(seconds):
    assert parse_duration(str(seconds)) == parse_duration(f"{seconds}s") == timedelta(seconds=seconds)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_a_value_error(text):
    try:
        length = parse_duration(text)
    except ValueError:
        return
    assert timedelta() <= length <= CENTURY


def test_a_negative_duration_has_no_form():
    with pytest.raises(ValueError):
        format_duration(timedelta(seconds=-1))
    assert format_duration(timedelta()) == "0s"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50MB", 50_000_000),
        ("50 mb", 50_000_000),
        ("4MiB", 4 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("0", 0),
        ("123", 123),
        ("123B", 123),
        ("0.1kB", 100),
        (7, 7),
    ],
)
def test_sizes_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "1.5", "0.0001kB", "-1", "4M", "1 PB", "1e6", True, None, -1, 1.0]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(0, 10**15), st.sampled_from(["", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_is_number_times_unit_in_any_case(number, unit):
    factor = parse_size(f"1{unit}")
    assert parse_size(f"{number}{unit}") == parse_size(f"{number} {unit.lower()}") == number * factor


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (4_200_000, "4.2 MB"),
        (999_950, "1.0 MB"),
        (999_999_999_999, "1.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_for_people(size, text):
    assert format_size(size) == text
