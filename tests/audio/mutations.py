"""Files that a bad line, a bad disk or a bad mind made of good ones; the same number gives the same bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.audio.handmade import extensible, rf64, wav
from tests.audio.sources import DEBIAN, STATIC, call, encode, honest, pcm16, voice

SECONDS = 1.5
_PLAIN: dict[str, tuple[int, tuple[str, ...]]] = {
    # file name: rate, ffmpeg's arguments
    "pcm.wav": (8000, ()),
    "mulaw.wav": (8000, ("-c:a", "pcm_mulaw")),
    "float.wav": (8000, ("-c:a", "pcm_f32le")),
    "ima.wav": (8000, ("-c:a", "adpcm_ima_wav")),
    "ms.wav": (8000, ("-c:a", "adpcm_ms")),
    "g722.wav": (16_000, ("-c:a", "g722")),
    "g726.wav": (8000, ("-c:a", "g726", "-b:a", "32k")),
    "g723.wav": (8000, ("-c:a", "g723_1", "-b:a", "6300")),
    "mp3.wav": (8000, ("-c:a", "libmp3lame", "-b:a", "32k", "-f", "wav")),
    "rf64.wav": (8000, ("-rf64", "always")),
    "cbr.mp3": (8000, ("-b:a", "32k")),
    "vbr.mp3": (22_050, ("-q:a", "4")),
    "untagged.mp3": (16_000, ("-q:a", "5", "-write_xing", "0", "-id3v2_version", "0")),
    "opus.ogg": (16_000, ("-c:a", "libopus")),
    "vorbis.ogg": (16_000, ("-c:a", "libvorbis")),
    "flac.ogg": (8000, ("-c:a", "flac")),
    "end.m4a": (8000, ("-c:a", "aac")),
    "front.m4a": (8000, ("-c:a", "aac", "-movflags", "+faststart")),
    "alac.m4a": (8000, ("-c:a", "alac", "-movflags", "+faststart")),
    "pieces.mp4": (8000, ("-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov")),
    "film.mp4": (8000, ("-f", "lavfi", "-i", "color=size=32x32:rate=5:duration=1", "-c:v", "mpeg4",
                        "-map", "0", "-map", "1", "-c:a", "aac", "-movflags", "+faststart")),
    "flac.flac": (8000, ()),
    "opus.webm": (16_000, ("-c:a", "libopus")),
    "vorbis.webm": (16_000, ("-c:a", "libvorbis")),
    "adts.aac": (8000, ("-c:a", "aac")),
    "narrow.amr": (8000, ("-c:a", "libopencore_amrnb", "-b:a", "12.2k")),
    "pcm.aiff": (8000, ()),
    "pcm.au": (8000, ()),
    "alaw.caf": (8000, ("-c:a", "pcm_alaw")),
    "pcm.w64": (8000, ()),
    "wma.wma": (16_000, ("-c:a", "wmav2")),
    "raw.g722": (16_000, ("-c:a", "g722")),
    "raw.ulaw": (8000, ("-c:a", "pcm_mulaw", "-f", "mulaw")),
}  # fmt: skip
_GSM = {"gsm.wav": ("-c:a", "libgsm_ms"), "raw.gsm": ("-c:a", "libgsm", "-f", "gsm")}
_NUMBERS = (
    0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE,
    0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 100_000_000,
)  # fmt: skip


def seeds(folder: Path) -> dict[str, bytes]:
    """Return a short good file of every container and codec; those of GSM only with Debian's ffmpeg."""
    made = {
        "wide.wav": wav(pcm16(call(SECONDS)), extensible(2, 8000, 16, 3)),
        "long.wav": rf64(pcm16(voice(SECONDS))),
    }
    for name, (rate, arguments) in _PLAIN.items():
        encode(folder / name, honest(voice(SECONDS, rate), rate), *arguments, ffmpeg=STATIC)
        made[name] = (folder / name).read_bytes()
    if Path(DEBIAN["ffmpeg"]).exists():
        for name, arguments in _GSM.items():
            encode(folder / name, honest(voice(SECONDS)), *arguments, ffmpeg=DEBIAN["ffmpeg"])
            made[name] = (folder / name).read_bytes()
    return made


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutated file: the name it goes by, its bytes, and what was done to which seed."""

    name: str
    content: bytes
    how: str


def mutant(good: dict[str, bytes], number: int) -> Mutant:
    """Return the mutant of this number, made from one of the seeds by one to three changes."""
    chance = random.Random(number)
    names = sorted(good)
    name = names[number % len(names)]
    content, done = good[name], []
    for _ in range(chance.choice((1, 1, 2, 3))):
        change = chance.choice(_CHANGES)
        content = change(chance, content or b"\0")
        done.append(change.__name__.strip("_"))
        if chance.random() < 0.03:
            other = chance.choice(names)
            content = (
                content[: chance.randrange(len(content) + 1)]
                + good[other][chance.randrange(len(good[other])) :]
            )
            done.append(f"spliced with {other}")
    return Mutant(name, content, f"{number}: {name} {', '.join(done)}")


def _place(chance: random.Random, content: bytes) -> int:
    """Return an offset, mostly in the header, where it hurts."""
    most = len(content) if chance.random() < 0.3 else min(len(content), chance.choice((64, 256, 1024)))
    return chance.randrange(max(1, most))


def _flipped(chance: random.Random, content: bytes) -> bytes:
    out = bytearray(content)
    for _ in range(chance.choice((1, 2, 8, 64))):
        out[_place(chance, content)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _cut(chance: random.Random, content: bytes) -> bytes:
    return (
        content[: _place(chance, content)]
        if chance.random() < 0.3
        else content[: chance.randrange(len(content))]
    )


def _filled(chance: random.Random, content: bytes) -> bytes:
    at, count = _place(chance, content), chance.choice((1, 3, 16, 500, 5_000))
    run = bytes(count) if chance.random() < 0.3 else chance.randbytes(count)
    return content[:at] + run + content[at:]


def _emptied(chance: random.Random, content: bytes) -> bytes:
    at = _place(chance, content)
    return content[:at] + content[at + chance.choice((1, 2, 16, 300, 3_000)) :]


def _overwritten(chance: random.Random, content: bytes) -> bytes:
    at, count = _place(chance, content), chance.choice((4, 64, 1_000))
    return content[:at] + chance.randbytes(count)[: len(content) - at] + content[at + count :]


def _numbered(chance: random.Random, content: bytes) -> bytes:
    """Put numbers that hurt where a header may have its own: any width, either byte order."""
    out = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        form = chance.choice("BHIQ")
        width = struct.calcsize("<" + form)
        at = _place(chance, content) // 2 * 2
        if at + width <= len(out):
            value = chance.choice(_NUMBERS) & (1 << 8 * width) - 1
            struct.pack_into(chance.choice("<>") + form, out, at, value)
    return bytes(out)


_CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flipped, _cut, _filled, _emptied, _overwritten, _numbered, _numbered, _numbered,
)  # fmt: skip
