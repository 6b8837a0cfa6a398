"""Which of N workers a call belongs to, and what ``--shard`` may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import UsageError
from mediapipe.shards import MOST, Shard, parse_shard

KUBERNETES, BATCH = "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"


@given(call_id=st.text(), count=st.integers(1, 200))
def test_every_call_belongs_to_exactly_one_shard(call_id: str, count: int) -> None:
    assert sum(shard.owns(call_id) for shard in Shard(1, count).all()) == 1


@given(st.sets(st.integers(0, 10**12), min_size=1, max_size=200), st.integers(1, 9))
def test_shards_are_disjoint_and_complete(numbers: set[int], count: int) -> None:
    calls = {str(number) for number in numbers}
    parts = [{call for call in calls if shard.owns(call)} for shard in Shard(1, count).all()]
    assert set.union(*parts) == calls
    assert sum(map(len, parts)) == len(calls)


def test_a_lone_surrogate_and_an_empty_id_have_a_shard_too() -> None:
    for call_id in ("", "\ud83d", "…"):
        assert any(shard.owns(call_id) for shard in Shard(2, 5).all())


def test_the_hash_is_the_same_for_ever() -> None:
    """Another one would let shards of two releases work on the same calls, and on some not at all."""
    assert [next(s.number for s in Shard(1, 7).all() if s.owns(c)) for c in ("1", "42", "999999", "é")] == [
        3, 2, 4, 3
    ]  # fmt: skip


def test_shares_are_even() -> None:
    shares = [sum(shard.owns(str(n)) for n in range(10_000)) for shard in Shard(1, 8).all()]
    assert min(shares) > 1_100
    assert max(shares) < 1_400


@pytest.mark.parametrize(
    ("text", "environ", "shard"),
    [
        ("1/1", {}, Shard(1, 1)),
        ("2/3", {}, Shard(2, 3)),
        (" 3 / 3 ", {}, Shard(3, 3)),
        ("2/3", {KUBERNETES: "0"}, Shard(2, 3)),
        ("auto/3", {KUBERNETES: "0"}, Shard(1, 3)),
        ("/3", {KUBERNETES: "2"}, Shard(3, 3)),
        ("auto/3", {BATCH: "1"}, Shard(2, 3)),
        ("auto/3", {KUBERNETES: "", BATCH: "1"}, Shard(2, 3)),
        ("auto/3", {KUBERNETES: "1", BATCH: "1"}, Shard(2, 3)),
        (f"{MOST}/{MOST}", {}, Shard(MOST, MOST)),
    ],
)
def test_a_shard_is_said_or_taken_from_the_scheduler(
    text: str, environ: dict[str, str], shard: Shard
) -> None:
    assert parse_shard(text, environ) == shard


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("0/4", {}, "0/4 is outside of 4 shards"),
        ("5/4", {}, "5/4 is outside of 4 shards"),
        ("1/0", {}, "there are 1 to 10,000 shards"),
        (f"1/{MOST + 1}", {}, "there are 1 to"),
        ("3", {}, "'3' is no shard"),
        ("", {}, "'' is no shard"),
        ("-1/3", {}, "is no shard"),
        ("1/3/5", {}, "is no shard"),
        ("auto", {KUBERNETES: "0"}, "is no shard"),
        ("auto/3", {}, f"neither {KUBERNETES} nor {BATCH} is set"),
        ("auto/3", {KUBERNETES: "3"}, f"{KUBERNETES}=3 is outside of 3 shards"),
        ("auto/3", {BATCH: "-1"}, f"{BATCH}='-1' is no index"),
        ("auto/3", {KUBERNETES: "0", BATCH: "1"}, "disagree"),
    ],
)
def test_nonsense_is_refused_with_what_would_do(text: str, environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shard(text, environ)
    assert words in caught.value.message
    assert caught.value.hint
