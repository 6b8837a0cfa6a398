"""What is asked of a worker that renders prompts, and what it answers: picklable, and light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mediapipe.audio.facts import AudioFacts, Finding
from mediapipe.audio.rendering import RenderingProfile
from mediapipe.audio.requests import Output, ProbeRequest
from mediapipe.audio.targets import Target


@dataclass(frozen=True, slots=True)
class MasterRequest:
    """Render one prompt as its profile says, or judge it only.

    ``path`` is where the rendered file is to stand (:func:`output_name` makes its name); None keeps nothing.
    ``as_is`` renders nothing: the source is judged as the file that will be sent. ``envelope`` draws the
    source and what was rendered.
    """

    probe: ProbeRequest
    profile: RenderingProfile
    target: Target
    path: Path | None
    as_is: bool = False
    envelope: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What was done to a prompt, and what came out. Levels in dB relative to full scale, times in seconds.

    ``active_db_before`` is the source's level of speech in the form of the output, its zero line put right.
    ``limited_db`` is the most that the limiter took away at any place; ``head_cut_s`` and ``tail_cut_s`` are
    the silence cut off. ``true_peak_db`` counts peaks between samples. ``pace`` is peaks of the speech's
    envelope a second, about its syllables, None where there is too little of it.
    """

    gain_db: float
    limited_db: float
    head_cut_s: float
    tail_cut_s: float
    active_db_before: float
    active_db: float
    true_peak_db: float
    loudness_lufs: float | None = None
    pace: float | None = None


@dataclass(frozen=True, slots=True)
class Mastered:
    """What became of a prompt.

    ``judged`` are all findings of the source's quality; ``blocked`` is why it cannot be used, empty when it
    can. ``output`` is the rendered file, None when it is blocked, sent as it is, or kept nowhere; ``made``
    are the facts of what was rendered, also where that is kept nowhere. ``figures`` are None where the
    source itself is blocked.
    """

    source: AudioFacts
    judged: tuple[Finding, ...]
    blocked: tuple[Finding, ...]
    output: Output | None
    figures: Figures | None
    made: AudioFacts | None = None


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """Make a prompt audible in a browser; ``rendered`` is its rendered file, None when it goes as it is."""

    probe: ProbeRequest
    rendered: Path | None = None


@dataclass(frozen=True, slots=True)
class Players:
    """Files for a browser, as bytes.

    ``source`` is a 16-bit WAV of the source at its own rate, ``rendered`` the rendered file itself (None
    without one), ``heard`` a mu-law WAV of 8 kHz: what a caller hears of the prompt on G.711.
    """

    source: bytes
    rendered: bytes | None
    heard: bytes


def output_name(stem: str, profile: RenderingProfile) -> str:
    """Return the name of a rendered file."""
    return f"{stem}.{profile.output.container}"
