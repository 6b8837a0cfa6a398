"""Rows of writes: each key once and in one order, texts the database takes, nothing closed twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.errors import Rejected
from mediapipe.ledger.interface import Claim, Receipt, Scope, State, Want
from mediapipe.ledger.operations import claim_rows, close_rows, intend_row, renew_row, settle_row
from mediapipe.ledger.values import MAX_KEY_BYTES

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
CLAIM = Claim(Scope("archive", "host/account"), "k", "host:1", 7, 1, State.NEW)


@given(st.lists(KEYS, max_size=30))
def test_each_key_is_claimed_once_and_in_one_order_whoever_asks(keys: list[str]) -> None:
    def order(wanted: list[str]) -> list[str]:
        wants = [Want(key, subject=f"about {key}") for key in wanted]
        rows = claim_rows(1, wants, owner="o", run_id="r", lease=5)
        assert all(row["subject"] == f"about {row['key']}" for row in rows)
        return [row["key"] for row in rows]

    assert order(keys) == order(keys[::-1]) == sorted(set(keys))


def test_of_one_key_asked_for_twice_the_first_counts() -> None:
    at = datetime(2026, 2, 3, tzinfo=UTC)
    (row,) = claim_rows(1, [Want("a", at=at), Want("a", subject="late")], owner="o", run_id="r", lease=5)
    assert (row["subject"], row["at"]) == ("", 1_770_076_800_000_000)


@pytest.mark.parametrize("key", ["a\0b", "x" * (MAX_KEY_BYTES + 1), "é" * (MAX_KEY_BYTES // 2 + 1), "\ud800"])
def test_a_key_that_no_database_takes_is_refused(key: str) -> None:
    with pytest.raises(Rejected):
        claim_rows(1, [Want(key)], owner="o", run_id="r", lease=5)


def test_whose_claim_it_is_stands_in_every_row() -> None:
    receipt = Receipt(CLAIM, State.DONE)
    for row in (intend_row(3, CLAIM, None), renew_row(3, CLAIM, 9), settle_row(3, receipt, "r")):
        assert (row["scope"], row["key"], row["owner"], row["fence"]) == (3, "k", "host:1", 7)


def test_no_detail_leaves_the_old_one_and_an_empty_one_does_not() -> None:
    assert intend_row(3, CLAIM, None)["detail"] is None
    assert json.loads(intend_row(3, CLAIM, {})["detail"]) == {}
    assert json.loads(settle_row(3, Receipt(CLAIM, State.DONE, detail={"a": "é"}), "r")["detail"]) == {
        "a": "é"
    }


def test_what_a_far_side_said_goes_in_without_what_no_database_takes() -> None:
    row = settle_row(3, Receipt(CLAIM, State.FAILED, reason="x\0y", message="half \ud83d of it"), "r")
    assert "\0" not in row["reason"]
    row["message"].encode()


def test_a_receipt_never_closes_its_own_item() -> None:
    receipt = Receipt(CLAIM, State.DONE, closes=("k", "a", "b"))
    assert [row["key"] for row in close_rows(3, receipt, "r")] == ["a", "b"]
