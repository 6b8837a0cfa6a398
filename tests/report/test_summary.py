import itertools
import json
from pathlib import Path

import pytest

from mediapipe.errors import CredentialsError, DiskFull, ExitCode, PlatformDown, UsageError
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.report.summary import RunReport, exit_code


def tally(*verdicts, **more):
    counted = Tally()
    for number, verdict in enumerate(verdicts):
        counted.add(Outcome(f"k{number}", verdict, **more))
    return counted


def report(counted, **more):
    return RunReport(
        "archive.run", "run-1", counted, 61.26, Path("/r/outcomes.jsonl"), Path("/r/report.html"), **more
    )


@pytest.mark.parametrize(
    ("verdicts", "flags", "code"),
    [
        ([], {}, 0),
        ([Verdict.DONE, Verdict.SKIPPED, Verdict.PENDING, Verdict.ABSENT], {}, 0),
        ([Verdict.REJECTED], {}, 3),
        ([Verdict.FAILED, Verdict.DONE], {}, 3),
        ([Verdict.UNCERTAIN], {}, 5),
        ([Verdict.UNCERTAIN, Verdict.FAILED], {}, 5),
        ([], {"unproven": True}, 5),
        ([Verdict.REJECTED], {"unproven": True}, 5),
        ([Verdict.REJECTED, Verdict.UNCERTAIN], {"damaged": True}, 6),
        ([], {"damaged": True}, 6),
        ([Verdict.UNCERTAIN], {"damaged": True, "fatal": CredentialsError()}, 4),
        ([], {"interrupted": True}, 130),
        ([Verdict.FAILED], {"interrupted": True, "unproven": True}, 130),
        ([], {"interrupted": True, "fatal": CredentialsError()}, 4),
        ([], {"fatal": PlatformDown()}, 5),
        ([Verdict.FAILED], {"fatal": PlatformDown(), "damaged": True}, 6),
        ([Verdict.FAILED], {"fatal": DiskFull()}, 5),
        ([], {"fatal": UsageError(), "unproven": True}, 2),
    ],
)
def test_the_published_exit_code(verdicts, flags, code):
    found = exit_code(tally(*verdicts), **flags)
    assert isinstance(found, ExitCode)
    assert found == code


def test_of_3_5_and_6_the_highest_wins_and_4_over_all():
    for items, unproven, damaged, refused in itertools.product([0, 1], repeat=4):
        expected = max([3 * items, 5 * unproven, 6 * damaged]) if not refused else 4
        counted = tally(*[Verdict.FAILED] * items)
        fatal = CredentialsError() if refused else None
        assert exit_code(counted, unproven=bool(unproven), damaged=bool(damaged), fatal=fatal) == expected


def test_the_json_object_is_the_published_one():
    found = report(tally(Verdict.DONE, Verdict.FAILED, bytes=5)).as_json()
    assert json.loads(json.dumps(found)) == {
        "job": "archive.run",
        "run_id": "run-1",
        "counts": {
            "done": 1,
            "skipped": 0,
            "rejected": 0,
            "failed": 1,
            "uncertain": 0,
            "pending": 0,
            "absent": 0,
        },
        "bytes": 5,
        "elapsed_s": 61.26,
        "outcomes": "/r/outcomes.jsonl",
        "report": "/r/report.html",
    }


def test_extra_keys_are_added_and_replace_none():
    found = report(tally(), extra={"complete": True, "job": "other", "counts": {}}).as_json()
    assert found["complete"] is True
    assert found["job"] == "archive.run"
    assert found["counts"]["done"] == 0


def test_the_table_says_what_a_person_asks():
    counted = tally(*[Verdict.DONE] * 1_200, bytes=1_000_000)
    for reason in ("gone", "gone", "html_body"):
        counted.add(Outcome("f", Verdict.FAILED, reason))
    counted.add(Outcome("p", Verdict.PENDING, "no_recording"))
    text = report(counted, notes=["window\nX secret=abc is open"], code=ExitCode.ITEMS).as_table()
    assert text.splitlines() == [
        "archive.run  run-1",
        "",
        "  done       1,200  1.2 GB",
        "  failed         3",
        "                 2  gone",
        "                 1  html_body",
        "  pending        1",
        "",
        "  elapsed    1m1s",
        "  exit code  3: finished; some items rejected or failed",
        "  note       window X secret=*** is open",
        "  outcomes   /r/outcomes.jsonl",
        "  report     /r/report.html",
    ]


def test_the_table_explains_the_verdicts_that_a_run_names():
    counted = Tally()
    counted.add(Outcome("a", Verdict.DONE, "as_is", bytes=5))
    counted.add(Outcome("b", Verdict.FAILED, "gone"))
    lines = report(counted, explained=(Verdict.DONE,)).as_table().splitlines()
    assert lines[2:5] == ["  done       1  5 B", "             1  as_is", "  failed     1"]


def test_the_table_of_nothing():
    assert "  done       0  0 B" in report(tally()).as_table()
