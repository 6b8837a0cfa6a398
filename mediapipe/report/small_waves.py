"""Small drawings for the preview of prompts: source above rendered, and how even the levels are. Pure.

Both waveforms of a prompt stand on one scale, of time and of level: what was cut off and how much louder or
softer it became is seen without reading a number. Geometry for inline SVG, no markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mediapipe.audio.facts import AudioFacts, Envelope

WIDTH = 1000
"""Units of a drawing's width; the page stretches it to its cell."""
LANE, GAP = 44, 4
COLUMNS = 200
"""Buckets drawn of one waveform at most: two pixels each where the page shows them."""
BIN_DB = 0.5
STRIP = 44
"""Height of one row of bars."""
LOWEST_DB = -60.0
"""Levels below are drawn at the left edge: nobody hears a difference down there."""


@dataclass(frozen=True, slots=True)
class Waves:
    """A prompt drawn: SVG paths of the source and, below it, of what was rendered, "" where nothing was.

    The source fills the width, which is ``seconds`` long. ``start`` and ``stop`` are where the rendered one
    begins and ends in it, in units of the width: what lies outside was cut off. ``said`` is it in words.
    """

    source: str
    rendered: str
    seconds: float
    start: float
    stop: float
    said: str
    width: int = WIDTH
    height: int = 2 * LANE + GAP
    lane: int = LANE
    below: int = LANE + GAP


@dataclass(frozen=True, slots=True)
class Tick:
    """A level on the scale."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Evenness:
    """How the levels of a set lie before and after rendering: paths of bars on one scale, and it in words."""

    before: str
    after: str
    ticks: tuple[Tick, ...]
    said: str
    width: int = WIDTH
    row: int = STRIP
    height: int = 2 * STRIP + GAP


def draw_waves(source: AudioFacts, made: AudioFacts | None, head_cut_s: float = 0.0) -> Waves | None:
    """Return the drawing of a prompt whose source has an envelope, else None."""
    if source.seconds <= 0 or (above := _envelope(source)) is None:
        return None
    scale = WIDTH / source.seconds
    first = _outline(above, source.seconds, 0.0, scale, LANE / 2)
    below = _envelope(made) if made is not None else None
    if made is None or below is None:
        said = f"Waveform of the source, {source.seconds:.2f} s"
        return Waves(first, "", source.seconds, 0.0, float(WIDTH), said)
    start = min(head_cut_s, source.seconds)
    # Encoders may fill up the last frame: nothing is drawn past the edge for that.
    stop = min(start + made.seconds, source.seconds)
    second = _outline(below, stop - start, start, scale, LANE + GAP + LANE / 2)
    said = f"Waveforms of the source, {source.seconds:.2f} s, and of what was rendered, {made.seconds:.2f} s"
    return Waves(first, second, source.seconds, start * scale, stop * scale, said)


def _envelope(facts: AudioFacts) -> Envelope | None:
    envelope = facts.quality.envelope if facts.quality else None
    return envelope if envelope is not None and envelope.low and envelope.low[0] else None


def _outline(envelope: Envelope, seconds: float, begin_s: float, scale: float, middle: float) -> str:
    """Return the path of one waveform around ``middle``; several channels are drawn as one."""
    low = [min(values) for values in zip(*envelope.low, strict=True)]
    high = [max(values) for values in zip(*envelope.high, strict=True)]
    merged = -(-len(low) // COLUMNS)
    starts = range(0, len(low), merged)
    half = LANE / 2 - 0.5
    ends = [(begin_s + min((at + merged) * envelope.bucket_s, seconds)) * scale for at in starts]
    # Along the upper edge and back along the lower one. Silence stays a line that can be seen.
    upper = [middle - max(high[at : at + merged]) * half / 127 - 0.4 for at in starts]
    lower = [middle - min(low[at : at + merged]) * half / 127 + 0.4 for at in starts]
    begin = begin_s * scale
    points = [(begin, upper[0]), *zip(ends, upper, strict=True)]
    points += [*reversed(list(zip(ends, lower, strict=True))), (begin, lower[0])]
    return f"M{' '.join(f'{x:.0f},{y:.1f}' for x, y in points)}Z"


def draw_evenness(before: Sequence[float], after: Sequence[float]) -> Evenness | None:
    """Return the bars of a set's levels, in dB; None where there are fewer than two of either."""
    if len(before) < 2 or len(after) < 2:
        return None
    held = [[max(LOWEST_DB, value) for value in side] for side in (before, after)]
    left = math.floor((min(map(min, held)) - 1) / 5) * 5
    right = math.ceil((max(map(max, held)) + 1) / 5) * 5
    scale = WIDTH / (right - left)
    upper, lower = (_bars(side, left, scale, STRIP + at * (STRIP + GAP)) for at, side in enumerate(held))
    ticks = tuple(Tick((level - left) * scale, f"{level}") for level in range(left, right + 1, 5))
    said = f"Active levels of the set: {_range(before)} before rendering, {_range(after)} after it"
    return Evenness(upper, lower, ticks, said)


def _bars(levels: Sequence[float], left: float, scale: float, floor: float) -> str:
    counts: dict[int, int] = {}
    for level in levels:
        at = round((level - left) / BIN_DB)
        counts[at] = counts.get(at, 0) + 1
    most, width = max(counts.values()), BIN_DB * scale - 1
    # At least two units high: a single prompt far away from the others is what is looked for.
    tall = {at: max(2.0, count / most * (STRIP - 4)) for at, count in sorted(counts.items())}
    return "".join(
        f"M{at * BIN_DB * scale - width / 2:.1f},{floor}v{-height:.1f}h{width:.1f}v{height:.1f}Z"
        for at, height in tall.items()
    )


def _range(levels: Sequence[float]) -> str:
    return f"{min(levels):.1f} to {max(levels):.1f} dBFS".replace("-", "\u2212")
