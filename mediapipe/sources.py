"""Where settings come from: profile files, the environment, flags; and for secrets a command or the keyring.

Each layer can say where the user gave a value (``origin``), so that a wrong one is reported there. Nothing
here knows which settings exist: that is read from the model. No message ever quotes a secret.
"""

from __future__ import annotations

import difflib
import subprocess
import tomllib
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_origin

import platformdirs
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from mediapipe.errors import CredentialsError, UsageError
from mediapipe.redact import redact

KeyPath = tuple[str, ...]
"""Where a setting stands: ``("workers",)`` or ``("archive", "lookback")``."""

SHORT_NAMES: Mapping[KeyPath, str] = {("archive", "dest"): "MEDIAPIPE_DEST"}
"""Variables that are named like their flag, not like their section."""

OTHER_VARIABLES = frozenset(
    {
        "MEDIAPIPE_PROFILE",
        "MEDIAPIPE_CONFIG_DIR",
        # Flags of a command that are no settings; the command line reads them itself.
        "MEDIAPIPE_ALL_OR_NOTHING",
        "MEDIAPIPE_DRY_RUN",
        "MEDIAPIPE_ENGINE",
        "MEDIAPIPE_FROM",
        "MEDIAPIPE_EXIT_CODE",
        "MEDIAPIPE_FORCE",
        "MEDIAPIPE_INSIST",
        "MEDIAPIPE_JSON",
        "MEDIAPIPE_NO_AUDIO",
        "MEDIAPIPE_NO_WAIT",
        "MEDIAPIPE_PRUNE",
        "MEDIAPIPE_PRUNE_FOREIGN",
        "MEDIAPIPE_REPORT",
        "MEDIAPIPE_RESEND_UNCERTAIN",
        "MEDIAPIPE_ROOT",
        "MEDIAPIPE_SHARD",
        "MEDIAPIPE_TO",
    }
)
"""Variables that are not settings."""

COMMAND_SECONDS = 30.0


def fields_of(model: type[BaseModel]) -> dict[KeyPath, FieldInfo]:
    """Return every setting of a settings model by its path; a section is taken apart, not listed."""
    found: dict[KeyPath, FieldInfo] = {}
    for name, field in model.model_fields.items():
        if section := section_model(field):
            found |= {(name, key): inner for key, inner in section.model_fields.items()}
        else:
            found[(name,)] = field
    return found


