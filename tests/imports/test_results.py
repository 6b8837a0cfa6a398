"""What an import says of itself: to programs and to people the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from mediapipe.groups import Resolution, Unresolved
from mediapipe.imports.canary import Sighting
from mediapipe.imports.results import Proofs, Result
from mediapipe.imports.validation import Validated
from mediapipe.items import Outcome, Verdict
from tests.import_runs import importing, rows


def test_nothing_is_said_of_what_did_not_happen() -> None:
    told = Result().as_json()
    assert told == {
        "rows": 0,
        "dates": [],
        "relisted": {},
        "proof": {"answer": 0, "marker": 0, "likely": 0},
    }
    assert Result().notes() == []


def test_everything_that_was_learned_is_in_both() -> None:
    unresolved = Unresolved("group_id", "12", 3, nearest="1201", why="no such group")
    result = Result(
        validated=Validated(0, rows=9, days={date(2026, 2, 2), date(2026, 1, 31)}),
        groups=Resolution(True, (unresolved,)),
        canaries=[Sighting("a", "7", ()), Sighting("b", "", ("it is not listed", "yet"))],
        there=[{"key": "c", "calls": "8"}],
        proofs=Proofs(answer=1_200, marker=2, likely=1),
        stopped="the budget of the day is used up",
    )
    told, said = result.as_json(), "\n".join(result.notes())
    assert (told["rows"], told["dates"]) == (9, ["2026-01-31", "2026-02-02"])
    assert told["proof"] == {"answer": 1200, "marker": 2, "likely": 1}
    assert told["unresolved_groups"][0]["nearest"] == "1201"
    assert [one["key"] for one in told["canaries"]] == ["a", "b"]
    assert told["there_already"] == [{"key": "c", "calls": "8"}]
    assert told["stopped"] == result.stopped
    assert "1,200" in said
    assert "2 proven by their marker, 1 likely" in said
    assert "canary b: it is not listed; yet" in said
    assert "canary a" not in said
    assert str(unresolved) in said
    assert result.stopped in said


def test_groups_that_could_not_be_looked_up_are_said() -> None:
    result = Result(groups=Resolution(False, why_not="the list of groups was not there"))
    assert "groups were not looked up: the list of groups was not there" in result.notes()
    assert result.as_json()["groups_checked"] is False


def test_a_row_counts_by_how_its_call_is_known() -> None:
    proofs = Proofs()
    reasons = ("", "fetched", "matched", "matched_by_marker", "adopted", "adopted_by_marker")
    for reason in reasons:
        proofs.add(Outcome("x", Verdict.DONE, reason))
    proofs.add(Outcome("x", Verdict.UNCERTAIN, "matched"))
    assert proofs.as_json() == {"answer": 2, "marker": 2, "likely": 2}


def test_every_done_row_of_an_import_is_counted_by_its_proof(tmp_path: Path) -> None:
    with importing(tmp_path) as it:
        ran = it.run(it.manifest(rows(4)))
        assert isinstance(ran.result, Result)
        assert ran.result.proofs.total() == len(ran.of(Verdict.DONE)) == 4
