"""A plan as people read it: nothing in a name forges a line, and every count is in the sentence."""

from __future__ import annotations

import pytest

from mediapipe.library.lockfile import Entry as LockEntry
from mediapipe.library.lockfile import LibraryLock, Superseded
from mediapipe.library.plan import SIGNS, Action, Change, Plan
from mediapipe.library.words import Listed
from mediapipe.report.plan_lines import PlanLine, matrix_lines, plan_lines, summary_line


def test_a_line_and_its_notes() -> None:
    lines = list(plan_lines([PlanLine("+", "create", "prompt/a", "it is not there", ["a note"])]))
    assert lines == ["+ create    prompt/a  (it is not there)", "              a note"]
    assert list(plan_lines([PlanLine(" ", "unchanged", "prompt/a", "")])) == ["  unchanged prompt/a"]


@pytest.mark.parametrize(
    "name",
    [
        "a\n- delete    prompt/everything",
        "a\r- delete    prompt/everything",
        "a\x1b[2J\x1b[Hb",
        "a\u2028b",
        "a\u202eb",
        "a\x9b2Jb",
        "a\x00b",
    ],
)
def test_a_name_of_the_account_forges_nothing(name: str) -> None:
    for line in (
        PlanLine("-", "delete", f"prompt/{name}", "nobody here put it there"),
        PlanLine("k", "keep", "prompt/a", f"route {name} mentions it", [f"route {name}"]),
    ):
        told = list(plan_lines([line]))
        assert len(told) == 1 + len(line.notes)
        assert all(one.isprintable() for one in told)


def test_secrets_are_masked() -> None:
    (line,) = plan_lines([PlanLine("+", "create", "prompt/a", "see https://x.test/?secret=abcdef0123")])
    assert "abcdef0123" not in line


def test_every_count_of_a_plan_is_said() -> None:
    changes = tuple(Change(action, f"prompt/{action}") for action in Action)
    over = (Superseded("prompt/a", "replaced", "2026", LockEntry("1", "", "")),)
    summary = Plan(changes, LibraryLock(), over, (Listed("2", "prompt", "b"),)).summary()
    said = summary_line({name: number * 1234 for name, number in summary.items()})
    assert said.startswith("Plan: ")
    assert said.endswith(".")
    assert said.count("1,234") == len(summary)


def test_nothing_to_do_is_said_shortly() -> None:
    summary = Plan((Change(Action.UNCHANGED, "prompt/a"),), LibraryLock()).summary()
    assert summary_line(summary) == "Plan: 1 unchanged."
    assert set(SIGNS) == set(Action)


def test_missing_languages_as_a_table() -> None:
    lacking = {"prompt/welcome": ("es-MX",), "whisper/x": ("en", "es-MX", "fr")}
    assert list(matrix_lines(lacking, ("en", "es-MX", "fr"))) == [
        "missing languages  en  es-MX  fr",
        "prompt/welcome".ljust(17) + "  .     -    .",
        "whisper/x".ljust(17) + "  -     -    -",
    ]
    assert not list(matrix_lines({}, ("en",)))
