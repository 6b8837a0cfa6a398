"""How one entry of the library is read, in every shape it may have, and a list of them."""

from __future__ import annotations

from typing import Any

import pytest

from mediapipe.convirza.listed import first_of, read_list, read_listed, read_total
from mediapipe.errors import Transient
from mediapipe.library.words import Listed


@pytest.mark.parametrize(
    ("raw", "entry"),
    [
        (
            {"id": 4001, "type": "prompt", "name": "w", "size": 12, "uploaded_on": "2026-02-01T00:00:00Z"},
            Listed("4001", "prompt", "w", 12, "2026-02-01T00:00:00Z"),
        ),
        (
            {"reference_id": "r", "recording_type": "whisper", "file_name": "w", "file_size": "12"},
            Listed("r", "whisper", "w", 12),
        ),
        ({"recording_id": 1, "filename": "w.wav", "bytes": 12.0}, Listed("1", "", "w.wav", 12)),
        ({"media_id": 1, "title": "w", "created_at": 1767225600}, Listed("1", "", "w", None, "1767225600")),
        ({"prompt_id": 1, "name": None, "file_name": "w", "created": "x"}, Listed("1", "", "w", None, "x")),
        ({"name": " two  words "}, Listed("", "", " two  words ")),
        ({"name": 5}, Listed("", "", "5")),
        ({"name": " ", "title": "w"}, Listed("", "", "w")),
        ({"id": 7}, Listed("7", "", "")),
        ({"id": "", "recording_id": 8, "name": "w"}, Listed("8", "", "w")),
        ({"id": True, "name": "w"}, Listed("", "", "w")),
        ({"id": {"x": 1}, "name": "w", "type": ["prompt"]}, Listed("", "", "w")),
        ({"name": "w", "type": " Voicemail "}, Listed("", "voicemail", "w")),
        ({"name": "w", "type": "Jingle"}, Listed("", "Jingle", "w")),
        ({"name": "Gru\u0308n"}, Listed("", "", "Gr\u00fcn")),
        ({"name": "w", "size": "39009kB"}, Listed("", "", "w")),
        ({"name": "w", "size": -1, "bytes": 3}, Listed("", "", "w", 3)),
        ({"name": "w", "size": True}, Listed("", "", "w")),
        ({"name": "w", "size": 0}, Listed("", "", "w", 0)),
        ({"name": "w", "size": "9" * 30}, Listed("", "", "w")),
    ],
)
def test_an_entry_is_read_liberally(raw: Any, entry: Listed) -> None:
    assert read_listed(raw) == entry


@pytest.mark.parametrize("raw", [None, 5, "w", [], {}, {"type": "prompt"}, {"name": ""}, {"id": None}])
def test_an_entry_that_cannot_be_read_is_never_left_out(raw: Any) -> None:
    with pytest.raises(Transient) as caught:
        read_listed(raw)
    assert caught.value.code == "unreadable_answer"


@pytest.mark.parametrize(
    "body",
    [
        {"data": [1]},
        {"result": "success", "err": None, "data": [1]},
        *({"data": {key: [1]}} for key in ("items", "prompts", "media_prompts", "recordings", "calls")),
        {"data": {"result": [1], "total": 1}},
        {"data": {"items": None, "prompts": [1]}},
        {"data": {"items": [], "prompts": [1]}},
    ],
)
def test_a_list_is_found(body: Any) -> None:
    assert read_list(body) == [1]


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": {"items": []}},
        {"data": {"items": None, "total": 0}},
        {"data": {"total": "0"}},
        {"result": "error", "err": "No records found."},
        {"result": "error", "err": None, "data": "no records found"},
    ],
)
def test_an_empty_list_is_one(body: Any) -> None:
    assert read_list(body) == []


@pytest.mark.parametrize(
    "body",
    [
        *(None, 5, "x", [], [1], {}, {"data": None}, {"data": "x"}, {"data": {}}, {"data": {"total": 3}}),
        {"data": {"items": None}},
        {"data": {"items": {"x": 1}}},
        {"items": [1]},
        {"data": {"other": [1]}},
        {"result": "error", "err": "Please provide valid data."},
        {"result": "success", "err": "no records found"},
    ],
)
def test_anything_else_is_no_list(body: Any) -> None:
    with pytest.raises(Transient) as caught:
        read_list(body)
    assert caught.value.code == "unreadable_answer"


@pytest.mark.parametrize(
    ("body", "total"),
    [
        ({"data": {"items": [], "total": 3}}, 3),
        ({"data": {"total_count": "3"}}, 3),
        ({"data": [], "total": 3.0}, 3),
        ({"data": [], "meta": {"total": 3}}, 3),
        ({"data": {"total": "many"}, "total": 3}, 3),
        ({"data": {"total": -1}}, None),
        ({"data": [], "meta": None}, None),
        ([], None),
    ],
)
def test_a_total_is_read_where_one_is_said(body: Any, total: int | None) -> None:
    assert read_total(body) == total


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1"), (1.0, "1"), (1.5, ""), (" x ", "x"), (True, ""), (None, ""), ([], ""), (float("inf"), "")],
)
def test_a_field_is_text_or_a_whole_number(value: Any, text: str) -> None:
    assert first_of({"a": value}, ("b", "a")) == text
