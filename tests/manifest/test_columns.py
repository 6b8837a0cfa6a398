"""Headers: names as people write them, and what no row could be read by."""

from __future__ import annotations

import pytest

from mediapipe.errors import UsageError
from mediapipe.manifest.aliases import ALIASES
from mediapipe.manifest.columns import (
    ADDED,
    API_FIELDS,
    KNOWN,
    RECORDINGS,
    normalise,
    read_header,
    recognised,
)
from mediapipe.manifest.options import ManifestOptions

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
    said = refused("recording_file", "extern_id")
    assert "no column external_id, but 'extern_id'" in said
    assert "it has 'recording_file', 'extern_id'" in said
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


def mapped(*cells: str, strict: bool = False, **columns: str) -> tuple[tuple[str, ...], list[str]]:
    header = read_header("m", cells, 1, ManifestOptions(columns=columns, strict=strict))
    assert header.cells == cells
    return header.names, [str(one) for one in header.warnings if one.code != "missing_column"]


def test_headers_of_another_system_are_mapped_however_they_are_spelled() -> None:
    names, warnings = mapped(
        "Anruf ID", "DATEI", "wann", **{"anruf-id": "External_ID", "Datei": "recording_file"}
    )
    assert names == ("external_id", "recording_file", "wann")
    assert warnings == ["wann: is not known and is passed over (no field of a call; it is left out)"]


def test_a_mapped_header_that_the_file_lacks_is_a_warning() -> None:
    _, warnings = mapped(*GOOD, Agent="assign_to")
    assert warnings == ["Agent: is not there, although the setting manifest.columns speaks of it"]


def test_a_column_may_be_left_out_on_purpose() -> None:
    names, warnings = mapped(*GOOD, "ivr_path", "caller_name", strict=True, ivr_path="", caller_name="")
    assert names == (*GOOD, "", "")
    assert warnings == []


def test_what_is_mapped_away_makes_room_for_another() -> None:
    names, _ = mapped(*GOOD[:3], "group_id", "caller_id", "num", caller_id="ring_to", num="caller_id")
    assert names == (*GOOD[:3], "group_id", "ring_to", "caller_id")


@pytest.mark.parametrize(
    ("cells", "columns", "words"),
    [
        (GOOD, {"x": "calller_id"}, "makes 'x' a column 'calller_id', not known, but 'caller_id'"),
        (GOOD, {"x": "reason"}, "'reason', not known"),
        ((*GOOD, "a", "b"), {"a": "city", "b": "city"}, "more than one column 'city': 'a', 'b'"),
        ((*GOOD, "Ani"), {"ani": "caller_id"}, "more than one column 'caller_id': 'caller_id', 'Ani'"),
        (GOOD, {"a-b": "city", "A B": "state"}, "says two things of 'A B'"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(
    cells: tuple[str, ...], columns: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        mapped(*cells, **columns)
    assert words in str(caught.value)


def test_usual_headers_are_understood_and_said() -> None:
    names, warnings = mapped("ID", "File Name", "call_date", "ANI", "group_id")
    assert names == ("external_id", "recording_file", "call_date", "caller_id", "group_id")
    assert warnings[0] == "id: is read as external_id ([manifest.columns] may say otherwise)"
    assert len(warnings) == 3


def test_a_usual_header_never_beats_a_column_of_that_name() -> None:
    names, warnings = mapped(*GOOD, "id", "url")
    assert names == (*GOOD, "id", "url")
    assert warnings[0].startswith("id: is not known and is passed over (if it is external_id, say so")
    names, _ = mapped(*GOOD[:3], "group_id", "ani", "anrufer", anrufer="caller_id")
    assert names[-2:] == ("ani", "caller_id"), "nor one that is told"


def test_of_two_that_could_be_meant_none_is_taken() -> None:
    names, warnings = mapped(*GOOD[:3], "caller", "ani", "group_id")
    assert names[3:5] == ("caller", "ani")
    assert len(warnings) == 2
    said = refused("recording_file", "call_id", "ucid")
    assert "no column external_id, and 'call_id' or 'ucid' could be it" in said
    assert "no column recording_file or recording_url, and 'file' or 'url' could be it" in refused(
        "external_id", "file", "url"
    )


def test_usual_headers_are_no_columns_of_ours_and_mean_one_that_is() -> None:
    assert ALIASES.keys().isdisjoint({*KNOWN, *ADDED, "reason", "message", "date", "time", "status"})
    assert set(ALIASES.values()) <= KNOWN
    assert all(normalise(name) == name for name in ALIASES)


def test_strict_refuses_what_it_does_not_know_and_only_that() -> None:
    with pytest.raises(UsageError, match=r"m, line 1: not known: 'zzz', 'yyy' \(say what they are"):
        mapped(*GOOD, "zzz", "yyy", "", strict=True)
    names, _ = mapped(*GOOD[:3], "group_id", "ani", "reason", "message", "", strict=True)
    assert names[3:] == ("group_id", "caller_id", "reason", "message", "")


def test_what_failed_rows_say_besides_is_passed_over_without_a_word() -> None:
    assert codes(*GOOD, *ADDED) == []


def test_everything_that_says_something_is_recognised() -> None:
    options = ManifestOptions(columns={"Anruf-ID": "external_id"})
    assert recognised(options) >= KNOWN | ALIASES.keys() | {"anruf_id", "reason", "message"}
