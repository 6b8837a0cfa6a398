"""Rendering one prompt: judged as it comes, made as its profile says, and measured again before it counts.

decode → zero line put right → mixed and resampled, once → silence cut off with pads kept → one gain →
true-peak limit → short fades → encode → decode and measure. What is wrong with a prompt is returned, so that
all of a set can be told at once; only what cannot be read or decoded is raised. Blocking; meant for a worker
process.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mediapipe.audio.convert import to_int16
from mediapipe.audio.edges import Edges, find_edges
from mediapipe.audio.facts import AudioFacts, Finding, Level, Quality
from mediapipe.audio.limiter import true_peak_db
from mediapipe.audio.mastering import Figures, Mastered, MasterRequest
from mediapipe.audio.pace import pace
from mediapipe.audio.plan import PARTIAL
from mediapipe.audio.probe import Heard, hear
from mediapipe.audio.rendering import RenderingProfile
from mediapipe.audio.requests import Output, ProbeRequest
from mediapipe.audio.rules import judge
from mediapipe.audio.takes import KEEP_BYTES, Take, Takes, active_db, aim_of, measured, unmet
from mediapipe.audio.targets import Target
from mediapipe.audio.waveform import waveform
from mediapipe.durations import format_size
from mediapipe.errors import DiskFull, Failed

Floats = NDArray[np.float32]


def master(request: MasterRequest) -> Mastered:
    """Render a prompt, or judge it as it is.

    Raises ``Rejected`` or ``Failed`` where it cannot be decoded, read or written, ``DiskFull`` without room.
    """
    probe = replace(request.probe, quality=True, count_only=False, envelope=request.envelope)
    heard = hear(probe, KEEP_BYTES)
    judged = judge(heard.facts, request.profile.quality)
    blocked = (*_unfit(heard.facts, judged, request.profile), *_unacceptable(request, heard.facts))
    if blocked:
        return Mastered(heard.facts, judged, blocked, None, None)
    if request.as_is:
        return Mastered(heard.facts, judged, (), None, _figures_as_is(heard))
    return _rendered(request, heard, judged)


# ── the source ──────────────────────────────────────────────────────────────────────────────


def _unfit(facts: AudioFacts, judged: tuple[Finding, ...], profile: RenderingProfile) -> Iterator[Finding]:
    """Yield why a source cannot be a prompt."""
    for one in dict.fromkeys((*facts.findings, *judged)):
        if one.code == PARTIAL:
            message = f"{one.message}; fetch the file again"
            yield replace(one, code="partial", message=message, level=Level.BLOCK)
        elif one.level is Level.BLOCK:
            yield one
    if facts.seconds > profile.max_seconds:
        message = f"it lasts {facts.seconds:,.1f} s (over {profile.max_seconds:g})"
        yield Finding("too_long", message, Level.BLOCK)


def _unacceptable(request: MasterRequest, facts: AudioFacts) -> Iterator[Finding]:
    """Yield why the target would not take what is to be sent, as far as that is known by now."""
    target, output = request.target, request.profile.output
    if not request.as_is:
        if not target.takes(output.container, output.codec):
            message = f"{target.name} take no {output.codec} in {output.container}, which the profile makes"
            yield Finding("not_acceptable", message, Level.BLOCK)
        return
    if not target.takes(facts.container, facts.codec):
        message = f"{target.name} take no {facts.codec} in {facts.container}; let it be rendered"
        yield Finding("not_acceptable", message, Level.BLOCK)
    elif facts.needs:
        message = f"its file would have to be mended first ({', '.join(facts.needs)}); let it be rendered"
        yield Finding("not_acceptable", message, Level.BLOCK)
    yield from _too_large(facts.size, target)


def _too_large(size: int, target: Target) -> Iterator[Finding]:
    if size > target.limit:
        message = f"it has {format_size(size)}, and {target.name} take {format_size(target.limit)}"
        yield Finding("too_large", message, Level.BLOCK)


def _figures_as_is(heard: Heard) -> Figures | None:
    quality = heard.facts.quality
    if quality is None:
        return None
    channels = heard.coding.channels if heard.coding.channels <= 2 else 1
    signal = waveform(heard, heard.coding.sample_rate, channels, centred=False)
    level = active_db(quality)
    return Figures(
        gain_db=0.0,
        limited_db=0.0,
        head_cut_s=0.0,
        tail_cut_s=0.0,
        active_db_before=level,
        active_db=level,
        true_peak_db=true_peak_db(signal),
        loudness_lufs=quality.loudness_lufs,
        pace=pace(signal, heard.coding.sample_rate, level),
    )


# ── the output ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A source in the form of the output, before its gain; ``quality`` is of all of it, edges included."""

    signal: Floats
    quality: Quality
    edges: Edges

    @property
    def silent(self) -> bool:
        """Whether nothing is left once its zero line is right."""
        return all(one.dead for one in self.quality.channels)


