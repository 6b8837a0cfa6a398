"""Finding the one gain of a prompt: render, measure what came out, correct, a few times at the most.

Limiting and fading take level away, a lossy codec moves level and peaks: how loud a gain makes a prompt is
known only when it is done. Every take is a whole file in memory, decoded again and measured like any other.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.convert import to_float, to_int16
from mediapipe.audio.edges import faded
from mediapipe.audio.encode import open_encoder
from mediapipe.audio.facts import AudioFacts, Finding, Level, Quality
from mediapipe.audio.limiter import limit, true_peak_db
from mediapipe.audio.probe import Heard, hear
from mediapipe.audio.quality import Meter
from mediapipe.audio.rendering import LevelAim, RenderingProfile
from mediapipe.audio.requests import ProbeRequest
from mediapipe.errors import Failed

Floats = NDArray[np.float32]

KEEP_BYTES = 16_000_000
"""Decoded samples that are kept, minutes of a prompt; of a longer one a worker has no room for them."""
MOST_TAKES = 8
CLOSE_DB = 0.05
"""Nearer to its level than this nobody needs it."""
ROOM_DB = 0.05
"""The limiter aims so far below the limit: 16 bits round, and fades move a peak a little."""
_BLOCK_SEGMENTS = 80


def measured(signal: Floats, rate: int) -> Quality:
    """Return the figures of a signal of shape (channels, n), full scale 1."""
    meter = Meter(rate, len(signal), full_scale=1.0, ceiling=1.0)
    step = _BLOCK_SEGMENTS * meter.segment
    for at in range(0, signal.shape[1], step):
        meter.feed(signal[:, at : at + step])
    return meter.quality()


def active_db(quality: Quality) -> float:
    """Return the level of speech of the loudest channel."""
    return max(one.active_db for one in quality.channels)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a prompt is to measure: the level of its speech, or its loudness."""

    value: float
    by_loudness: bool

    def level(self, quality: Quality) -> float:
        """Return that figure of a measurement."""
        loud = quality.loudness_lufs
        return loud if self.by_loudness and loud is not None else active_db(quality)

    def __str__(self) -> str:
        return f"{self.value:.1f} {'LUFS' if self.by_loudness else 'dBFS of speech'}"


def aim_of(level: LevelAim, seconds: float, quality: Quality) -> Aim:
    """Return what to aim at: loudness where that is asked for, the source is long enough and it has one."""
    if level.loudness_lufs is None or seconds < level.loudness_min_s or quality.loudness_lufs is None:
        return Aim(level.active_db, by_loudness=False)
    return Aim(level.loudness_lufs, by_loudness=True)


@dataclass(frozen=True, slots=True)
class Take:
    """One rendering: what was done, the file's bytes, and what measuring it said.

    ``most_db`` is the gain that needs all the limiting that is allowed; no take has more.
    """

    gain_db: float
    most_db: float
    limited_db: float
    data: bytes
    facts: AudioFacts
    quality: Quality
    signal: Floats
    true_peak_db: float


