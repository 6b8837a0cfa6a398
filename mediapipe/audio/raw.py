"""Headerless telephony formats: nothing in the bytes says what they are, so a name or the user has to. Pure.

Source of the suffixes: Asterisk's file formats; rates follow its ``sln`` family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from mediapipe.errors import UsageError


@dataclass(frozen=True, slots=True)
class RawFormat:
    """How headerless bytes are read: FFmpeg's demuxer and its options, the rate in Hz, and bytes a second."""

    name: str
    demuxer: str
    sample_rate: int
    bytes_per_s: int
    options: Mapping[str, str] = field(default_factory=dict)


def _format(name: str, demuxer: str, rate: int, speed: int, **options: str) -> RawFormat:
    return RawFormat(name, demuxer, rate, speed, options)


def _linear(name: str, demuxer: str, rate: int = 8000, width: int = 1) -> RawFormat:
    return _format(name, demuxer, rate, rate * width, sample_rate=str(rate), ch_layout="mono")


RAW_FORMATS: Mapping[str, RawFormat] = {
    one.name: one
    for one in (
        _linear("ulaw", "mulaw"),
        _linear("alaw", "alaw"),
        _format("gsm", "gsm", 8000, 1650),
        _format("g722", "g722", 16_000, 8000),
        _format("g726", "g726", 8000, 4000, code_size="4"),
        *(_linear("sln" if khz == 8 else f"sln{khz}", "s16le", rate, 2) for khz, rate in (
            (8, 8000), (12, 12_000), (16, 16_000), (24, 24_000), (32, 32_000), (44, 44_100), (48, 48_000),
            (96, 96_000), (192, 192_000),
        )),
    )
}  # fmt: skip
"""By the name that ``--raw-format`` takes; all are mono. ``sln`` is signed 16-bit little-endian."""

_SUFFIXES: Mapping[str, str] = {
    **{name: name for name in RAW_FORMATS},
    "ul": "ulaw",
    "mu": "ulaw",
    "pcm": "ulaw",
    "al": "alaw",
    "sln8": "sln",
    "raw": "sln",
}


def raw_format(name: str) -> RawFormat:
    """Return the format of this name; raises ``UsageError`` that lists the names."""
    if name not in RAW_FORMATS:
        problem = f"raw format {name!r} is not known"
        raise UsageError(problem, hint=f"one of {', '.join(RAW_FORMATS)}")
    return RAW_FORMATS[name]


def by_suffix(path: PurePath) -> RawFormat | None:
    """Return the format that a file's name suggests, None where it suggests none."""
    name = _SUFFIXES.get(path.suffix.lower().removeprefix("."))
    return RAW_FORMATS[name] if name else None
