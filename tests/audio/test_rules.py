from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediapipe.audio.facts import SILENT_DB, AudioFacts, ChannelFigures, Finding, Level, Quality, Span
from mediapipe.audio.options import QualityRules
from mediapipe.audio.rules import judge

GOOD = ChannelFigures(
    rms_db=-24.0,
    peak_db=-4.0,
    dc=0.0,
    clipped_runs=0,
    clipped=(),
    silence_ratio=0.5,
    head_s=0.2,
    tail_s=0.3,
    active_db=-20.0,
)
DEAD = ChannelFigures(SILENT_DB, SILENT_DB, 0.0, 0, (), 1.0, 60.0, 60.0, SILENT_DB)
RULES = QualityRules()
ALL_WARN = QualityRules(long_silence="warn", upsampled="warn")


def facts(*channels: ChannelFigures, seconds: float = 60.0, rate: int = 8_000, **quality: Any) -> AudioFacts:
    """Return a recording with these figures; a good one but for what is said."""
    channels = channels or (GOOD,)
    two = len(channels) == 2
    figures: dict[str, Any] = {
        "loudness_lufs": -20.0,
        "bandwidth_hz": rate * 0.45,
        "tone_ratio": 0.1,
        "side_db": -1.0 if two else None,
        "correlation": 0.02 if two else None,
    }
    return AudioFacts(
        container="wav",
        codec="pcm_s16le",
        sample_rate=rate,
        channels=len(channels),
        layout="",
        bits=16,
        samples=round(seconds * rate),
        declared_s=seconds,
        size=round(seconds * rate) * 2 * len(channels) + 44,
        sha256="0" * 64,
        quality=Quality(channels, **(figures | quality)),
    )


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in findings]


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding


def test_a_good_recording_has_no_findings() -> None:
    assert judge(facts(), ALL_WARN) == ()
    assert judge(facts(GOOD, GOOD), ALL_WARN, 60.0) == ()


CASES: dict[str, AudioFacts] = {
    "silent": facts(DEAD, DEAD),
    "dead_channel": facts(GOOD, DEAD),
    "fake_stereo": facts(GOOD, GOOD, side_db=SILENT_DB, correlation=1.0),
    "inverted_phase": facts(GOOD, GOOD, side_db=3.0, correlation=-0.98),
    "clipping": facts(replace(GOOD, clipped_runs=7, clipped=(Span(1.0, 1.1), Span(2.0, 2.1)))),
    "dc_offset": facts(replace(GOOD, dc=-0.11)),
    "quiet": facts(replace(GOOD, active_db=-50.0)),
    "mostly_silence": facts(replace(GOOD, silence_ratio=0.97)),
    "long_silence": facts(replace(GOOD, head_s=31.0)),
    "tone_only": facts(tone_ratio=0.97),
    "upsampled": facts(rate=44_100, bandwidth_hz=3_900.0),
    "short": facts(seconds=0.3),
}
FIGURES = {  # what the message must say: the figure, and the threshold
    "silent": ("-120", "-60"),
    "dead_channel": ("-120", "-60", "channel 2"),
    "fake_stereo": ("-120", "-80"),
    "inverted_phase": ("-0.98", "-0.9"),
    "clipping": ("7.0", "6", "channel 1"),
    "dc_offset": ("-11.0%", "1.0%", "channel 1"),
    "quiet": ("-50", "-45"),
    "mostly_silence": ("97.0%", "95.0%"),
    "long_silence": ("31 s", "30"),
    "tone_only": ("97%", "90%"),
    "upsampled": ("3,900", "4,600", "44,100"),
    "short": ("0.30", "0.5"),
}


@pytest.mark.parametrize("code", CASES)
def test_each_rule_finds_its_fault_and_nothing_else(code: str) -> None:
    finding = only(judge(CASES[code], ALL_WARN))
    assert finding.code == code
    assert finding.level is Level.WARN
    for figure in FIGURES[code]:
        assert figure in finding.message


@pytest.mark.parametrize("code", CASES)
def test_the_rule_says_how_much_it_matters(code: str) -> None:
    assert only(judge(CASES[code], RULES.model_copy(update={code: "block"}))).level is Level.BLOCK
    assert judge(CASES[code], RULES.model_copy(update={code: "pass"})) == ()


def test_every_rule_of_the_settings_has_a_case() -> None:
    judged = {name for name, field in QualityRules.model_fields.items() if field.default in ("pass", "warn")}
    assert judged == CASES.keys()


def test_two_rules_pass_unless_they_are_asked_for() -> None:
    assert judge(CASES["upsampled"], RULES) == ()
    assert judge(CASES["long_silence"], RULES) == ()