def _prepared(heard: Heard, profile: RenderingProfile) -> _Prepared:
    output, trim = profile.output, profile.trim
    signal = waveform(heard, output.sample_rate, output.channels)
    quality = measured(signal, output.sample_rate)
    everything = _Prepared(signal, quality, Edges(0, signal.shape[1]))
    if not trim.enabled or everything.silent:
        return everything
    # Looked for at the level that it will have: pydub reckons in whole numbers, and a quiet source has few.
    level = profile.level.active_db
    gain = np.float32(10 ** ((level - active_db(quality)) / 20))
    edges = find_edges(
        to_int16(signal * gain, 1.0),
        output.sample_rate,
        silence_db=level + trim.silence_db,
        head_ms=trim.head_ms,
        tail_ms=trim.tail_ms,
    )
    return replace(everything, edges=edges)


def _rendered(request: MasterRequest, heard: Heard, judged: tuple[Finding, ...]) -> Mastered:
    profile = request.profile
    prepared = _prepared(heard, profile)
    # A zero line far off hides from the rules that there is nothing else.
    if prepared.silent and profile.quality.silent == "block":
        message = f"nothing is to be heard: its level is {active_db(prepared.quality):.0f} dBFS"
        return Mastered(heard.facts, judged, (Finding("silent", message, Level.BLOCK),), None, None)
    kept = prepared.signal[:, prepared.edges.start : prepared.edges.stop]
    aim = aim_of(profile.level, heard.facts.seconds, prepared.quality)
    takes = Takes(kept, profile, aim)
    if prepared.silent:  # its rule lets silence pass, and silence has no level to be brought to
        take, unfit = takes.take(0.0, profile.level.true_peak_db), []
    else:
        take = takes.best(aim.value - aim.level(prepared.quality))
        unfit = unmet(take, aim, profile.level)
    blocked = (*unfit, *_too_large(len(take.data), request.target))
    figures = _figures(take, prepared, profile.output.sample_rate)
    if blocked:
        return Mastered(heard.facts, judged, blocked, None, figures)
    output, made = _kept(take, request)
    return Mastered(heard.facts, judged, (), output, figures, made)


def _figures(take: Take, prepared: _Prepared, rate: int) -> Figures:
    level = active_db(take.quality)
    return Figures(
        gain_db=take.gain_db,
        limited_db=take.limited_db,
        head_cut_s=prepared.edges.start / rate,
        tail_cut_s=(prepared.signal.shape[1] - prepared.edges.stop) / rate,
        active_db_before=active_db(prepared.quality),
        active_db=level,
        true_peak_db=take.true_peak_db,
        loudness_lufs=take.quality.loudness_lufs,
        pace=pace(take.signal, rate, level),
    )


def _kept(take: Take, request: MasterRequest) -> tuple[Output | None, AudioFacts]:
    """Write the take where it is to stand, whole or not at all, and read it again; or only look at it."""
    path = request.path
    if path is None:
        name = Path(f"prompt.{request.profile.output.container}")
        probe = ProbeRequest(name, envelope=request.envelope)
        return None, hear(probe, stream=io.BytesIO(take.data)).facts
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            partial.write_bytes(take.data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no room left to write {path}") from None
        why = error.strerror or error
        raise Failed(f"the rendered file cannot be written: {why}", code="unwritable") from None
    made = hear(ProbeRequest(path, envelope=request.envelope)).facts
    if made.sha256 != take.facts.sha256:
        raise Failed("the rendered file reads back as something else", code="render_mismatch")
    return Output(path, made), made
