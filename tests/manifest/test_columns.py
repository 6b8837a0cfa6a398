"""Headers: names as people write them, and what no row could be read by."""

from __future__ import annotations

import pytest

from mediapipe.errors import UsageError
from mediapipe.manifest.columns import API_FIELDS, KNOWN, RECORDINGS, normalise, read_header

GOOD = ("recording_file", "external_id", "call_date", "caller_id", "group_id")


def refused(*cells: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_header("manifest m.csv", cells, 3)
    assert "m.csv, line 3" in str(caught.value)
    return str(caught.value)


def codes(*cells: str) -> list[str]:
    return [one.code for one in read_header("m", cells, 1).warnings]


@pytest.mark.parametrize(
    "name",
    [
        "call_date",
        "Call Date",
        " CALL-DATE ",
        "call \t date",
        "\ufeffcall_date",
        "\ufeff Call-Date\u200b",
        "call\xa0date",
    ],
)
def test_a_name_is_compared_without_what_people_vary(name: str) -> None:
    assert normalise(name) == "call_date"


def test_every_published_column_is_known() -> None:
    published = [
        *("call_date", "group_id", "group_ext_id", "external_id", "channel_id", "campaign_id", "caller_id"),
        *("tracking_number", "disposition", "line_type", "ring_to", "assign_to", "custom_source_type_1"),
        *("custom_source_type_2", "custom_source_type_3", "custom_source_type_4", "custom_source_type_5"),
        *("company_name", "city", "zip_code", "caller_name", "address", "state", "swap_channels"),
        *("is_outbound", "tag_name", "transcribe"),
    ]
    assert list(API_FIELDS) == published
    assert {*published, *RECORDINGS, "duration"} == KNOWN
    assert read_header("m", sorted(KNOWN), 1).warnings == ()


def test_a_header_keeps_its_order_and_its_spelling() -> None:
    header = read_header("m", ("External-ID", "recording file", "call_date", "caller_id", "group_ext_id"), 2)
    assert header.names == ("external_id", "recording_file", "call_date", "caller_id", "group_ext_id")
    assert (header.cells[0], header.line, header.warnings) == ("External-ID", 2, ())


def test_a_column_twice_is_refused_however_it_is_spelled() -> None:
    assert "'call_date'" in refused(*GOOD, "Call-Date")


def test_without_an_id_or_a_recording_there_is_nothing_to_read() -> None:
    said = refused("recording_file", "externalid")
    assert "no column external_id, but 'externalid'" in said
    assert "it has 'recording_file', 'externalid'" in said
    assert "no column recording_file or recording_url" in refused("external_id", "call_date")


def test_a_column_nobody_knows_is_a_warning_that_may_know_better() -> None:
    (one,) = read_header("m", (*GOOD, "disposisition"), 1).warnings
    assert (one.code, one.column) == ("unknown_column", "disposisition")
    assert "did you mean disposition?" in str(one)
    assert "it is left out" in str(read_header("m", (*GOOD, "zzz"), 1).warnings[0])


def test_columns_without_a_name_and_missing_ones_are_warnings() -> None:
    assert codes(*GOOD, "", " ") == ["unnamed_column"]
    assert codes("recording_url", "external_id") == ["missing_column"] * 3
    assert codes("recording_url", "external_id", "call_date", "caller_id", "group_ext_id") == []
