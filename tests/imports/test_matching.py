from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.imports.intents import Intent
from mediapipe.imports.matching import (
    Ambiguous,
    Created,
    Listed,
    Matched,
    Missing,
    Rules,
    digits,
    fits,
    match,
    may_be,
)

NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)
SENT = datetime(2026, 11, 20, 8, tzinfo=UTC)
RULES = Rules(timedelta(seconds=2), Created.COUNTS)


def intent(key: str = "a", **more: object) -> Intent:
    usual = Intent(
        key,
        NOON,
        {"caller_id": "18015551234", "tracking_number": "18015560000"},
        duration_s=60.0,
        begun=SENT,
        latest=SENT,
    )
    return replace(usual, **more)  # type: ignore[arg-type]


def call(call_id: str = "1", **more: object) -> Listed:
    usual = Listed(
        call_id, NOON, SENT + timedelta(seconds=3), "18015551234", "18015560000", "", (60.0,), (), True
    )
    return replace(usual, **more)  # type: ignore[arg-type]


def only(*calls: Listed, others: tuple[Intent, ...] = (), **more: object) -> object:
    return match([intent(**more)], others, calls, RULES)["a"]


def test_the_one_call_that_fits_is_likely_the_uploads() -> None:
    assert only(call()) == Matched(call(), by_marker=False)


def test_no_call_is_missing_and_nothing_else() -> None:
    assert only() == Missing()
    assert only(call(caller="18015559999")) == Missing()
    assert only(call(started=NOON + timedelta(seconds=3))) == Missing()
    assert only(call(tracking="18015569999")) == Missing()
    assert only(call(started=None)) == Missing()


def test_a_leading_one_makes_no_difference_and_any_other_digit_does() -> None:
    assert only(call(caller="8015551234")) == Matched(call(caller="8015551234"), by_marker=False)
    assert only(call(caller="+1 801 555 1234")) != Missing()
    assert digits("28015551234") != digits("8015551234")


def test_a_number_that_the_platform_does_not_show_is_no_contradiction() -> None:
    assert isinstance(only(call(tracking="")), Matched)
    assert only(call(caller="")) == Missing()


def test_another_length_is_not_settled_and_not_missing_either() -> None:
    assert only(call(lengths=(90.0,))) == Ambiguous(("1",), "the lengths do not agree")
    assert isinstance(only(call(lengths=(90.0, 60.5))), Matched)
    assert isinstance(only(call(lengths=())), Matched)


def test_a_call_that_was_there_before_is_no_match() -> None:
    before = call(created=SENT - timedelta(hours=1))
    assert only(before) == Missing()
    assert only(before, call("2")) == Matched(call("2"), by_marker=False)
    assert isinstance(only(call(created=SENT - timedelta(seconds=90))), Matched), "clocks differ"
    ignored = replace(RULES, created=Created.IGNORED)
    assert isinstance(match([intent()], (), [before], ignored)["a"], Matched)


def test_an_earlier_call_proves_nothing_while_it_is_not_known_what_uploads_show() -> None:
    """Taken for another call it would be sent twice; taken for its own it would be lost."""
    unknown = replace(RULES, created=Created.UNKNOWN)
    before = call(created=SENT - timedelta(hours=1))
    assert isinstance(match([intent()], (), [before], unknown)["a"], Ambiguous)
    assert match([intent()], (), [before, call("2")], unknown)["a"] == Matched(call("2"), by_marker=False)
    assert match([intent()], (), [call(caller="1")], unknown)["a"] == Missing()


def test_a_call_of_an_earlier_attempt_counts() -> None:
    """Sent again after hours: the first attempt's call may still turn up."""
    again = replace(intent(), latest=SENT + timedelta(hours=5))
    assert isinstance(match([again], (), [call()], RULES)["a"], Matched)


def test_several_calls_are_left_to_a_person() -> None:
    found = only(call("1"), call("2"))
    assert isinstance(found, Ambiguous)
    assert found.call_ids == ("1", "2")


def test_a_call_that_belongs_to_another_row_proves_nothing() -> None:
    accepted = intent("b")
    assert isinstance(only(call(), others=(accepted,)), Ambiguous)
    assert isinstance(only(call("1"), call("2"), others=(accepted,)), Matched)
    assert only(others=(accepted,)) == Missing()


def test_a_call_known_to_be_another_rows_is_out_of_the_way() -> None:
    accepted = intent("b", call_id="1")
    assert only(call("1"), others=(accepted,)) == Missing()
    assert only(call("1"), call("2"), others=(accepted,)) == Matched(call("2"), by_marker=False)
    gone = intent("b", call_id="77")
    assert isinstance(only(call("1"), others=(gone,)), Matched)


