"""What accepted uploads show of ``call_created``: said only where they prove it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest

from mediapipe.errors import CredentialsError, Rejected, Transient
from mediapipe.imports.intents import Intent
from mediapipe.imports.learning import ENOUGH, learn
from mediapipe.imports.matching import Created
from tests.imports.account import MINUTE, NOON, RULES, SECOND, SENT, Account, intent, record


def uploads(number: int = ENOUGH) -> list[Intent]:
    return [intent(str(n), NOON + n * MINUTE) for n in range(number)]


def calls(*created: object) -> list[dict[str, Any]]:
    """Return a call for each upload: ``None`` for one that shows its own time."""
    return [
        record(str(n), NOON + n * MINUTE, NOON + n * MINUTE if when is None else when)
        for n, when in enumerate(created)
    ]


def learned(account: Account, accepted: Sequence[Intent]) -> Created:
    async def main() -> Created:
        return await learn(accepted, account.lookup(attempts=2), RULES)

    return anyio.run(main)


def test_one_call_with_the_time_of_its_upload_settles_it() -> None:
    assert learned(Account(calls(SENT)), uploads(1)) is Created.COUNTS
    assert learned(Account(calls(None, None, SENT + SECOND)), uploads()) is Created.COUNTS


def test_enough_that_show_the_calls_own_time_and_none_that_does_not_settle_it_too() -> None:
    assert learned(Account(calls(*[None] * ENOUGH)), uploads()) is Created.IGNORED


def test_too_few_of_them_prove_nothing() -> None:
    assert learned(Account(calls(*[None] * (ENOUGH - 1))), uploads(ENOUGH - 1)) is Created.UNKNOWN
    assert learned(Account(), uploads()) is Created.UNKNOWN
    assert learned(Account(), []) is Created.UNKNOWN


@pytest.mark.parametrize("created", [SENT, None])
def test_an_upload_soon_after_its_call_proves_nothing(created: object) -> None:
    young = [intent(str(n), SENT - (59 - n) * MINUTE) for n in range(ENOUGH)]
    account = Account([record(one.key, one.at, created or one.at) for one in young])
    assert learned(account, young) is Created.UNKNOWN
    assert account.asked == []


def test_an_upload_whose_beginning_is_not_recorded_proves_nothing() -> None:
    assert learned(Account(calls(SENT)), [intent("0", begun=None)]) is Created.UNKNOWN


@pytest.mark.parametrize("created", [SENT, NOON])
def test_a_call_that_may_be_another_proves_nothing(created: object) -> None:
    """Two at the same time, or one of another length, caller or moment."""
    twins = [record("a", created=created), record("b", created=created)]
    for seen in (
        twins,
        [record("a", created=created, duration=300)],
        [record("a", created=created, caller_id="8015550000")],
        [record("a", NOON + 30 * SECOND, created)],
    ):
        assert learned(Account(seen), [intent("0")] * ENOUGH) is Created.UNKNOWN


@pytest.mark.parametrize("created", ["", "soon", 0.5])
def test_a_creation_that_says_nothing_proves_nothing(created: object) -> None:
    """``0.5`` is an instant, of 1970."""
    expected = Created.IGNORED if created == 0.5 else Created.UNKNOWN
    assert learned(Account(calls(*[created] * ENOUGH)), uploads()) is expected


def test_a_list_that_does_not_hold_still_can_show_the_uploads_time_and_nothing_else() -> None:
    """The upload's own call may be the one that was not seen, and the old one another."""
    assert learned(Account(calls(*[None] * ENOUGH), restless=True), uploads()) is Created.UNKNOWN
    assert learned(Account(calls(SENT), restless=True), uploads(1)) is Created.COUNTS


@pytest.mark.parametrize("error", [Transient("down"), Rejected("no")])
def test_a_list_that_cannot_be_read_proves_nothing(error: Transient | Rejected) -> None:
    assert learned(Account(calls(SENT), error=error), uploads(1)) is Created.UNKNOWN


def test_a_fault_that_passes_costs_one_upload_its_vote() -> None:
    account = Account(calls(*[None] * (ENOUGH + 1)))

    def fail_first(number: int) -> None:
        account.error = Transient("down") if number == 1 else None

    account.before = fail_first
    assert learned(account, uploads(ENOUGH)) is Created.UNKNOWN
    account.asked.clear()
    assert learned(account, uploads(ENOUGH + 1)) is Created.IGNORED


def test_a_dead_login_stops_everything() -> None:
    with pytest.raises(CredentialsError):
        learned(Account(error=CredentialsError("dead")), uploads(1))


def test_clocks_may_differ_a_little() -> None:
    assert learned(Account(calls(SENT - timedelta(seconds=90))), uploads(1)) is Created.COUNTS
