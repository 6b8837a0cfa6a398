"""What is reported of an upload that was looked up, and which ones are looked at together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from mediapipe.convirza.models import read_call
from mediapipe.imports.intents import Intent
from mediapipe.imports.lookup import listed
from mediapipe.imports.matching import Ambiguous, Created, Matched, Missing
from mediapipe.imports.reconciling import (
    Looked,
    Reconciler,
    Unseen,
    _groups,
    outcome_of,
    places_of,
    uploads_at,
)
from mediapipe.items import Verdict
from mediapipe.ledger.interface import Claim, Ledger, Receipt, State, Want
from tests.imports.account import MARGIN, NOON, RULES, SCOPE, SECOND, SENT, Account, intent, record

LAG = timedelta(minutes=2)
CALL = listed(read_call(record("77"), server_time=0.0))
BARE = replace(CALL, recorded=False)


async def keep(ledger: Ledger, one: Intent, state: State) -> None:
    answers = await ledger.claim(
        SCOPE, [Want(one.key, at=one.at)], run_id="r", lease=timedelta(seconds=60), takes=set(State)
    )
    assert isinstance(answers[0], Claim)
    await ledger.settle([Receipt(answers[0], state, detail=one.as_detail())], run_id="r")


BY_URL = {"by_url": True, "duration_s": None, "proof": "answer"}


@pytest.mark.parametrize(
    ("more", "result", "settled", "verdict", "reason"),
    [
        ({}, Matched(CALL, by_marker=False), True, Verdict.DONE, "matched"),
        ({}, Matched(CALL, by_marker=True), False, Verdict.DONE, "matched_by_marker"),
        ({}, Missing(), False, Verdict.UNCERTAIN, "not_listed_yet"),
        ({}, Missing(), True, Verdict.UNCERTAIN, "absent"),
        ({}, Ambiguous(("1", "2"), "two calls may be it"), True, Verdict.UNCERTAIN, "ambiguous"),
        ({}, Unseen("the list was not there"), True, Verdict.UNCERTAIN, "not_looked_up"),
        (BY_URL, Matched(CALL, by_marker=False), True, Verdict.DONE, "fetched"),
        (BY_URL, Matched(BARE, by_marker=True), True, Verdict.PENDING, "not_fetched"),
        (BY_URL, Missing(), True, Verdict.PENDING, "not_fetched"),
        (BY_URL, Ambiguous(("1",), "why"), True, Verdict.PENDING, "not_fetched"),
        (BY_URL, Unseen("why"), True, Verdict.PENDING, "not_fetched"),
        # Uncertain and by address: that it is listed proves the call, not the recording.
        (BY_URL | {"proof": ""}, Matched(BARE, by_marker=False), True, Verdict.PENDING, "not_fetched"),
        (BY_URL | {"proof": ""}, Missing(), True, Verdict.UNCERTAIN, "absent"),
    ],
)
def test_what_is_known_decides_what_is_reported(more, result, settled, verdict, reason) -> None:  # type: ignore[no-untyped-def]
    outcome = outcome_of(Looked(intent(**more), result, settled), LAG)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert outcome.message
    if isinstance(result, Ambiguous):
        assert result.call_ids[0] in outcome.message


def test_uploads_that_may_share_a_call_are_looked_at_together() -> None:
    slack = 2 * SECOND
    near = [intent("a"), intent("b", NOON + 4 * SECOND), intent("c", NOON + 8 * SECOND)]
    far = intent("d", NOON + 13 * SECOND)
    other = intent("e", fields={"caller_id": "18015559999"})
    groups = _groups([far, other, *reversed(near)], slack)
    assert sorted([one.key for one in group] for group in groups) == [["a", "b", "c"], ["d"], ["e"]]


@pytest.mark.anyio
async def test_only_uploads_of_the_same_caller_and_time_are_rivals(ledger: Ledger) -> None:
    for number, (at, caller, state) in enumerate(
        [
            (NOON, "18015551234", State.DONE),
            (NOON + 90 * SECOND, "8015551234", State.UNCERTAIN),
            (NOON + timedelta(hours=1), "18015551234", State.DONE),
            (NOON, "18015559999", State.DONE),
            (NOON, "18015551234", State.REJECTED),
        ]
    ):
        await keep(ledger, intent(f"k{number}", at, fields={"caller_id": caller}), state)
    near = await uploads_at(ledger, SCOPE, places_of([intent("x")], 2 * SECOND))
    assert {one.key for group in near.values() for one in group} == {"k0", "k1"}
    assert await uploads_at(ledger, SCOPE, ()) == {}


def looks(account: Account, ledger: Ledger, **more: object) -> Reconciler:
    rules = replace(RULES, created=Created.COUNTS)
    usual = Reconciler(account.v3, ledger, SCOPE, rules, timedelta(seconds=0.3), MARGIN)
    return replace(usual, **more)  # type: ignore[arg-type]


async def requests_of_a_look(ledger: Ledger) -> int:
    """Return how often one look at what is open asks for a page of calls."""
    account = Account()
    await seen(looks(account, ledger, wait=False))
    return len(account.asked)


async def seen(looks: Reconciler) -> dict[str, Looked]:
    return {one.want.key: one.payload async for page in looks.pages() for one in page}


@pytest.mark.anyio
async def test_a_young_upload_is_looked_for_again_and_an_old_one_is_not(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    await keep(ledger, intent("young", begun=now, latest=now), State.UNCERTAIN)
    account = Account()
    first_look = await requests_of_a_look(ledger)

    def appear(asked: int) -> None:
        if asked > first_look:
            account.calls = [record("77", created=now)]

    account.before = appear
    found = await seen(looks(account, ledger))
    assert isinstance(found["young"].result, Matched)
    early = await seen(looks(Account(), ledger, wait=False, lag=timedelta(minutes=5)))
    assert (early["young"].result, early["young"].settled) == (Missing(), False)


@pytest.mark.anyio
async def test_what_was_seen_before_the_lag_does_not_settle_what_is_told_after_it(ledger: Ledger) -> None:
    """Two rows of one hour: the list is as old as its first reading, however late a row's turn comes."""
    now = datetime.now(UTC)
    for key, caller in (("a", "18015551234"), ("b", "18015559999")):
        await keep(ledger, intent(key, begun=now, latest=now, fields={"caller_id": caller}), State.UNCERTAIN)
    reconciler = looks(Account(), ledger, wait=False, lag=timedelta(seconds=0.5))
    told = {}
    async for page in reconciler.pages():
        for one in page:
            told[one.want.key] = one.payload.settled
            await anyio.sleep(0.6)
    assert told == {"a": False, "b": False}
    assert not reconciler.absent


@pytest.mark.anyio
async def test_a_likely_match_waits_for_the_lag_where_an_old_call_may_pass_for_it(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    await keep(ledger, intent("a", begun=now, latest=now), State.UNCERTAIN)
    account = Account([record("old", created=SENT)])
    first_look = await requests_of_a_look(ledger)
    ignored = replace(RULES, created=Created.IGNORED)

    def appear(asked: int) -> None:
        if asked > first_look:
            account.calls = [record("old", created=SENT), record("new", created=SENT)]

    account.before = appear
    found = await seen(looks(account, ledger, rules=ignored))
    assert isinstance(found["a"].result, Ambiguous), "the old twin alone was no proof"


@pytest.mark.anyio
async def test_a_list_that_cannot_be_read_settles_nothing(ledger: Ledger) -> None:
    await keep(ledger, intent("a"), State.INTENDED)
    reconciler = looks(Account(restless=True), ledger)
    assert isinstance((await seen(reconciler))["a"].result, Unseen)
    assert not reconciler.absent