def test_two_uncertain_twins_are_settled_together_or_not_at_all() -> None:
    twins = [intent("a"), intent("b")]
    both = match(twins, (), [call("1"), call("2")], RULES)
    assert {key: type(found) for key, found in both.items()} == {"a": Matched, "b": Matched}
    assert {found.call.call_id for found in both.values() if isinstance(found, Matched)} == {"1", "2"}
    one = match(twins, (), [call("1")], RULES)
    assert {type(found) for found in one.values()} == {Ambiguous}


def test_lengths_decide_which_of_two_is_which() -> None:
    short, long = intent("a", duration_s=10.0), intent("b", duration_s=60.0)
    found = match([short, long], (), [call("1", lengths=(60.0,)), call("2", lengths=(10.0,))], RULES)
    assert found["a"] == Matched(call("2", lengths=(10.0,)), by_marker=False)
    assert found["b"] == Matched(call("1", lengths=(60.0,)), by_marker=False)


def test_a_marker_proves_and_keeps_others_away() -> None:
    marked = call("1", sources=("mediapipe-x",), lengths=(90.0,))
    assert only(marked, call("2"), marker="mediapipe-x") == Matched(marked, by_marker=True)
    assert only(call("1", sources=("mediapipe-y",)), marker="mediapipe-x") == Missing()
    assert only(call("1", sources=("mediapipe-y",))) == Missing(), "another row's marker"
    twice = only(
        call("1", sources=("mediapipe-x",)), call("2", sources=("mediapipe-x",)), marker="mediapipe-x"
    )
    assert isinstance(twice, Ambiguous)
    assert isinstance(only(call("1", sources=("Google Ads",)), marker="mediapipe-x"), Matched)


intents = st.builds(
    lambda at, caller, length, marker: (at, caller, length, marker),
    st.integers(0, 5),
    st.sampled_from(("8015551234", "18015551234", "18015559999")),
    st.sampled_from((10.0, 60.0)),
    st.booleans(),
)


@given(st.lists(intents, max_size=6), st.lists(intents, max_size=6), st.integers(0, 6), st.randoms())
def test_no_call_is_ever_given_twice_and_nothing_depends_on_the_order(made, listed, known, random) -> None:  # type: ignore[no-untyped-def]
    uploads = [
        Intent(
            f"k{number}",
            NOON + timedelta(seconds=at),
            {"caller_id": caller},
            duration_s=length,
            marker=f"mediapipe-{number}" if marker else "",
        )
        for number, (at, caller, length, marker) in enumerate(made)
    ]
    calls = [
        Listed(
            str(number),
            NOON + timedelta(seconds=at),
            None,
            caller,
            lengths=(length,),
            sources=(f"mediapipe-{number}",) if marker else (),
        )
        for number, (at, caller, length, marker) in enumerate(listed)
    ]
    wanted, others = uploads[known:], uploads[:known]
    found = match(wanted, others, calls, RULES)
    assert found.keys() == {one.key for one in wanted}
    given_away = [one.call.call_id for one in found.values() if isinstance(one, Matched)]
    assert len(given_away) == len(set(given_away))
    for one in wanted:
        result = found[one.key]
        if isinstance(result, Matched) and not result.by_marker:
            assert may_be(one, result.call, RULES)
            assert fits(one, result.call)
        if isinstance(result, Missing):
            # Whatever may be its call is proven to be another's.
            free = [c for c in calls if may_be(one, c, RULES)]
            assert all(any(o.marker and o.marker in c.sources for o in uploads) for c in free)
    random.shuffle(calls)
    random.shuffle(wanted)
    again = match(wanted, others, calls, RULES)
    assert {key: type(one) for key, one in again.items()} == {key: type(one) for key, one in found.items()}


@given(st.permutations(range(4)), st.integers(0, 3))
def test_as_many_calls_as_uploads_settle_all_of_them(order, accepted) -> None:  # type: ignore[no-untyped-def]
    uploads = [intent(f"k{number}") for number in range(4)]
    calls = [call(str(number)) for number in order]
    found = match(uploads[accepted:], uploads[:accepted], calls, RULES)
    assert all(isinstance(one, Matched) for one in found.values())
    for fewer in itertools.combinations(calls, 3):
        assert not any(
            isinstance(one, Matched | Missing)
            for one in match(uploads[accepted:], uploads[:accepted], fewer, RULES).values()
        )
