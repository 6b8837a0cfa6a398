"""What a container's own bytes say: length, overhead, what is odd about it. A witness, never the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from mediapipe.audio import mpeg, riff
from mediapipe.audio.decode import Opening
from mediapipe.audio.facts import Finding, Level
from mediapipe.audio.header import read_header
from mediapipe.audio.raw import RawFormat
from mediapipe.durations import format_size
from mediapipe.errors import Rejected

LARGE_OVERHEAD = 65_536
PADDED = "padded_samples"

_WORDS: Mapping[str, tuple[Level, str]] = {
    "size_unknown_in_header": (Level.INFO, "the header was written before the length was known"),
    "id3_before_riff": (Level.INFO, "a tag stands in front of the WAV file"),
    "data_before_fmt": (Level.INFO, "the audio stands in front of its format"),
    "rf64": (Level.INFO, "RF64, though it would fit a plain WAV file"),
    "trailing_garbage": (Level.INFO, "bytes that are no chunk stand behind the audio"),
    "second_data_chunk": (Level.WARN, "there is audio in more than one place; players play one of them"),
    "longer_than_header": (
        Level.WARN,
        "much stands behind the audio that may be audio too; players stop before",
    ),
    "block_size_mismatch": (
        Level.BLOCK,
        "its samples are fewer bits than they take, and at which end is not said",
    ),
    "empty_data_chunk": (Level.INFO, "a data chunk has nothing in it"),
    "vbr_without_xing": (Level.INFO, "the bitrate varies and no header says how long it is"),
    "header_duration": (Level.WARN, "the header counts other frames than there are"),
    "concatenated": (Level.WARN, "several files were joined; players see the length of the first"),
    PADDED: (Level.INFO, "its integers are padded to a wider format, which many players misread"),
    "odd_padding": (Level.INFO, "a chunk of odd length is not padded"),
    "garbage": (Level.INFO, "bytes that are neither audio nor tags stand between"),
    "mixed_frames": (Level.WARN, "the rate, channels or layer changes midway"),
}


@dataclass(frozen=True, slots=True)
class Structure:
    """What a container says of itself.

    ``opening`` is how a decoder is to open it, ``fallback`` how else when it cannot. ``samples`` are those
    that a decoder will find, where that is certain without decoding: bytes of linear audio, frames of an mp3
    in which nothing is odd; ``rate`` is theirs in Hz. The rest is as in
    :class:`~mediapipe.audio.facts.AudioFacts`.
    """

    declared_s: float | None = None
    bits: int = 0
    overhead: int = 0
    needs: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    opening: Opening = field(default_factory=Opening)
    fallback: Opening | None = None
    samples: int | None = None
    rate: int = 0


def read_structure(file: BinaryIO, size: int, container: str) -> Structure:
    """Return what the container of a seekable file says; raises ``Rejected`` when that is absurd."""
    read = {"wav": _wav, "mp3": _mp3}.get(container, _other)
    return read(file, size)


def _wav(file: BinaryIO, size: int) -> Structure:
    found = riff.walk(file, size)
    if found is None or found.fmt is None or found.audio is None:
        missing = "format" if found and found.audio else "audio"
        problem = f"the WAV file has no {missing}, only the beginning of a header"
        raise Rejected(problem, code="no_audio", hint="fetch it from its source again")
    fmt, audio = found.fmt, found.audio
    if "header_absurd" in found.findings:
        problem = f"the header says {fmt.sample_rate:,} Hz and {fmt.channels:,} channels"
        raise Rejected(problem, code="header_absurd", hint="fetch it from its source again")
    promised, there = (_seconds(fmt, length) for length in (audio.promised, audio.there))
    # FFmpeg reads the header of a RIFX file the right way round and its samples the wrong way, takes padded
    # integers for others, takes an empty data chunk for the audio, and loses its way behind a chunk without
    # padding.
    misread = found.order == ">" or {"odd_padding", "empty_data_chunk", PADDED} & {
        *found.needs,
        *found.findings,
    }
    bare = _bare_opening(found, fmt, audio)
    needs = (*found.needs, PADDED) if PADDED in found.findings else found.needs
    codes = (*found.needs, *(code for code in found.findings if code != "shorter_than_header"))
    findings = [_finding(code) for code in codes]
    if found.truncated:
        findings.append(_cut(there, promised))
    return Structure(
        declared_s=promised,
        bits=fmt.valid_bits if fmt.linear else 0,
        overhead=found.overhead,
        needs=needs,
        findings=(*findings, *_large(found.overhead)),
        opening=bare if bare and misread else _opening(found, fmt),
        fallback=bare,
        samples=found.samples,
        rate=fmt.sample_rate,
    )


def _seconds(fmt: riff.Fmt, length: int) -> float | None:
    """Return how long so many bytes play, None where the header does not tell: byte rates are often wrong."""
    if not length or not fmt.block_align or not fmt.samples_per_block:
        return None
    return length / fmt.block_align * fmt.samples_per_block / fmt.sample_rate


def _opening(found: riff.Riff, fmt: riff.Fmt) -> Opening:
    plain = fmt.tag in riff.LINEAR | riff.BLOCKS
    return Opening(skip=found.start, plain=plain, codec=f"0x{fmt.tag:04x}")


def _bare_opening(found: riff.Riff, fmt: riff.Fmt, audio: riff.Data) -> Opening | None:
    """Return how to open the linear audio alone, past its header; None for other codecs."""
    if (fmt.tag, fmt.bits) not in _DEMUXERS or not fmt.linear:
        return None
    options = {"sample_rate": str(fmt.sample_rate), "ch_layout": f"{fmt.channels}c"}
    order = "" if fmt.bits == 8 else "be" if found.order == ">" else "le"
    demuxer, speed = _DEMUXERS[fmt.tag, fmt.bits] + order, fmt.sample_rate * fmt.block_align
    raw = RawFormat("wav", demuxer, fmt.sample_rate, speed, options)
    return Opening(raw, audio.at, found.samples)


_DEMUXERS = {
    **{(riff.PCM, bits): f"s{bits}" for bits in (16, 24, 32)},
    (riff.PCM, 8): "u8",
    (riff.FLOAT, 32): "f32",
    (riff.FLOAT, 64): "f64",
    (riff.ALAW, 8): "alaw",
    (riff.MULAW, 8): "mulaw",
}


def _mp3(file: BinaryIO, size: int) -> Structure:
    found = mpeg.scan(file, size)
    header = read_header(file, size)
    declared = header.duration_s if header else None
    if found is None:
        return Structure(declared_s=declared)
    findings = [_finding(code) for code in found.findings if code != "shorter_than_header"]
    if "shorter_than_header" in found.findings:
        findings.append(_cut(found.samples / found.frame.sample_rate, declared))
    return Structure(
        declared_s=declared,
        overhead=found.overhead,
        needs=found.needs,
        findings=(*findings, *_large(found.overhead)),
        samples=found.samples if found.ends.whole and not found.findings else None,
        rate=found.frame.sample_rate,
    )


def _other(file: BinaryIO, size: int) -> Structure:
    header = read_header(file, size)
    # An MP4 in pieces says 0 and means that it does not know.
    return Structure(declared_s=(header.duration_s or None) if header else None)


def _finding(code: str) -> Finding:
    level, message = _WORDS.get(code, (Level.WARN, code.replace("_", " ")))
    return Finding(code, message, level)


def _cut(there: float | None, promised: float | None) -> Finding:
    said = "the file ends before its audio does"
    if there is not None and promised is not None:
        said += f": the header says {promised:,.2f} s, there are {there:,.2f} s"
    return Finding("shorter_than_header", said, Level.WARN, None, there, there)


def _large(overhead: int) -> tuple[Finding, ...]:
    if overhead <= LARGE_OVERHEAD:
        return ()
    said = f"{format_size(overhead)} of the file are tags, pictures or foreign data"
    return (Finding("large_overhead", said, Level.INFO),)