def section_model(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a section such as ``[archive]``, or None for a plain setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def variable_of(path: KeyPath) -> str:
    """Return the name of the environment variable of a setting."""
    if path in SHORT_NAMES:
        return SHORT_NAMES[path]
    joined = "_".join(path).upper()
    return joined if path[0] == "convirza" else f"MEDIAPIPE_{joined}"


def did_you_mean(wrong: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean x?"`` for a slip of the pen, else an empty text."""
    close = difflib.get_close_matches(wrong, list(allowed), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class Layer(PydanticBaseSettingsSource):
    """One layer of settings, and words for where a value stands."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[KeyPath, Any]) -> None:
        super().__init__(settings_cls)
        self.values = dict(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what this layer says of one top-level field."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the layer as nested mappings, ready to be merged with the others."""
        nested: dict[str, Any] = {}
        for (*sections, key), value in self.values.items():
            place = nested
            for part in sections:
                place = place.setdefault(part, {})
            place[key] = value
        return nested

    def holds(self, path: KeyPath) -> bool:
        """Tell whether this layer says anything at, above or under ``path``."""
        return any(path[: len(mine)] == mine or mine[: len(path)] == path for mine in self.values)

    @abstractmethod
    def origin(self, path: KeyPath) -> str:
        """Say where the user gave this setting."""


class FlagLayer(Layer):
    """What was given on the command line; keys are dotted paths."""

    def __init__(self, settings_cls: type[BaseSettings], flags: Mapping[str, Any]) -> None:
        super().__init__(settings_cls, {tuple(name.split(".")): value for name, value in flags.items()})

    def origin(self, path: KeyPath) -> str:
        """Name the flag."""
        return f"flag --{path[-1].replace('_', '-')}"


class EnvironmentLayer(Layer):
    """What the environment says. An empty variable counts as not given; unknown ones become warnings."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        fields = fields_of(settings_cls)
        known = {variable_of(path): path for path in fields}
        given = {path: environ[name] for name, path in known.items() if environ.get(name)}
        super().__init__(settings_cls, {path: _from_text(fields[path], text) for path, text in given.items()})
        allowed = known.keys() | OTHER_VARIABLES
        strange = sorted(n for n in environ.keys() - allowed if n.startswith(("MEDIAPIPE_", "CONVIRZA_")))
        # Someone who follows the scheme to the letter is told the short name, not a similar one.
        short = {f"MEDIAPIPE_{'_'.join(path).upper()}": name for path, name in SHORT_NAMES.items()}
        self.warnings = tuple(
            f"environment variable {name} is not known and was ignored"
            + (f"; did you mean {short[name]}?" if name in short else _similar(name, allowed))
            for name in strange
        )

    def origin(self, path: KeyPath) -> str:
        """Name the variable, or those of a section."""
        inside = [mine for mine in self.values if mine[: len(path)] == path]
        return f"environment variable {', '.join(map(variable_of, inside or [path]))}"


def _similar(name: str, allowed: Iterable[str]) -> str:
    """Compare without the prefix that all names share: it would make any two of them look alike."""
    prefix = name.partition("_")[0] + "_"
    rest = {other.removeprefix(prefix): other for other in allowed if other.startswith(prefix)}
    close = difflib.get_close_matches(name.removeprefix(prefix), list(rest), n=1)
    return f"; did you mean {rest[close[0]]}?" if close else ""


def _from_text(field: FieldInfo, text: str) -> Any:
    """Read ``name=value,name=value`` where a setting is a table; anything else is left to the model."""
    if get_origin(field.annotation) is not dict:
        return text
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


class ProfileLayer(Layer):
    """What a profile file says. A secret in a file is refused: files are copied, committed and mailed."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        self.file = file
        content = read_toml(file)
        sections = {name for name, field in settings_cls.model_fields.items() if section_model(field)}
        flat: dict[KeyPath, Any] = {}
        for name, value in content.items():
            if name not in sections:
                flat[(name,)] = value
            elif isinstance(value, dict):
                flat |= {(name, key): inner for key, inner in value.items()}
            else:
                raise UsageError(f"profile {file}: {name} is a section: write [{name}] and its keys below it")
        for path, field in fields_of(settings_cls).items():
            if path in flat and "SecretStr" in str(field.annotation):
                problem = f"profile {file}: {'.'.join(path)}: a profile holds no secrets"
                raise UsageError(problem, hint=_secret_hint(path))
        super().__init__(settings_cls, flat)

    def origin(self, path: KeyPath) -> str:
        """Name the file."""
        return f"profile {self.file}"


def describe(problem: ErrorDetails, layers: Iterable[Layer], model: type[BaseModel]) -> str:
    """Say in one line where a wrong setting was given, what is wrong and what would be right."""
    path: KeyPath = tuple(str(part) for part in problem["loc"])
    where = next((layer.origin(path) for layer in layers if layer.holds(path)), "settings")
    name = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{where}: {name}: unknown key{_allowed(path, model)}"
    what = problem["msg"].removeprefix("Value error, ").replace("Input should", "must")
    # Our own validators quote what they may; addresses, commands and DSNs may carry a password.
    quotable = problem["type"] != "value_error" and path[0] not in ("convirza", "ledger")
    given = f", not {redact(str(problem['input']))[:60]!r}" if quotable and path in fields_of(model) else ""
    return f"{where}: {name}: {what}{given}"


def _allowed(path: KeyPath, model: type[BaseModel]) -> str:
    field = model.model_fields.get(path[0])
    section = section_model(field) if field and len(path) > 1 else None
    names = list((section or model).model_fields)
    return f"{did_you_mean(path[-1], names)} (allowed: {', '.join(names)})"


def _secret_hint(path: KeyPath) -> str:
    command = f", {path[-1]}_command or the keyring" if path[-1] in ("password", "client_secret") else ""
    return f"use the environment variable {variable_of(path)}{command}"


def read_toml(file: Path) -> dict[str, Any]:
    """Return a TOML file's content, or raise ``UsageError`` naming file and line."""
    try:
        return tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"profile {file}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"profile {file}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"profile {file}: is not valid TOML: {error}") from None


def profile_folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where profiles are looked for: the user's own folder first, then the shipped ones."""
    own = environ.get("MEDIAPIPE_CONFIG_DIR") or platformdirs.user_config_dir("mediapipe", appauthor=False)
    package = Path(__file__).resolve().parent
    # A wheel carries the profiles inside the package; in a source tree they stand beside it.
    shipped = package / "profiles"
    return Path(own).expanduser() / "profiles", shipped if shipped.is_dir() else package.parent / "profiles"


def find_profile(name: str, environ: Mapping[str, str]) -> Path:
    """Return the file of a profile given by name or by path, or raise ``UsageError`` listing the names."""
    if name.endswith(".toml") or any(mark in name for mark in "/\\"):
        file = Path(name).expanduser()
        if not file.is_file():
            raise UsageError(f"profile {name}: no such file")
        return file
    folders = profile_folders(environ)
    for folder in folders:
        if (file := folder / f"{name}.toml").is_file():
            return file
    names = sorted({file.stem for folder in folders for file in folder.glob("*.toml")})
    hint = f"available: {', '.join(names) or 'none'}; own ones belong in {folders[0]}"
    raise UsageError(f"profile {name}: there is none of this name{did_you_mean(name, names)}", hint=hint)


SecretName = Literal["password", "client_secret"]


def resolve_secret(
    name: SecretName,
    *,
    value: SecretStr | None,
    command: tuple[str, ...] = (),
    keyring_service: str = "",
    keyring_user: str | None = None,
    seconds: float = COMMAND_SECONDS,
) -> SecretStr:
    """Return a secret from its value, else its command (at most ``seconds``), else the keyring. Blocks.

    Raises ``CredentialsError`` when none has it.
    """
    if value is not None and value.get_secret_value():
        return value
    if command:
        return SecretStr(_from_command(command, f"convirza.{name}_command", seconds))
    if keyring_user and (kept := _from_keyring(keyring_service, keyring_user)):
        return SecretStr(kept)
    variable = variable_of(("convirza", name))
    raise CredentialsError(
        f"no {name.replace('_', ' ')} was given",
        code="no_secret",
        hint=f"set {variable} or {variable}_COMMAND, or keep it in the keyring",
    )


def _from_command(command: tuple[str, ...], setting: str, seconds: float) -> str:
    """Return the first line that a command prints. Neither its output nor its arguments are ever quoted."""
    program = f"{setting} ({Path(command[0]).name})"
    try:
        # stderr is dropped: it may hold what the command found.
        with subprocess.Popen(  # noqa: S603  # the user's own command, never through a shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except BaseException:
                # Not read to its end: a grandchild may hold the pipe open for ever.
                process.kill()
                raise
    except subprocess.TimeoutExpired:
        raise CredentialsError(f"{program} did not end within {seconds:g} s", code="secret_command") from None
    except OSError as error:
        problem = f"{program} cannot be started: {error.strerror or type(error).__name__}"
        raise CredentialsError(problem, code="secret_command") from None
    if process.returncode:
        problem = f"{program} ended with exit code {process.returncode}"
        raise CredentialsError(problem, code="secret_command", hint="run it by hand to see why")
    first = output.decode("utf-8", "replace").partition("\n")[0].rstrip("\r")
    if not first:
        raise CredentialsError(f"{program} printed nothing on its first line", code="secret_command")
    return first


def _from_keyring(service: str, user: str) -> str | None:
    """Return what the keyring holds, or None where there is no keyring or no entry."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        return keyring.get_password(service, user)
    except (keyring.errors.NoKeyringError, keyring.errors.InitError):
        return None
    except keyring.errors.KeyringError as error:
        raise CredentialsError(f"the keyring refused: {type(error).__name__}", code="keyring") from None
