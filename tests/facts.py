"""Facts of recordings made by hand, for what comes after the engine: verdicts, plots, drawings, pages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from mediapipe.audio.facts import AudioFacts, ChannelFigures, Envelope, Quality, Span

RATE = 8_000


def figures(active: float = -18.0, **more: Any) -> ChannelFigures:
    """Return the figures of a usual channel."""
    usual = ChannelFigures(-20.0, -1.0, 0.001, 0, (), 0.2, 0.3, 0.4, active)
    return replace(usual, **more)


def envelope(channels: int, seconds: float, buckets: int = 300) -> Envelope:
    """Return a waveform that swells and falls, differently on each channel."""
    sides = [
        tuple(round(100 * abs(math.sin((number + 2) * at / 25))) for at in range(buckets))
        for number in range(channels)
    ]
    return Envelope(seconds / buckets, tuple(tuple(-value for value in one) for one in sides), tuple(sides))


def facts(seconds: float = 60.0, channels: int = 2, *, drawn: bool = True, **more: Any) -> AudioFacts:
    """Return the facts of a wav without faults."""
    quality = Quality(
        channels=tuple(figures() for _ in range(channels)),
        loudness_lufs=-19.5,
        bandwidth_hz=3_400.0,
        tone_ratio=0.1,
        side_db=-2.0 if channels == 2 else None,
        correlation=0.1 if channels == 2 else None,
        envelope=envelope(channels, seconds) if drawn else None,
    )
    samples = round(seconds * RATE)
    usual = AudioFacts(
        container="wav",
        codec="pcm_s16le",
        sample_rate=RATE,
        channels=channels,
        layout="stereo" if channels == 2 else "mono",
        bits=16,
        samples=samples,
        declared_s=seconds,
        size=samples * 2 * channels + 44,
        sha256="ab" * 32,
        quality=quality,
    )
    return replace(usual, **more)


def clipped(one: AudioFacts, channel: int, *places: tuple[float, float]) -> AudioFacts:
    """Return the facts with one channel clipped at these places."""
    assert one.quality is not None
    spans = tuple(Span(start, end) for start, end in places)
    channels = list(one.quality.channels)
    channels[channel] = replace(channels[channel], clipped_runs=len(spans), clipped=spans)
    return replace(one, quality=replace(one.quality, channels=tuple(channels)))
