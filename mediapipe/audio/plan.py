"""What becomes of one file: the least that makes it acceptable. Pure.

The ladder, from nothing lost to most lost; the first rung that fits under the limit is the plan:
as it is > same coded audio in a clean container > decoded to PCM > mp3 at the highest bitrate that
fits, or parts. Channels are never mixed unless the settings say so, and the sampling rate is kept
wherever the format has it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from mediapipe.audio import limits
from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.audio.options import AudioOptions
from mediapipe.audio.targets import AsIs, Plan, Recipe, Reject, Rewrap, Split, Target, Transcode
from mediapipe.audio.wording import count_of, explain, too_large, too_many_channels

__all__ = ["explain", "kind", "limit_of", "make_plan", "tighter"]

PARTIAL = "shorter_than_header"
"""The finding that says a transfer was cut off."""
NOT_REWRAPPABLE = "not_rewrappable"
"""The finding that says a clean container was tried, and the sound would have changed."""
IN_TWO = frozenset({"second_data_chunk", "longer_than_header"})
"""Findings that say decoders and muxers may see only a part of the audio."""
# Where coded audio is at home: it may be moved there without being decoded.
_HOME = {"mp3": "mp3", "aac": "m4a", "alac": "m4a", "flac": "flac", "vorbis": "ogg", "opus": "ogg"}
_WIDTHS = {"pcm_s16le": 2, "pcm_s24le": 3, "pcm_f32le": 4}
_LOSSLESS = ("pcm_", "flac", "alac")
_MP3_CHANNELS = 2

_Sent: TypeAlias = AsIs | Rewrap | Transcode | Split


@dataclass(frozen=True, slots=True)
class _Case:
    """One decision: ``limit`` is what holds in bytes, ``room`` what estimates are held against."""

    facts: AudioFacts
    target: Target
    options: AudioOptions
    limit: int
    room: int

    @property
    def taken(self) -> bool:
        """Whether the target takes this codec in this container."""
        facts = self.facts
        return facts.container != "raw" and self.target.takes(facts.container, facts.codec)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the file cannot stay as it is, in codes; nothing when it can."""
        facts = self.facts
        if not self.taken:
            known = any(facts.container == name for name, _ in self.target.accepts)
            return ("codec",) if known else ("container",)
        heavy = ("overhead",) if facts.overhead > self.options.max_overhead else ()
        large = ("too_large",) if facts.size > self.limit else ()
        return facts.needs + heavy + large

    def has(self, codes: Collection[str]) -> bool:
        """Tell whether the file has one of these findings."""
        return any(one.code in codes for one in self.facts.findings)

    def why(self, *more: str) -> tuple[str, ...]:
        """Return the reasons and ``more``, each once; never nothing."""
        return tuple(dict.fromkeys(self.reasons + more)) or ("too_large",)


def make_plan(
    facts: AudioFacts,
    target: Target,
    options: AudioOptions,
    judged: tuple[Finding, ...] = (),
    limit: int | None = None,
) -> Plan:
    """Return the least lossy plan that makes a file acceptable to ``target``.

    ``judged`` are findings of its quality. The limit in bytes is the lower one of target and settings
    unless ``limit`` says otherwise. Never raises for facts that a probe can find.
    """
    problems, warnings = _sorted(facts, options, judged)
    if problems:
        return Reject(problems, warnings)
    allowed = limit_of(target, options) if limit is None else limit
    case = _Case(facts, target, options, allowed, allowed)
    return _warned(next(_ladder(case), None) or _refused(case), case, warnings)


def limit_of(target: Target, options: AudioOptions) -> int:
    """Return the limit in bytes that holds when nobody names another."""
    return min(target.limit, options.max_upload_bytes)


