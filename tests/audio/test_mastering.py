from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from mediapipe.audio.mastering import MasterRequest, output_name
from mediapipe.audio.rendering import parse_rendering_profile
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import V3_PROMPTS


@pytest.mark.parametrize(("text", "name"), [("", "a.b.wav"), ('container = "mp3"\nbitrate = 32', "a.b.mp3")])
def test_a_rendered_file_is_named_by_what_it_is(text: str, name: str) -> None:
    assert output_name("a.b", parse_rendering_profile(f"[output]\n{text}", "here")) == name


def test_a_request_travels_to_another_process() -> None:
    profile = parse_rendering_profile("[level]\nactive_db = -20", "here")
    request = MasterRequest(ProbeRequest(Path("a.wav")), profile, V3_PROMPTS, None)
    again = pickle.loads(pickle.dumps(request))  # noqa: S301
    assert again == request
    assert again.profile.recipe_hash == profile.recipe_hash


def test_these_words_are_light_to_import() -> None:
    code = "import sys, mediapipe.audio.mastering; print({'numpy', 'av', 'pydub'} & sys.modules.keys())"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"set()\n"
