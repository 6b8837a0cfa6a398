"""What is seen at the time of a call: everything, once, or it is said that it may not be everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.convirza.models import Call, read_call
from mediapipe.errors import CredentialsError, MediapipeError, Rejected, Transient
from mediapipe.imports.lookup import PAGE, Lookup, Seen, listed
from mediapipe.imports.matching import Listed, Rules, fits, is_earlier, may_be
from tests.imports.account import HOUR, MARGIN, MINUTE, NOON, SECOND, SENT, Account, intent, record


def seen(account: Account, ask: Callable[[Lookup], Awaitable[Seen]], **more: Any) -> Seen:
    async def main() -> Seen:
        return await ask(account.lookup(**more))

    return anyio.run(main)


def ids(found: Seen) -> list[str]:
    return [call.call_id for call in found.calls]


# ── cells ───────────────────────────────────────────────────────────────────────────────────


def test_a_cell_is_walked_once_for_all_calls_of_its_hour() -> None:
    account = Account([record("1"), record("2", NOON + 50 * MINUTE)])

    async def main() -> None:
        lookup = account.lookup()
        assert ids(await lookup.of(intent())) == ["1", "2"]
        before = len(account.asked)
        assert ids(await lookup.of(intent("b", NOON + 50 * MINUTE))) == ["1", "2"]
        assert ids(await lookup.at(NOON + 10 * MINUTE)) == ["1", "2"]
        assert len(account.asked) == before

    anyio.run(main)
    assert set(account.hours()) == {NOON, SENT}


def test_many_who_look_at_once_cause_one_walk() -> None:
    account = Account([record("1")])

    async def main() -> None:
        lookup, found = account.lookup(), list[Seen]()

        async def look() -> None:
            found.append(await lookup.at(NOON))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(look)
        assert [ids(one) for one in found] == [["1"]] * 5

    anyio.run(main)
    assert list(account.hours()) == [NOON]


def test_a_new_look_sees_what_is_new() -> None:
    account = Account()
    assert ids(seen(account, lambda lookup: lookup.at(NOON))) == []
    account.calls.append(record("1"))
    assert ids(seen(account, lambda lookup: lookup.at(NOON))) == ["1"]


@pytest.mark.parametrize(
    ("at", "started"),
    [
        (NOON, NOON - SECOND),
        (NOON, NOON - MARGIN),
        (NOON + HOUR - SECOND, NOON + HOUR + SECOND),
        (NOON + HOUR - SECOND, NOON + HOUR + MARGIN),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), NOON + SECOND),
    ],
)
def test_a_call_on_the_other_side_of_a_cells_edge_is_seen(at: datetime, started: datetime) -> None:
    account = Account([record("1", started)])
    assert ids(seen(account, lambda lookup: lookup.at(at))) == ["1"]


def test_a_call_in_the_margin_of_two_cells_is_there_once() -> None:
    account = Account([record("1", NOON + HOUR)])
    sent = NOON + HOUR + MINUTE
    found = seen(account, lambda lookup: lookup.of(intent(at=NOON + 59 * MINUTE, begun=sent, latest=sent)))
    assert set(account.hours()) == {NOON, NOON + HOUR}
    assert ids(found) == ["1"]


@pytest.mark.parametrize("after", [timedelta(0), SECOND, 2 * MINUTE, MARGIN])
def test_a_list_by_the_time_of_the_upload_shows_it_too(after: timedelta) -> None:
    """As late as the margin, and beyond the hour in which the upload was sent."""
    sent = SENT + 59 * MINUTE
    account = Account(
        [record("1", created=sent + after)], stamp=lambda raw: raw["call_detail"]["call_created"]
    )
    assert ids(seen(account, lambda lookup: lookup.of(intent(begun=sent, latest=sent)))) == ["1"]


def test_both_ends_of_an_upload_that_was_sent_twice_are_looked_at() -> None:
    account, again = Account(), SENT + timedelta(days=9)
    seen(account, lambda lookup: lookup.of(intent(latest=again)))
    assert set(account.hours()) == {NOON, SENT, again}


def test_a_cell_of_many_pages_is_read_to_its_end() -> None:
    account = Account([record(str(n), NOON + n * SECOND) for n in range(2 * PAGE + 7)])
    found = seen(account, lambda lookup: lookup.at(NOON))
    assert len(found.calls) == 2 * PAGE + 7
    assert found.why_not == ""


def test_only_so_many_cells_are_kept() -> None:
    account = Account()

    async def main() -> None:
        lookup = account.lookup()
        for hours in (*range(65), 64, 1, 0):
            await lookup.at(NOON + hours * HOUR)

    anyio.run(main)
    assert len(set(account.hours())) == 65
    assert list(account.hours()).count(NOON) == 2
    assert list(account.hours()).count(NOON + HOUR) == 1


# ── what is not known ───────────────────────────────────────────────────────────────────────


def test_a_list_that_never_holds_still_says_so_and_shows_what_was_seen() -> None:
    account = Account([record("1")], restless=True)
    found = seen(account, lambda lookup: lookup.at(NOON), attempts=3)
    assert ids(found) == ["1"]
    assert "does not hold still" in found.why_not
    assert "the total moved" in found.why_not
    assert len(list(account.hours())) == 3


def test_one_restless_cell_among_others_is_enough() -> None:
    account = Account([record("1")])

    def unrest(_: int) -> None:
        account.restless = account.asked[-1][0] + MARGIN == NOON

    account.before = unrest
    found = seen(account, lambda lookup: lookup.of(intent()))
    assert set(account.hours()) == {NOON, SENT}
    assert found.why_not


@pytest.mark.parametrize("error", [Transient("down"), Rejected("no"), CredentialsError("dead")])
def test_an_error_is_told_and_not_kept(error: MediapipeError) -> None:
    account = Account([record("1")], error=error)

    async def main() -> None:
        lookup = account.lookup()
        with pytest.raises(type(error)):
            await lookup.at(NOON)
        account.error = None
        assert ids(await lookup.at(NOON)) == ["1"]

    anyio.run(main)


# ── a call as it is compared ────────────────────────────────────────────────────────────────


def read(raw: dict[str, Any]) -> Listed:
    return listed(read_call(raw, server_time=0.0))


def test_a_call_is_read_as_it_is_compared() -> None:
    sources = {
        "custom_source_1": {"custom_source_id": 1, "custom_source_name": "mediapipe-1"},
        "custom_source_2": None,
        "custom_source_3": {"custom_source_name": ""},
        "custom_source_4": {"custom_source_name": 7},
    }
    raw = record("1", ring_to=8015559999, custom_sources=sources, org_unit_id=1201, disposition="ANSWERED")
    assert read(raw) == Listed(
        *("1", NOON, SENT, "8015551234", "8015560000", "8015559999"),
        *((60.0,), ("mediapipe-1", "7"), True, "1201", "ANSWERED"),
    )


@pytest.mark.parametrize(
    ("created", "is_read"),
    [
        (SENT.isoformat(), SENT),
        (int(SENT.timestamp()), SENT),
        (str(int(SENT.timestamp() * 1000)), SENT),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        *[(None, None), ("", None), ("soon", None), (True, None), ([], None)],
        *[(-9e10, None), ("-90000000000", None), (1e300, None), ("nan", None)],
    ],
)
def test_a_creation_that_cannot_be_read_is_not_known(created: object, is_read: datetime | None) -> None:
    assert read(record("1", created=created)).created == is_read


@pytest.mark.parametrize(
    "odd", [None, "", "nan", "inf", "-inf", -60, 0, "0", True, [], 10**400, "00:01:00", float("nan")]
)
def test_a_length_that_is_none_is_not_compared(odd: object) -> None:
    """Else it would be one that does not agree."""
    call = read(record("1", duration=odd))
    assert call.lengths == ()
    assert fits(intent(), call)


def test_both_lengths_of_a_call_count() -> None:
    raw = record(
        "1", duration="61", recording_details={"url": "https://r.example/1", "duration": "00:00:59.50"}
    )
    assert read(raw).lengths == (61.0, 59.5)


NAMES = ("duration", "call_detail", "caller_id", "phone_number", "ring_to", "custom_sources", "org_unit_id")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["call_created", "custom_source_name", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*NAMES, "disposition"]), JSON))
def test_no_record_however_odd_breaks_a_look(raw: dict[str, Any]) -> None:
    call = listed(Call("1", NOON, None, None, raw))
    assert all(length > 0 for length in call.lengths)
    assert all(isinstance(name, str) for name in call.sources)
    may_be(intent(), call, Rules(SECOND))
    is_earlier(intent(), call)
    fits(intent(), call)
