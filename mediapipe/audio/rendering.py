"""Rendering profiles: what becomes of every prompt of a set, as a small TOML file says it.

A profile says the form of the output, how loud it is to be, how much silence stays around it, and what a
source may be like to be taken at all. Its :attr:`RenderingProfile.recipe_hash` names the bytes it makes:
equal sources under equal hashes become equal files.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from mediapipe.audio.limits import MP3_RATES, mp3_bitrates
from mediapipe.audio.options import Judgement, QualityRules
from mediapipe.audio.targets import Recipe
from mediapipe.errors import UsageError

ENGINE = 1
"""Counts up whenever the engine would make other bytes of the same source under the same profile."""

_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
_CODECS = {"wav": "pcm_s16le", "mp3": "mp3"}
_NO_BYTES = {"level": {"tolerance_db"}}
"""Keys of the deciding sections that refuse a file and change none."""


class OutputForm(BaseModel):
    """``[output]``: the form of the rendered file."""

    model_config = _STRICT

    container: Literal["wav", "mp3"] = Field("wav", description="the kind of file")
    codec: Literal["pcm_s16le", "mp3"] = Field("pcm_s16le", description="follows from the container")
    sample_rate: int = Field(8_000, description="Hz")
    channels: Literal[1, 2] = Field(1, description="1 is what telephones have")
    bitrate: int | None = Field(None, description="kbit/s of an mp3; a wav has none")

    @model_validator(mode="before")
    @classmethod
    def _codec_follows(cls, given: Any) -> Any:
        if isinstance(given, dict) and "codec" not in given and given.get("container") in _CODECS:
            return {**given, "codec": _CODECS[given["container"]]}
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.codec != _CODECS[self.container]:
            raise ValueError(f"a {self.container} holds {_CODECS[self.container]} here, not {self.codec}")
        if self.sample_rate not in MP3_RATES:
            rates = ", ".join(map(str, MP3_RATES))
            raise ValueError(f"sample_rate must be one of {rates}, not {self.sample_rate}")
        if self.container == "wav" and self.bitrate is not None:
            raise ValueError(f"a wav has no bitrate: leave out bitrate = {self.bitrate}")
        allowed = mp3_bitrates(self.sample_rate)
        if self.container == "mp3" and self.bitrate not in allowed:
            steps = ", ".join(map(str, allowed))
            given = "it is missing" if self.bitrate is None else f"not {self.bitrate}"
            raise ValueError(f"bitrate of an mp3 at {self.sample_rate} Hz must be one of {steps}, {given}")
        return self

    @property
    def recipe(self) -> Recipe:
        """How it is encoded."""
        return Recipe(self.container, self.codec, self.sample_rate, self.channels, self.bitrate)


class LevelAim(BaseModel):
    """``[level]``: how loud the output is to be. Levels are dB relative to full scale."""

    model_config = _STRICT

    active_db: float = Field(-22.0, description="level of speech without its pauses", ge=-40, le=-10)
    loudness_lufs: float | None = Field(
        None,
        description="loudness of ITU-R BS.1770 to aim at instead, where it is long enough",
        ge=-40,
        le=-8,
    )
    loudness_min_s: float = Field(3.0, description="seconds from which on that is done", ge=0.4, le=3600)
    tolerance_db: float = Field(1.0, description="further off is refused", ge=0.2, le=6)
    true_peak_db: float = Field(-2.0, description="no peak goes higher, between samples either", ge=-12, le=0)
    max_limiting_db: float = Field(6.0, description="what needs more limiting is refused", ge=0, le=24)


class Trim(BaseModel):
    """``[trim]``: the silence around it. Pads are kept from the source, never made up."""

    model_config = _STRICT

    enabled: bool = Field(True, description="whether silence is cut away")
    silence_db: float = Field(
        -38.0, description="what counts as silence, below the active level", ge=-80, le=-16
    )
    head_ms: int = Field(50, description="milliseconds kept before the first sound", ge=0, le=2_000)
    tail_ms: int = Field(100, description="milliseconds kept after the last sound", ge=0, le=2_000)
    fade_in_ms: int = Field(5, description="milliseconds; a start without a click", ge=0, le=100)
    fade_out_ms: int = Field(10, description="milliseconds; an end without a click", ge=0, le=100)


class PromptRules(QualityRules):
    """``[quality]``: the rules of recordings, with defaults for prompts; the source is held against them.

    What rendering mends passes (a zero line that is off, the same signal twice); what it cannot mend and
    every caller would hear is refused.
    """

    silent: Judgement = Field("block", description="nothing to be heard on any channel")
    dead_channel: Judgement = Field("block", description="one channel carries nothing")
    fake_stereo: Judgement = Field("pass", description="the same signal on both channels")
    inverted_phase: Judgement = Field("block", description="one channel is the other upside down")
    clipping: Judgement = Field("block", description="runs at full scale")
    clipping_per_minute: float = Field(120.0, description="runs a minute that are too many", ge=0)
    dc_offset: Judgement = Field("pass", description="the zero line is off")
    short: Judgement = Field("block", description="too short to be a prompt")
    short_s: float = Field(0.1, description="seconds that are too short", ge=0)


class RenderingProfile(BaseModel):
    """One rendering profile, checked. ``max_seconds`` is the longest source that is taken for a prompt."""

    model_config = _STRICT

    description: str = Field("", description="for people", max_length=1_000)
    max_seconds: float = Field(300.0, description="a longer source is refused", gt=0, le=3_600)
    output: OutputForm = Field(default_factory=lambda: OutputForm())
    level: LevelAim = Field(default_factory=lambda: LevelAim())
    trim: Trim = Field(default_factory=lambda: Trim())
    quality: PromptRules = Field(default_factory=lambda: PromptRules())

    @property
    def recipe_hash(self) -> str:
        """The SHA-256, in hex, of all that decides the bytes: not of what only refuses, or is for people."""
        deciding = self.model_dump(include={"output", "level", "trim"}, exclude=_NO_BYTES)
        canonical = json.dumps({"engine": ENGINE, **deciding}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def parse_rendering_profile(text: str, where: str) -> RenderingProfile:
    """Return the profile that a TOML text says; ``where`` names it in messages, such as its file.

    Raises ``UsageError`` with every wrong key and its value.
    """
    try:
        return RenderingProfile.model_validate(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: is not valid TOML: {error}") from None
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise UsageError(f"{where}: {'; '.join(map(_in_words, problems))}") from None


def _in_words(problem: ErrorDetails) -> str:
    path = tuple(map(str, problem["loc"]))
    name = ".".join(path)
    given = repr(problem["input"])[:60]
    if problem["type"] == "extra_forbidden":
        names = list(_section(path[:-1]).model_fields)
        close = difflib.get_close_matches(path[-1], names, n=1)
        meant = f", did you mean {close[0]}?" if close else ""
        return f"{name}: unknown key, with the value {given}{meant} (allowed: {', '.join(names)})"
    what = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return f"{name}: {what}" if problem["type"] == "value_error" else f"{name}: {what}, not {given}"


def _section(path: tuple[str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = RenderingProfile
    for name in path:
        inner = model.model_fields[name].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model