@pytest.mark.parametrize(
    ("code", "edge"),
    [
        ("clipping", facts(replace(GOOD, clipped_runs=6))),
        ("dc_offset", facts(replace(GOOD, dc=0.01))),
        ("quiet", facts(replace(GOOD, active_db=-45.0))),
        ("mostly_silence", facts(replace(GOOD, silence_ratio=0.95))),
        ("long_silence", facts(replace(GOOD, tail_s=30.0))),
        ("tone_only", facts(tone_ratio=0.9)),
        ("upsampled", facts(rate=44_100, bandwidth_hz=4_700.0)),
        ("upsampled", facts(rate=12_000, bandwidth_hz=3_900.0)),
        ("short", facts(seconds=0.5)),
        ("fake_stereo", facts(GOOD, GOOD, side_db=-79.0)),
        ("inverted_phase", facts(GOOD, GOOD, correlation=-0.9)),
        ("dead_channel", facts(GOOD, replace(GOOD, peak_db=-59.0))),
    ],
)
def test_what_is_just_good_enough_passes(code: str, edge: AudioFacts) -> None:
    assert code not in codes(judge(edge, ALL_WARN))


@pytest.mark.parametrize(
    ("code", "edge"),
    [
        ("fake_stereo", facts(GOOD, GOOD, side_db=-80.0)),
        ("upsampled", facts(rate=16_000, bandwidth_hz=4_600.0)),
        ("dead_channel", facts(GOOD, replace(GOOD, peak_db=-60.0))),
    ],
)
def test_what_just_reaches_its_threshold_is_found(code: str, edge: AudioFacts) -> None:
    assert codes(judge(edge, ALL_WARN)) == [code]


def test_silence_is_told_by_its_highest_peak() -> None:
    assert "its peak is -70 dBFS" in only(judge(facts(DEAD, replace(DEAD, peak_db=-70.0)), RULES)).message


def test_no_bandwidth_is_no_narrow_one() -> None:
    assert judge(facts(rate=16_000, bandwidth_hz=0.0), ALL_WARN) == ()


def test_silence_is_said_once_without_what_follows_from_it() -> None:
    hopeless = facts(
        DEAD, DEAD, side_db=SILENT_DB, correlation=0.0, tone_ratio=1.0, rate=16_000, bandwidth_hz=0.0
    )
    assert codes(judge(hopeless, ALL_WARN)) == ["silent"]
    assert judge(hopeless, ALL_WARN.model_copy(update={"silent": "pass"})) == ()
    assert codes(judge(replace(hopeless, samples=100), ALL_WARN)) == ["silent", "short"]


def test_a_dead_channel_is_no_fake_stereo_and_does_not_hide_the_other() -> None:
    found = judge(
        facts(replace(GOOD, active_db=-60.0, dc=0.05), DEAD, side_db=SILENT_DB, correlation=-1.0), ALL_WARN
    )
    assert codes(found) == ["dead_channel", "dc_offset", "quiet"]
    assert [one.channel for one in found] == [1, 0, None]


def test_two_parties_who_take_turns_are_not_mostly_silent() -> None:
    first = replace(GOOD, silence_ratio=0.96, tail_s=40.0)
    second = replace(GOOD, silence_ratio=0.4, head_s=40.0)
    assert judge(facts(first, second), ALL_WARN) == ()


def test_a_quiet_party_beside_a_loud_one_is_no_quiet_recording() -> None:
    assert judge(facts(replace(GOOD, active_db=-60.0), GOOD), ALL_WARN) == ()


def test_the_worst_clipped_channel_is_marked_where_it_begins() -> None:
    mild = replace(GOOD, clipped_runs=8, clipped=(Span(0.5, 0.6),))
    bad = replace(GOOD, clipped_runs=600, clipped=(Span(3.0, 3.2), Span(9.0, 9.1)))
    finding = only(judge(facts(mild, bad), RULES))
    assert (finding.channel, finding.start_s, finding.end_s) == (1, 3.0, 3.2)
    assert "600.0" in finding.message


def test_clipping_counts_by_the_minute() -> None:
    clipped = replace(GOOD, clipped_runs=60, clipped=(Span(1.0, 1.1),))
    assert judge(facts(clipped, seconds=600.0), RULES) == ()
    assert codes(judge(facts(clipped, seconds=590.0), RULES)) == ["clipping"]


def test_long_silence_marks_both_ends() -> None:
    head, tail = judge(facts(replace(GOOD, head_s=45.0, tail_s=40.0), seconds=100.0), ALL_WARN)
    assert (head.start_s, head.end_s) == (0.0, 45.0)
    assert (tail.start_s, tail.end_s) == (60.0, 100.0)


