from __future__ import annotations

from pathlib import Path

import numpy as np

from mediapipe.audio.g711 import mulaw_wav, to_mulaw
from mediapipe.audio.probe import probe
from mediapipe.audio.requests import ProbeRequest
from tests.audio.sources import STATIC, decode, run

EVERY = np.arange(-32_768, 32_768).astype(np.int16)


def test_what_is_heard_of_a_sample_is_off_by_half_a_step_at_the_most() -> None:
    sounds = run(STATIC, "-v", "error", "-f", "mulaw", "-ar", 8000, "-i", "-", "-f", "s16le", "-",
                 stdin=bytes(range(256)))  # fmt: skip
    table = np.frombuffer(sounds, "<i2").astype(int)
    code, wide = to_mulaw(EVERY), EVERY.astype(int)
    step = 2.0 ** (np.floor(np.log2(np.abs(wide) + 132)) - 4)
    within = np.abs(wide) <= 32_635  # the largest sounds have one code
    assert (np.abs(table[code] - wide)[within] <= (step / 2)[within]).all()
    assert (np.diff(table[code]) >= 0).all()
    assert len(set(code.tolist())) == 256


def test_the_codes_are_those_of_the_standard() -> None:
    assert to_mulaw(np.array([0, -1, 32_767, -32_768], np.int16)).tolist() == [0xFF, 0x7F, 0x80, 0x00]


def test_the_file_is_a_mu_law_wav_of_any_length(tmp_path: Path) -> None:
    for count in (1, 2, 801):
        path = tmp_path / f"{count}.wav"
        path.write_bytes(mulaw_wav(EVERY[:count]))
        facts = probe(ProbeRequest(path))
        assert (facts.container, facts.codec, facts.sample_rate, facts.samples) == (
            "wav", "pcm_mulaw", 8000, count,
        )  # fmt: skip
        assert facts.findings == ()
        judged = decode(path)
        assert judged is not None
        assert judged.samples == count
        assert path.read_bytes()[20:22] == b"\x07\x00"
