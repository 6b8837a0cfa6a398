"""What crosses to a worker process: it has to be picklable, and importing it must not load a decoder."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.probe import probe
from mediapipe.audio.requests import Labels, Output, ProbeRequest, Rendering, RenderRequest
from mediapipe.audio.targets import V2_CALLS, AsIs
from tests.import_runs import recordings

HEAVY = ("numpy", "pydub", "mutagen", "lameenc")


@pytest.fixture
def every(tmp_path: Path) -> list[Any]:
    path = tmp_path / "call.wav"
    path.write_bytes(recordings()[0])
    request = ProbeRequest(path, envelope=True)
    facts = probe(request)
    asked = RenderRequest(
        request, V2_CALLS, AudioOptions(), tmp_path, "call", labels=Labels("title", "x-1"), expected_s=3.5
    )
    finding = Finding("quiet", "it is quiet", Level.WARN)
    return [request, asked, facts, Rendering(facts, (finding,), AsIs(facts.size), (Output(path, facts),))]


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_what_arrives_is_what_was_sent(every: list[Any], protocol: int) -> None:
    for one in every:
        kept = pickle.dumps(one, protocol)
        assert pickle.loads(kept) == one, type(one)  # noqa: S301


def test_a_request_is_made_without_loading_what_reads_audio() -> None:
    """The commands import it at their start; the decoders belong to the workers."""
    code = f"import sys, mediapipe.audio.requests; print([one for one in {HEAVY} if one in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
