"""What the platform answers, read liberally: every quirk that is known of is accepted here and nowhere else.

A call keeps its raw record (for the sidecar) beside the few fields the tool acts on. The grant, the
signed URL of a recording, never shows in a repr.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

from mediapipe.errors import Failed, Transient
from mediapipe.redact import without_grants

MILLISECONDS_ABOVE = 1e11
"""A time stamp above this is in milliseconds (an assumption; in seconds it would be the year 5138)."""

NO_RECORDING_ID = "0"
"""Stands in when a recording has a URL but no id (an assumption; no source shows such a call)."""


def instant(value: object) -> float | None:
    """Return a time as Unix seconds: a number, a numeric string (seconds or ms) or ISO 8601; else None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return None
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    try:
        seconds = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer of hundreds of digits
        return None
    if not math.isfinite(seconds):
        return None
    return seconds / 1000 if abs(seconds) > MILLISECONDS_ABOVE else seconds


def lifetime(value: object, now: float) -> float | None:
    """Return ``expires_in`` as the Unix second of expiry: v2 says seconds from now, v3 an ISO instant."""
    seconds = instant(value)
    return now + seconds if seconds is not None and 0 <= seconds < 1e9 else seconds


def _as_datetime(value: object) -> datetime | None:
    seconds = instant(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _as_id(value: object) -> str | None:
    """Accept an id as a number or text; nothing else, and never an empty one."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


OptionalId = Annotated[str | None, BeforeValidator(_as_id)]
Moment = Annotated[datetime | None, BeforeValidator(_as_datetime)]


class RecordingDetails(BaseModel):
    """``recording_details`` of a call. Only ``url`` makes a recording; everything else may lie."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    recording_id: OptionalId = None
    url: Annotated[SecretStr | None, BeforeValidator(_as_text)] = None
    expires_at: Annotated[float | None, BeforeValidator(instant)] = None
    duration: Annotated[str | None, BeforeValidator(_as_text)] = None
    size: Annotated[str | None, BeforeValidator(_as_text)] = None


class _Detail(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    call_created: Moment = None


class _Fields(BaseModel):
    """The fields of a call that the tool acts on."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    call_id: Annotated[str, BeforeValidator(_as_id)]
    call_started: Moment = None
    recording_details: Annotated[
        RecordingDetails | None, BeforeValidator(lambda v: v if isinstance(v, Mapping) and v else None)
    ] = None
    call_detail: Annotated[
        _Detail | None, BeforeValidator(lambda v: v if isinstance(v, Mapping) else None)
    ] = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A signed recording URL. A credential: used at once, never stored, never shown.

    ``expires_at`` is in Unix seconds of the platform's clock; ``granted_at`` the same clock's time when
    the answer that carried it was written.
    """

    url: str = field(repr=False)
    expires_at: float | None
    granted_at: float

    def fresh(self, margin: float, now: float) -> bool:
        """Tell whether it will live ``margin`` seconds more, or a quarter of its life when that is less."""
        if self.expires_at is None:
            return True
        life = max(0.0, self.expires_at - self.granted_at)
        return self.expires_at - now > min(margin, life / 4)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its id, when it started (UTC), its recording if it has one, and its record.

    ``claimed_duration_s`` and ``claimed_bytes`` are what ``recording_details`` says: the size is that of the
    uncompressed audio, so what is served may be far smaller.
    """

    call_id: str
    started: datetime | None
    recording_id: str | None
    claimed_duration_s: float | None
    raw: Mapping[str, Any] = field(repr=False)
    grant: Grant | None = field(repr=False, default=None)
    claimed_bytes: int | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The API record without its grants, fit to be kept; made when asked for."""
        try:
            return without_grants(self.raw)
        except RecursionError:
            raise Failed("the call's record is nested beyond all reason", code="unreadable_record") from None


def read_call(raw: object, *, server_time: float) -> Call:
    """Return a call from its API record; raises ``Transient`` when it is no call record at all."""
    try:
        fields = _Fields.model_validate(raw)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "record"
        raise Transient(
            f"the platform sent a call that cannot be read ({where})", code="unreadable_answer"
        ) from None
    details = fields.recording_details
    url = details.url.get_secret_value().strip() if details and details.url else ""
    grant = Grant(url, details.expires_at if details else None, server_time) if url else None
    started = fields.call_started or (fields.call_detail.call_created if fields.call_detail else None)
    return Call(
        call_id=fields.call_id,
        started=started,
        recording_id=((details.recording_id if details else None) or NO_RECORDING_ID) if grant else None,
        claimed_duration_s=clock_duration(details.duration) if details else None,
        claimed_bytes=claimed_size(details.size) if details else None,
        raw=cast(Mapping[str, Any], raw),  # pydantic has read fields from it
        grant=grant,
    )


def claimed_size(text: str | None) -> int | None:
    """Return ``"39009kB"`` in bytes: the platform's kB are 1,024 bytes; None for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,12})\s*kB\s*", text or "", re.IGNORECASE)
    return int(match[1]) * 1024 if match else None


def clock_duration(text: str | None) -> float | None:
    """Return ``HH:MM:SS.ss`` (or plain seconds) in seconds, or None."""
    if not text:
        return None
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        return None
    if len(parts) > 3 or not all(math.isfinite(part) and part >= 0 for part in parts):
        return None
    seconds = float(sum(part * 60.0**power for power, part in enumerate(reversed(parts))))
    return seconds if math.isfinite(seconds) else None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the calls list; ``total`` is what the platform says the whole list holds, if it says.

    ``received`` is how many records the page had (None: as many as there are calls); ``unreadable`` of
    them are no calls that can be read.
    """

    calls: tuple[Call, ...]
    total: int | None
    received: int | None = None
    unreadable: int = 0

    @property
    def length(self) -> int:
        """How far the offset moves behind this page."""
        return len(self.calls) if self.received is None else self.received


class User(BaseModel):
    """Who a login is, as far as the platform says."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: OptionalId = None
    email: str | None = None
    role_id: int | None = None
    org_unit_id: OptionalId = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login or refresh gave. Times in Unix seconds; a secret throughout."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False, default=None)
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    user: User | None = None


def read_tokens(body: object, now: float | None = None) -> Tokens | None:
    """Return the tokens of a login answer, bare or wrapped in ``data``; None when it holds none."""
    if not isinstance(body, Mapping):
        return None
    now = time.time() if now is None else now
    data = body.get("data")
    bare = data if isinstance(data, Mapping) and data.get("access_token") else body
    access = bare.get("access_token")
    if not isinstance(access, str) or not access:
        return None
    refresh = bare.get("refresh_token")
    user = bare.get("user")
    try:
        who = User.model_validate(user) if isinstance(user, Mapping) else None
    except ValidationError:
        who = None  # who one is is a courtesy; a login is not refused over it
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) and refresh else None,
        expires_at=lifetime(bare.get("expires_in"), now),
        refresh_expires_at=lifetime(bare.get("refresh_expires_in"), now),
        user=who,
    )
