import re
import stat
from html.parser import HTMLParser

import pytest

from mediapipe.errors import DiskFull, ExitCode, Fatal
from mediapipe.items import Outcome, Tally, Verdict
from mediapipe.report import page as page_module
from mediapipe.report.outcomes import OutcomeWriter
from mediapipe.report.page import attention, render, write_page
from mediapipe.report.rundir import RunDir
from mediapipe.report.summary import RunReport

EVIL = "<script>alert(1)</script><img src=x onerror=\"alert('2')\">"


def report_of(tmp_path, *outcomes, **more):
    folder = RunDir.create(tmp_path, "run-1")
    tally = Tally()
    with OutcomeWriter(folder.outcomes) as writer:
        for outcome in outcomes:
            tally.add(outcome)
            writer.write(outcome)
    return RunReport("archive.run", "run-1", tally, 1.5, folder.outcomes, folder.report, **more)


def written(tmp_path, *outcomes, **more):
    report = report_of(tmp_path, *outcomes, **more)
    write_page(report)
    return report.report.read_text("utf-8")


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.seen, self.stack = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag or tag in {"option", "li"}


def test_everything_from_outside_is_escaped(tmp_path):
    evil = Outcome(EVIL, Verdict.FAILED, EVIL, EVIL, EVIL)
    tags = Tags(written(tmp_path, evil, notes=[EVIL])).seen
    assert [tag for tag, _ in tags].count("script") == 1
    assert "img" not in [tag for tag, _ in tags]


def test_nothing_in_the_page_steers_a_terminal_or_turns_names_around(tmp_path):
    evil = "a\x1b[2J\x07\u202egpj.exe\x9b31m"
    text = written(tmp_path, Outcome(evil, Verdict.FAILED, evil, evil, evil), notes=[evil])
    assert "a [2J" in text
    assert not [char for char in text if not char.isprintable() and char != "\n"]


def test_the_page_asks_nobody(tmp_path):
    text = written(tmp_path, Outcome("k", Verdict.FAILED))
    tags = Tags(text).seen
    assert not [attrs for _, attrs in tags if {"src", "href", "action"} & attrs.keys()]
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|fetch\(", text)


def test_counts_reasons_notes_and_items_are_there(tmp_path):
    text = written(
        tmp_path,
        *[Outcome(f"d{n}", Verdict.DONE, bytes=1_000_000) for n in range(1_234)],
        Outcome("7-9", Verdict.FAILED, "html_body", "not audio", "call 7", row=12),
        Outcome("8", Verdict.PENDING, "no_recording"),
        notes=["a window is open"],
        code=ExitCode.ITEMS,
    )
    assert "<b>1,234</b>done" in text
    assert "1.2 GB" in text
    assert "Exit code 3: finished; some items rejected or failed." in text
    assert "a window is open" in text
    for word in ("7-9", "html_body", "not audio", "call 7", "12", "no_recording"):
        assert f">{word}</td>" in text
    assert ">d1</td>" not in text
    assert "prefers-color-scheme" in text or "color-scheme: light dark" in text


def test_secrets_are_redacted(tmp_path):
    text = written(tmp_path, Outcome("k", Verdict.FAILED, message="secret=hush"), notes=["access=hush"])
    assert "hush" not in text


def test_a_clean_run_says_so(tmp_path):
    text = written(tmp_path, Outcome("k", Verdict.DONE))
    assert "<p>None.</p>" in text
    assert "<table" not in text
    assert "undefined" not in text


def test_rows_are_capped_with_a_note_and_the_urgent_ones_stay(tmp_path):
    outcomes = [Outcome(f"p{n}", Verdict.PENDING) for n in range(30)]
    outcomes += [Outcome(f"f{n}", Verdict.FAILED) for n in range(5)] + [Outcome("u", Verdict.UNCERTAIN)]
    rows = attention(outcomes, most=10)
    assert [row.key for row in rows] == ["u", "f0", "f1", "f2", "f3", "f4", "p0", "p1", "p2", "p3"]
    text = render(report_of(tmp_path, *outcomes), rows)
    assert "The first 10 of 36" in text


def test_reading_ends_where_nothing_more_can_be_found():
    outcomes = [Outcome(f"p{n}", Verdict.PENDING) for n in range(50)] + [Outcome("f", Verdict.FAILED)]
    tally, read = Tally(), []
    for outcome in outcomes:
        tally.add(outcome)

    def lines(found):
        for outcome in found:
            read.append(outcome)
            yield outcome

    assert [row.key for row in attention(lines(outcomes), 10, tally.verdicts)][:2] == ["f", "p0"]
    assert len(read) == 51
    read.clear()
    few = Tally()
    for outcome in outcomes[:50]:
        few.add(outcome)
    assert len(attention(lines(outcomes[:50]), 10, few.verdicts)) == 10
    assert len(read) == 10
    read.clear()
    assert attention(lines([Outcome("d", Verdict.DONE)]), 10, Tally().verdicts) == []
    assert read == []


def test_the_facts_of_audio_are_not_held_for_a_page_that_does_not_show_them():
    (row,) = attention([Outcome("f", Verdict.FAILED, audio={"facts": {}})])
    assert row.audio is None


def test_a_run_may_explain_what_it_did_not_change(tmp_path):
    done = Outcome("d", Verdict.DONE, "as_is", bytes=1_000)
    text = written(tmp_path, done, explained=(Verdict.DONE,), effect="would send")
    assert ">as_is</td>" in text
    assert "and would send 1.0 kB" in text


def test_only_the_user_may_read_it(tmp_path):
    report = report_of(tmp_path, Outcome("caf\udce9", Verdict.FAILED))
    write_page(report)
    write_page(report)
    assert stat.S_IMODE(report.report.stat().st_mode) == 0o600


def test_a_page_that_cannot_be_written_is_said_so(tmp_path, monkeypatch):
    report = report_of(tmp_path)
    report.report.mkdir()
    with pytest.raises(Fatal, match="cannot be written"):
        write_page(report)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page_module.os, "open", full)
    with pytest.raises(DiskFull):
        write_page(report)
