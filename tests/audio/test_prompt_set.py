"""A whole set of real prompts, rendered and held against judges that share nothing with the engine.

Every tenth prompt for telephones and every twentieth for the others always, all of them with ``-m soak``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediapipe.audio.master import master
from mediapipe.audio.mastering import MasterRequest
from mediapipe.audio.probe import probe
from mediapipe.audio.rendering import parse_rendering_profile
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import V2_PROMPTS
from tests.audio.peaks import p56, true_peak
from tests.audio.sources import prompts

SLICES = 20
TOLERANCE, PEAK = 1.0, -2.0
PROFILES = {
    "telephone": "",
    "wideband": "[output]\nsample_rate = 16000",
    "hot": "[level]\nactive_db = -16",  # peaks have to be limited; at -22 none of this set has
}
ALWAYS = {("telephone", 0), ("telephone", 10), ("wideband", 0), ("hot", 0)}
CHUNKS = [
    pytest.param(text, part, id=f"{name}-{part}", marks=() if (name, part) in ALWAYS else pytest.mark.soak)
    for name, text in PROFILES.items()
    for part in range(SLICES)
]


def pcm(path: Path) -> np.ndarray:
    """The samples of our own plain WAV, read by their place in the file."""
    raw = path.read_bytes()
    assert raw[36:40] == b"data"
    return np.frombuffer(raw[44:], "<i2") / 32_768


@pytest.mark.parametrize(("text", "part"), CHUNKS)
def test_real_prompts_come_out_at_their_level_under_their_peak_and_no_longer(
    tmp_path: Path, text: str, part: int
) -> None:
    profile = parse_rendering_profile(text, "here")
    target, rate = profile.level.active_db, profile.output.sample_rate
    sources, off, books = prompts("english", "wav")[part::SLICES], [], []
    assert len(sources) > 25
    for source in sources:
        output = tmp_path / "one.wav"
        done = master(MasterRequest(ProbeRequest(source), profile, V2_PROMPTS, output))
        if done.output is None:
            off.append((source.name, [one.code for one in done.blocked]))
            continue
        first = output.read_bytes()
        again = master(MasterRequest(ProbeRequest(source), profile, V2_PROMPTS, tmp_path / "two.wav"))
        assert again.output is not None
        assert again.output.path.read_bytes() == first, source
        signal, quality = pcm(output), probe(ProbeRequest(output)).quality
        assert quality is not None
        if not abs(quality.channels[0].active_db - target) <= TOLERANCE:
            off.append((source.name, quality.channels[0].active_db))
        assert true_peak(signal) <= PEAK, source
        # Pads are kept from the source, never added.
        assert len(signal) / rate <= done.source.seconds, source
        assert done.figures is not None
        cut = done.figures.head_cut_s + done.figures.tail_cut_s
        assert len(signal) / rate == pytest.approx(done.source.seconds - cut, abs=0.001), source
        if len(books) < 4 and done.source.seconds > 1:
            books.append(p56(signal, rate))
    assert len(off) <= len(sources) // 100, off
    # The book counts short pauses as speech and reads lower, by about as much for every prompt.
    assert np.median(books) == pytest.approx(target - 1.0, abs=0.8)
