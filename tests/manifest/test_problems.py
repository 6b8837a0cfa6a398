"""Problems as people read them: what, where, with which value, and what to do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.manifest.problems import QUOTED, Problem, quoted


def test_a_problem_says_everything_in_one_line() -> None:
    problem = Problem(
        "not_a_boolean", "is neither yes nor no", "is_outbound", "perhaps", "write true or false"
    )
    assert str(problem) == "is_outbound 'perhaps': is neither yes nor no (write true or false)"
    assert str(Problem("ragged_row", "has 3 cells")) == "has 3 cells"
    assert str(Problem("missing_value", "is empty", "call_date")) == "call_date: is empty"


@given(st.text())
def test_a_value_is_quoted_on_one_line_and_cut(value: str) -> None:
    said = quoted(value)
    assert said.isprintable()
    assert said[0] == said[-1] == "'"
    if len(value) <= QUOTED and value.isprintable():
        assert said == f"'{value}'"
    if len(value) > QUOTED:
        assert said.endswith("…'")
        assert len(said) <= 10 * QUOTED + 3


def test_blanks_tabs_and_nul_can_be_seen() -> None:
    assert quoted(" a\t\0\n") == r"' a\t\x00\n'"
    assert quoted("C:\\x") == "'C:\\x'"
