"""What is asked of a worker process and what it answers: picklable, and light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mediapipe.audio.facts import AudioFacts, Finding
from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.audio.targets import Plan, Recipe, Target


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to look at, and how closely.

    ``raw_format`` names how headerless bytes are to be read; without it the file's name may tell.
    ``count_only`` leaves out the figures of quality, and the decoding too where the length is certain without
    it: enough for a file of our own making.
    """

    path: Path
    raw_format: str | None = None
    max_seconds: float = 48 * 3600.0
    quality: bool = True
    envelope: bool = False
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written into a rendered file where its container takes tags; empty ones are left out."""

    title: str = ""
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """Make a file fit for a target with the least work.

    The outputs go below ``folder`` as ``<stem>.<ext>``, split ones as ``<stem>.1.<ext>`` and so on.
    ``recipe`` forces a transcode. ``expected_s`` is what the manifest says of the length.
    """

    probe: ProbeRequest
    target: Target
    options: AudioOptions
    folder: Path
    stem: str
    rules: QualityRules = field(default_factory=QualityRules)
    labels: Labels = field(default_factory=Labels)
    expected_s: float | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One rendered file, probed again: ``facts`` are what its own bytes say."""

    path: Path
    facts: AudioFacts


@dataclass(frozen=True, slots=True)
class Rendering:
    """What became of a file.

    ``outputs`` is empty when the plan is ``AsIs`` (send the source itself) or ``Reject``; one file else, or
    several of a split. ``judged`` are the findings on quality.
    """

    facts: AudioFacts
    judged: tuple[Finding, ...]
    plan: Plan
    outputs: tuple[Output, ...] = ()
