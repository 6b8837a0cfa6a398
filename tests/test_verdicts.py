"""What becomes of a row: its text and its audio together, everything at once."""

from __future__ import annotations

import json

import pytest

from mediapipe.audio.channels import Swap
from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.targets import V2_CALLS, AsIs, Plan, Recipe, Reject, Rewrap, Split, Transcode
from mediapipe.errors import Failed, ItemError, Rejected
from mediapipe.items import Remark, Verdict
from mediapipe.manifest.calls import CallRow
from mediapipe.manifest.problems import Problem
from mediapipe.report.outcomes import from_object, to_line
from mediapipe.verdicts import UNCHECKED, channels_sent, decided, plan_json, undecodable, unheard
from tests.facts import facts

ROW = CallRow(7, 9, "call-7", recording="calls/7.wav", file="/calls/7.wav")
BAD = Problem("missing_value", "is empty", "call_date")
LATER = Problem("unreadable", "cannot be looked at", passing=True)
NO_SWAP = Swap(None, "nobody asked")
MP3 = Recipe("mp3", "mp3", 8_000, 2, 32)
WAV = Recipe("wav", "pcm_s16le", 8_000, 1)
IN_PARTS = Split(WAV, 3, 48_000, ("too_large",), 1_003)
PLANS: dict[str, Plan] = {
    "as_is": AsIs(1_000),
    "rewrap": Rewrap("wav", ("size_unknown_in_header",), 1_001),
    "transcode": Transcode(MP3, ("too_large",), 1_002),
}


@pytest.mark.parametrize("kind", PLANS)
def test_a_row_that_would_be_sent_is_done_with_its_plan_for_a_reason(kind: str) -> None:
    judged = decided(ROW, facts(), PLANS[kind], NO_SWAP, V2_CALLS)
    outcome = judged.outcome
    assert (outcome.key, outcome.row, outcome.source) == ("call-7", 7, "calls/7.wav")
    assert (outcome.verdict, outcome.reason) == (Verdict.DONE, kind)
    assert outcome.message
    assert outcome.sha256 == "ab" * 32
    assert 1_000 <= outcome.bytes <= 1_002
    assert outcome.audio is not None
    assert outcome.audio["plan"]["kind"] == kind
    assert outcome.audio["plan"]["bytes"] == outcome.bytes
    assert outcome.audio["facts"]["duration_s"] == 60.0
    assert (judged.faults, outcome.warnings) == ((), ())


def test_a_recording_that_only_fits_in_parts_is_refused_because_a_row_is_one_call() -> None:
    judged = decided(ROW, facts(), IN_PARTS, NO_SWAP, V2_CALLS)
    assert (judged.outcome.verdict, judged.outcome.reason) == (Verdict.REJECTED, "too_large")
    assert "3 files" in judged.outcome.message
    assert "compress" in judged.outcome.message
    assert judged.outcome.audio is not None
    assert judged.outcome.audio["plan"]["kind"] == "split"


@pytest.mark.parametrize("kind", PLANS)
def test_what_is_told_survives_the_outcomes_file(kind: str) -> None:
    outcome = decided(ROW, facts(), PLANS[kind], NO_SWAP, V2_CALLS).outcome
    assert from_object(json.loads(to_line(outcome), parse_constant=pytest.fail)) == outcome


def test_warnings_keep_their_place_and_come_with_those_of_the_text() -> None:
    odd = ROW._replace(warnings=(Problem("not_a_duration", "is no length", "duration", "3:02"),))
    finding = Finding("clipping", "clipped", channel=1, start_s=2.0, end_s=2.5)
    judged = decided(odd, facts(), AsIs(5, (finding,)), NO_SWAP, V2_CALLS)
    assert judged.outcome.verdict is Verdict.DONE
    assert judged.outcome.warnings == (
        Remark("not_a_duration", "duration '3:02': is no length"),
        Remark("clipping", "clipped", 1, 2.0, 2.5),
    )
    assert judged.faults == (finding,), "only the audio's own are drawn"


