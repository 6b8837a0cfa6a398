from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.convirza.models import read_call
from mediapipe.layout import (
    DEFAULT_TEMPLATE,
    SIDECAR_SUFFIX,
    Layout,
    item_key,
    safe_call_id,
    safe_id,
    sidecar,
    sidecar_agrees,
)
from mediapipe.stores.interface import check_key

STARTED = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
anything = st.text(st.characters(), max_size=400)  # surrogates too: JSON may hold lone ones
tricky = st.sampled_from(
    [
        "",
        ".",
        "..",
        "...",
        "-",
        "--",
        "%",
        "%25",
        "a/b",
        "a%2Fb",
        "a b",
        ".mediapipe",
        "~",
        "a-b",
        "a%2Db",
        "é",
        "\ud83d",
        "\\",
        "a\nb",
        "x" * 255,
        "x" * 256,
        "é" * 255,
        "CON",
        "1.json",
        "NUL\0",
    ]
)
ids = st.one_of(anything, tricky, st.integers(0, 10**20).map(str))


def write(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "call_id": "1",
        "recording_id": "2",
        "key": "a/1-2.wav",
        "sha256": "0" * 64,
        "size": 10,
        "media": {"duration_s": 1.5, "codec": "pcm"},
        "warnings": ("x",),
        "record": {"call_id": 1, "call_started": "2026-03-01T00:00:00Z"},
    }
    return sidecar(**{**fields, **changes})


@settings(deadline=None)
@given(ids, ids)
def test_keys_of_any_ids_are_fit_for_every_store(call_id: str, recording_id: str) -> None:
    for template in (DEFAULT_TEMPLATE, "{call_id}/{recording_id}", "{call_id}-{recording_id}"):
        stem = Layout(template).stem(call_id, recording_id, STARTED)
        for suffix in (".wav", ".flac", SIDECAR_SUFFIX):
            check_key(stem + suffix)
        assert stem.isascii()
        assert stem.count("/") == template.count("/")


@settings(deadline=None)
@given(ids, ids, ids, ids)
def test_different_recordings_have_different_keys(a: str, b: str, c: str, d: str) -> None:
    keys = {item_key(call, recording) for call in (a, c) for recording in (b, d)}
    keys |= {item_key(a, None), item_key(c, None)}
    assert len(keys) == len({(call, recording) for call in (a, c) for recording in (b, d, None)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("1-2", "3"), ("1", "2-3")),
        (("", "%"), ("%", "")),
        (("a.b", "c"), ("a%2Eb", "c")),
        (("é", "1"), ("%C3%A9", "1")),
    ],
)
def test_ids_that_look_alike_do_not_collide(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert item_key(*one) != item_key(*other)


@settings(deadline=None)
@given(ids)
def test_a_safe_id_is_plain_and_a_call_id_has_no_dash(value: str) -> None:
    assert safe_id(value).isascii()
    assert "-" not in safe_call_id(value)
    assert "/" not in safe_id(value)


@pytest.mark.parametrize("value", ["20012345", "abc_DEF~1.2", "3f2b-88"])
def test_a_usual_id_is_left_as_it_is(value: str) -> None:
    assert safe_id(value) == value


def test_the_day_is_the_utc_day_of_the_call() -> None:
    local = STARTED.astimezone(timezone(timedelta(hours=9)))
    assert Layout().stem("1", "2", local) == "recordings/year=2026/month=03/day=01/1-2"
    assert Layout("{hour}/{call_id}{recording_id}").stem("1", "2", local) == "23/12"


def test_dated_asks_whether_days_have_their_own_folders() -> None:
    assert Layout().dated
    assert not Layout("all/{call_id}-{recording_id}").dated
    assert not Layout("all/{day}-{call_id}-{recording_id}").dated


def test_a_sidecar_has_the_same_bytes_whatever_the_order_of_its_record() -> None:
    record = {"b": 1, "a": {"y": 1, "x": 2}, "call_started": None}
    turned = {"call_started": None, "a": {"x": 2, "y": 1}, "b": 1}
    assert write(record=record) == write(record=turned)
    assert write().endswith(b"}\n")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(), max_size=8), json_values, max_size=5))
def test_a_sidecar_of_any_record_is_json_that_gives_the_record_back(record: dict[str, Any]) -> None:
    raw = write(record=record)
    assert json.loads(raw)["call"] == json.loads(json.dumps(record))
    assert raw == write(record=record)


def test_half_an_emoji_in_a_record_is_kept() -> None:
    record = json.loads(b'{"comment": "cut \\ud83d", "name": "J\\u00fcrgen"}')
    raw = write(record=record)
    assert json.loads(raw)["call"] == record
    assert "Jürgen".encode() in raw


def test_a_sidecar_agrees_only_about_the_very_recording() -> None:
    raw = write()
    assert sidecar_agrees(raw, key="a/1-2.wav", sha256="0" * 64, size=10)
    assert not sidecar_agrees(raw, key="a/1-2.mp3", sha256="0" * 64, size=10)
    assert not sidecar_agrees(raw, key="a/1-2.wav", sha256="1" * 64, size=10)
    assert not sidecar_agrees(raw, key="a/1-2.wav", sha256="0" * 64, size=11)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, write()[:-20]])
def test_a_damaged_sidecar_agrees_with_nothing(raw: bytes) -> None:
    assert not sidecar_agrees(raw, key="a/1-2.wav", sha256="0" * 64, size=10)


SIGNED = (
    "https://api.convirza.com/v3/recordings/1?secret=s3cr3t&access=acc3ss&expires=1775462400&file_name=a.mp3"
)


@pytest.mark.parametrize(
    "raw",
    [
        {"call_id": 1, "recording_details": {"url": SIGNED, "expires_at": 1775462400, "recording_id": 7}},
        {"call_id": 1, "call_detail": {"audio": SIGNED}},
        {"call_id": 1, "comments": [{"text": f"listen at {SIGNED}"}, [SIGNED]]},
        {"call_id": 1, "custom_sources": {"a": {"b": {"c": SIGNED.replace("&", "&amp;")}}}},
        {"call_id": 1, "summary": f'{{"secret": "s3cr3t", "access": "acc3ss", "u": "{SIGNED}"}}'},
        {"call_id": 1, "tags": [{"tag_name": "ACCESS=acc3ss;Secret=s3cr3t"}]},
    ],
)
def test_no_grant_reaches_a_sidecar(raw: dict[str, Any]) -> None:
    call = read_call(raw, server_time=0)
    written = write(record=call.record).decode()
    assert "s3cr3t" not in written
    assert "acc3ss" not in written
    assert "s3cr3t" not in repr(call)
