from __future__ import annotations

from pathlib import Path
from typing import Any

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


def listed(folder: Path, role: int = 1, *faults: FaultRule) -> tuple[Group, ...]:
    async def main() -> tuple[Group, ...]:
        with running(sample(1, role_id=role, faults=faults)) as sandbox:
            flags = {**QUICK, "pace.retry_attempts": 2, "state_dir": str(folder)}
            settings = load_settings(None, flags, sandbox.environment()).settings
            async with open_platform(settings) as platform:
                return await Groups(platform.v3.session).list_groups()

    return anyio.run(main)


def test_the_reader_reads_what_the_sandbox_lists(tmp_path: Path) -> None:
    groups = listed(tmp_path)
    assert [group.group_id for group in groups] == ["1200", "1201", "1202", "1203"]
    assert groups[1] == Group("1201", "EXT-1201", "Roofing Division")


def test_who_is_no_admin_may_not_list_groups(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError):
        listed(tmp_path, 2)
    with pytest.raises(Transient):
        listed(tmp_path, 1, FaultRule(name="groups_500"))


def page(api: Any, **query: Any) -> tuple[int, list[int]]:
    url = f"{api.env['CONVIRZA_V3_URL']}/groups/list"
    answer = api.http.get(url, params=query, headers=api.v3_headers)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert {group["status"] for group in data["groups"]} <= {"active"}
    return data["total"], [group["org_unit_id"] for group in data["groups"]]


def test_groups_come_in_pages_and_by_name(shared: Any) -> None:
    assert page(shared) == (4, [1200, 1201, 1202, 1203])
    assert page(shared, limit=3) == (4, [1200, 1201, 1202])
    assert page(shared, limit=3, offset=3) == (4, [1203])
    assert page(shared, offset=4) == (4, [])
    assert page(shared, group_name="solar") == (1, [1202])
    assert page(shared, group_name="division", limit=1, offset=1) == (3, [1202])
    assert page(shared, group_name="nothing") == (0, [])


@pytest.mark.parametrize("query", [{"limit": "x"}, {"offset": ""}, {"limit": -1}, {"offset": -1}])
def test_a_page_that_is_none_is_refused(shared: Any, query: Any) -> None:
    url = f"{shared.env['CONVIRZA_V3_URL']}/groups/list"
    assert shared.http.get(url, params=query, headers=shared.v3_headers).status_code == 400


def test_groups_need_a_v3_token_of_an_admin(shared: Any, sandbox: Any) -> None:
    url = f"{shared.env['CONVIRZA_V3_URL']}/groups/list"
    assert shared.http.get(url).status_code == 401
    assert shared.http.get(url, headers=shared.v2_headers).status_code == 401
    for role in (2, 3):
        other = sandbox(role_id=role)
        url = f"{other.env['CONVIRZA_V3_URL']}/groups/list"
        assert other.http.get(url, headers=other.v3_headers).status_code == 403


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
