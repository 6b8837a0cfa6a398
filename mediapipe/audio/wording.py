"""What becomes of a file, and why, in plain sentences with their sums. Pure.

For people who run the tool, not for those who know codecs: sizes and lengths as one says them, and what
to do about a refusal.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from mediapipe.audio import limits
from mediapipe.audio.facts import AudioFacts
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.targets import AsIs, Plan, Recipe, Reject, Rewrap, Split, Target, Transcode
from mediapipe.durations import format_duration, format_size


def explain(plan: Plan, facts: AudioFacts, target: Target) -> str:
    """Return one plain sentence, on one line, on what becomes of the file, and why."""
    source = _sound(facts.container, facts.codec, facts.sample_rate, facts.channels)
    length = _length(facts.seconds)
    match plan:
        case AsIs():
            said = f"sent as it is: {source}, {length}, {format_size(plan.bytes)}"
        case Rewrap() if plan.container == facts.container:
            why = f"container repaired ({', '.join(plan.why)}), sound unchanged"
            said = f"{why}: {source}, {length}, {format_size(plan.bytes)}"
        case Rewrap():
            why = f"moved into {plan.container}, sound unchanged, because {_because(plan, facts, target)}"
            said = f"{why}: {source}, {length}, {format_size(plan.bytes)}"
        case Transcode():
            made = "compressed to" if plan.recipe.bitrate else "decoded and written as"
            why = f"{made} {_made(plan.recipe)}, because {_because(plan, facts, target)}"
            said = f"{why}: {format_size(plan.bytes)}"
        case Split():
            made = f"{plan.parts} parts of {_length(plan.samples / facts.sample_rate)}"
            why = f"split into {made}, {_made(plan.recipe)}, because {_because(plan, facts, target)}"
            said = f"{why}: {format_size(plan.bytes)} together"
        case Reject():
            said = f"refused: {'; '.join(one.message for one in plan.problems)}"
        case _ as never:
            assert_never(never)
    return " ".join(said.split())


def too_large(
    facts: AudioFacts, target: Target, options: AudioOptions, limit: int, actual: int | None = None
) -> str:
    """Return why nothing fits and what to do; ``actual`` is the size that a rendered file came to."""
    if actual is None:
        said = _over(facts, target, limit)
    else:
        said = f"rendered it came to {_against(actual, limit)}, and nothing smaller is allowed"
    advice = [] if options.when_too_large == "split" else ['set when_too_large = "split"']
    if options.when_too_large == "reject":
        advice.append('set when_too_large = "compress"')
    elif options.min_bitrate > limits.mp3_bitrates(limits.mp3_rate(facts.sample_rate))[0]:
        advice.append("lower min_bitrate")
    advice.append(_raise(limit, options))
    return f"{said}; {_lowest(facts, options)}: {', or '.join(advice)}"


def too_many_channels(facts: AudioFacts, target: Target, options: AudioOptions, limit: int) -> str:
    """Return why audio of more than two channels cannot be compressed and what to do."""
    return (
        f"{_over(facts, target, limit)}, and mp3 cannot hold {facts.channels} channels: set downmix = true to"
        f' mix them into one, or set when_too_large = "split", or {_raise(limit, options)}'
    )


def count_of(channels: int) -> str:
    """Return a number of channels as one says it."""
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def _lowest(facts: AudioFacts, options: AudioOptions) -> str:
    """Return what the audio takes at the lowest bitrate allowed."""
    rate = limits.mp3_rate(facts.sample_rate)
    legal = limits.mp3_bitrates(rate)
    sound = f"{_length(facts.seconds)} {count_of(facts.channels)}"
    lowest = next((k for k in legal if k >= options.min_bitrate), None)
    if lowest is None:
        return f"mp3 of {_hertz(rate)} has {legal[-1]} kb/s at most, and min_bitrate is {options.min_bitrate}"
    size = format_size(limits.mp3_bytes(facts.seconds, rate, lowest))
    least = format_size(limits.limit_for_mp3(facts.seconds, lowest))
    return f"{sound} takes {size} at {lowest} kb/s, the lowest allowed, and needs a limit of {least} for it"


def _raise(limit: int, options: AudioOptions) -> str:
    return "raise max_upload_bytes" if limit == options.max_upload_bytes else "raise the limit"


def _over(facts: AudioFacts, target: Target, limit: int) -> str:
    """Return by how much the audio is too large: the file itself where it is taken, else as PCM."""
    if facts.container != "raw" and target.takes(facts.container, facts.codec):
        return f"it is {_against(facts.size, limit)}"
    size = limits.wav_bytes(facts.samples, facts.channels, 2)
    return f"as {target.lossless} it would be {_against(size, min(limit, limits.WAV_MOST))}"


def _because(plan: Rewrap | Transcode | Split, facts: AudioFacts, target: Target) -> str:
    return " and ".join(_reason(code, plan.limit or target.limit, facts, target) for code in plan.why)


def _reason(code: str, limit: int, facts: AudioFacts, target: Target) -> str:
    match code:
        case "codec":
            return f"{facts.codec} in {facts.container} is not taken"
        case "container":
            return f"{'headerless audio' if facts.container == 'raw' else facts.container} is not taken"
        case "overhead":
            return f"{format_size(facts.overhead)} of it are no audio"
        case "too_large":
            return _over(facts, target, limit)
        case "bits":
            return f"with more than 16 bits it would be over the limit of {format_size(limit)}"
        case "sample_rate":
            return f"mp3 has no {_hertz(facts.sample_rate)}"
        case "asked":
            return "this was asked for"
        case "downmix":
            return "downmix lets all parties share a channel"
        case _:
            return f"its container has {code}"


def _against(size: int, limit: int) -> str:
    """Return both sizes, to the byte where they would look alike."""
    one, other = format_size(size), format_size(limit)
    if one == other:
        one, other = f"{size:,} bytes", f"{limit:,} bytes"
    return f"{one} and the limit is {other}"


def _made(recipe: Recipe) -> str:
    codec = f"{recipe.bitrate} kb/s" if recipe.bitrate else recipe.codec
    return _sound(recipe.container, codec, recipe.sample_rate, recipe.channels)


def _sound(container: str, codec: str, sample_rate: int, channels: int) -> str:
    named = container if codec == container else f"{container} {codec}"
    return f"{named} {_hertz(sample_rate)} {count_of(channels)}"


def _hertz(sample_rate: int) -> str:
    return f"{sample_rate / 1_000:g} kHz"


def _length(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 10 else format_duration(timedelta(seconds=round(seconds)))
