"""What a file really is: magic bytes say the container, the decode says the rest, headers are witnesses.

One pass decodes the whole file, counts its samples and measures its quality. Every disagreement between the
name, the header and the decode is a finding with a stable code. Blocking; meant for a worker process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from mediapipe.audio.convert import to_int16
from mediapipe.audio.decode import MOST_ERRORS, Coding, Decoder
from mediapipe.audio.facts import AudioFacts, Finding, Level
from mediapipe.audio.quality import Meter
from mediapipe.audio.raw import by_suffix
from mediapipe.audio.requests import ProbeRequest
from mediapipe.audio.source import Source, identify
from mediapipe.audio.tags import read_tags
from mediapipe.errors import Failed, Rejected

BLOCK_SEGMENTS = 80
"""Segments of 100 ms decoded at a time: 64,000 samples at 8 kHz stay in the processor's cache."""

DURATION_SLACK_S = 0.25
"""Encoders put up to three frames around what they are given, and headers count them."""
DURATION_SLACK_RATIO = 0.01

_SUFFIXES = {
    "wav": {"wav", "wave"},
    "mp3": {"mp3", "mpga"},
    "ogg": {"ogg", "oga", "opus"},
    "flac": {"flac"},
    "m4a": {"m4a", "m4b", "mp4"},
    "mp4": {"mp4", "m4a", "m4v", "mov", "3gp", "3g2"},
    "webm": {"webm", "weba", "mka", "mkv"},
    "aac": {"aac", "adts"},
    "amr": {"amr"},
    "aiff": {"aif", "aiff", "aifc"},
    "au": {"au", "snd"},
    "caf": {"caf"},
    "asf": {"wma", "asf", "wmv"},
    "w64": {"w64"},
}
_KNOWN_SUFFIXES = frozenset().union(*_SUFFIXES.values())
_EXACT = frozenset({"flac", "m4a", "mp4", "aiff", "webm", "caf", "w64", "au", "asf"})
"""Containers that know their length from the start: what is missing at the end was lost."""
_SAID_BY_DECODER = frozenset({"webm", "caf", "w64", "au", "asf"})

Samples = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """A file that was decoded once, and its samples where they were few enough to be kept."""

    source: Source
    facts: AudioFacts
    coding: Coding
    kept: tuple[Samples, ...] | None

    def blocks(self) -> Iterator[Samples]:
        """Yield the samples again, from memory or by another decode, coded as ``coding`` says."""
        if self.kept is not None:
            yield from self.kept
            return
        with self.source.open() as decoder:
            for block in decoder.blocks(block_size(self.coding)):
                yield _kept_form(block, decoder.coding)


def _kept_form(block: Samples, coding: Coding) -> Samples:
    """Return samples as they are kept: what a lossy codec gives has no more than 16 bits to it."""
    return block if coding.bits else to_int16(block, coding.full_scale)


def _kept_coding(coding: Coding) -> Coding:
    return coding if coding.bits else replace(coding, full_scale=2.0**15)


def probe(request: ProbeRequest, stream: BinaryIO | None = None) -> AudioFacts:
    """Return a file's facts. Raises ``Rejected`` with a stable code, ``Failed`` when it cannot be read.

    With a seekable ``stream`` its bytes are looked at, and the request's path only names them.
    """
    return hear(request, stream=stream).facts


def hear(request: ProbeRequest, keep_bytes: int = 0, stream: BinaryIO | None = None) -> Heard:
    """Probe a file and keep its samples when they take at most ``keep_bytes``; else as :func:`probe`."""
    try:
        with nullcontext(stream) if stream is not None else _opened(request.path) as file:
            source = replace(identify(request.path, file, request.raw_format), stream=stream)
            _refuse_endless(source, request.max_seconds)
            file.seek(0)
            sha256 = hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
            # Linear audio and mp3 of which every byte is accounted for have no tags to look for.
            bare = source.container in ("wav", "mp3", "raw") and not source.structure.overhead
            tags = {} if bare or request.count_only else read_tags(file)
    except OSError as error:
        raise Failed(f"the file cannot be read: {error.strerror or error}", code="unreadable") from None
    with source.open() as decoder:
        listening = _Listening(decoder.coding, request, keep_bytes)
        counted = source.structure.samples
        if counted is not None and request.count_only:
            listening.samples = counted
        else:
            for block in decoder.blocks(block_size(decoder.coding)):
                listening.feed(block)
        facts = replace(_facts(source, decoder, listening), sha256=sha256, tags=tags)
        return Heard(source, facts, _kept_coding(decoder.coding), listening.kept())


def _opened(path: Path) -> BinaryIO:
    if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
        raise Rejected("it is no file but a folder, a pipe or a device", code="not_a_file")
    return path.open("rb")


def _refuse_endless(source: Source, most: float) -> None:
    """Refuse what its size alone shows to be too long, before all of it is read: files may be mostly hole."""
    rate = source.structure.rate
    if source.raw is not None:
        seconds = source.size / source.raw.bytes_per_s
    elif source.structure.samples is not None and rate:
        seconds = source.structure.samples / rate
    else:
        return
    if seconds > most + 1:
        raise _too_long(most)


