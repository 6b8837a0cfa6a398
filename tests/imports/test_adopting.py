"""Rows that another ledger imported: taken over where as many calls are there as rows, and nothing sent."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import cast

import pytest

from mediapipe.errors import Transient
from mediapipe.imports.adopting import Adoption
from mediapipe.imports.intents import Intent, intent_of, marker_of
from mediapipe.imports.matching import digits
from mediapipe.imports.reconciling import Reconciler
from mediapipe.items import Outcome, Verdict
from mediapipe.ledger.interface import Claim, Ledger, Receipt, State, Want
from mediapipe.line import Job
from mediapipe.listening import Ear
from mediapipe.manifest.calls import CallRow
from tests.imports.account import MARGIN, NOON, RULES, SCOPE, SECOND, SENT, Account, intent, record

pytestmark = pytest.mark.anyio

CALLER = "18015551234"


def row(key: str, at: datetime = NOON, caller: str = CALLER) -> CallRow:
    """Return a row whose audio stands elsewhere, so it is not listened to."""
    fields = {"external_id": key, "caller_id": caller, "call_date": at.isoformat()}
    address = f"https://files.example.com/{key}.wav?signature=secret"
    return CallRow(1, 2, key, address, remote=address, fields=fields, at=at)


async def claims(ledger: Ledger, wants: list[Want]) -> list[Claim]:
    answers = await ledger.claim(
        SCOPE, wants, run_id="r", lease=timedelta(seconds=60), takes={State.NEW, State.FAILED}
    )
    return [one for one in answers if isinstance(one, Claim)]


async def keep(ledger: Ledger, one: Intent, state: State = State.DONE) -> None:
    (claim,) = await claims(ledger, [Want(one.key, at=one.at)])
    await ledger.settle([Receipt(claim, state, detail=one.as_detail())], run_id="r")


async def adopt(
    ledger: Ledger, account: Account, *rows: CallRow
) -> tuple[dict[str, Outcome], dict[str, Intent]]:
    """Return what is said of each row, and what is recorded of those that are adopted or open."""
    said: dict[str, Outcome] = {}
    recorded: dict[str, Intent] = {}
    looks = Reconciler(account.v3, ledger, SCOPE, RULES, timedelta(minutes=2), MARGIN)
    times = Counter(
        (digits(one.fields["caller_id"]), int(one.at.timestamp())) for one in rows if one.at is not None
    )

    def sink(one: CallRow, outcome: Outcome) -> None:
        assert one.external_id not in said
        said[one.external_id] = outcome

    adoption = Adoption(looks, cast(Ear, None), iter(rows), times, sink, lambda one: None)
    async for page in adoption.pages():
        for entry in page:
            for claim in await claims(ledger, [entry.want]):
                finished = await adoption.settle(Job(entry, claim, entry.payload))
                sink(rows[0]._replace(external_id=claim.key), finished.outcome)
                assert finished.detail is not None
                kept = intent_of(claim.key, finished.detail)
                assert kept is not None
                recorded[claim.key] = kept
    return said, recorded


def reasons(said: dict[str, Outcome]) -> dict[str, tuple[Verdict, str]]:
    return {key: (one.verdict, one.reason) for key, one in said.items()}


async def test_what_is_there_is_adopted_and_what_is_not_stays_to_be_sent(ledger: Ledger) -> None:
    account = Account([record("7"), record("8", NOON + timedelta(hours=3), caller_id="8015559999")])
    said, recorded = await adopt(ledger, account, row("there"), row("elsewhere", caller="18015550000"))
    assert reasons(said) == {
        "there": (Verdict.DONE, "adopted"),
        "elsewhere": (Verdict.PENDING, "not_there"),
    }
    assert (recorded["there"].call_id, recorded["there"].proof) == ("7", "likely")
    assert "secret" not in recorded["there"].source, "a signed address is a credential"


async def test_a_marker_proves_it(ledger: Ledger) -> None:
    sources = {"custom_source_5": {"custom_source_name": marker_of(SCOPE, "a")}}
    said, recorded = await adopt(
        ledger, Account([record("7", custom_sources=sources), record("8")]), row("a")
    )
    assert reasons(said) == {"a": (Verdict.DONE, "adopted_by_marker")}
    assert (recorded["a"].call_id, recorded["a"].proof) == ("7", "marker")


async def test_twins_are_adopted_together_or_not_at_all(ledger: Ledger) -> None:
    twins = (row("a"), row("b", NOON + SECOND))
    said, recorded = await adopt(ledger, Account([record("7")]), *twins)
    assert {one.verdict for one in said.values()} == {Verdict.UNCERTAIN}, "one call, two rows"
    assert all(not one.call_id for one in recorded.values())


async def test_as_many_calls_as_twins_are_theirs(ledger: Ledger) -> None:
    account = Account([record("7"), record("8", NOON + SECOND)])
    said, recorded = await adopt(ledger, account, row("a"), row("b", NOON + SECOND))
    assert {one.reason for one in said.values()} == {"adopted"}
    assert {one.call_id for one in recorded.values()} == {"7", "8"}


async def test_two_calls_for_one_row_are_left_to_a_person(ledger: Ledger) -> None:
    said, _ = await adopt(ledger, Account([record("7"), record("8", NOON + SECOND)]), row("a"))
    assert reasons(said) == {"a": (Verdict.UNCERTAIN, "ambiguous")}


async def test_a_call_that_this_ledger_made_is_not_there_to_be_adopted(ledger: Ledger) -> None:
    """Another manifest's row of the same caller and second was imported: the one call is that row's."""
    await keep(ledger, intent("mine", call_id="7", proof="answer"))
    said, _ = await adopt(ledger, Account([record("7")]), row("a"))
    assert said["a"].verdict is not Verdict.DONE
    both = Account([record("7"), record("8", NOON + SECOND)])
    said, recorded = await adopt(ledger, both, row("b", NOON + SECOND, CALLER))
    assert recorded.get("b") is None or recorded["b"].call_id != "7"


async def test_rows_this_ledger_has_are_left_alone(ledger: Ledger) -> None:
    await keep(ledger, intent("open", begun=SENT, latest=SENT), State.UNCERTAIN)
    said, recorded = await adopt(ledger, Account([record("7")]), row("open"))
    assert (said, recorded) == ({}, {}), "its claim is refused"


@pytest.mark.parametrize("restless", [False, True])
async def test_a_list_that_cannot_be_read_adopts_nothing_and_refuses_nothing(
    ledger: Ledger, restless: bool
) -> None:
    account = Account([record("7")], restless=restless, error=None if restless else Transient("not now"))
    said, recorded = await adopt(ledger, account, row("a"))
    assert reasons(said) == {"a": (Verdict.FAILED, "not_looked_up")}
    assert not recorded
