"""A few uploads ahead of the others: what is not as it was meant is said, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from mediapipe.convirza.models import read_call
from mediapipe.errors import CredentialsError, Rejected, Transient
from mediapipe.imports.canary import Sighting, compare, sight
from mediapipe.imports.intents import Intent
from mediapipe.imports.lookup import listed
from mediapipe.imports.matching import Created
from tests.imports.account import HOUR, MARGIN, MINUTE, NOON, RULES, SENT, Account, intent, record

FULL = intent(
    marker="mediapipe-1",
    fields={
        "caller_id": "18015551234",
        "tracking_number": "18015560000",
        "ring_to": "+1 801 555 9999",
        "group_id": "1201",
        "disposition": "ANSWERED",
    },
)
AS_MEANT = record(
    "1",
    ring_to="8015559999",
    org_unit_id=1201,
    disposition="ANSWERED",
    custom_sources={"custom_source_5": {"custom_source_name": "mediapipe-1"}},
)


def complaints(created: Created = Created.COUNTS, **more: Any) -> list[str]:
    return compare(FULL, listed(read_call(AS_MEANT | more, server_time=0.0)), created)


@pytest.mark.parametrize("created", Created)
def test_a_call_as_it_was_meant_has_no_complaints(created: Created) -> None:
    """However its numbers are written, and where nothing is shown of its group and disposition."""
    assert complaints(created) == []
    assert complaints(created, phone_number="+1 (801) 556-0000", ring_to=18015559999) == []
    assert complaints(created, org_unit_id=None, disposition=None) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"org_unit_id": 1202}, "group_id 1201 shows as 1202"),
        ({"disposition": "FAILED"}, "disposition ANSWERED shows as FAILED"),
        ({"phone_number": "8015560001"}, "tracking_number 18015560000 shows as 8015560001"),
        ({"ring_to": None}, "ring_to +1 801 555 9999 shows as nothing"),
        ({"recording_details": None}, "it has no recording"),
        ({"recording_details": {"recording_id": 1, "url": ""}}, "it has no recording"),
        ({"custom_sources": {}}, "its marker does not show (imports.marker_slot)"),
    ],
)
def test_what_shows_otherwise_is_a_complaint(more: dict[str, Any], said: str) -> None:
    assert complaints(**more) == [said]


def test_all_complaints_are_made_at_once() -> None:
    assert (
        len(complaints(org_unit_id=1, disposition="BUSY", recording_details=None, custom_sources=None)) == 4
    )


def test_what_was_not_sent_is_not_missed() -> None:
    bare = Intent("a", NOON, {"caller_id": "18015551234"}, begun=SENT, latest=SENT)
    assert compare(bare, listed(read_call(AS_MEANT, server_time=0.0)), Created.COUNTS) == []


@pytest.mark.parametrize(
    ("created", "complains"), [(Created.COUNTS, True), (Created.IGNORED, False), (Created.UNKNOWN, False)]
)
def test_a_creation_before_the_upload_is_held_against_it_only_where_it_counts(
    created: Created, complains: bool
) -> None:
    early = {"call_detail": {"call_created": NOON.isoformat()}}
    found = complaints(created, **early)
    assert [("created_is_upload_time" in one) for one in found] == [True] * complains


# ── looking for them ────────────────────────────────────────────────────────────────────────


def sighted(
    account: Account, *intents: Intent, patience: float = 0.1, created: Created = Created.UNKNOWN
) -> Sequence[Sighting]:
    async def main() -> Sequence[Sighting]:
        rules = replace(RULES, created=created)
        with anyio.fail_after(10):
            return await sight(
                account.v3, intents, rules, margin=MARGIN, patience=timedelta(seconds=patience)
            )

    return anyio.run(main)


def test_canaries_that_show_up_are_looked_for_no_longer() -> None:
    account = Account([record("1"), record("2", NOON + MINUTE)])
    begun = time.monotonic()
    seen = sighted(account, intent(), intent("b", NOON + MINUTE), patience=60)
    assert time.monotonic() - begun < 5
    assert seen == [Sighting("a", "1", ()), Sighting("b", "2", ())]
    assert all(one.fine for one in seen)
    assert seen[0].as_json() == {"key": "a", "call_id": "1", "complaints": []}


def test_a_canary_that_takes_its_time_is_waited_for() -> None:
    """First it is not listed, then without its recording, then as it was meant."""
    account = Account()

    def appear(_: int) -> None:
        looks = list(account.hours()).count(NOON)
        account.calls = [[], [record("1", recording_details=None)], [record("1")]][min(looks, 3) - 1]

    account.before = appear
    assert sighted(account, intent(), patience=8)[0] == Sighting("a", "1", ())
    assert list(account.hours()).count(NOON) == 3


def test_a_canary_that_does_not_show_up_is_said_so_when_patience_ends() -> None:
    account = Account([record("1")])
    seen = sighted(account, intent(), intent("b", NOON + HOUR))
    assert seen == [Sighting("a", "1", ()), Sighting("b", "", ("it is not listed",))]
    assert [one.fine for one in seen] == [True, False]


def test_a_canary_of_several_calls_names_them() -> None:
    account = Account([record("1"), record("2")])
    (one,) = sighted(account, intent())
    assert not one.fine
    assert one.call_id == ""
    assert "call 1, 2" in one.complaints[0]


def test_a_call_created_with_the_callers_own_time_is_found_all_the_same() -> None:
    """And said, where the settings say otherwise: no upload could be matched with them."""
    account = Account([record("1", created=NOON)])
    assert sighted(account, intent(), created=Created.UNKNOWN) == [Sighting("a", "1", ())]
    (one,) = sighted(account, intent(), created=Created.COUNTS)
    assert one.call_id == "1"
    assert "imports.created_is_upload_time" in one.complaints[0]


@pytest.mark.parametrize("error", [Transient("the list is down"), Rejected("no such list")])
def test_a_list_that_cannot_be_read_is_the_complaint(error: Transient | Rejected) -> None:
    (one,) = sighted(Account(error=error), intent())
    assert one == Sighting("a", "", (error.message,))


def test_a_dead_login_stops_everything() -> None:
    with pytest.raises(CredentialsError):
        sighted(Account(error=CredentialsError("dead")), intent())


def test_nothing_sent_is_nothing_looked_for() -> None:
    account = Account()
    assert sighted(account, patience=60) == []
    assert account.asked == []
