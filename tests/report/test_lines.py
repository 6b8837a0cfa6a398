"""Outcomes as lines: what, why, warnings; and nothing that a file says can forge another line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mediapipe.items import Outcome, Remark, Verdict
from mediapipe.report.lines import outcome_lines


def test_an_outcome_and_its_warnings_stand_below_each_other() -> None:
    outcome = Outcome(
        "call-1",
        Verdict.DONE,
        "as_is",
        "sent as it is",
        row=12,
        warnings=(Remark("clipping", "loud"), Remark("dc", "off")),
    )
    assert outcome_lines(outcome).split("\n") == [
        "     12  done      call-1  as_is: sent as it is",
        "           warning  clipping: loud",
        "           warning  dc: off",
    ]


def test_an_outcome_without_a_row_or_a_message() -> None:
    assert outcome_lines(Outcome("k", Verdict.PENDING, "unchecked")).split() == ["pending", "k", "unchecked"]


@given(st.text(), st.text(), st.text())
def test_text_from_outside_makes_no_line_of_its_own(key: str, message: str, warning: str) -> None:
    outcome = Outcome(key, Verdict.FAILED, "bad", message, row=1, warnings=(Remark("w", warning),))
    lines = outcome_lines(outcome).split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_secrets_are_masked() -> None:
    outcome = Outcome(
        "k", Verdict.FAILED, "bad", "https://h/x?secret=hush", warnings=(Remark("w", "access=hush"),)
    )
    assert "hush" not in outcome_lines(outcome)
