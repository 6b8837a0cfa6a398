"""How audio is judged and made fit: the settings sections ``[audio]`` and ``[quality]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from mediapipe.durations import parse_size

Bytes = Annotated[int, BeforeValidator(lambda given: parse_size(given) if isinstance(given, str) else given)]
Judgement = Literal["pass", "warn", "block"]
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class AudioOptions(BaseModel):
    """``[audio]``: what may be sent, how it is made so, and how much machine that may take."""

    model_config = _STRICT

    max_upload_bytes: Bytes = Field(50_000_000, description="a larger file is not sent", ge=1_000)
    when_too_large: Literal["compress", "split", "reject"] = Field(
        "compress", description="what becomes of audio over the limit"
    )
    downmix: bool = Field(False, description="mix two parties into one channel where that is needed to fit")
    min_bitrate: int = Field(8, description="kbit/s; rather refuse than compress below it", ge=8, le=320)
    warn_bitrate: int = Field(32, description="kbit/s; warn below it: transcription suffers", ge=8, le=320)
    keep_partial: bool = Field(False, description="take audio that is shorter than its header says")
    max_overhead: Bytes = Field(65_536, description="bytes of tags and cover art that may stay", ge=0)
    raw_format: str | None = Field(None, description="what headerless files are, such as ulaw or sln16")
    duration_slack: float = Field(
        2.0, description="seconds by which a file may differ from the manifest's duration", ge=0, le=3600
    )
    agent_channel: Literal["", "left", "right"] = Field("", description="where the recordings have the agent")
    source_preset: str = Field("", description="system the recordings come from; decides swap_channels")
    platform_agent_channel: Literal["", "left", "right"] = Field(
        "", description="where the platform expects the agent; not documented, calibrate with one call"
    )
    max_seconds: float = Field(48 * 3600.0, description="longer audio is refused", gt=0, le=7 * 86_400)
    file_timeout: float = Field(
        60.0, description="seconds for a file, and as many for each 10 MB", gt=0, le=3600
    )
    uplink: Bytes = Field(
        1_250_000, description="bytes a second that the line is taken to carry up; for estimates", ge=1_000
    )
    processes: int = Field(0, description="worker processes for audio; 0 is one per core", ge=0, le=64)
    worker_memory: Bytes = Field(300 * 2**20, description="memory one worker may take", ge=160 * 2**20)
    memory_budget: Bytes = Field(2 * 2**30, description="memory of all workers together", ge=160 * 2**20)
    scratch_budget: Bytes = Field(10 * 10**9, description="bytes of rendered files at a time", ge=2**20)


class QualityRules(BaseModel):
    """``[quality]``: what each figure of a recording leads to, and from which value on."""

    model_config = _STRICT

    silent: Judgement = Field("warn", description="nothing to be heard on any channel")
    dead_channel: Judgement = Field("warn", description="one channel carries nothing")
    fake_stereo: Judgement = Field("warn", description="the same signal on both channels")
    inverted_phase: Judgement = Field("warn", description="one channel is the other upside down")
    clipping: Judgement = Field("warn", description="runs at full scale")
    clipping_per_minute: float = Field(6.0, description="runs a minute that are too many", ge=0)
    dc_offset: Judgement = Field("warn", description="the zero line is off")
    dc_offset_ratio: float = Field(0.01, description="share of full scale that is too much", gt=0, le=1)
    quiet: Judgement = Field("warn", description="speech level too low")
    quiet_db: float = Field(-45.0, description="active level in dBFS that is too low", ge=-120, le=0)
    mostly_silence: Judgement = Field("warn", description="hardly anything but silence")
    mostly_silence_ratio: float = Field(0.95, description="share of silence that is too much", gt=0, le=1)
    long_silence: Judgement = Field("pass", description="long silence at the head or tail")
    long_silence_s: float = Field(30.0, description="seconds of it that are too long", gt=0)
    tone_only: Judgement = Field("warn", description="a tone, hum or ringback instead of speech")
    tone_ratio: float = Field(0.9, description="share of power in a few lines that is too much", gt=0, le=1)
    upsampled: Judgement = Field("pass", description="narrowband audio in a wideband file")
    short: Judgement = Field("warn", description="too short to be a recording")
    short_s: float = Field(0.5, description="seconds that are too short", ge=0)