class Takes:
    """Makes the takes of one prompt: ``signal`` at the rate and channels of the output, already trimmed."""

    def __init__(self, signal: Floats, profile: RenderingProfile, aim: Aim) -> None:
        self._signal, self._profile, self._aim = signal, profile, aim
        self._peak_db = true_peak_db(signal)

    def best(self, first_db: float) -> Take:
        """Return the take nearest to its level among those with no peak over the limit, if there are any.

        ``first_db`` is the gain to begin with.
        """
        level = self._profile.level
        wanted, ceiling = first_db, level.true_peak_db - ROOM_DB
        best: Take | None = None
        tried: set[tuple[float, float]] = set()
        for _ in range(MOST_TAKES):
            # In hundredths: what processors reckon differently in the last digit leads to the same gain.
            most = ceiling + level.max_limiting_db - self._peak_db
            gain = round(min(wanted, most), 2)
            if (gain, ceiling) in tried:
                break
            tried.add((gain, ceiling))
            take = self.take(gain, ceiling, most)
            if best is None or self._distance(take) < self._distance(best):
                best = take
            off = self._aim.value - self._aim.level(take.quality)
            over = self._over(take)
            if abs(off) <= CLOSE_DB and over <= 0:
                break
            if abs(off) > CLOSE_DB:
                wanted = gain + off
            if over > 0:
                ceiling -= round(over, 2) + 0.01
        assert best is not None  # noqa: S101  # the first take is always made
        return best

    def _distance(self, take: Take) -> tuple[float, float]:
        return max(0.0, self._over(take)), abs(self._aim.value - self._aim.level(take.quality))

    def _over(self, take: Take) -> float:
        """Return by how much a take's peak is over the limit, with room for who measures it otherwise."""
        return take.true_peak_db + ROOM_DB / 2 - self._profile.level.true_peak_db

    def take(self, gain_db: float, ceiling_db: float, most_db: float = math.inf) -> Take:
        """Return one rendering with this gain, its peaks limited to this ceiling."""
        recipe = self._profile.output.recipe
        file = io.BytesIO()
        taken = self._encode(file, gain_db, ceiling_db)
        name, most_s = Path(f"prompt.{recipe.container}"), 2 * self._profile.max_seconds
        made = hear(ProbeRequest(name, max_seconds=most_s), KEEP_BYTES, file)
        signal, quality = self._proven(made)
        return Take(
            gain_db=gain_db,
            most_db=most_db,
            limited_db=taken,
            data=file.getvalue(),
            facts=made.facts,
            quality=quality,
            signal=signal,
            true_peak_db=true_peak_db(signal),
        )

    def _encode(self, file: BinaryIO, gain_db: float, ceiling_db: float) -> float:
        """Write a whole file and return the dB that limiting took."""
        recipe, trim = self._profile.output.recipe, self._profile.trim
        signal, taken = self._signal * np.float32(10 ** (gain_db / 20)), 0.0
        if self._peak_db + gain_db > ceiling_db:
            signal, taken = limit(signal, ceiling_db, recipe.sample_rate)
        whole = to_int16(signal, 1.0)
        del signal  # minutes of it take as much as all the rest
        fades = {"fade_in_ms": trim.fade_in_ms, "fade_out_ms": trim.fade_out_ms}
        encoder = open_encoder(recipe, file)
        encoder.write(faded(whole, recipe.sample_rate, **fades), 2.0**15)
        encoder.close()
        return taken

    def _proven(self, made: Heard) -> tuple[Floats, Quality]:
        """Return what was decoded again; raise unless it has the form and the length that were made."""
        facts, recipe = made.facts, self._profile.output.recipe
        found = (facts.container, facts.codec, facts.sample_rate, facts.channels, facts.samples)
        wanted = (recipe.container, recipe.codec, recipe.sample_rate, recipe.channels, self._signal.shape[1])
        if found != wanted or facts.quality is None:
            raise Failed(f"rendered as {found}, planned was {wanted}", code="render_mismatch")
        whole = np.concatenate(list(made.blocks()), axis=1)
        return to_float(whole, made.coding.full_scale), facts.quality


def unmet(take: Take, aim: Aim, level: LevelAim) -> list[Finding]:
    """Return why a take may not be used: off its level, or a peak over the limit. Codes are stable."""
    found = []
    at, unit = aim.level(take.quality), "LUFS" if aim.by_loudness else "dBFS"
    off = at - aim.value
    lacking = take.gain_db - off - take.most_db
    if off < -level.tolerance_db and lacking > 0:
        message = (
            f"to reach {aim} its peaks need {level.max_limiting_db + lacking:.1f} dB of limiting or more"
            f" (over {level.max_limiting_db:g}); without that it is at {at:.1f} {unit}"
        )
        found.append(Finding("over_limited", message, Level.BLOCK))
    elif abs(off) > level.tolerance_db:
        message = (
            f"rendered it is at {at:.1f} {unit}, {abs(off):.1f} dB off {aim} (over {level.tolerance_db:g})"
        )
        found.append(Finding("off_target", message, Level.BLOCK))
    if take.true_peak_db > level.true_peak_db:
        message = f"rendered it peaks at {take.true_peak_db:.2f} dB (over {level.true_peak_db:g})"
        found.append(Finding("true_peak", message, Level.BLOCK))
    return found
