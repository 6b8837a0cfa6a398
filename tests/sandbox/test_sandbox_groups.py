from __future__ import annotations

import anyio
import pytest

from mediapipe.convirza.groups import Group, Groups
from mediapipe.errors import CredentialsError, Transient
from mediapipe.groups import Resolution, resolve
from mediapipe.sandbox import FaultRule, running
from mediapipe.services import open_platform
from mediapipe.settings import load_settings
from tests.archive_runs import QUICK, sample

TWO = {("1201", ""): 3, ("1299", ""): 2, ("", "EXT-1202"): 1, ("1201", "EXT-1202"): 4}


def listed(role: int = 1, *faults: FaultRule) -> tuple[Group, ...]:
    async def main() -> tuple[Group, ...]:
        with running(sample(1, role_id=role, faults=faults)) as sandbox:
            settings = load_settings(
                None, {**QUICK, "pace.retry_attempts": 2}, sandbox.environment()
            ).settings
            async with open_platform(settings) as platform:
                return await Groups(platform.v3.session).list_groups()

    return anyio.run(main)


def test_the_reader_reads_what_the_sandbox_lists() -> None:
    groups = listed()
    assert [group.group_id for group in groups] == ["1200", "1201", "1202", "1203"]
    assert groups[1] == Group("1201", "EXT-1201", "Roofing Division")


def test_who_is_no_admin_may_not_list_groups() -> None:
    with pytest.raises(CredentialsError):
        listed(2)
    with pytest.raises(Transient):
        listed(1, FaultRule(name="groups_500"))


def resolved(error: Exception | None = None) -> Resolution:
    groups = (Group("1201", "EXT-1201", "Roofing"), Group("1202", "EXT-1202", "Solar"))

    async def list_groups() -> tuple[Group, ...]:
        if error is not None:
            raise error
        return groups

    return anyio.run(resolve, list_groups, TWO)


def test_groups_that_are_not_there_are_named_with_their_rows() -> None:
    found = resolved()
    assert found.checked
    assert {(one.value, one.rows) for one in found.unresolved} == {("1299", 2), ("1201", 4)}
    assert "is no group" in found.problem({"group_id": "1299"})
    assert "two groups" in found.problem({"group_id": "1201", "group_ext_id": "EXT-1202"})
    assert found.problem({"group_id": "1201"}) == ""


@pytest.mark.parametrize(
    "error",
    [CredentialsError("no", code="forbidden"), Transient("down"), Transient("?", code="unreadable_answer")],
)
def test_groups_that_cannot_be_listed_are_not_held_against_anybody(error: Exception) -> None:
    found = resolved(error)
    assert not found.checked
    assert found.why_not
    assert found.problem({"group_id": "1299"}) == ""
