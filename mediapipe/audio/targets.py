"""Where audio is to go and what is taken there; and the plans that lead there. Pure words, picklable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from mediapipe.audio.facts import Finding

DEFAULT_LIMIT = 50_000_000
"""Bytes; the vendor says "50 MB" and leaves open which."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a destination takes: for each container the codecs that may stay as they are.

    The first container is the one to render losslessly into, ``lossy`` the one to compress into.
    ``limit`` is in bytes.
    """

    name: str
    accepts: tuple[tuple[str, frozenset[str]], ...]
    lossless: str = "wav"
    lossy: str = "mp3"
    limit: int = DEFAULT_LIMIT

    def takes(self, container: str, codec: str) -> bool:
        """Tell whether audio of this codec in this container may be sent as it is."""
        return any(container == name and codec in codecs for name, codecs in self.accepts)


# Linear PCM of every width is PCM to a reader; companded and ADPCM variants are what readers refuse.
_PCM = frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"})
_AAC = frozenset({"aac"})

V2_CALLS = Target("v2 calls", (("wav", _PCM), ("mp3", frozenset({"mp3"}))))
"""``call/upload`` takes mp3 and wav (vendor page "Upload Call Audio")."""

V2_PROMPTS = Target("v2 prompts", (("wav", _PCM), ("mp3", frozenset({"mp3"}))))
"""``misc/upload/prompt`` and ``misc/upload/whisper`` take mp3 and wav, by their own word when they refuse."""

V3_PROMPTS = Target(
    "v3 prompts",
    (
        ("wav", _PCM),
        ("mp3", frozenset({"mp3"})),
        ("mp4", _AAC | {"mp3", "alac"}),
        ("ogg", frozenset({"vorbis", "opus", "flac"})),
        ("webm", frozenset({"vorbis", "opus"})),
        ("m4a", _AAC | {"alac"}),
        ("aac", _AAC),
        ("flac", frozenset({"flac"})),
    ),
)
"""``media-prompts`` takes wav, mp3, mp4, ogg, webm, m4a, aac and flac up to 50 MB (vendor's reference)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How audio is encoded: FFmpeg's codec name, Hz, channels, and kbit/s where the codec is lossy.

    Everything that decides the output's bytes stands here, so equal input and recipe give equal bytes.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    bitrate: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the recipe for outcomes and lock files."""
        return {
            "container": self.container,
            "codec": self.codec,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "bitrate": self.bitrate,
        }


@dataclass(frozen=True, slots=True)
class AsIs:
    """The file may be sent as it stands."""

    bytes: int
    warnings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrap:
    """The same coded audio in a clean container: bit for bit the same sound. ``why`` are finding codes."""

    container: str
    why: tuple[str, ...]
    bytes: int
    warnings: tuple[Finding, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Transcode:
    """Decode and encode anew. ``why`` are codes such as ``codec``, ``too_large``, ``sample_rate``."""

    recipe: Recipe
    why: tuple[str, ...]
    bytes: int
    warnings: tuple[Finding, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Several files one after the other, each of ``samples`` samples of the source but the last."""

    recipe: Recipe
    parts: int
    samples: int
    why: tuple[str, ...]
    bytes: int
    warnings: tuple[Finding, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """It cannot be sent; ``problems`` say why and what to do, all of them at once."""

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...] = ()


Plan: TypeAlias = AsIs | Rewrap | Transcode | Split | Reject
"""``bytes`` is what will be sent, exact for ``AsIs``, an estimate that is not too low for the others.

``limit`` is the one in bytes that the plan was made for, 0 where nobody said: the target's own.
"""
