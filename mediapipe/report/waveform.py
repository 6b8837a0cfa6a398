"""A recording drawn: the outline of each channel, a scale of time, every fault marked at its place. Pure.

Geometry for inline SVG, no markup: the page's template draws it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mediapipe.audio.facts import AudioFacts, Envelope, Finding, Level

WIDTH = 1000
LEFT, RIGHT = 58, 6
TOP = 20
"""Room for the numbers of the marks, above the channels."""
LANE, GAP, AXIS = 84, 6, 22
BADGE = 10
"""Half of what a mark's number takes."""
COLUMNS = 470
"""Buckets drawn at most: two pixels each on a usual screen."""
MOST_LANES = 8
_MOST_TICKS = 10
_STEPS = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14_400,
    28_800,
)
_LONGEST_STRETCH = 4
"""How much longer than the audio the picture may be, to show what is missing at its end."""
_MISSING = frozenset({"partial", "shorter_than_header", "header_duration"})
_CLIPPING = "clipping"


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel: its name, where it stands, its outline as an SVG path, its zero line."""

    name: str
    top: float
    path: str
    zero: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One fault in the picture: the stretch and the channels it covers, and where its number is written.

    ``number`` is 0 for a further place of a fault that has its number already. ``whole`` says that it is
    all over its channel. One that concerns the file as such covers nothing: ``width`` is 0.
    """

    number: int
    x: float
    width: float
    top: float
    height: float
    badge: tuple[float, float]
    serious: bool
    whole: bool
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A time on the scale."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Waveform:
    """A picture and its measures; ``floor`` is where the channels end, ``said`` is it in words."""

    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    said: str
    floor: float
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    lane: int = LANE
    axis: int = AXIS


def draw(facts: AudioFacts, findings: Sequence[Finding]) -> Waveform | None:
    """Return the picture of a recording whose envelope was measured, else None.

    Marks are numbered like ``findings``, from 1.
    """
    envelope = facts.quality.envelope if facts.quality else None
    if envelope is None or not envelope.low or not envelope.low[0] or facts.seconds <= 0:
        return None
    total = _total(facts, findings)
    scale = (WIDTH - LEFT - RIGHT) / total
    shown = min(len(envelope.low), MOST_LANES)
    lanes = tuple(_lane(envelope, number, scale, facts.seconds) for number in range(shown))
    marks = tuple(_marks(facts, findings, lanes, scale, total))
    ticks = tuple(Tick(LEFT + at * scale, _clock(at, total)) for at in _times(total))
    said = f"Waveform of {_clock(facts.seconds, total)} in {shown} channels, faults marked by their numbers"
    return Waveform(lanes, marks, ticks, said, lanes[-1].top + LANE)


def _total(facts: AudioFacts, findings: Sequence[Finding]) -> float:
    """Return the length of the picture: with what is missing at its end, where that is known."""
    cut_off = any(one.code in _MISSING for one in findings)
    declared = facts.declared_s if cut_off and facts.declared_s else 0.0
    return max(facts.seconds, min(declared, facts.seconds * _LONGEST_STRETCH))


def _lane(envelope: Envelope, number: int, scale: float, seconds: float) -> Lane:
    top = TOP + number * (LANE + GAP)
    middle, half = top + LANE / 2, LANE / 2 - 3
    low, high = envelope.low[number], envelope.high[number]
    merged = -(-len(low) // COLUMNS)
    starts = range(0, len(low), merged)
    # The last bucket may be longer than what is left of the audio.
    edges = [min((at + merged) * envelope.bucket_s, seconds) * scale + LEFT for at in starts]
    # Along the upper edge and back along the lower one. Silence stays a line that can be seen.
    upper = [middle - max(high[at : at + merged]) * half / 127 - 0.4 for at in starts]
    lower = [middle - min(low[at : at + merged]) * half / 127 + 0.4 for at in starts]
    points = [(float(LEFT), upper[0]), *zip(edges, upper, strict=True)]
    points += [*reversed(list(zip(edges, lower, strict=True))), (float(LEFT), lower[0])]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Lane(channel_name(number, len(envelope.low)), top, f"M{path}Z", middle)


def channel_name(number: int, channels: int) -> str:
    """Return what a channel is called, counted from 0."""
    if channels == 1:
        return "mono"
    return ("1 left", "2 right")[number] if channels == 2 else f"ch {number + 1}"


def _marks(
    facts: AudioFacts, findings: Sequence[Finding], lanes: Sequence[Lane], scale: float, total: float
) -> Iterator[Mark]:
    used: dict[float, list[float]] = {}
    covered: set[tuple[float, float, float]] = set()
    for number, one in enumerate(findings, 1):
        top, height = float(TOP), lanes[-1].top + LANE - TOP
        if one.channel is not None:
            if one.channel >= len(lanes):
                continue
            top, height = lanes[one.channel].top, LANE
        places = _places(one, facts, total)
        for at, (start, end) in enumerate(places or [(0.0, total)]):
            x, width = LEFT + max(0.0, start) * scale, max(3.0, (min(end, total) - start) * scale)
            x = min(x, WIDTH - RIGHT - width)
            drawn = (top, x, width)
            if drawn in covered:  # two words for one stretch: twice the colour would say more than it is
                width = 0.0
            covered.add(drawn)
            badge_y = TOP / 2 if one.channel is None else top + BADGE
            yield Mark(
                number=0 if at else number,
                x=x,
                width=width if places or one.channel is not None else 0.0,
                top=top,
                height=height,
                badge=(0.0, 0.0) if at else _free(x + min(width / 2, BADGE), badge_y, used),
                serious=one.level is Level.BLOCK,
                whole=not places,
                text=f"{number}. {one.message}",
            )


def _free(x: float, y: float, used: dict[float, list[float]]) -> tuple[float, float]:
    """Return where a number goes: at ``x`` or, where others are, beside them."""
    taken = used.setdefault(y, [])
    while any(abs(x - other) < 2 * BADGE for other in taken):
        x += 2 * BADGE
    taken.append(x)
    return x, y


def _places(one: Finding, facts: AudioFacts, total: float) -> list[tuple[float, float]]:
    """Return where a fault is, in seconds; nothing where it is all over the channel."""
    if one.code in _MISSING and total > facts.seconds:
        return [(facts.seconds, total)]
    if one.code == _CLIPPING and one.channel is not None and facts.quality:
        spans = facts.quality.channels[one.channel].clipped
        if spans:
            return [(span.start_s, span.end_s) for span in spans]
    if one.start_s is None:
        return []
    return [(one.start_s, one.start_s if one.end_s is None else one.end_s)]


def _times(total: float) -> list[float]:
    step = next((one for one in _STEPS if total / one <= _MOST_TICKS), total / _MOST_TICKS)
    return [number * step for number in range(int(total / step) + 1)]


def _clock(seconds: float, total: float) -> str:
    """Return a time as the scale shows it: ``0.2 s``, ``1:30``, ``1:02:00``."""
    if total < 10:
        return f"{seconds:.{1 if total >= 1 else 2}f} s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if total >= 3600 else f"{whole // 60}:{whole % 60:02}"
