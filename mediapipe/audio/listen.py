"""A prompt as files that a browser plays: the source, what was rendered, and what a caller hears of it.

Blocking; meant for a worker process.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.convert import mixed_down, to_int16
from mediapipe.audio.encode import open_encoder
from mediapipe.audio.g711 import RATE, mulaw_wav
from mediapipe.audio.mastering import ListenRequest, Players
from mediapipe.audio.probe import Heard, hear
from mediapipe.audio.render import KEEP_BYTES
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.targets import Recipe
from mediapipe.audio.waveform import waveform
from mediapipe.errors import Failed


def players(request: ListenRequest) -> Players:
    """Return the files. Raises ``Rejected`` or ``Failed`` where one cannot be decoded or read."""
    source = hear(request.probe, KEEP_BYTES)
    if request.rendered is None:
        return Players(_wav(source), None, _as_heard(source))
    try:
        rendered = request.rendered.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise Failed(f"the rendered file cannot be read: {why}", code="unreadable") from None
    probe = ProbeRequest(request.rendered, max_seconds=request.probe.max_seconds)
    made = hear(probe, KEEP_BYTES, io.BytesIO(rendered))
    return Players(_wav(source), rendered, _as_heard(made))


def _wav(heard: Heard) -> bytes:
    """Return a 16-bit WAV of the recording at its own rate; more than two channels are mixed."""
    mixed = heard.coding.channels > 2
    recipe = Recipe("wav", "pcm_s16le", heard.coding.sample_rate, 1 if mixed else heard.coding.channels)
    out = io.BytesIO()
    encoder = open_encoder(recipe, out)
    for block in heard.blocks():
        encoder.write(mixed_down(block) if mixed else block, heard.coding.full_scale)
    encoder.close()
    return out.getvalue()


def _as_heard(heard: Heard) -> bytes:
    line: NDArray[np.int16] = to_int16(waveform(heard, RATE, 1, centred=False), 1.0)
    return mulaw_wav(line[0])
