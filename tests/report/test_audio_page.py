"""The rich report: escaped, self-contained; in a real browser it sorts, filters and complains of nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mediapipe.audio.channels import Swap
from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.audio.targets import V2_CALLS, AsIs, Reject
from mediapipe.items import Outcome, Remark, Tally, Verdict
from mediapipe.manifest.calls import CallRow
from mediapipe.report.audio_page import listed, render, row_of, write_audio_page
from mediapipe.report.digest import AudioDigest
from mediapipe.report.outcomes import OutcomeWriter
from mediapipe.report.rundir import RunDir
from mediapipe.report.summary import RunReport
from mediapipe.verdicts import Judged, decided, unheard
from tests.browser import browsing
from tests.facts import clipped, facts
from tests.report.test_page import EVIL, Tags

NO_SWAP = Swap(None, "nobody asked")
CUT = Finding("partial", "cut off", Level.BLOCK)
LOUD = Finding("clipping", "clipped here", channel=1, start_s=12.0, end_s=13.0)
DEAD = Finding("dead_channel", "nothing on it", channel=0)


def judged(row: int, *faults: Finding, of: AudioFacts | None = None, name: str = "") -> Judged:
    call = CallRow(row, row + 1, name or f"call-{row:03}", recording=f"calls/{row}.wav", file="/x")
    problems = tuple(one for one in faults if one.level is Level.BLOCK)
    warnings = tuple(one for one in faults if one.level is Level.WARN)
    plan = Reject(problems, warnings) if problems else AsIs(row * 1_000, warnings)
    return decided(call, of or facts(10.0 * row), plan, NO_SWAP, V2_CALLS)


def report_of(folder: Path, rows: Sequence[Judged], **more: Any) -> tuple[RunReport, AudioDigest]:
    run, tally, digest = RunDir.create(folder, "run-1"), Tally(), AudioDigest()
    with OutcomeWriter(run.outcomes) as writer:
        for row in rows:
            tally.add(row.outcome)
            writer.write(row.outcome)
            digest.add(row.outcome, row.facts, row.faults)
    report = RunReport(
        "calls.check", "run-1", tally, 1.5, run.outcomes, run.report, effect="would send", **more
    )
    return report, digest


def written(folder: Path, rows: Sequence[Judged], **more: Any) -> Path:
    report, digest = report_of(folder, rows, **more)
    write_audio_page(report, digest)
    return report.report


MIXED = [
    judged(1),
    judged(2, LOUD, of=clipped(facts(20.0), 1, (12.0, 13.0), (15.0, 15.1))),
    judged(3, CUT),
    judged(4),
    judged(5, DEAD, LOUD),
    unheard(CallRow(6, 7, "call-006", remote="s3://bucket/key", recording="s3://bucket/key")),
]


class AnyTags(Tags):
    """As :class:`Tags`, for a page with drawings: their elements may close themselves."""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = Finding("bad", EVIL, channel=0)
    worse = Finding("worse", EVIL, Level.BLOCK)
    rows = [judged(1, evil, name=EVIL), judged(2, worse, of=facts(codec=EVIL, container=EVIL))]
    rows.append(
        Judged(Outcome(EVIL, Verdict.FAILED, EVIL, EVIL, EVIL, row=3, warnings=(Remark(EVIL, EVIL),)))
    )
    tags = AnyTags(written(tmp_path, rows, notes=[EVIL]).read_text()).seen
    names = [tag for tag, _ in tags]
    assert names.count("script") == 1
    assert "img" not in names
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]


def test_the_page_asks_nobody(tmp_path: Path) -> None:
    text = written(tmp_path, MIXED).read_text()
    tags = AnyTags(text).seen
    assert not [attrs for _, attrs in tags if {"src", "action", "xlink:href"} & attrs.keys()]
    assert {str(attrs["href"])[0] for _, attrs in tags if "href" in attrs} == {"#"}
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|fetch\(|https?:", text)


def test_faults_are_drawn_and_said_and_linked(tmp_path: Path) -> None:
    text = written(tmp_path, MIXED).read_text()
    assert "took 1.5s and would send" in text
    for row in (2, 3, 5):
        assert text.count(f'id="row-{row}"') == text.count(f'href="#row-{row}"') == 1
    assert 'id="row-1"' not in text
    assert text.count('class="wave"') == 6, "two channels of three recordings"
    assert "<b>clipping</b>: clipped here" in text
    assert text.count("<circle") == 4, "a number for each fault"
    assert "Length, in recordings. 5 s to 15 s: 1;" in text


def test_a_run_without_audio_or_faults_says_so(tmp_path: Path) -> None:
    text = written(tmp_path, []).read_text()
    assert text.count("<p>None.</p>") == 2
    assert "<svg" not in text


def test_secrets_are_redacted(tmp_path: Path) -> None:
    secret = Finding("odd", "tag says secret=hush", channel=0)
    assert "hush" not in written(tmp_path, [judged(1, secret)], notes=["access=hush"]).read_text()


def test_the_table_has_what_needs_somebody_first_and_is_bounded() -> None:
    rows = [judged(row).outcome for row in range(1, 6)] + [judged(row, LOUD).outcome for row in (6, 7)]
    rows += [
        judged(8, CUT).outcome,
        Outcome("p", Verdict.PENDING, row=9),
        Outcome("f", Verdict.FAILED, row=10),
    ]
    assert [row.outcome.row for row in listed(rows)] == [10, 8, 9, 6, 7, 1, 2, 3, 4, 5]
    assert [row.outcome.row for row in listed(rows, most=5)] == [10, 8, 9, 6, 7]
    assert [row.outcome.row for row in listed(rows, most=1)] == [10]


def test_reading_ends_where_nothing_more_can_be_found() -> None:
    read: list[int | None] = []

    def outcomes() -> Any:
        for row in range(1, 1_000):
            read.append(row)
            yield Outcome(f"k{row}", Verdict.PENDING, row=row)

    tally = Tally()
    for outcome in outcomes():
        tally.add(outcome)
    read.clear()
    assert len(listed(outcomes(), 20, tally.verdicts)) == 20
    assert len(read) < 30
    read.clear()
    assert len(listed(outcomes(), 20)) == 20
    assert len(read) == 999


def test_a_row_keeps_no_more_of_an_outcome_than_it_shows() -> None:
    row = row_of(judged(3, LOUD, DEAD).outcome)
    assert (row.outcome.audio, row.outcome.warnings) == (None, ())
    assert (row.format, row.rate, row.channels, row.seconds) == ("wav pcm_s16le", 8_000, 2, 30.0)
    assert (row.length, row.speech, row.codes) == ("30s", -18.0, ("clipping", "dead_channel"))
    assert row_of(Outcome("k", Verdict.PENDING)).length == ""


def test_a_table_that_was_cut_says_so(tmp_path: Path) -> None:
    report, digest = report_of(tmp_path, MIXED)
    text = render(report, digest, listed([one.outcome for one in MIXED], most=2))
    assert "The first 2 of 6" in text


def test_exhibits_that_were_cut_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediapipe.report.digest.MOST_EXHIBITS", 2)
    assert "2 of 3: some with each fault, refused ones first." in written(tmp_path, MIXED).read_text()


# ── in a browser ────────────────────────────────────────────────────────────────────────────

SHOWN = "[...document.querySelectorAll('#items tbody tr:not([hidden])')].map(row => row.cells[3].textContent)"


def choose(name: str, value: str, event: str = "change") -> str:
    """Return the script that sets a control above the table as its user would."""
    found = f"document.getElementById('{name}')"
    return f"{found}.value = {value!r}; {found}.dispatchEvent(new Event('{event}'));"


def head(name: str) -> str:
    """Return the script that clicks on the head of a column."""
    heads = "[...document.querySelectorAll('#items th')]"
    return f"{heads}.find(one => one.textContent.trim() === {name!r}).click();"


def test_in_a_browser_the_table_sorts_and_filters_and_nothing_complains(tmp_path: Path) -> None:
    path = written(tmp_path, MIXED)
    call = [f"call-{row:03}" for row in range(7)]
    with browsing() as page:
        page.open(path)
        assert page.run(SHOWN) == [call[3], call[6], call[2], call[5], call[1], call[4]]
        page.run(head("length"))
        assert page.run(SHOWN) == [call[1], call[2], call[3], call[4], call[5], call[6]], (
            "the unknown one last"
        )
        page.run(head("length"))
        assert page.run(SHOWN) == [call[5], call[4], call[3], call[2], call[1], call[6]]
        assert page.run("document.querySelectorAll('#items th[aria-sort=descending]').length") == 1
        page.run(choose("kind", "rejected"))
        assert page.run(SHOWN) == [call[3]]
        page.run(choose("kind", ""))
        page.run(choose("fault", "clipping"))
        assert page.run(SHOWN) == [call[5], call[2]]
        page.run(choose("fault", "") + choose("find", "S3://BUCKET", "input"))
        assert page.run(SHOWN) == [call[6]]
        assert page.run("document.getElementById('shown').textContent") == "1 shown"
        # Everything is drawn inside its picture, and wide enough to be looked at.
        assert page.run("document.querySelectorAll('.exhibit svg path.wave').length") == 6
        assert page.run("document.querySelector('.exhibit svg').getBoundingClientRect().width") > 600
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.complaints == []
        assert page.asked == [path.as_uri()]


def test_the_browser_would_tell_of_a_page_that_breaks_the_rules(tmp_path: Path) -> None:
    text = written(tmp_path, MIXED).read_text()
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<h1>", '<img src="https://host.invalid/x.png"><h1>'))
    with browsing() as page:
        page.open(broken)
        assert any("violates" in one for one in page.complaints)
        broken.write_text(text.replace('"use strict";', "nonsense();"))
        page.open(broken)
        assert any("nonsense is not defined" in one for one in page.complaints)