def _too_long(most: float) -> Rejected:
    hint = "raise audio.max_seconds if that is right"
    return Rejected(f"the audio is longer than {most:,.0f} s", code="too_long", hint=hint)


def block_size(coding: Coding) -> int:
    """Return the samples of a block: whole segments, and not more memory for higher rates."""
    segment = 5 * max(1, coding.sample_rate // 50)
    return segment * max(1, min(BLOCK_SEGMENTS, 640_000 // (segment * coding.channels)))


class _Listening:
    """What the one pass collects."""

    def __init__(self, coding: Coding, request: ProbeRequest, keep_bytes: int) -> None:
        self._coding, self._room = coding, keep_bytes
        self._most = int(request.max_seconds * coding.sample_rate)
        self._kept: list[Samples] = []
        self.meter = (
            Meter(
                coding.sample_rate,
                coding.channels,
                full_scale=coding.full_scale,
                ceiling=coding.ceiling,
                envelope=request.envelope,
            )
            if request.quality and not request.count_only
            else None
        )
        self.samples = 0

    def feed(self, block: Samples) -> None:
        """Take a block. Raises ``Rejected`` for audio without end."""
        self.samples += block.shape[1]
        if self.samples > self._most:
            raise _too_long(self._most / self._coding.sample_rate)
        if self.meter is not None:
            self.meter.feed(block)
        if self._room <= 0:
            return
        kept = _kept_form(block, self._coding)
        self._room -= kept.nbytes
        if self._room >= 0:
            self._kept.append(kept)
        else:
            self._kept.clear()

    def kept(self) -> tuple[Samples, ...] | None:
        """Return all blocks, or None when they were too many."""
        return tuple(self._kept) or None


def _facts(source: Source, decoder: Decoder, listening: _Listening) -> AudioFacts:
    coding, structure = decoder.coding, source.structure
    if not listening.samples:
        if decoder.encrypted:
            raise Rejected("its audio is encrypted", code="encrypted", hint="get a copy without protection")
        if decoder.errors:
            raise Rejected(f"nothing of the {coding.codec} audio can be decoded", code="decode_failed")
        raise Rejected("the file holds no audio, only a header", code="no_audio")
    seconds = listening.samples / coding.sample_rate
    declared_s = structure.declared_s
    if source.container in _SAID_BY_DECODER:
        declared_s = decoder.declared_s
    return AudioFacts(
        container=source.container,
        codec=coding.codec,
        sample_rate=coding.sample_rate,
        channels=coding.channels,
        layout=coding.layout,
        bits=structure.bits or coding.bits,
        samples=listening.samples,
        declared_s=declared_s,
        size=source.size,
        sha256="",
        overhead=structure.overhead,
        findings=(*structure.findings, *_disagreements(source, decoder, declared_s, seconds)),
        needs=structure.needs,
        assumed=source.raw is not None,
        quality=listening.meter.quality() if listening.meter is not None else None,
    )


def _length(source: Source, declared_s: float | None, seconds: float) -> Iterator[Finding]:
    known = {finding.code for finding in source.structure.findings}
    if declared_s is None or known & {"shorter_than_header", "header_duration"}:
        return
    if abs(declared_s - seconds) <= max(DURATION_SLACK_S, DURATION_SLACK_RATIO * seconds):
        return
    said = f"the header says {declared_s:,.2f} s, decoded are {seconds:,.2f} s"
    cut = declared_s > seconds and source.container in _EXACT
    yield Finding("shorter_than_header" if cut else "header_duration", said, start_s=seconds, end_s=seconds)


def _disagreements(
    source: Source, decoder: Decoder, declared_s: float | None, seconds: float
) -> Iterator[Finding]:
    suffix = source.path.suffix.lower().removeprefix(".")
    if source.raw is not None:
        said = f"the file has no header; read as {source.raw.name} at {source.raw.sample_rate:,} Hz"
        yield Finding("raw_format_assumed", said)
    elif (suffix in _KNOWN_SUFFIXES and suffix not in _SUFFIXES[source.container]) or by_suffix(source.path):
        yield Finding("extension_mismatch", f"the name says .{suffix}, the bytes are {source.container}")
    yield from _length(source, declared_s, seconds)
    if decoder.errors:
        given_up = decoder.errors >= MOST_ERRORS
        more = "; what follows was not tried" if given_up else ""
        level = Level.BLOCK if given_up else Level.WARN
        yield Finding("decode_errors", f"{decoder.errors:,} packets cannot be decoded{more}", level)
    if decoder.mixed:
        said = "rate or channels change midway; only the first part can be used"
        yield Finding("mixed_format", said, Level.BLOCK)
    if decoder.audio_streams > 1:
        said = f"there are {decoder.audio_streams} audio streams; only the first is used"
        yield Finding("extra_audio_stream", said)
    if decoder.video_streams:
        yield Finding("video_stream", "there is a film in it; only its sound is used")
