"""How a destination is written to: the settings section ``[store]``.

Everything here concerns S3 and stores that speak its protocol; a folder takes no options. Endpoint,
region, profile and credentials are not here: they are boto3's own environment (``AWS_*``).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mediapipe.durations import parse_duration, parse_size

MAX_SINGLE_PUT = 5 * 1024**3
"""The most bytes S3 takes in one request."""

MIN_PART = 5 * 1024**2
"""The fewest bytes S3 takes in a part that is not the last one."""

StorageClass = Literal[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "EXPRESS_ONEZONE",
]


def _bytes(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _seconds(value: object) -> object:
    return parse_duration(value).total_seconds() if isinstance(value, str) else value


class StoreOptions(BaseModel):
    """Options of the destination store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage_class: StorageClass | None = Field(
        None, description="S3 storage class of new objects; the bucket's default when not given"
    )
    sse: Literal["none", "aes256", "kms"] = Field(
        "none", description="encryption asked for with each object: none (the bucket's default), aes256, kms"
    )
    kms_key_id: str | None = Field(None, description="KMS key id or ARN; only with sse = kms", min_length=1)
    tags: dict[str, str] = Field(
        default_factory=dict, description="tags of new objects, at most 10", max_length=10
    )
    object_lock_mode: Literal["governance", "compliance", "none"] = Field(
        "none", description="Object Lock retention mode of new objects"
    )
    object_lock_days: int | None = Field(
        None, description="days a new object is retained, from the day it is written", ge=1, le=36500
    )
    request_checksum_calculation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="when_required for stores that know no checksum trailers"
    )
    response_checksum_validation: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="when_required for stores that know no checksums in answers"
    )
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="path for stores that do not serve bucket names as host names"
    )
    multipart_threshold: Annotated[int, BeforeValidator(_bytes)] = Field(
        MAX_SINGLE_PUT,
        description="objects of more bytes than this are written in parts",
        ge=1,
        le=MAX_SINGLE_PUT,
    )
    max_connections: int = Field(32, description="connections to the store at the same time", ge=1, le=1000)
    connect_timeout: Annotated[float, BeforeValidator(_seconds)] = Field(
        10.0, description="seconds to wait for a connection", gt=0
    )
    read_timeout: Annotated[float, BeforeValidator(_seconds)] = Field(
        60.0, description="seconds to wait for the store's next bytes", gt=0
    )

    @model_validator(mode="after")
    def _combinations(self) -> Self:
        if self.kms_key_id is not None and self.sse != "kms":
            raise ValueError("kms_key_id is only used with sse = 'kms'")
        if (self.object_lock_mode != "none") != (self.object_lock_days is not None):
            raise ValueError("object_lock_mode and object_lock_days are given together or not at all")
        for name, value in self.tags.items():
            if not 1 <= len(name) <= 128 or len(value) > 256:
                raise ValueError(f"tag {name[:40]!r} is too long: 128 characters for a name, 256 for a value")
        return self
