"""From windows and how many calls they hold to shares of minutes of work each. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mediapipe.shards import Shard
from mediapipe.spans import Span

CALLS = 2_000
"""Calls of one share: a few minutes' work, so that a lost worker costs little and none is idle."""

LISTING = 50
"""Calls' worth of work that a window takes when it holds none: it has to be listed all the same."""

MOST_SHARDS = 16
"""Shards of one window: each of them lists all of it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A window and how many calls the platform says it holds, None where it does not say."""

    span: Span
    calls: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker does at a time: a stretch of windows, or one of the shards of a busy one."""

    span: Span
    shard: Shard | None = None


def shares(counted: Iterable[Counted], calls: int = CALLS) -> Iterator[Share]:
    """Cut windows that follow each other into shares of about ``calls``, in their order.

    Quiet windows are put together, since neighbours in one share cost no request twice; a busy one is
    shared by hash of the call's id.
    """
    waiting: Span | None = None
    weight = 0
    for window in counted:
        known = window.calls or 0
        own = known + LISTING
        if waiting is not None and (weight + own > calls or waiting.end != window.span.start):
            yield Share(waiting)
            waiting, weight = None, 0
        if known > calls:
            count = min(MOST_SHARDS, math.ceil(known / calls))
            yield from (Share(window.span, shard) for shard in Shard(1, count).all())
        elif waiting is None:
            waiting, weight = window.span, own
        else:
            waiting, weight = Span(waiting.start, window.span.end), weight + own
    if waiting is not None:
        yield Share(waiting)
