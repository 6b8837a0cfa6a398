"""What the account's list says became of an upload, case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.library.attempts import Attempt, Sight, attempt_of, sight, standing_entry
from mediapipe.library.lockfile import Entry
from mediapipe.library.words import Listed

KEY = "prompt/a"


def attempt(*before: str, nameless: int = 0, size: int = 100, made: str = "", taken: bool = False) -> Attempt:
    entry = Entry(made, "s", "r", "rendered", size, "wav")
    return Attempt(KEY, entry, frozenset(before), nameless, accepted=taken)


def there(*entries: tuple[str, int | None] | str) -> list[Listed]:
    pairs = [(one, None) if isinstance(one, str) else one for one in entries]
    return [Listed(prompt_id, "prompt", "a", size) for prompt_id, size in pairs]


CASES = {
    "nothing at all": (attempt(), there(), "", Sight.NOTHING, []),
    "only what stood before": (attempt("1"), there("1"), "", Sight.NOTHING, []),
    "one new": (attempt("1"), there("1", "2"), "", Sight.FOUND, ["2"]),
    "one new of the right size": (attempt(), there(("2", 100)), "", Sight.FOUND, ["2"]),
    "one new, smaller": (attempt(), there(("2", 99)), "", Sight.HALF_MADE, ["2"]),
    "one new without a byte": (attempt(), there(("2", 0)), "", Sight.HALF_MADE, ["2"]),
    "one new, larger: kept in another form": (attempt(), there(("2", 101)), "", Sight.FOUND, ["2"]),
    "size not known here": (attempt(size=0), there(("2", 7)), "", Sight.FOUND, ["2"]),
    "two new": (attempt(), there("2", "3"), "", Sight.SEVERAL, ["2", "3"]),
    "two new, one of them named": (attempt(), there("2", "3"), "3", Sight.FOUND, ["3"]),
    "two new, the named one smaller": (attempt(), there(("2", 100), ("3", 5)), "3", Sight.FOUND, ["3"]),
    "accepted, one new, smaller": (attempt(taken=True), there(("2", 5)), "", Sight.FOUND, ["2"]),
    "accepted, smaller, without id": (attempt(taken=True), there(("", 5)), "", Sight.FOUND, [""]),
    "smaller, another id": (attempt(made="3", taken=True), there(("2", 5)), "", Sight.NOTHING, []),
    "accepted, two new": (attempt(taken=True), there(("2", 5), ("3", 100)), "", Sight.SEVERAL, ["2", "3"]),
    "named in the ledger, smaller": (attempt(made="2"), there(("2", 5)), "", Sight.FOUND, ["2"]),
    "two new, another one named": (attempt(), there("2", "3"), "4", Sight.SEVERAL, ["2", "3"]),
    "named in the ledger": (attempt(made="3"), there("2", "3"), "", Sight.FOUND, ["3"]),
    "smaller, and not the named one": (attempt(made="3"), there(("2", 5)), "", Sight.NOTHING, []),
    "another id, the right size": (attempt(made="0x2"), there(("2", 100)), "", Sight.FOUND, ["2"]),
    "no ids, one more": (attempt(), there(""), "", Sight.FOUND, [""]),
    "no ids, as many as before": (attempt(nameless=1), there(""), "", Sight.NOTHING, []),
    "no ids, one more than before": (attempt(nameless=1), there("", ""), "", Sight.FOUND, [""]),
    "no ids, two more": (attempt(nameless=1), there("", "", ""), "", Sight.SEVERAL, ["", ""]),
    "no ids, fewer": (attempt(nameless=2), there(""), "", Sight.NOTHING, []),
    "a new one and one without id": (attempt(), there("2", ""), "", Sight.SEVERAL, ["2", ""]),
    "the old one is gone": (attempt("1"), there("2"), "", Sight.FOUND, ["2"]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_the_list_shows(case: str) -> None:
    begun, listed, made, expected, ids = CASES[case]
    seen = sight(begun, listed, (), made)
    assert seen.sight is expected
    assert [one.prompt_id for one in seen.entries] == ids


def test_other_names_and_types_are_not_looked_at() -> None:
    others = [Listed("2", "prompt", "b"), Listed("3", "whisper", "a"), Listed("4", "", "a")]
    assert sight(attempt(), others).sight is Sight.NOTHING


def test_what_the_lock_knows_already_is_found_and_no_second_one() -> None:
    assert sight(attempt(), there("2"), {"2"}).entries[0].prompt_id == "2"
    seen = sight(attempt(), there("2", "3"), {"2"})
    assert (seen.sight, seen.ids) == (Sight.FOUND, "3")


TEXT = st.text(st.characters(exclude_characters=","), min_size=1, max_size=9)


@given(
    st.frozensets(TEXT, max_size=4),
    st.integers(0, 5),
    st.none() | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))])),
    TEXT,
    st.integers(0, 2**40),
    st.booleans(),
)
def test_what_the_ledger_keeps_comes_back(
    before: frozenset[str], nameless: int, latest: datetime | None, text: str, size: int, taken: bool
) -> None:
    entry = Entry(text, "s", text, "sent", size, "wav", text, "en", "p")
    begun = Attempt(KEY, entry, before, nameless, latest, taken)
    detail = begun.as_detail()
    assert all(isinstance(value, str) for value in detail.values())
    assert attempt_of(KEY, detail) == begun


@pytest.mark.parametrize(("shown", "said"), [(100, ""), (None, ""), (99, "99 bytes, 100 were"), (101, "101")])
def test_another_size_is_said(shown: int | None, said: str) -> None:
    seen = sight(attempt(taken=True), there(("2", shown)))
    assert said in seen.other_size(attempt())
    assert bool(seen.other_size(attempt())) is bool(said)
    assert seen.other_size(attempt(size=0)) == ""


def test_a_row_that_never_came_so_far_is_no_attempt() -> None:
    assert attempt_of(KEY, {}) is None
    assert attempt_of(KEY, {"id": "7"}) is None


def test_what_stands_has_the_list_s_id_and_time() -> None:
    listed = Listed("2", "prompt", "a", 100, "2026-02-14")
    assert standing_entry(attempt(made="9"), listed, now="now").prompt_id == "2"
    assert standing_entry(attempt(), listed, now="now").uploaded_at == "2026-02-14"
    assert standing_entry(attempt(), there("2")[0], now="now").uploaded_at == "now"
