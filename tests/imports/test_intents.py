from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.imports.intents import Intent, differences, intent_of, marker_of
from mediapipe.ledger.interface import Scope

NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)
FIELDS = {"caller_id": "18015551234", "caller_name": '=Zoë, "x"'}
FULL = Intent(
    "a", NOON, FIELDS, 61.25, "ab" * 32, "cd" * 32, 12, 34, 56,
    "/calls/a.wav", "mediapipe-1", NOON, NOON, "run-1", True, "77", "marker",
)  # fmt: skip

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
moments = (
    st.integers(0, 4_000_000_000_000)
    .map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
    .map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
)


def test_what_the_ledger_keeps_is_read_back_as_it_was() -> None:
    assert intent_of("a", FULL.as_detail()) == FULL


@given(texts, moments, st.dictionaries(texts, texts), moments, st.booleans())
def test_any_intent_survives_the_ledger(key, at, fields, begun, by_url) -> None:  # type: ignore[no-untyped-def]
    intent = Intent(key, at, fields, None, begun=begun, latest=at, by_url=by_url)
    assert intent_of(key, intent.as_detail()) == intent
    assert intent_of(key, intent.as_detail()).as_detail() == intent.as_detail()  # type: ignore[union-attr]


def test_an_item_that_was_never_about_to_be_sent_has_no_intent() -> None:
    assert intent_of("a", {}) is None


def test_a_second_attempt_remembers_when_the_first_began() -> None:
    later = replace(FULL, begun=None, latest=None, run_id="run-2")
    assert later.again(FULL).begun == FULL.begun


def test_a_marker_is_the_same_for_the_same_call_and_no_other() -> None:
    scope = Scope("calls.import", "host/a", "host/v2")
    assert marker_of(scope, "x") == marker_of(scope, "x")
    assert marker_of(scope, "x") != marker_of(scope, "y")
    assert marker_of(scope, "x") != marker_of(replace(scope, account="host/b"), "x")


def test_differences_show_both_values() -> None:
    now = {"caller_id": "18015551234", "caller_name": "Zoe", "city": "Provo"}
    said = differences(FULL, now, "ee" * 32)
    assert said == [
        "caller_name was '=Zoë, \"x\"' and is 'Zoe'",
        "city was not sent and is 'Provo'",
        "the audio was abababababababab… and is eeeeeeeeeeeeeeee…",
    ]
    assert differences(FULL, FULL.fields, "") == []
