"""What a sandbox is made of: its account, its sample calls and how it answers.

Everything has a default that behaves as the platform's documentation says; the switches exist because the
documentation contradicts itself or is silent, and a client has to live with either answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from mediapipe.sandbox.scenario import FaultRule

DAY_S = 86_400
UPLOAD_LIMIT_BYTES = 50_000_000
"""The documented 50 MB, read as decimal; prompts and calls share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """One sandbox: account, sample data, answers. Times are in seconds, shares between 0 and 1."""

    # The account
    email: str = "demo@sandbox.example"
    password: str = "sandbox-password"  # noqa: S105 - the published login of a loopback tool
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"  # noqa: S105
    role_id: int = 1
    """1 Admin, 2 Standard, 3 ReadOnly (which may create and delete nothing)."""

    # The sample calls: the same seed, count and until give the same bytes
    seed: int = 7
    count: int = 300
    days: int = 28
    until: date | None = None
    """The calls end before this day begins (UTC); None is the day the sandbox is first started."""
    seconds_min: float = 2.0
    seconds_max: float = 8.0
    """Length of a recording, uniform between the two."""
    mp3_share: float = 0.5
    stereo_share: float = 0.4
    none_share: float = 0.08
    """Calls that never get a recording."""
    late_share: float = 0.04
    """Calls whose recording appears minutes to hours after the call."""
    newest_late: int = 3
    """The newest recorded calls whose recording appears only a day after ``until``."""
    mp3_only: bool = False
    wav_only: bool = False

    # Tokens
    login_limit_per_minute: int = 10
    """Logins per minute and address and API generation; 0 is no limit."""
    wrapped_login: bool = False
    """Answer a v3 login with the wrapped shape instead of the bare one."""
    access_token_seconds: float = 7 * DAY_S
    refresh_token_seconds: float = 180 * DAY_S
    v2_token_seconds: float = 3600

    # Recordings
    url_seconds: float = 7 * DAY_S
    ranges: bool = True
    etags: bool = True
    lengths: bool = True
    """Send Content-Length with recordings; else the body is chunked."""
    cache_bytes: int = 32_000_000
    """Synthesised recordings kept in memory."""

    # Uploads and prompts
    upload_answer: Literal["empty", "json"] = "empty"
    upload_file_field: str = "recording_file"
    upload_limit_bytes: int = UPLOAD_LIMIT_BYTES
    prompt_id_key: str = "id"
    """The field that carries a prompt's id in v3 answers; empty: none does."""
    prompt_name_partial: bool = True
    """The list filter ``name`` matches parts of a name; the documentation does not say."""
    prompt_page_size: int = 0
    """The most entries the v3 list shows at once, by limit and offset; 0: all of them, whatever is asked."""
    prompt_list_wrapped: bool = False
    """Answer the v3 list as ``{"items": […], "total": n}`` instead of the bare list."""
    prompt_shows_size: bool = True

    # Provisioned routes
    routes: bool = True
    """Whether the endpoint is there at all."""
    routes_show_audio: bool = True
    routes_list_audio: bool = True
    """Show a route's audio in the list too; else only where a route is asked for alone."""

    # The sandbox itself
    data: Path | None = None
    """Folder that keeps uploads, prompts, tokens and the sample's parameters; None: memory only."""
    faults: tuple[FaultRule, ...] = ()
    now: datetime | None = None
    """Stand still at this instant (the clock endpoint moves it); None is the real clock."""
    public_url: str = ""
    """Base of signed URLs; empty takes the host the client asked."""

    def __post_init__(self) -> None:
        if self.count < 0 or self.days < 1:
            raise ValueError("count must not be negative and days must be at least 1")
        if not 0 < self.seconds_min <= self.seconds_max:
            raise ValueError("seconds_min must be above 0 and not above seconds_max")
        if self.mp3_only and self.wav_only:
            raise ValueError("mp3_only and wav_only exclude each other")

    def environment(self, url: str) -> dict[str, str]:
        """Return the settings a client needs to use the sandbox served at ``url``."""
        return {
            "CONVIRZA_V3_URL": f"{url}/v3",
            "CONVIRZA_V3_OAUTH_URL": f"{url}/v3-oauth/oauth",
            "CONVIRZA_V2_URL": f"{url}/v2",
            "CONVIRZA_V2_OAUTH_URL": f"{url}/v2-oauth/oauth",
            "CONVIRZA_EMAIL": self.email,
            "CONVIRZA_PASSWORD": self.password,
            "CONVIRZA_CLIENT_ID": self.client_id,
            "CONVIRZA_CLIENT_SECRET": self.client_secret,
        }
