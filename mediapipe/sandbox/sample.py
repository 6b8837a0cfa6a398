"""Sample calls: a business's month, made from a seed.

The same seed, count, days and until give the same calls on every machine and every version of Python and
numpy: the draws are an integer hash of (seed, purpose, index) and use no library's random stream.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime, time

import numpy as np
from numpy.typing import NDArray

from mediapipe.sandbox.calls import Call, Recording
from mediapipe.sandbox.config import SandboxConfig

FIRST_CALL_ID = 987_654
DAY_MS = 86_400_000
MISSING_AS = ("absent", "null", "empty", "no_url")

# Calls per hour of the UTC day for a business in the American west, and per weekday from Monday.
_HOURS = (5, 2, 1, 0.5, 0.2, 0.2, 0.1, 0.1, 0.2, 0.5, 1, 3, 8, 16, 30, 44, 50, 46, 36, 40, 45, 38, 26, 12)
_WEEKDAYS = (1.15, 1.05, 1.0, 1.0, 0.9, 0.35, 0.15)
_DISPOSITIONS = (("ANSWERED", 0.78), ("VOICEMAIL", 0.12), ("TRANSFERRED", 0.05), ("ABANDONED", 0.05))
_UNRECORDED = (("NO ANSWER", 0.6), ("BUSY", 0.25), ("FAILED", 0.15))

_Draws = NDArray[np.float64]


def until_ms(config: SandboxConfig, today: date) -> int:
    """Return the instant the sample ends at, in Unix milliseconds."""
    midnight = datetime.combine(config.until or today, time(), UTC)
    return int(midnight.timestamp()) * 1000


def draws(seed: int, purpose: str, count: int) -> _Draws:
    """Return ``count`` numbers in [0, 1), a hash of seed, purpose and position (splitmix64)."""
    key = np.array([(seed & 0xFFFFFFFF) << 32 | zlib.crc32(purpose.encode())], dtype=np.uint64)
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = _mix(steps + _mix(key))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def sample_calls(config: SandboxConfig, end_ms: int) -> list[Call]:
    """Return ``config.count`` calls over ``config.days`` days before ``end_ms``, oldest first."""
    count = config.count
    if not count:
        return []
    started = _starts(config, end_ms)
    d = {name: draws(config.seed, name, count) for name in _PURPOSES}
    seconds = np.round(config.seconds_min + d["length"] * (config.seconds_max - config.seconds_min), 2)
    recorded = d["recorded"] >= config.none_share
    mp3 = (d["container"] < config.mp3_share) & (not config.wav_only) | config.mp3_only
    stereo = d["channels"] < config.stereo_share
    duration = np.ceil(seconds).astype(np.int64) + 2 + (d["ring"] * 7).astype(np.int64)
    late = d["late"] < config.late_share
    delay = np.where(late, 5 * 60_000 + (d["delay"] * 4 * 3_600_000), 0).astype(np.int64)
    available = started + duration * 1000 + delay
    newest = np.flatnonzero(recorded)[::-1][: config.newest_late][::-1].tolist()
    for rank, index in enumerate(newest):
        available[index] = end_ms + DAY_MS + (rank + 1) * 3_600_000
    columns = {name: values.tolist() for name, values in d.items()}
    facts = zip(started.tolist(), duration.tolist(), seconds.tolist(), available.tolist(), strict=True)
    flags = zip(recorded.tolist(), mp3.tolist(), stereo.tolist(), strict=True)
    return [
        _call(index, fact, flag, {name: column[index] for name, column in columns.items()})
        for index, (fact, flag) in enumerate(zip(facts, flags, strict=True))
    ]


_PURPOSES = (
    *("length", "recorded", "container", "channels", "ring", "late", "delay"),
    *("id", "caller", "unit", "outcome", "outbound", "missing", "source"),
)


def _starts(config: SandboxConfig, end_ms: int) -> NDArray[np.int64]:
    """Place the calls in time: the inverse of the busy-hours curve, at sorted draws."""
    begin = end_ms // 3_600_000 - config.days * 24
    hours = np.arange(begin, end_ms // 3_600_000)
    weekday = (hours // 24 + 3) % 7  # the first of January 1970 was a Thursday
    weight = np.asarray(_HOURS)[hours % 24] * np.asarray(_WEEKDAYS)[weekday]
    edges = np.concatenate(([0.0], np.cumsum(weight) / weight.sum()))
    at = np.interp(np.sort(draws(config.seed, "start", config.count)), edges, np.arange(len(edges)))
    started = begin * 3_600_000 + (at * 3_600_000).astype(np.int64)
    return np.minimum(started, end_ms - 1)


def _pick(table: tuple[tuple[str, float], ...], draw: float) -> str:
    for word, share in table:
        draw -= share
        if draw < 0:
            return word
    return table[-1][0]


def _call(
    index: int, fact: tuple[int, int, float, int], flag: tuple[bool, bool, bool], d: dict[str, float]
) -> Call:
    started, duration, seconds, available = fact
    recorded, mp3, stereo = flag
    call_id = FIRST_CALL_ID + 3 * index + int(d["id"] * 3)
    unit = int(d["unit"] * 3)
    line = int(d["source"] * 20)
    recording = None
    if recorded:
        recording = Recording(
            recording_id=call_id + 12_000_000,
            seconds=seconds,
            channels=2 if stereo else 1,
            container="mp3" if mp3 else "wav",
            available_ms=available,
        )
    return Call(
        call_id=call_id,
        started_ms=started,
        duration=duration,
        disposition=_pick(_DISPOSITIONS if recorded else _UNRECORDED, d["outcome"]),
        caller_id=f"1801555{int(d['caller'] * 10_000):04d}",
        phone_number=f"1801556{1000 * unit + line:04d}",
        ring_to=f"1801557{1000 * unit:04d}",
        org_unit_id=1201 + unit,
        campaign_id=311 + unit * 10 + line % 3,
        route_id=1022 + unit * 100 + line,
        is_outbound=d["outbound"] < 0.2,
        recording=recording,
        missing_as=MISSING_AS[int(d["missing"] * len(MISSING_AS))],
    )
