"""Which groups of a manifest are known: no row is held for what nobody could look up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediapipe.convirza.groups import Group
from mediapipe.errors import CredentialsError, Failed, MediapipeError, Rejected, Transient
from mediapipe.groups import Resolution, Unresolved, resolve

ROOFING, SOLAR = Group("1201", "EXT-1201", "Roofing Division"), Group("1202", "EXT-1202", "Solar Division")
ACCOUNT = (ROOFING, SOLAR)
UNKNOWN = "is no group of the account"


def resolved(
    wanted: Mapping[tuple[str, str], int], account: Sequence[Group] | MediapipeError = ACCOUNT
) -> Resolution:
    async def list_groups() -> Sequence[Group]:
        if isinstance(account, MediapipeError):
            raise account
        return account

    return anyio.run(resolve, list_groups, wanted)


def problem(found: Resolution, group_id: str = "", ext_id: str = "") -> str:
    return found.problem({"group_id": group_id, "group_ext_id": ext_id})


def test_what_the_account_has_is_no_problem() -> None:
    found = resolved({("1201", ""): 3, ("", "EXT-1202"): 2, ("1202", "EXT-1202"): 1})
    assert (found.checked, found.unresolved, found.why_not) == (True, (), "")
    assert (
        problem(found, "1201") == problem(found, "", "EXT-1202") == problem(found, "1202", "EXT-1202") == ""
    )
    assert found.problem({}) == ""


def test_what_it_has_not_is_named_with_its_rows_the_most_first() -> None:
    wanted = {("1299", ""): 2, ("", "EXT-9"): 5, ("1201", ""): 9, ("1299", "EXT-1201"): 1}
    found = resolved(wanted)
    assert [(one.column, one.value, one.rows, one.why) for one in found.unresolved] == [
        ("group_ext_id", "EXT-9", 5, UNKNOWN),
        ("group_id", "1299", 3, UNKNOWN),
    ]
    assert problem(found, "1299") == "group_id '1299' is no group of the account"
    assert problem(found, "", "EXT-9") == "group_ext_id 'EXT-9' is no group of the account"


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        (("1,201", ""), "1201"),
        (("roofing DIVISION", ""), "1201"),
        (("", "Solar Division"), "EXT-1202"),
        (("", "EXT1202"), "EXT-1202"),
        (("zzz", ""), ""),
        (("", "x" * 500), ""),
    ],
)
def test_the_nearest_is_the_group_of_this_name_or_one_that_looks_like_it(
    wanted: tuple[str, str], nearest: str
) -> None:
    [one] = resolved({wanted: 1}).unresolved
    assert one.nearest == nearest


def test_two_columns_that_name_two_groups_clash() -> None:
    found = resolved({("1201", "EXT-1202"): 4})
    why = "and group_ext_id 'EXT-1202' are two groups"
    assert found.unresolved == (Unresolved("group_id", "1201", 4, "", why),)
    assert problem(found, "1201", "EXT-1202") == f"group_id '1201' {why}"


def test_an_unknown_external_id_is_one_beside_a_known_group_too() -> None:
    found = resolved({("1201", "EXT-9"): 1})
    assert [one.column for one in found.unresolved] == ["group_ext_id"]


def test_an_external_id_of_several_groups_is_that_of_each() -> None:
    found = resolved({}, (Group("1", "E"), Group("2", "E"), Group("3", "F")))
    assert problem(found, "1", "E") == problem(found, "2", "E") == problem(found, "", "E") == ""
    assert "two groups" in problem(found, "3", "E")


def test_an_account_that_shows_no_external_ids_has_none_held_against_it() -> None:
    found = resolved({("", "EXT-9"): 1, ("1201", "EXT-9"): 1}, (Group("1201"),))
    assert (found.checked, found.unresolved) == (True, ())


@pytest.mark.parametrize(
    "account",
    [
        CredentialsError("no", code="forbidden"),
        Rejected("no such path", code="http_404"),
        Failed("moved", code="redirected"),
        Transient("down", code="http_500"),
        Transient("?", code="unreadable_answer"),
        (),
    ],
)
def test_what_cannot_be_looked_up_is_held_against_nobody(account: Sequence[Group] | MediapipeError) -> None:
    found = resolved({("1299", ""): 2}, account)
    assert (found.checked, found.unresolved) == (False, ())
    assert found.why_not
    assert problem(found, "1299") == problem(found, "", "EXT-9") == ""


def test_a_refused_login_stops_the_import() -> None:
    with pytest.raises(CredentialsError):
        resolved({("1", ""): 1}, CredentialsError("token is dead"))


NAMES = st.sampled_from(["", "1201", "1202", "1299", "x"])
EXTS = st.sampled_from(["", "EXT-1201", "EXT-1202", "EXT-9", "x"])


@given(st.dictionaries(st.tuples(NAMES, EXTS), st.integers(1, 9)))
def test_the_summary_counts_exactly_the_rows_that_have_a_problem(wanted: dict[tuple[str, str], int]) -> None:
    found = resolved(wanted)
    bad = sum(rows for (group_id, ext_id), rows in wanted.items() if problem(found, group_id, ext_id))
    assert sum(one.rows for one in found.unresolved) == bad
    counts = [one.rows for one in found.unresolved]
    assert counts == sorted(counts, reverse=True)


def test_many_unknown_groups_of_a_large_account_take_no_time() -> None:
    account = [Group(str(100_000 + n), f"EXT-{n}") for n in range(50_000)]
    begun = time.monotonic()
    found = resolved({(f"9{n:06d}", ""): 1 for n in range(5_000)}, account)
    assert len(found.unresolved) == 5_000
    assert time.monotonic() - begun < 20
