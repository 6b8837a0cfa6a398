"""``auth check``: each generation asked for one small thing, each failure an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mediapipe.errors import ExitCode
from mediapipe.jobs.check_login import Reached, check_login
from mediapipe.sandbox import FaultRule, RunningSandbox, running
from mediapipe.sandbox.stats import Endpoint
from mediapipe.services import open_platform
from mediapipe.settings import load_settings
from tests.archive_runs import QUICK, sample


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running(sample(5)) as sandbox:
        yield sandbox


def ask(sandbox: RunningSandbox, folder: Path, *apis: str, **changes: Any) -> list[Reached]:
    """Ask with the sandbox's settings and these changes."""
    flags = {**QUICK, "pace.retry_attempts": 2, "state_dir": str(folder)}
    environ = {**sandbox.environment(), **{name.upper(): value for name, value in changes.items()}}

    async def main() -> list[Reached]:
        async with open_platform(load_settings(None, flags, environ).settings) as platform:
            return await check_login(platform, apis or ("v3", "v2"))

    return anyio.run(main)


def test_both_answer_in_the_order_asked(sandbox: RunningSandbox, tmp_path: Path) -> None:
    v2, v3 = ask(sandbox, tmp_path, "v2", "v3")
    assert (v3.api, v3.ok, v3.exit_code, v3.message) == ("v3", True, ExitCode.OK, "")
    assert (v3.email, v3.role, v3.org_unit) == ("demo@sandbox.example", "Admin", "org unit 1200")
    assert (v2.api, v2.ok, v2.exit_code) == ("v2", True, ExitCode.OK)
    assert v3.url == f"{sandbox.url}/v3"


def test_only_what_was_asked_for_is_asked(sandbox: RunningSandbox, tmp_path: Path) -> None:
    assert [one.api for one in ask(sandbox, tmp_path, "v3")] == ["v3"]
    assert sandbox.state.stats.logins == {"v3": 1}
    assert sandbox.state.stats.total(Endpoint.V2_AUDIO_LIST) == 0


@pytest.mark.parametrize("role", [(1, "Admin"), (2, "Standard"), (3, "ReadOnly"), (9, "")])
def test_the_role_is_a_word(tmp_path: Path, role: tuple[int, str]) -> None:
    number, word = role
    with running(sample(1, role_id=number)) as sandbox:
        (v3,) = ask(sandbox, tmp_path, "v3")
    assert (v3.ok, v3.role) == (True, word)


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({"convirza_password": "no"}, {"v3", "v2"}),
        ({"convirza_client_id": ""}, {"v2"}),
        ({"convirza_client_secret": "no"}, {"v2"}),
        ({"convirza_v3_token": "no"}, {"v3"}),
        ({"convirza_v2_token": "no"}, {"v2"}),
    ],
)
def test_a_refused_login_is_that_generation_s_answer(
    sandbox: RunningSandbox, tmp_path: Path, changes: dict[str, str], bad: set[str]
) -> None:
    reached = ask(sandbox, tmp_path, **changes)
    assert {one.api for one in reached if not one.ok} == bad
    for one in reached:
        assert one.exit_code is (ExitCode.CREDENTIALS if one.api in bad else ExitCode.OK)
        assert bool(one.message) == bool(one.code) == (one.api in bad)


def test_a_missing_permission_is_a_matter_of_credentials(sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.state.faults.set([FaultRule(name="forbidden")])
    (v3,) = ask(sandbox, tmp_path, "v3")
    assert (v3.ok, v3.exit_code) == (False, ExitCode.CREDENTIALS)


def test_a_platform_in_trouble_is_none(sandbox: RunningSandbox, tmp_path: Path) -> None:
    sandbox.state.faults.set([FaultRule(name="list_500")])
    v3, v2 = ask(sandbox, tmp_path)
    assert (v3.ok, v3.exit_code) == (False, ExitCode.UNPROVEN)
    assert v2.ok, "one generation's trouble is not the other's"
