"""``mediapipe auth check``."""

from __future__ import annotations

import pytest

from tests.cli.command import Command


def test_both_generations_answer_and_say_who_one_is(cli: Command) -> None:
    ended = cli.run("auth", "check")
    assert (ended.code, ended.err) == (0, "")
    v3, v2 = ended.out.splitlines()
    assert v3.startswith("ok     v3  http://127.0.0.1:")
    assert v3.endswith("as demo@sandbox.example, Admin, org unit 1200")
    assert v2.startswith("ok     v2  http://127.0.0.1:")


def test_a_login_that_is_remembered_still_says_who(cli: Command) -> None:
    assert cli.sandbox
    first, second = cli.inside("auth", "check"), cli.inside("auth", "check")
    assert second.out == first.out
    assert sum(cli.sandbox.state.stats.logins.values()) == 2


def test_json_is_one_object(cli: Command) -> None:
    report = cli.inside("auth", "check", "--json", "--quiet").report
    assert report["job"] == "auth.check"
    assert [(one["api"], one["ok"], one["exit_code"]) for one in report["apis"]] == [
        ("v3", True, 0),
        ("v2", True, 0),
    ]


def test_without_a_client_id_v3_is_still_shown_and_may_be_asked_alone(cli: Command) -> None:
    env = {"CONVIRZA_CLIENT_ID": None, "CONVIRZA_CLIENT_SECRET": None}
    ended = cli.inside("auth", "check", env=env)
    assert ended.code == 4
    assert ended.out.startswith("ok     v3")
    assert "FAILED v2" in ended.out
    assert "CONVIRZA_CLIENT_ID is not set" in ended.out
    alone = cli.inside("auth", "check", "--api", "v3", env=env)
    assert (alone.code, alone.out.count("\n")) == (0, 1)


@pytest.mark.parametrize(
    "env",
    [
        {"CONVIRZA_PASSWORD": "not-that-one"},
        {"CONVIRZA_CLIENT_SECRET": "not-that-one"},
        {"CONVIRZA_V3_TOKEN": "t"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_a_refused_login_is_exit_code_4(cli: Command, env: dict[str, str]) -> None:
    ended = cli.inside("auth", "check", env=env)
    assert ended.code == 4
    assert "FAILED" in ended.out
    assert "not-that-one" not in ended.out + ended.err


def test_a_platform_that_is_not_there_is_no_matter_of_credentials(cli: Command) -> None:
    ended = cli.inside(
        "auth", "check", "--api", "v3", "--json", env={"CONVIRZA_V3_OAUTH_URL": "http://127.0.0.1:9/o"}
    )
    assert ended.code == 5
    (v3,) = ended.report["apis"]
    assert (v3["ok"], v3["exit_code"]) == (False, 5)
    assert v3["message"]


def test_nothing_is_known_without_settings(bare: Command) -> None:
    bare.inside("auth", "check", "--json").refused("CONVIRZA_EMAIL is not set", code=4)