def test_every_problem_of_text_audio_and_channels_is_told_and_the_first_is_the_reason() -> None:
    partial = Finding("partial", "cut off", Level.BLOCK)
    loud = Finding("clipping", "clipped")
    mono = Finding("swap_on_mono", "one channel", Level.BLOCK)
    judged = decided(
        ROW._replace(problems=(BAD,)), facts(), Reject((partial,), (loud,)), Swap(None, "", mono), V2_CALLS
    )
    outcome = judged.outcome
    assert (outcome.verdict, outcome.reason, outcome.bytes) == (Verdict.REJECTED, "missing_value", 0)
    assert outcome.message == "line 9: call_date: is empty; cut off; one channel"
    assert judged.faults == (partial, mono, loud)
    assert [one.code for one in outcome.warnings] == ["clipping"]
    assert outcome.audio is not None
    assert outcome.audio["plan"] == {"kind": "reject", "why": ["partial"]}


def test_a_row_with_a_problem_is_not_sent_however_good_its_audio() -> None:
    outcome = decided(ROW._replace(problems=(BAD,)), facts(), AsIs(5), NO_SWAP, V2_CALLS).outcome
    assert (outcome.verdict, outcome.bytes) == (Verdict.REJECTED, 0)
    assert outcome.audio is not None, "what was found is told all the same"


def test_a_swap_is_said() -> None:
    outcome = decided(ROW, facts(), AsIs(5), Swap(True, "the agent is left"), V2_CALLS).outcome
    assert "channels to be swapped" in outcome.message
    assert outcome.audio is not None
    assert outcome.audio["swap_channels"] == {"value": True, "why": "the agent is left"}


@pytest.mark.parametrize(
    ("problems", "error", "verdict", "reason"),
    [
        ((), Rejected("no audio", code="not_audio"), Verdict.REJECTED, "not_audio"),
        ((), Failed("no permission", code="unreadable"), Verdict.FAILED, "unreadable"),
        ((BAD,), Failed("no permission", code="unreadable"), Verdict.REJECTED, "missing_value"),
        ((LATER,), Failed("died", code="decoder_died"), Verdict.FAILED, "unreadable"),
    ],
)
def test_audio_that_gives_an_error(
    problems: tuple[Problem, ...], error: ItemError, verdict: Verdict, reason: str
) -> None:
    judged = undecodable(ROW._replace(problems=problems), error)
    assert (judged.outcome.verdict, judged.outcome.reason) == (verdict, reason)
    assert error.message in judged.outcome.message
    assert judged.facts is None
    assert [(one.code, one.level) for one in judged.faults] == [(error.code, Level.BLOCK)]


@pytest.mark.parametrize("remote", ["", "s3://bucket/key"])
def test_audio_that_is_not_looked_at_is_unchecked(remote: str) -> None:
    outcome = unheard(ROW._replace(remote=remote)).outcome
    assert (outcome.verdict, outcome.reason, outcome.bytes) == (Verdict.PENDING, UNCHECKED, 0)


def test_a_row_with_problems_is_refused_without_a_look() -> None:
    assert unheard(ROW._replace(problems=(BAD,))).outcome.verdict is Verdict.REJECTED
    later = unheard(ROW._replace(external_id="", problems=(LATER,))).outcome
    assert (later.verdict, later.key) == (Verdict.FAILED, "row 7")
    assert unheard(ROW._replace(problems=(LATER, BAD))).outcome.verdict is Verdict.REJECTED


def test_the_channels_that_are_sent_are_those_of_the_recipe() -> None:
    assert channels_sent(PLANS["as_is"], facts()) == 2
    assert channels_sent(PLANS["rewrap"], facts(channels=1)) == 1
    assert channels_sent(IN_PARTS, facts()) == 1


def test_a_plan_tells_how_it_is_carried_out() -> None:
    assert plan_json(IN_PARTS)["parts"] == 3
    assert plan_json(PLANS["transcode"])["recipe"]["bitrate"] == 32
    assert plan_json(PLANS["rewrap"])["container"] == "wav"


def test_an_outline_is_kept_only_where_it_will_be_drawn() -> None:
    fine, faulty = (
        decided(ROW, facts(), AsIs(5, warnings), NO_SWAP, V2_CALLS).facts
        for warnings in ((), (Finding("clipping", "clipped"),))
    )
    assert fine is not None
    assert fine.quality is not None
    assert fine.quality.envelope is None
    assert fine.quality.channels
    assert faulty == facts()
