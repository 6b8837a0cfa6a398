"""Durations and sizes as people write them: ``10d``, ``1h30m``, ``50MB``, ``4MiB``. Pure.

Sizes follow the usual convention: ``kB MB GB TB`` are powers of 1,000 and ``KiB MiB GiB TiB`` powers of
1,024. Every parser raises ``ValueError`` with a message that says what would have been right.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+(?:\.[0-9]+)?)\s*{unit}\s*)?" for unit in _SECONDS))
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[a-z]*)")
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
DURATION_HELP = "a duration such as 10d, 15m, 90s, 1h30m or plain seconds"
SIZE_HELP = "a size such as 50MB, 4MiB or plain bytes"
_LONGEST = Decimal(86_400 * 36_525)  # a century: longer is a slip, and timedelta overflows later


def parse_duration(value: str | int | float | timedelta) -> timedelta:
    """Return the length of time that ``value`` names; a bare number is seconds. Never negative."""
    if isinstance(value, timedelta):
        seconds = Decimal(value // timedelta(microseconds=1)) / 1_000_000
    else:
        seconds = _seconds(value)
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(f"must be {DURATION_HELP}, not negative and at most a century")
    return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))


def _seconds(value: str | int | float) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must be {DURATION_HELP}")
    if isinstance(value, int | float):
        number = Decimal(str(value))
        if not number.is_finite():
            raise ValueError(f"must be {DURATION_HELP}")
        return number
    text = value.strip().lower()
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"must be {DURATION_HELP}, not {value[:40]!r}")
    parts = ((match[unit], factor) for unit, factor in _SECONDS.items())
    return sum((Decimal(number) * factor for number, factor in parts if number), Decimal(0))


def format_duration(value: timedelta) -> str:
    """Return ``value`` in the form :func:`parse_duration` reads, exact to the microsecond: ``1h30m``."""
    micros = value // timedelta(microseconds=1)
    if micros < 0:
        raise ValueError("a duration is never negative")
    parts = []
    for unit in ("d", "h", "m"):
        whole, micros = divmod(micros, _SECONDS[unit] * 1_000_000)
        if whole:
            parts.append(f"{whole}{unit}")
    if micros or not parts:
        seconds, rest = divmod(micros, 1_000_000)
        fraction = f".{rest:06d}".rstrip("0") if rest else ""
        parts.append(f"{seconds}{fraction}s")
    return "".join(parts)


def parse_size(value: str | int) -> int:
    """Return the number of bytes that ``value`` names; a bare number is bytes. Never negative."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be {SIZE_HELP}")
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"must be {SIZE_HELP}, not negative")
        return value
    match = _SIZE.fullmatch(value.strip().lower())
    if match is None or match["unit"] not in _BYTES:
        raise ValueError(f"must be {SIZE_HELP}, not {value[:40]!r}")
    size = Decimal(match["number"]) * _BYTES[match["unit"]]
    if size != size.to_integral_value():
        raise ValueError(f"must be a whole number of bytes, not {value[:40]!r}")
    return int(size)


def format_size(size: int) -> str:
    """Return ``size`` in bytes for people, in decimal units: ``0 B``, ``4.2 MB``."""
    if size < 1_000:
        return f"{size} B"
    scaled = float(size)
    for unit in ("kB", "MB", "GB"):
        scaled /= 1_000
        # 999.95 would print as 1000.0 of this unit.
        if scaled < 999.95:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / 1_000:.1f} TB"
