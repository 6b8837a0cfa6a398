"""How a manifest is read: the settings section ``[manifest]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class ManifestOptions(BaseModel):
    """``[manifest]``: how the file is written, and what its headers and words mean."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    encoding: str | None = Field(None, description="encoding of the manifest; found out unless said")
    delimiter: str | None = Field(None, description="what separates columns, or tab; found out unless said")
    strict: bool = Field(False, description="a column that is not known is an error, not a warning")
    columns: dict[str, str] = Field({}, description="another system's headers: theirs = ours")
    values: dict[str, dict[str, str]] = Field(
        {}, description="another system's words, by our column: theirs = ours; empty means not sent"
    )
    null_words: Words = Field((), description="words that mean an empty cell, such as NULL or N/A")
    region: str = Field("US", description="region of numbers without country code", pattern="^[A-Z]{2}$")
    phone_form: Literal["as_given", "national", "international"] = Field(
        "as_given", description="digits sent: as they stand, without, or with the country code"
    )
    dst: Literal["error", "earlier", "later"] = Field(
        "error", description="which instant a local time that exists twice or not at all means"
    )
    tag_separator: str = Field("", description="what stands between several tags in tag_name", max_length=3)
