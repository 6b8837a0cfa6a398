"""What is known of one audio file: facts, figures of quality, findings. Pure words, picklable.

Levels are in dB relative to full scale (a full-scale square wave has RMS 0), times in seconds of the
recording, positions count from its start. Nothing here holds samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SILENT_DB = -120.0
"""What a level of nothing at all is given as: JSON has no minus infinity."""


class Level(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    """Nothing to do; it is recorded."""
    WARN = "warn"
    """A person should look; the file passes."""
    BLOCK = "block"
    """The file does not pass."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit, by a stable ``code``, in words, and where it is to be seen or heard.

    ``channel`` counts from 0; None means all. ``start_s`` and ``end_s`` mark it in the recording, None
    where it has no place of its own.
    """

    code: str
    message: str
    level: Level = Level.WARN
    channel: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the recording, in seconds from its start."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """What was measured on one channel over the whole recording.

    ``dc`` is the mean sample relative to full scale (-1 to 1). ``clipped_runs`` counts runs of at least
    three samples at full scale, ``clipped`` the first few of them. ``silence_ratio`` is the share of
    20 ms windows under the silence threshold; ``head_s`` and ``tail_s`` the silence at both ends.
    ``active_db`` is the level of speech alone: the mean power of the windows that are not pauses.
    """

    rms_db: float
    peak_db: float
    dc: float
    clipped_runs: int
    clipped: tuple[Span, ...]
    silence_ratio: float
    head_s: float
    tail_s: float
    active_db: float

    @property
    def dead(self) -> bool:
        """Nothing at all, or nothing anybody could hear: a wire that was not connected."""
        return self.peak_db <= -60.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """A waveform to be drawn: for each channel, lowest and highest sample of equally long buckets.

    Values are -127 to 127 (of full scale); ``bucket_s`` is a bucket's length. At most a thousand buckets.
    """

    bucket_s: float
    low: tuple[tuple[int, ...], ...]
    high: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of one recording, all measured in the one pass that decoded it.

    ``loudness_lufs`` is the gated loudness of ITU-R BS.1770, None under 0.4 s or when all is silence.
    ``bandwidth_hz`` is where the long-term spectrum ends; ``tone_ratio`` how much of the power sits in the
    few strongest lines (1 is a pure tone). Of exactly two channels: ``side_db`` is the power of L-R
    relative to that of L and R (SILENT_DB: the same signal twice), ``correlation`` runs from -1 (inverted
    phase) to 1.
    """

    channels: tuple[ChannelFigures, ...]
    loudness_lufs: float | None
    bandwidth_hz: float
    tone_ratio: float
    side_db: float | None = None
    correlation: float | None = None
    envelope: Envelope | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the figures for a report, without the envelope, rounded to what they are worth."""
        return {
            "loudness_lufs": _rounded(self.loudness_lufs, 1),
            "bandwidth_hz": round(self.bandwidth_hz),
            "tone_ratio": round(self.tone_ratio, 3),
            "side_db": _rounded(self.side_db, 1),
            "correlation": _rounded(self.correlation, 3),
            "channels": [
                {
                    "rms_db": round(one.rms_db, 1),
                    "peak_db": round(one.peak_db, 1),
                    "dc": round(one.dc, 4),
                    "clipped_runs": one.clipped_runs,
                    "silence_ratio": round(one.silence_ratio, 3),
                    "head_s": round(one.head_s, 2),
                    "tail_s": round(one.tail_s, 2),
                    "active_db": round(one.active_db, 1),
                }
                for one in self.channels
            ],
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What a file really is. The decode is the truth; what headers said of it stands in ``findings``.

    ``container`` is a format of :mod:`mediapipe.audio.magic` by its extension (``wav``, ``mp3``, ``m4a`` …)
    or ``raw`` for headerless audio; ``codec`` is FFmpeg's name for it (``pcm_s16le``, ``gsm_ms``, ``mp3``).
    ``samples`` counts per channel, gapless tags honoured. ``bits`` is the size of a stored sample, 0 where
    the codec has none. ``declared_s`` is the header's word on the length, None when it has none.
    ``overhead`` counts bytes that are no audio: tags, cover art, foreign chunks, garbage.
    ``needs`` names what a rewrap would repair (finding codes such as ``size_unknown_in_header``).
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    layout: str
    bits: int
    samples: int
    declared_s: float | None
    size: int
    sha256: str
    overhead: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    needs: tuple[str, ...] = ()
    assumed: bool = False
    quality: Quality | None = None

    @property
    def seconds(self) -> float:
        """The decoded length."""
        return self.samples / self.sample_rate

    @property
    def bitrate(self) -> int:
        """Bits a second over the whole file, from its size and decoded length."""
        return round(self.size * 8 / self.seconds) if self.samples else 0

    def as_json(self) -> dict[str, Any]:
        """Return the facts for outcomes and reports."""
        return {
            "container": self.container,
            "codec": self.codec,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "layout": self.layout,
            "bits": self.bits,
            "duration_s": round(self.seconds, 3),
            "declared_s": _rounded(self.declared_s, 3),
            "bitrate": self.bitrate,
            "bytes": self.size,
            "sha256": self.sha256,
            "overhead": self.overhead,
            "assumed": self.assumed,
            "tags": dict(self.tags),
            "findings": [{k: v for k, v in asdict(one).items() if v is not None} for one in self.findings],
            "quality": self.quality.as_json() if self.quality else None,
        }


def decibels(ratio: float) -> float:
    """Return an amplitude ratio in dB, SILENT_DB at the least."""
    return max(SILENT_DB, 20 * math.log10(ratio)) if ratio > 0 else SILENT_DB
