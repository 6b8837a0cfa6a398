"""From figures of quality to findings: what a recording's rules make of it. Pure.

A rule that says ``pass`` is not reported. Every message has the figure and the threshold; a finding marks
the channel and the stretch where it is to be heard, if it has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mediapipe.audio.facts import AudioFacts, ChannelFigures, Finding, Level, Quality
from mediapipe.audio.options import Judgement, QualityRules

FAKE_STEREO_DB = -80.0
"""The difference of two channels below which they carry the same signal."""
INVERTED_CORRELATION = -0.9
WIDEBAND_HZ = 16_000
NARROWBAND_HZ = 4_600.0
"""Telephone audio ends at 4 kHz; what a resampler's filter leaves above was measured up to 4,440 Hz."""

_RATE_RATIOS = {2.0: "2", 0.5: "1/2", 1.5: "3/2", 2 / 3: "2/3", 4.0: "4", 0.25: "1/4"}
_RATIO_SLACK = 0.02
_DURATION_SHARE = 0.01
_LEVELS = {"warn": Level.WARN, "block": Level.BLOCK}


@dataclass(frozen=True, slots=True)
class _Case:
    """One recording under its rules; ``live`` are the channels that carry something, with their number."""

    facts: AudioFacts
    quality: Quality
    rules: QualityRules
    live: tuple[tuple[int, ChannelFigures], ...]


def judge(
    facts: AudioFacts, rules: QualityRules, expected_s: float | None = None, slack_s: float = 2.0
) -> tuple[Finding, ...]:
    """Return what does not fit in a recording, none for rules that say ``pass``.

    Without figures of quality only its length is judged; ``expected_s`` is the manifest's word on that,
    from which it may differ by ``slack_s`` or 1 %. Of a recording that is all silence nothing is said
    that only follows from it.
    """
    found = [*_length(facts, rules), *_expected(facts, expected_s, slack_s)]
    if facts.quality is not None and facts.quality.channels:
        found = [*_heard(facts, facts.quality, rules), *found]
    return tuple(found)


def _heard(facts: AudioFacts, quality: Quality, rules: QualityRules) -> Iterator[Finding]:
    live = tuple((number, one) for number, one in enumerate(quality.channels) if not one.dead)
    if not live:
        peak = max(one.peak_db for one in quality.channels)
        message = f"nothing is to be heard: its peak is {peak:.0f} dBFS (-60 and less is silence)"
        yield from _found(rules.silent, Finding("silent", message))
        return
    case = _Case(facts, quality, rules, live)
    for check in (_dead, _stereo, _clipping, _offset, _quiet, _silence, _spectrum):
        yield from check(case)


def _found(judgement: Judgement, *findings: Finding) -> Iterator[Finding]:
    if level := _LEVELS.get(judgement):
        yield from (replace(one, level=level) for one in findings)


def _dead(case: _Case) -> Iterator[Finding]:
    for number, one in enumerate(case.quality.channels):
        if one.dead:
            message = f"channel {number + 1} carries nothing: its peak is {one.peak_db:.0f} dBFS"
            finding = Finding("dead_channel", f"{message} (-60 and less is silence)", channel=number)
            yield from _found(case.rules.dead_channel, finding)


def _stereo(case: _Case) -> Iterator[Finding]:
    """Judge how two channels relate, both of them live: beside a dead one there is nothing to compare."""
    side, correlation = case.quality.side_db, case.quality.correlation
    if len(case.live) != 2:
        return
    if side is not None and side <= FAKE_STEREO_DB:
        message = (
            f"both channels carry the same: they differ by {side:.0f} dB ({FAKE_STEREO_DB:.0f} and less)"
        )
        yield from _found(case.rules.fake_stereo, Finding("fake_stereo", message))
    if correlation is not None and correlation < INVERTED_CORRELATION:
        message = f"one channel is the other upside down: they correlate by {correlation:.2f}"
        finding = Finding("inverted_phase", f"{message} (under {INVERTED_CORRELATION})")
        yield from _found(case.rules.inverted_phase, finding)