def test_without_figures_only_the_length_is_judged() -> None:
    bare = replace(facts(seconds=0.2), quality=None)
    assert codes(judge(bare, ALL_WARN, 30.0)) == ["short", "manifest_duration"]


# ── against the manifest ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seconds", "expected", "slack", "code"),
    [
        (60.0, 60.0, 2.0, ""),
        (62.0, 60.0, 2.0, ""),
        (62.1, 60.0, 2.0, "manifest_duration"),
        (57.9, 60.0, 2.0, "manifest_duration"),
        (3_630.0, 3_600.0, 2.0, ""),  # 1 % of a long call
        (3_640.0, 3_600.0, 2.0, "manifest_duration"),
        (70.0, 60.0, 15.0, ""),
        (60.0, 0.0, 2.0, "manifest_duration"),
        (60.0, -5.0, 2.0, ""),  # no length at all
        (60.0, math.nan, 2.0, ""),
        (60.0, math.inf, 2.0, ""),
        (60.0, 30.0, 2.0, "rate_suspect"),
        (60.9, 30.0, 2.0, "rate_suspect"),
        (62.0, 30.0, 2.0, "manifest_duration"),
        (30.0, 60.0, 2.0, "rate_suspect"),
        (90.0, 60.0, 2.0, "rate_suspect"),
        (40.0, 60.0, 2.0, "rate_suspect"),
        (240.0, 60.0, 2.0, "rate_suspect"),
        (15.0, 60.0, 2.0, "rate_suspect"),
        (180.0, 60.0, 2.0, "manifest_duration"),
        (1.0, 2.0, 2.0, ""),  # too short to tell
    ],
)
def test_the_length_against_the_manifest(seconds: float, expected: float, slack: float, code: str) -> None:
    found = judge(facts(seconds=seconds), RULES, expected, slack)
    assert codes(found) == ([code] if code else [])
    assert all(one.level is Level.WARN for one in found)
    assert all(f"{seconds:.1f} s" in one.message and f"{expected:.1f} s" in one.message for one in found)


@pytest.mark.parametrize(
    ("seconds", "true_rate", "sounds"), [(120.4, "16,000 Hz", "low"), (29.9, "4,000 Hz", "high")]
)
def test_a_suspect_rate_says_what_to_check(seconds: float, true_rate: str, sounds: str) -> None:
    message = only(judge(facts(seconds=seconds), RULES, 60.0)).message
    assert "8,000 Hz" in message
    assert true_rate.removesuffix(" Hz") in message
    assert f"too {sounds}" in message


# ── for any figures ─────────────────────────────────────────────────────────────────────────

levels = st.floats(SILENT_DB, 0)
spans = st.builds(Span, st.floats(0, 10), st.floats(10, 20))
figures = st.builds(
    ChannelFigures,
    rms_db=levels,
    peak_db=levels,
    dc=st.floats(-1, 1),
    clipped_runs=st.integers(0, 10_000),
    clipped=st.lists(spans, max_size=2).map(tuple),
    silence_ratio=st.floats(0, 1),
    head_s=st.floats(0, 600),
    tail_s=st.floats(0, 600),
    active_db=levels,
)
judgements = st.sampled_from(["pass", "warn", "block"])
rules = st.builds(
    QualityRules, **dict.fromkeys(CASES, judgements), quiet_db=st.floats(-120, 0), short_s=st.floats(0, 10)
)


@settings(deadline=None)
@given(
    channels=st.lists(figures, max_size=8),
    seconds=st.floats(0, 600),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    stereo=st.tuples(levels, st.floats(-1, 1)),
    width=st.floats(0, 24_000),
    tone=st.floats(0, 1),
    ruled=rules,
    expected=st.none() | st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_figures_are_judged_by_the_rules_alone(
    channels: list[ChannelFigures],
    seconds: float,
    rate: int,
    stereo: tuple[float, float],
    width: float,
    tone: float,
    ruled: QualityRules,
    expected: float | None,
) -> None:
    side, correlation = stereo if len(channels) == 2 else (None, None)
    recording = facts(
        *channels, seconds=seconds, rate=rate, bandwidth_hz=width, tone_ratio=tone, side_db=side,
        correlation=correlation,
    )  # fmt: skip
    found = judge(recording, ruled, expected)
    for one in found:
        assert one.message
        assert "\n" not in one.message
        assert one.channel is None or one.channel < len(channels)
        assert (one.start_s is None) == (one.end_s is None)
        if one.code not in {"manifest_duration", "rate_suspect"}:
            assert getattr(ruled, one.code) == one.level.value
    assert "silent" not in codes(found) or set(codes(found)) <= {
        "silent", "short", "manifest_duration", "rate_suspect"
    }  # fmt: skip
