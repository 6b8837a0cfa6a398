"""Carrying a plan out: decode → (mix, resample) → encode, or a new container; tags; then probe what came out.

Nothing leaves here unproven: a rewrap decodes to the very same samples as its source, a transcode has the
length of what was decoded and the form that was planned, and all is under the limit. Blocking; meant for a
worker process.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.plan import NOT_REWRAPPABLE, make_plan, tighter
from mediapipe.audio.probe import Heard, hear
from mediapipe.audio.remux import remux, sound_of
from mediapipe.audio.requests import Output, ProbeRequest, Rendering, RenderRequest
from mediapipe.audio.rules import judge
from mediapipe.audio.tags import write_tags
from mediapipe.audio.targets import AsIs, Recipe, Reject, Rewrap, Split, Transcode
from mediapipe.audio.transcode import transcode, transcode_parts
from mediapipe.durations import format_size
from mediapipe.errors import Failed, Rejected

KEEP_BYTES = 48_000_000
"""Decoded samples kept between measuring and encoding; a longer file is decoded once more instead."""

MOST_TRIES = 8
"""Plans tried one after the other, each smaller than the one before, until the output fits."""

LENGTH_SLACK_S = 0.02
LENGTH_SLACK_RATIO = 0.001


def render(request: RenderRequest) -> Rendering:
    """Probe a file, plan, and carry the plan out. Raises ``Rejected`` or ``Failed`` with a stable code."""
    heard = hear(request.probe, KEEP_BYTES)
    facts, options = heard.facts, request.options
    judged = judge(facts, request.rules, request.expected_s, options.duration_slack)
    if request.recipe is not None:
        return _as_asked(request, request.recipe, heard, judged)
    plan = make_plan(facts, request.target, options, judged)
    for _ in range(MOST_TRIES):
        if isinstance(plan, AsIs | Reject):
            return Rendering(facts, judged, plan)
        try:
            outputs = _carry_out(request, plan, heard)
        except _SoundWouldChange as odd:
            facts = replace(facts, findings=(*facts.findings, Finding(NOT_REWRAPPABLE, str(odd), Level.INFO)))
            plan = make_plan(facts, request.target, options, judged)
            continue
        largest = max(output.facts.size for output in outputs)
        tried, plan = plan, tighter(plan, facts, request.target, options, largest)
        if plan is tried:
            return Rendering(facts, judged, plan, outputs)
        for output in outputs:
            output.path.unlink()
    said = f"after {MOST_TRIES} tries the output is still over {format_size(request.target.limit)}"
    raise Rejected(said, code="too_large")


def _as_asked(request: RenderRequest, recipe: Recipe, heard: Heard, judged: tuple[Finding, ...]) -> Rendering:
    """Render by a recipe of the caller's; it is not changed when its output is too large."""
    allowed = make_plan(heard.facts, request.target, request.options, judged, limit=sys.maxsize)
    if isinstance(allowed, Reject):
        return Rendering(heard.facts, judged, allowed)
    plan = Transcode(recipe, ("asked",), 0, allowed.warnings)
    outputs = _carry_out(request, plan, heard)
    size, limit = outputs[0].facts.size, request.target.limit
    if size > limit:
        said = f"the recipe makes {format_size(size)} of it, and the limit is {format_size(limit)}"
        raise Rejected(said, code="too_large")
    return Rendering(heard.facts, judged, replace(plan, bytes=size), outputs)


class _SoundWouldChange(Exception):
    """In a clean container this file would not sound the same."""


def _carry_out(request: RenderRequest, plan: Rewrap | Transcode | Split, heard: Heard) -> tuple[Output, ...]:
    """Make the outputs, label them, and probe them again."""
    match plan:
        case Rewrap():
            paths = [_path(request, plan.container)]
            try:
                remux(heard.source, plan.container, paths[0])
            except Rejected as odd:
                raise _SoundWouldChange(odd.message) from None
        case Transcode(recipe=recipe):
            paths = [_path(request, recipe.container)]
            transcode(heard.blocks(), heard.coding, recipe, paths[0])
        case Split(recipe=recipe):
            names = (_path(request, recipe.container, part) for part in range(1, plan.parts + 1))
            paths = transcode_parts(heard.blocks(), heard.coding, recipe, names, plan.samples)
        case _ as never:
            assert_never(never)
    for path in paths:
        write_tags(
            path,
            path.suffix.removeprefix("."),
            title=request.labels.title,
            external_id=request.labels.external_id,
            source_sha256=heard.facts.sha256,
        )
    made = [hear(ProbeRequest(path, count_only=True)) for path in paths]
    _prove(plan, heard, made)
    return tuple(Output(path, one.facts) for path, one in zip(paths, made, strict=True))


def _path(request: RenderRequest, container: str, part: int | None = None) -> Path:
    middle = "" if part is None else f".{part}"
    return request.folder / f"{request.stem}{middle}.{container}"


def _prove(plan: Rewrap | Transcode | Split, heard: Heard, made: list[Heard]) -> None:
    """Raise unless the outputs are what was planned and as long as what was decoded."""
    if isinstance(plan, Rewrap):
        form, other = heard.coding, made[0].coding
        same = (form.sample_rate, form.channels) == (other.sample_rate, other.channels)
        if not same or sound_of(heard.blocks()) != sound_of(made[0].blocks()):
            raise _SoundWouldChange("its samples would not be the same in a clean container")
        return
    recipe = plan.recipe
    wanted = (recipe.container, recipe.codec, recipe.sample_rate, recipe.channels)
    for facts in (one.facts for one in made):
        found = (facts.container, facts.codec, facts.sample_rate, facts.channels)
        if found != wanted:
            raise Failed(f"rendered as {found}, planned was {wanted}", code="render_mismatch")
    seconds, before = sum(one.facts.seconds for one in made), heard.facts.seconds
    if abs(seconds - before) > max(LENGTH_SLACK_S, LENGTH_SLACK_RATIO * before):
        said = f"rendered are {seconds:,.3f} s, the source has {before:,.3f} s"
        raise Failed(said, code="render_mismatch")