def tighter(
    plan: Plan,
    facts: AudioFacts,
    target: Target,
    options: AudioOptions,
    actual_bytes: int,
    limit: int | None = None,
) -> Plan:
    """Return the plan to try next when what ``plan`` rendered is larger than the limit.

    ``actual_bytes`` is the size of the file, of the largest one of a ``Split``. The estimate was low by
    that ratio, so the next one is held against as much less: it is strictly smaller (the parts of a
    ``Split`` are), and so the end is reached, at worst a ``Reject``. Without ``limit`` the plan's own
    holds, then that of target and settings. A plan that came out small enough is returned as it is.
    """
    if isinstance(plan, Reject):
        return plan
    own = 0 if isinstance(plan, AsIs) else plan.limit
    allowed = limit if limit is not None else own or limit_of(target, options)
    if actual_bytes <= allowed:
        return plan
    if isinstance(plan, Split):  # a tenth less, or a byte too many would cost one more part at a time
        room = allowed * (plan.bytes // plan.parts) * 9 // (actual_bytes * 10)
    else:
        room = allowed * plan.bytes // actual_bytes
    case = _Case(facts, target, options, allowed, room)
    carried = tuple(one for one in plan.warnings if one.code not in {"low_bitrate", "many_channels"})
    return _warned(next(_ladder(case), None) or _refused(case, actual_bytes), case, carried)


def kind(plan: Plan) -> str:
    """Return the plan's name for machines."""
    match plan:
        case AsIs():
            return "as_is"
        case Rewrap():
            return "rewrap"
        case Transcode():
            return "transcode"
        case Split():
            return "split"
        case Reject():
            return "reject"
        case _ as never:
            assert_never(never)


# ── the rungs ───────────────────────────────────────────────────────────────────────────────


def _ladder(case: _Case) -> Iterator[_Sent]:
    """Yield what fits, least lossy first."""
    yield from _kept(case)
    if case.has(IN_TWO):  # a part of it is all that could be decoded
        return
    yield from _decoded(case, case.facts.channels)
    if case.options.when_too_large == "compress":
        yield from _compressed(case)
    elif case.options.when_too_large == "split":
        yield from _parts(case)


def _kept(case: _Case) -> Iterator[AsIs | Rewrap]:
    """Yield what keeps the coded audio."""
    facts = case.facts
    # What sounds otherwise once it is written anew is better left alone than compressed a second time; PCM is
    # better decoded.
    fixed = case.has((NOT_REWRAPPABLE,))
    alone = case.has(IN_TWO) or (fixed and not facts.codec.startswith(_LOSSLESS))
    if case.taken and facts.size <= case.room and (alone or not case.reasons):
        yield AsIs(facts.size)
    home = facts.container if case.taken else _HOME.get(facts.codec, "")
    if alone or fixed or facts.container == "raw" or not case.target.takes(home, facts.codec):
        return
    # mp3 and FLAC are bare frames; 2 % is more than Ogg's pages or an MP4's tables take.
    moved = facts.size // 50 if home in {"ogg", "m4a"} and home != facts.container else 0
    size = max(0, facts.size - facts.overhead) + moved + limits.TAG_BYTES
    if size <= (min(case.room, limits.WAV_MOST) if home == "wav" else case.room):
        yield Rewrap(home, case.why(), size, limit=case.limit)


def _decoded(case: _Case, channels: int, *why: str) -> Iterator[Transcode]:
    """Yield PCM, first as wide as the source is."""
    facts = case.facts
    for codec in _pcm(case):
        recipe = Recipe(case.target.lossless, codec, facts.sample_rate, channels)
        if facts.samples <= limits.samples_of_wav(channels, _WIDTHS[codec], case.room):
            yield _whole(case, recipe, *why)
        why = (*why, "too_large" if case.taken else "bits")


def _pcm(case: _Case) -> tuple[str, ...]:
    """Return the PCM that holds the source, widest first; 16 bits are always the last resort."""
    facts, wide = case.facts, ""
    if facts.codec.startswith(("pcm_f32", "pcm_f64")):
        wide = "pcm_f32le"
    elif facts.bits > 16 and facts.codec.startswith(_LOSSLESS):
        wide = "pcm_s24le"
    return (wide, "pcm_s16le") if case.target.takes(case.target.lossless, wide) else ("pcm_s16le",)


def _compressed(case: _Case) -> Iterator[Transcode]:
    """Yield mp3; with one channel for several only where the settings allow that and it is needed."""
    channels, options = case.facts.channels, case.options
    kept = _mp3(case, channels) if channels <= _MP3_CHANNELS else None
    best = limits.mp3_bitrates(limits.mp3_rate(case.facts.sample_rate))[-1]
    mix = options.downmix and channels > 1
    if kept and not (mix and (kept.recipe.bitrate or 0) < min(options.warn_bitrate, best)):
        yield kept
    elif mix:
        yield from _decoded(case, 1, "too_large", "downmix")
        mixed = _mp3(case, 1, "downmix")
        if mixed:
            yield mixed


def _mp3(case: _Case, channels: int, *why: str) -> Transcode | None:
    rate = limits.mp3_rate(case.facts.sample_rate)
    bitrate = limits.highest_bitrate(rate, case.facts.seconds, case.room)
    if bitrate is None or bitrate < case.options.min_bitrate:
        return None
    return _whole(case, Recipe(case.target.lossy, "mp3", rate, channels, bitrate), "too_large", *why)


def _parts(case: _Case) -> Iterator[Transcode | Split]:
    """Yield parts: of PCM, but of mp3 first where the source is lossy, since PCM is many times as large."""
    facts = case.facts
    if not facts.codec.startswith(_LOSSLESS) and facts.channels <= _MP3_CHANNELS:
        yield from _lossy_parts(case)
    for codec in _pcm(case):
        recipe = Recipe(case.target.lossless, codec, facts.sample_rate, facts.channels)
        yield from _cut(case, recipe, limits.samples_of_wav(facts.channels, _WIDTHS[codec], case.room))


def _lossy_parts(case: _Case) -> Iterator[Transcode | Split]:
    """Yield mp3 of about the source's own bitrate, in one piece if that fits: then only PCM is too large."""
    facts = case.facts
    rate = limits.mp3_rate(facts.sample_rate)
    legal = [k for k in limits.mp3_bitrates(rate) if k >= case.options.min_bitrate]
    if not legal:
        return
    bitrate = min(legal, key=lambda k: abs(k * 1_000 - facts.bitrate))
    one = _mp3(case, facts.channels)
    if one and (one.recipe.bitrate or 0) >= bitrate:
        yield one
    recipe = Recipe(case.target.lossy, "mp3", rate, facts.channels, bitrate)
    yield from _cut(case, recipe, int(limits.seconds_of_mp3(bitrate, case.room) * facts.sample_rate))


def _whole(case: _Case, recipe: Recipe, *why: str) -> Transcode:
    size = _bytes(recipe, case.facts, case.facts.samples)
    return Transcode(recipe, case.why(*why, *_resampled(case, recipe)), size, limit=case.limit)


def _cut(case: _Case, recipe: Recipe, most: int) -> Iterator[Split]:
    """Yield parts of at most ``most`` samples, if they are not too many."""
    if cut := limits.parts_of(case.facts.samples, most):
        parts, samples = cut
        size = parts * _bytes(recipe, case.facts, samples)
        why = case.why("too_large", *_resampled(case, recipe))
        yield Split(recipe, parts, samples, why, size, limit=case.limit)


def _bytes(recipe: Recipe, facts: AudioFacts, samples: int) -> int:
    """Return the estimate for that many samples of the source."""
    if recipe.bitrate is None:
        return limits.wav_bytes(samples, recipe.channels, _WIDTHS[recipe.codec])
    return limits.mp3_bytes(samples / facts.sample_rate, recipe.sample_rate, recipe.bitrate)


def _resampled(case: _Case, recipe: Recipe) -> tuple[str, ...]:
    return () if recipe.sample_rate == case.facts.sample_rate else ("sample_rate",)


# ── findings ────────────────────────────────────────────────────────────────────────────────


def _sorted(
    facts: AudioFacts, options: AudioOptions, judged: tuple[Finding, ...]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return what blocks and what only warns."""
    problems: list[Finding] = []
    warnings: list[Finding] = []
    for one in dict.fromkeys((*facts.findings, *judged)):
        if one.code == PARTIAL and options.keep_partial:
            warnings.append(replace(one, level=Level.WARN))
        elif one.code == PARTIAL:
            advice = "fetch the file again, or set keep_partial = true to take what there is"
            problems.append(
                replace(one, code="partial", message=f"{one.message}; {advice}", level=Level.BLOCK)
            )
        elif one.level is Level.BLOCK:
            problems.append(one)
        elif one.level is Level.WARN:
            warnings.append(one)
    if facts.samples <= 0:
        problems.append(Finding("no_audio", "there is no audio in it, only a header", Level.BLOCK))
    return tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(warnings))


def _warned(plan: Plan, case: _Case, warnings: tuple[Finding, ...]) -> Plan:
    """Return the plan with the warnings of the file and its own."""
    recipe = plan.recipe if isinstance(plan, Transcode | Split) else None
    channels = recipe.channels if recipe else case.facts.channels
    own = []
    if channels > 2 and not isinstance(plan, Reject):
        message = f"there are {channels} channels; a call has one or two parties"
        own.append(Finding("many_channels", message))
    if recipe and recipe.bitrate and recipe.bitrate < case.options.warn_bitrate:
        message = (
            f"mp3 of {recipe.bitrate} kb/s for {count_of(channels)} is under warn_bitrate"
            f" ({case.options.warn_bitrate} kb/s): transcription suffers"
        )
        if isinstance(plan, Transcode):
            message += '; when_too_large = "split" would keep the sound'
            message += ", downmix = true would give one channel all of it" if channels == 2 else ""
        own.append(Finding("low_bitrate", message))
    return replace(plan, warnings=tuple(dict.fromkeys((*warnings, *own))))


def _refused(case: _Case, actual: int | None = None) -> Reject:
    facts, options = case.facts, case.options
    if case.has(IN_TWO):
        message = "its audio may stand in several places, of which decoders play one; put it into one first"
        return Reject((Finding("audio_in_two", message, Level.BLOCK),))
    if facts.channels > _MP3_CHANNELS and options.when_too_large == "compress" and not options.downmix:
        message = too_many_channels(facts, case.target, options, case.limit)
        return Reject((Finding("too_many_channels", message, Level.BLOCK),))
    message = too_large(facts, case.target, options, case.limit, actual)
    return Reject((Finding("too_large", message, Level.BLOCK),))