def _clipping(case: _Case) -> Iterator[Finding]:
    """Judge the worst channel, and mark where it clips first."""
    number, worst = max(case.live, key=lambda one: one[1].clipped_runs)
    seconds = case.facts.seconds
    rate = worst.clipped_runs * 60 / seconds if seconds else 0.0
    if rate <= case.rules.clipping_per_minute:
        return
    first = worst.clipped[0] if worst.clipped else None
    message = (
        f"channel {number + 1} is clipped {rate:.1f} times a minute"
        f" (over {case.rules.clipping_per_minute:g}), {worst.clipped_runs} times in all"
    )
    finding = Finding(
        "clipping",
        message,
        channel=number,
        start_s=first.start_s if first else None,
        end_s=first.end_s if first else None,
    )
    yield from _found(case.rules.clipping, finding)


def _offset(case: _Case) -> Iterator[Finding]:
    for number, one in case.live:
        if abs(one.dc) > case.rules.dc_offset_ratio:
            message = (
                f"the zero line of channel {number + 1} is off by {one.dc:+.1%} of full scale"
                f" (over {case.rules.dc_offset_ratio:.1%})"
            )
            yield from _found(case.rules.dc_offset, Finding("dc_offset", message, channel=number))


def _quiet(case: _Case) -> Iterator[Finding]:
    loudest = max(one.active_db for _, one in case.live)
    if loudest < case.rules.quiet_db:
        message = f"speech is at {loudest:.0f} dBFS (under {case.rules.quiet_db:.0f})"
        yield from _found(case.rules.quiet, Finding("quiet", message))


def _silence(case: _Case) -> Iterator[Finding]:
    """Judge pauses by the busiest channel: while one party speaks the other's channel is silent."""
    rules, end = case.rules, case.facts.seconds
    ratio = min(one.silence_ratio for _, one in case.live)
    if ratio > rules.mostly_silence_ratio:
        message = f"{ratio:.1%} of it is silence (over {rules.mostly_silence_ratio:.1%})"
        yield from _found(rules.mostly_silence, Finding("mostly_silence", message))
    head = min(one.head_s for _, one in case.live)
    tail = min(one.tail_s for _, one in case.live)
    for name, length, start in (("begins", head, 0.0), ("ends", tail, max(0.0, end - tail))):
        if length > rules.long_silence_s:
            message = f"it {name} with {length:.0f} s of silence (over {rules.long_silence_s:g})"
            finding = Finding("long_silence", message, start_s=start, end_s=start + length)
            yield from _found(rules.long_silence, finding)


def _spectrum(case: _Case) -> Iterator[Finding]:
    quality, rules, rate = case.quality, case.rules, case.facts.sample_rate
    if quality.tone_ratio > rules.tone_ratio:
        message = f"a tone instead of speech: {quality.tone_ratio:.0%} of the power is in a few lines"
        yield from _found(rules.tone_only, Finding("tone_only", f"{message} (over {rules.tone_ratio:.0%})"))
    if rate >= WIDEBAND_HZ and 0 < quality.bandwidth_hz <= NARROWBAND_HZ:
        message = (
            f"telephone sound in a file of {rate:,} Hz: it ends at {quality.bandwidth_hz:,.0f} Hz"
            f" ({NARROWBAND_HZ:,.0f} and less)"
        )
        yield from _found(rules.upsampled, Finding("upsampled", message))


def _length(facts: AudioFacts, rules: QualityRules) -> Iterator[Finding]:
    if facts.seconds < rules.short_s:
        message = f"it lasts {facts.seconds:.2f} s (under {rules.short_s:g})"
        yield from _found(rules.short, Finding("short", message))


def _expected(facts: AudioFacts, expected: float | None, slack: float) -> Iterator[Finding]:
    """Hold the decoded length against the manifest's; a plain ratio hints at a wrongly declared rate.

    Nobody can hear a wrong rate from the file alone, so it is never mended here.
    """
    seconds = facts.seconds
    if expected is None or not 0 <= expected < math.inf:
        return
    allowed = max(slack, _DURATION_SHARE * expected)
    if abs(seconds - expected) <= allowed:
        return
    said = f"it lasts {seconds:.1f} s and the manifest says {expected:.1f} s"
    ratio = seconds / expected if expected else 0.0
    plain = next((one for one in _RATE_RATIOS if abs(ratio / one - 1) <= _RATIO_SLACK), None)
    if plain is None:
        yield Finding("manifest_duration", f"{said} (more than {allowed:.1f} s apart)")
        return
    message = (
        f"{said}, {_RATE_RATIOS[plain]} of that: is its sampling rate really {facts.sample_rate:,} Hz, not"
        f" {facts.sample_rate * plain:,.0f}? Listen whether voices are too {'low' if plain > 1 else 'high'}"
    )
    yield Finding("rate_suspect", message)
