"""Settings: defaults < profile TOML < environment < flags, checked as one and frozen.

Every setting has a default here and a variable in the environment: ``CONVIRZA_<KEY>`` for the section
``[convirza]``, else ``MEDIAPIPE_<KEY>`` or ``MEDIAPIPE_<SECTION>_<KEY>``. A wrong key or value is one
``UsageError`` that says where it was given; an unknown variable is a warning. A secret is a
``SecretStr``, never stands in a file, and is fetched late with :func:`mediapipe.sources.resolve_secret`.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import string
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import AfterValidator as After
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SecretStr, ValidationError
from pydantic import BeforeValidator as Before
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from mediapipe import layout, sources
from mediapipe.audio.options import AudioOptions, QualityRules
from mediapipe.durations import format_duration, parse_duration, parse_size
from mediapipe.errors import UsageError
from mediapipe.library.options import PromptOptions
from mediapipe.manifest.options import ManifestOptions
from mediapipe.redact import redact
from mediapipe.stores.options import StoreOptions


def _http_url(value: str) -> str:
    # Looked for in the whole: a password with a slash would hide its '@' in the path.
    if any(mark in value for mark in "@?#"):
        raise ValueError("must be a plain address without user name, query or fragment")
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:  # its words quote the address
        usable = False
    if not usable:
        raise ValueError("must be an https:// or http:// address with a host")
    return value.rstrip("/")


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _command(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("must be a command line with balanced quotes") from None


def _account(value: str) -> str:
    if not value or value != value.strip() or any(c in "|/" or not c.isprintable() for c in value):
        raise ValueError("must be a name without '/', '|', control characters or blanks around it")
    return value


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone of the IANA list, such as UTC or America/Denver") from None


def _layout(value: str) -> str:
    """Check a key template: known fields, both ids, and no way for two recordings to share a key."""
    try:
        pieces = list(string.Formatter().parse(value))
    except ValueError:
        raise ValueError("must be a template with balanced braces") from None
    used = [(field, spec, how) for _, field, spec, how in pieces if field is not None]
    if any(field not in layout.FIELDS or spec or how for field, spec, how in used):
        raise ValueError(f"may use only {', '.join(f'{{{field}}}' for field in layout.FIELDS)}")
    names = {field for field, _, _ in used}
    if missing := [f"{{{field}}}" for field in ("call_id", "recording_id") if field not in names]:
        raise ValueError(f"must hold {' and '.join(missing)}: without it two recordings could share a key")
    for before, after in itertools.pairwise(pieces):
        if not after[0] and {before[1], after[1]} & {"call_id", "recording_id"}:
            raise ValueError("must have a character between an id and its neighbour: 1, 23 is not 12, 3")
    parts = value.split("/")
    if any(part in ("", ".", "..") for part in parts) or parts[0] == "catalogue":
        raise ValueError("must be a relative path without empty parts, '.' or '..', and not below catalogue/")
    return value


def _hours(value: object) -> object:
    """Read ``22:00-06:00`` as two minutes of the day."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)\s*", value)
    if match is None:
        raise ValueError("must be two times of the day, such as 22:00-06:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if start == end:
        raise ValueError("must begin and end at different times")
    return start, end


Url = Annotated[str, After(_http_url)]
Hours = Annotated[tuple[int, int] | None, Before(_hours)]
Globs = Annotated[tuple[str, ...], Before(_listed)]
Command = Annotated[tuple[str, ...], Before(_command)]
Duration = Annotated[
    timedelta,
    Before(lambda given: parse_duration(given) if isinstance(given, str | int | float) else given),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
Seconds = Annotated[
    float, Before(lambda given: parse_duration(given).total_seconds() if isinstance(given, str) else given)
]
Bytes = Annotated[int, Before(lambda given: parse_size(given) if isinstance(given, str) else given)]
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ConvirzaSettings(BaseModel):
    """``[convirza]``: where the platform is and who we are there."""

    model_config = _STRICT

    v3_url: Url = Field("https://platform-api.convirza.com/v3", description="v3 API base")
    v3_oauth_url: Url = Field("https://platform-oauth.convirza.com/oauth", description="v3 OAuth base")
    v2_url: Url = Field("https://apicfa.convirza.com/v2", description="v2 API base")
    v2_oauth_url: Url = Field("https://apicfa.convirza.com/oauth", description="v2 OAuth base")
    email: str | None = Field(None, description="login of both API generations", min_length=1)
    password: SecretStr | None = Field(None, description="password of that login; environment only")
    password_command: Command = Field((), description="command whose first line of output is the password")
    client_id: str | None = Field(None, description="the v2 login also needs it", min_length=1)
    client_secret: SecretStr | None = Field(None, description="the v2 login also needs it; environment only")
    client_secret_command: Command = Field((), description="command that prints the client secret")
    v3_token: SecretStr | None = Field(None, description="a ready v3 bearer token, instead of a login")
    v2_token: SecretStr | None = Field(None, description="a ready v2 bearer token, instead of a login")
    account: Annotated[str, After(_account)] = Field(
        "default", description="your name for the account; part of every ledger key", max_length=100
    )
    recording_hosts: Globs = Field(("*.convirza.com",), description="hosts of recordings' URLs, as globs")
    keyring_service: str = Field(
        "convirza-mediapipe", description="keyring entry; user is the email or the client id", min_length=1
    )


class PaceSettings(BaseModel):
    """``[pace]``: how fast the platform is asked, and how long we wait and try again."""

    model_config = _STRICT

    requests_per_second: float = Field(5.0, description="API requests a second", gt=0, le=10_000)
    logins_per_minute: float = Field(8.0, description="a minute; the platform allows 10", gt=0, le=1_000)
    connect_timeout: Seconds = Field(10.0, description="to open a connection", gt=0, le=300)
    read_timeout: Seconds = Field(60.0, description="to wait for the next bytes of an answer", gt=0, le=3600)
    request_deadline: Seconds = Field(600.0, description="longest time of one API request", gt=0, le=86_400)
    stall_timeout: Seconds = Field(60.0, description="a silent download is given up", gt=0, le=3600)
    retry_attempts: int = Field(8, description="tries of one request, with the first", ge=1, le=100)
    retry_initial_wait: Seconds = Field(0.25, description="wait before the second try", gt=0, le=60)
    retry_max_wait: Seconds = Field(30.0, description="longest wait between two tries", gt=0, le=3600)
    retry_total: Seconds = Field(300.0, description="no new try after this time", gt=0, le=86_400)


class ArchiveSettings(BaseModel):
    """``[archive]``: which recordings are copied, when, and where to."""

    model_config = _STRICT

    dest: str | None = Field(None, description="s3://bucket/prefix, file:///folder or a path", min_length=1)
    lookback: Duration = Field(timedelta(days=10), description="span listed again each run", ge=timedelta())
    settle: Duration = Field(timedelta(minutes=15), description="the last minutes left alone", ge=timedelta())
    waiting_age: Duration = Field(
        timedelta(days=7), description="a call still without recording at this age is absent", gt=timedelta()
    )
    window: Duration = Field(
        timedelta(days=1), description="span of one listing", ge=timedelta(minutes=1), le=timedelta(days=1)
    )
    window_max_calls: int = Field(5_000, description="a window with more calls is halved", ge=1, le=1_000_000)
    walk_attempts: int = Field(6, description="walks of a window until its calls hold still", ge=2, le=100)
    page_size: int = Field(200, description="calls asked for at once", ge=1, le=200)
    url_margin: Seconds = Field(60.0, description="a URL is renewed so long before it expires", ge=0, le=3600)
    url_budget: int = Field(3, description="URLs asked for one recording before it fails", ge=1, le=20)
    processes: int = Field(0, description="processes that transfer; 0 is one per core", ge=0, le=64)
    spool_memory: Bytes = Field(4 * 2**20, description="bytes of a recording kept in memory", ge=0)
    spool_budget: Bytes = Field(512 * 2**20, description="bytes of all recordings in flight", ge=2**20)
    max_recording_bytes: Bytes = Field(5 * 10**9, description="a longer recording fails", ge=1)
    layout: Annotated[str, After(_layout)] = Field(layout.DEFAULT_TEMPLATE, description="template of keys")
    keep_unreadable: bool = Field(False, description="keep audio whose header cannot be read, as it is")
    allow_overwrite_unsafe: bool = Field(False, description="take a store that ignores conditional writes")


class ImportSettings(BaseModel):
    """``[imports]``: how historical calls are uploaded, and how an uncertain upload is looked up."""

    model_config = _STRICT

    uploads: int = Field(2, description="uploads at the same time, at most", ge=1, le=64)
    bytes_per_second: Bytes = Field(0, description="bytes sent a second, at most; 0 is no limit", ge=0)
    between: Hours = Field(None, description="hours in which uploads begin, such as 22:00-06:00, in tz")
    max_duration: Duration | None = Field(
        None, description="no upload begins after this time", gt=timedelta()
    )
    max_items: int | None = Field(None, description="uploads of one run, at most", ge=1)
    daily_budget: int | None = Field(None, description="uploads of one day (UTC), at most", ge=1)
    canary: int = Field(
        0, description="uploads that have to show up as meant before the others", ge=0, le=1000
    )
    file_field: str = Field("recording_file", description="name of the part with the audio", min_length=1)
    retry_503: bool = Field(True, description="a 503 with Retry-After was refused before it acted")
    resolve_groups: bool = Field(True, description="look groups up before the first upload")
    look_first: int = Field(20, description="rows a new ledger looks up first; 0 for none", ge=0, le=1000)
    marker_slot: int | None = Field(
        None, description="custom_source_type_N that carries a marker of its own", ge=1, le=5
    )
    lag: Duration = Field(
        timedelta(minutes=2), description="an upload may take so long to be listed", ge=timedelta()
    )
    time_slack: Seconds = Field(
        2.0, description="seconds that a listed call may differ in time", ge=0, le=600
    )
    look_margin: Seconds = Field(300.0, description="seconds looked at on both sides", ge=1, le=86_400)
    created_is_upload_time: bool | None = Field(
        None,
        description="whether uploads are listed with call_created of their upload; found out unless said",
    )
    uncertain_in_a_row: int = Field(20, description="after so many the platform counts as down", ge=1)
    relist_for: Duration = Field(
        timedelta(days=7), description="archive windows with imported calls are listed again", ge=timedelta()
    )
    by_url: bool = Field(False, description="hand addresses on; no byte of the audio passes through here")
    url_seconds: Seconds = Field(86_400.0, description="life of a presigned s3:// address", ge=60, le=604_800)
    source_hosts: Globs = Field(
        (), description="hosts of https:// recordings, as globs; empty takes any public one"
    )
    max_source_bytes: Bytes = Field(2 * 10**9, description="a longer remote recording is not fetched", ge=1)


_LAYERS: ContextVar[tuple[sources.Layer, ...]] = ContextVar("settings_layers", default=())


def mask_dsn(dsn: str | None) -> str | None:
    """Return a DSN fit to be shown: its password masked, whatever characters it holds."""
    if dsn is None or "://" not in dsn:
        return dsn
    scheme, _, rest = dsn.partition("://")
    # Up to the last '@': an unescaped password may hold '@', '/' and ':' itself.
    user, at, place = rest.rpartition("@")
    return redact(f"{scheme}://{user.partition(':')[0]}:***@{place}" if at and ":" in user else dsn)


class Settings(BaseSettings):
    """All settings. ``Settings()`` is the defaults alone; :func:`load_settings` reads the layers."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    convirza: ConvirzaSettings = Field(default_factory=ConvirzaSettings)
    pace: PaceSettings = Field(default_factory=PaceSettings)
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings)
    store: StoreOptions = Field(default_factory=StoreOptions)
    imports: ImportSettings = Field(default_factory=ImportSettings)
    prompts: PromptOptions = Field(default_factory=PromptOptions)
    manifest: ManifestOptions = Field(default_factory=ManifestOptions)
    audio: AudioOptions = Field(default_factory=AudioOptions)
    quality: QualityRules = Field(default_factory=QualityRules)
    # May carry a password, so it is never shown as it is.
    ledger: Annotated[str | None, PlainSerializer(mask_dsn, when_used="json")] = Field(
        None, description="ledger: a path, sqlite:///path or postgresql://…", min_length=1, repr=False
    )
    workers: int = Field(8, description="items worked on at the same time, at most", ge=1, le=64)
    state_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_state_dir("mediapipe", appauthor=False)),
        description="folder of run outputs, cached tokens and the default ledger",
    )
    log_format: Literal["text", "json"] = Field("text", description="form of the log on stderr")
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Before(lambda value: value.upper() if isinstance(value, str) else value),
    ] = Field("INFO", description="least severe log line shown")
    quiet: bool = Field(False, description="no progress bars, warnings only")
    tz: Annotated[str, After(_zone)] = Field("UTC", description="zone of dates without an offset")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Source,
        env_settings: Source,
        dotenv_settings: Source,
        file_secret_settings: Source,
    ) -> tuple[Source, ...]:
        """Take the layers of :func:`load_settings`, highest first, and nothing behind the user's back."""
        return (init_settings, *_LAYERS.get())

    @property
    def ledger_dsn(self) -> str:
        """The ledger in force: the one given, else a SQLite file in the state folder. May hold a password."""
        return self.ledger or f"sqlite:///{self.state_dir.expanduser().absolute() / 'ledger.db'}"

    @property
    def runs_dir(self) -> Path:
        """Where each run's outputs go, in a folder of its own."""
        return self.state_dir.expanduser() / "runs"

    @property
    def tokens_dir(self) -> Path:
        """Where bearer tokens are cached between runs."""
        return self.state_dir.expanduser() / "tokens"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, what was odd about the environment, and the profile file in force."""

    settings: Settings
    warnings: tuple[str, ...] = ()
    profile_path: Path | None = None


def load_settings(
    profile: str | None, flags: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Loaded:
    """Return the settings in force, or raise ``UsageError`` for the first thing that is wrong.

    ``profile`` is a name or a file (else ``MEDIAPIPE_PROFILE``). ``flags`` holds only what the user gave,
    by dotted path such as ``archive.lookback``. ``environ`` is the process's environment unless given.
    """
    environ = os.environ if environ is None else environ
    profile = profile or environ.get("MEDIAPIPE_PROFILE")
    file = sources.find_profile(profile, environ) if profile else None
    environment = sources.EnvironmentLayer(Settings, environ)
    layers: tuple[sources.Layer, ...] = (sources.FlagLayer(Settings, flags), environment)
    if file is not None:
        layers += (sources.ProfileLayer(Settings, file),)
    token = _LAYERS.set(layers)
    try:
        settings = Settings()
    except ValidationError as error:
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UsageError(sources.describe(problems[0], layers, Settings) + more) from None
    finally:
        _LAYERS.reset(token)
    return Loaded(settings, environment.warnings, file)
