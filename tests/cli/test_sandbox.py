"""``mediapipe sandbox serve``."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request

import pytest

from tests.cli.command import Command, serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_what_a_client_needs_and_stops_when_told(bare: Command, number: signal.Signals) -> None:
    with serving(bare) as (process, environ):
        assert len(environ) == 8
        assert bare.inside("auth", "check", env=environ).code == 0
        process.send_signal(number)
        assert process.wait(30) == 130


def test_its_folder_keeps_the_calls_over_a_restart(bare: Command) -> None:
    data, answers = bare.folder / "data", []
    for args in (("--calls", "5", "--seed", "3"), ()):
        with serving(bare, "--data", data, *args) as (_, environ):
            run = bare.inside(
                "archive", "run", "--from", "-5w", "--dest", "a", "--dry-run", "--json", env=environ
            )
            answers.append(run.counts)
    assert answers == [{"pending": 5}, {"pending": 5}]


def test_a_scenario_switches_faults_on(bare: Command) -> None:
    scenario = bare.folder / "bad.toml"
    scenario.write_text('[[fault]]\nname = "list_500"\nfirst = 2\n')
    with serving(bare, "--scenario", scenario) as (_, environ):
        base = environ["CONVIRZA_V3_URL"].removesuffix("/v3")
        assert bare.inside("auth", "check", "--api", "v3", env=environ).code == 0
        with urllib.request.urlopen(f"{base}/_sandbox/faults", timeout=10) as answer:  # noqa: S310
            (fault,) = json.load(answer)["fault"]
    assert (fault["name"], fault["hits"]) == ("list_500", 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[fault]]\nname = 'lits_500'", ("unknown fault lits_500", "list_500")),
        ("[[fault]]\nnames = 'list_500'", ("unknown key names", "the keys are")),
        ("[[fault]]\nname = 'list_500'\nrate = 2", ("list_500", "rate must be between 0 and 1")),
        ("faults = 1", ("unknown key faults",)),
        ("fault = 1", ("must hold [[fault]] tables",)),
        ("fault = [1]", ("must hold [[fault]] tables",)),
        ("seed = x\n", ("line 1",)),
        (None, ("cannot be read", "No such file")),
    ],
)
def test_a_bad_scenario_is_one_line_that_names_the_file(
    bare: Command, content: str | None, words: tuple[str, ...]
) -> None:
    scenario = bare.folder / "bad.toml"
    if content is not None:
        scenario.write_text(content)
    ended = bare.inside("sandbox", "serve", "--port", "0", "--scenario", scenario)
    ended.refused(f"scenario {scenario}: ", *words)


def test_an_address_that_cannot_be_had_is_said(bare: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bare.inside("sandbox", "serve", "--port", port).refused(f"cannot listen on 127.0.0.1:{port}")
    assert bare.inside("sandbox", "serve", "--port", "65536").code == 2


def test_a_folder_that_is_a_file_is_said(bare: Command) -> None:
    (bare.folder / "file").write_text("")
    bare.inside("sandbox", "serve", "--port", "0", "--data", "file").refused("--data: file", "as a folder")
    bare.inside("sandbox", "serve", "--port", "0", "--calls", "-1").refused("count must not be negative")
