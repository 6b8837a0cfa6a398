"""Words of the prompt library that the platform's clients and the jobs share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PromptType(StrEnum):
    """What a prompt is for; the platform's own four words."""

    PROMPT = "prompt"
    WHISPER = "whisper"
    VOICEMAIL = "voicemail"
    SURVEY = "survey"


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the account's list.

    ``prompt_id`` is "" where the list shows none. ``size`` is in bytes, None where it is not shown. ``name``
    is as the platform shows it, in NFC; ``type`` may be none of ours. ``uploaded`` is the platform's text for
    when it came.
    """

    prompt_id: str
    type: str
    name: str
    size: int | None = None
    uploaded: str = ""

    @property
    def key(self) -> str:
        """Type and name, as outcomes write them."""
        return f"{self.type}/{self.name}"


@dataclass(frozen=True, slots=True)
class Mention:
    """A provisioned route that names a prompt: its id and its name, as far as they are shown."""

    route_id: str
    route_name: str = ""

    def __str__(self) -> str:
        return f"{self.route_name} ({self.route_id})" if self.route_name else self.route_id


@dataclass(frozen=True, slots=True)
class Routes:
    """Which provisioned routes mention which prompt: mentions by prompt id.

    ``visible`` is False where that cannot be seen (no endpoint, no permission, or routes that show no audio
    at all); ``why`` says so in words then. ``seen`` counts the routes that were looked at.
    """

    visible: bool
    mentions: dict[str, tuple[Mention, ...]]
    seen: int = 0
    why: str = ""

    def of(self, prompt_id: str) -> tuple[Mention, ...]:
        """Return the routes that mention a prompt."""
        return self.mentions.get(prompt_id, ()) if prompt_id else ()

    def named(self, prompt_id: str) -> str:
        """Say which routes those are, the first three by name; "" where there are none."""
        mentions = self.of(prompt_id)
        more = f" and {len(mentions) - 3} more" if len(mentions) > 3 else ""
        return f"route {', '.join(str(one) for one in mentions[:3])}{more}" if mentions else ""
