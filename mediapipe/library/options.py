"""How the prompt library is deployed: the settings section ``[prompts]``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from mediapipe.durations import format_duration, parse_duration


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _language_names(value: str) -> str:
    if "{name}" not in value or "{language}" not in value:
        raise ValueError("must hold {name} and {language}")
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Duration = Annotated[
    timedelta,
    BeforeValidator(lambda given: parse_duration(given) if isinstance(given, str | int | float) else given),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]


class PromptOptions(BaseModel):
    """``[prompts]``: which API, how audio is rendered, and what may be replaced and deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api: Literal["v3", "v2"] = Field("v3", description="API generation; v2 takes prompts and whispers only")
    rendering: str = Field("telephony", description="rendering profile of rows that name none", min_length=1)
    as_is: bool = Field(False, description="send audio as it stands; nothing is rendered")
    file_field: str = Field("file", description="name of the part with the audio", min_length=1)
    on_conflict: Literal["adopt", "replace", "skip", "fail"] = Field(
        "adopt", description="what becomes of a prompt whose name somebody else's has already"
    )
    languages: Words = Field((), description="languages that every prompt has to be there in")
    language_names: Annotated[str, AfterValidator(_language_names)] = Field(
        "{name}-{language}", description="what a prompt with a language is called on the platform"
    )
    max_delete: int = Field(20, description="prompts deleted by one apply, at most", ge=0)
    artefacts: str | None = Field(
        None, description="where releases are kept: s3://bucket/prefix or a folder", min_length=1
    )
    uploads: int = Field(4, description="uploads at the same time, at most", ge=1, le=64)
    attempts: int = Field(3, description="times a prompt is sent whose upload left no trace", ge=1, le=20)
    lag: Duration = Field(
        timedelta(seconds=15), description="an upload may take so long to be listed", ge=timedelta()
    )
    routes_looked_at: int = Field(200, description="routes asked for one by one, at most", ge=0, le=100_000)
