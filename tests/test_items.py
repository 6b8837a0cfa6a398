import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.items import Outcome, Remark, Tally, Verdict

PUBLISHED = ["done", "skipped", "rejected", "failed", "uncertain", "pending", "absent"]

outcomes = st.builds(
    Outcome,
    key=st.text(),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(["", "a", "b"]),
    bytes=st.integers(0, 2**40),
)


def test_verdicts_are_the_published_counts_in_their_order():
    assert [verdict.value for verdict in Verdict] == PUBLISHED
    assert list(Tally().counts()) == PUBLISHED
    assert set(Tally().counts().values()) == {0}


@given(st.lists(outcomes))
def test_every_item_is_in_exactly_one_count(items):
    tally = Tally()
    for item in items:
        tally.add(item)
    assert tally.items == len(items) == sum(tally.counts().values())
    assert tally.bytes == sum(item.bytes for item in items if item.verdict is Verdict.DONE)
    for verdict in Verdict:
        mine = [item for item in items if item.verdict is verdict]
        assert tally[verdict] == len(mine)
        assert sum(n for (kind, _), n in tally.reasons.items() if kind is verdict) == sum(
            bool(i.reason) for i in mine
        )


def test_a_warning_counts_once_for_each_item_that_has_it():
    tally = Tally()
    twice = (Remark("clipping", "left"), Remark("clipping", "right"), Remark("quiet", "x"))
    tally.add(Outcome("a", Verdict.DONE, warnings=twice))
    tally.add(Outcome("b", Verdict.REJECTED, warnings=twice[:1]))
    assert tally.warnings == {"clipping": 2, "quiet": 1}


def test_tallies_do_not_share_their_counts():
    first, second = Tally(), Tally()
    first.add(Outcome("k", Verdict.DONE, warnings=(Remark("a", "b"),)))
    assert second.items == 0
    assert second.warnings == {}


def test_an_outcome_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outcome("k", Verdict.DONE).key = "other"
