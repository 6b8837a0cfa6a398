from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from mediapipe.audio.facts import (
    SILENT_DB,
    AudioFacts,
    ChannelFigures,
    Envelope,
    Finding,
    Quality,
    Span,
    decibels,
)

FIGURES = ChannelFigures(-20.04, -3.21, 0.00123, 2, (Span(1.0, 1.5),), 0.25, 0.1, 0.2, -18.04)
FACTS = AudioFacts(
    "wav", "pcm_s16le", 8000, 1, "mono", 16, 12_345, 1.5, 24_734, "ab" * 32,
    findings=(Finding("header_duration", "the header says more", start_s=1.5),),
    quality=Quality((FIGURES,), -19.27, 3999.6, 0.1234, envelope=Envelope(0.1, ((-1,),), ((1,),))),
)  # fmt: skip


def test_facts_go_to_another_process_and_come_back() -> None:
    assert pickle.loads(pickle.dumps(FACTS)) == FACTS  # noqa: S301


def test_the_report_has_figures_and_no_waveform() -> None:
    said = json.loads(json.dumps(FACTS.as_json()))
    assert said["duration_s"] == 1.543
    assert said["bitrate"] == 128_228
    assert said["findings"] == [
        {"code": "header_duration", "message": "the header says more", "level": "warn", "start_s": 1.5}
    ]
    assert said["quality"]["loudness_lufs"] == -19.3
    assert said["quality"]["channels"][0]["clipped_runs"] == 2
    assert "envelope" not in said["quality"]


def test_no_samples_have_no_bitrate() -> None:
    assert replace(FACTS, samples=0).bitrate == 0


@pytest.mark.parametrize(
    ("ratio", "db"), [(1.0, 0.0), (0.5, -6.02), (0.0, SILENT_DB), (1e-9, SILENT_DB), (-1.0, SILENT_DB)]
)
def test_a_ratio_in_decibels_is_never_minus_infinity(ratio: float, db: float) -> None:
    assert decibels(ratio) == pytest.approx(db, abs=0.01)


@pytest.mark.parametrize(("peak", "dead"), [(-61.0, True), (-60.0, True), (-59.0, False)])
def test_a_channel_that_nobody_hears_is_dead(peak: float, dead: bool) -> None:
    assert replace(FIGURES, peak_db=peak).dead is dead
