"""Where the bars of a plot go: geometry for inline SVG, no markup. Pure.

The page's template turns it into SVG, so everything that came from outside is escaped in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediapipe.report.counting import Bar

WIDTH = 420
_HEIGHT = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 22, 18, 24
_NAMED = 7
_ROW, _LABELS, _COUNTS = 22, 150, 56
"""Of a plot with one bar a line: height of a line, width of the labels and of the counts."""


@dataclass(frozen=True, slots=True)
class Box:
    """One bar to be drawn, with its label, its count, and where the count is written."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int
    text_x: float
    text_y: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on a scale, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: ``upright`` bars stand on a scale of sizes (``feet``), the others lie one below the other.

    ``ticks`` is the scale of counts, ``said`` the plot in words, for who cannot see it.
    """

    title: str
    upright: bool
    height: int
    boxes: tuple[Box, ...]
    said: str
    ticks: tuple[Tick, ...] = ()
    feet: tuple[Tick, ...] = ()
    width: int = WIDTH
    left: int = _LEFT
    labels: int = _LABELS
    foot: int = _HEIGHT - _BOTTOM


def standing(title: str, bars: Sequence[Bar], marks: Sequence[str], *, unit: str) -> Plot:
    """Return a histogram: its bars side by side, with ``marks`` below their edges, counts at the left."""
    top = _round_up(max((bar.count for bar in bars), default=1))
    room, high = WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    # A single bar as wide as the plot would look like a background.
    step = min(room / max(1, len(bars)), 90.0)
    boxes = []
    for number, bar in enumerate(bars):
        height = high * bar.count / top
        x, y = _LEFT + number * step, _TOP + high - height
        boxes.append(Box(x + 1, y, step - 2, height, bar.label, bar.count, x + step / 2, y - 4))
    parts = (0, 1, 2) if top > 1 else (0, 2)
    # Where bars are narrow, the labels of all their edges would run into each other.
    named = marks[:: 1 if len(bars) <= _NAMED else 2]
    return Plot(
        title,
        True,
        _HEIGHT,
        tuple(boxes),
        _said(title, bars, unit),
        ticks=tuple(Tick(_TOP + high - high * part / 2, f"{top * part // 2:,}") for part in parts),
        feet=tuple(Tick(_LEFT + marks.index(mark) * step, mark) for mark in named if mark),
    )


def lying(title: str, bars: Sequence[Bar], *, unit: str) -> Plot:
    """Return bars by name, one below the other."""
    most = max((bar.count for bar in bars), default=1)
    room = WIDTH - _LABELS - _COUNTS
    boxes = []
    for number, bar in enumerate(bars):
        y, width = number * _ROW + 4, max(1.0, room * bar.count / most)
        middle = y + (_ROW - 6) / 2
        boxes.append(Box(_LABELS, y, width, _ROW - 6, bar.label, bar.count, _LABELS + width + 6, middle))
    return Plot(title, False, len(bars) * _ROW + 8, tuple(boxes), _said(title, bars, unit))


def _said(title: str, bars: Sequence[Bar], unit: str) -> str:
    counted = "; ".join(f"{bar.label}: {bar.count:,}" for bar in bars if bar.count)
    return f"{title}, in {unit}. {counted}."


def _round_up(count: int) -> int:
    """Return the next even number a person would put at the end of a scale."""
    size = 1
    while 8 * size < count:
        size *= 10
    return next(step * size for step in (1, 2, 4, 6, 8) if step * size >= count)
