import json
import pickle
import shlex
import sys
import time
from datetime import timedelta
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import pytest
from pydantic import SecretStr, ValidationError

from mediapipe import sources
from mediapipe.errors import CredentialsError, ExitCode, UsageError
from mediapipe.settings import Settings, load_settings

SECRET = "s3cr3t-Gr4nt/9"


@pytest.fixture
def profile(tmp_path):
    def write(text):
        file = tmp_path / "mine.toml"
        file.write_text(text, "utf-8")
        return str(file)

    return write


def refused(profile=None, flags=None, environ=None):
    with pytest.raises(UsageError) as caught:
        load_settings(profile, flags or {}, environ or {})
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ── precedence ──────────────────────────────────────────────────────────────────────────────────

TOML, ENV, FLAG = 11, 12, 13


@pytest.mark.parametrize(
    ("given", "workers"),
    [
        ((), 8),
        ((TOML,), TOML),
        ((ENV,), ENV),
        ((FLAG,), FLAG),
        ((TOML, ENV), ENV),
        ((TOML, FLAG), FLAG),
        ((ENV, FLAG), FLAG),
        ((TOML, ENV, FLAG), FLAG),
    ],
)
def test_defaults_then_profile_then_environment_then_flags(profile, given, workers):
    file = profile(f"workers = {TOML}") if TOML in given else None
    environ = {"MEDIAPIPE_WORKERS": str(ENV)} if ENV in given else {}
    flags = {"workers": FLAG} if FLAG in given else {}
    assert load_settings(file, flags, environ).settings.workers == workers


def test_layers_are_merged_key_by_key_within_a_section(profile):
    file = profile('[archive]\nlookback = "3d"\nsettle = "5m"\ndest = "/toml"')
    environ = {"MEDIAPIPE_ARCHIVE_SETTLE": "6m", "MEDIAPIPE_DEST": "/env"}
    archive = load_settings(file, {"archive.dest": "/flag"}, environ).settings.archive
    assert (archive.lookback, archive.settle) == (timedelta(days=3), timedelta(minutes=6))
    assert archive.dest == "/flag"
    assert archive.waiting_age == timedelta(days=7)


def test_an_empty_variable_counts_as_not_given():
    assert load_settings(None, {}, {"MEDIAPIPE_WORKERS": "", "CONVIRZA_EMAIL": ""}).settings == Settings()


def test_settings_alone_are_the_defaults_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("WORKERS", "3")
    monkeypatch.setenv("MEDIAPIPE_WORKERS", "3")
    assert Settings().workers == 8
    assert load_settings(None, {}).settings.workers == 3


def test_settings_are_frozen_and_travel_to_other_processes():
    settings = load_settings(None, {"workers": 3}, {"CONVIRZA_PASSWORD": SECRET}).settings
    with pytest.raises(ValidationError):
        settings.workers = 4
    with pytest.raises(ValidationError):
        settings.archive.page_size = 4
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301


# ── the published names ─────────────────────────────────────────────────────────────────────────

PUBLISHED = {
    "CONVIRZA_V3_URL": ("convirza.v3_url", "https://platform-api.convirza.com/v3", "https://x.example/v3"),
    "CONVIRZA_V3_OAUTH_URL": (
        "convirza.v3_oauth_url",
        "https://platform-oauth.convirza.com/oauth",
        "https://x.example/oauth",
    ),
    "CONVIRZA_V2_URL": ("convirza.v2_url", "https://apicfa.convirza.com/v2", "http://127.0.0.1:8765/v2"),
    "CONVIRZA_V2_OAUTH_URL": (
        "convirza.v2_oauth_url",
        "https://apicfa.convirza.com/oauth",
        "https://x.example/o",
    ),
    "CONVIRZA_EMAIL": ("convirza.email", None, "ops@example.com"),
    "CONVIRZA_PASSWORD": ("convirza.password", None, SECRET),
    "CONVIRZA_CLIENT_ID": ("convirza.client_id", None, "client"),
    "CONVIRZA_CLIENT_SECRET": ("convirza.client_secret", None, SECRET),
    "CONVIRZA_V3_TOKEN": ("convirza.v3_token", None, SECRET),
    "CONVIRZA_V2_TOKEN": ("convirza.v2_token", None, SECRET),
    "CONVIRZA_ACCOUNT": ("convirza.account", "default", "acme west"),
    "CONVIRZA_RECORDING_HOSTS": ("convirza.recording_hosts", ("*.convirza.com",), "a.example, *.b.example"),
    "MEDIAPIPE_LEDGER": ("ledger", None, "postgresql://u@h/d"),
    "MEDIAPIPE_WORKERS": ("workers", 8, "3"),
    "MEDIAPIPE_DEST": ("archive.dest", None, "s3://bucket/prefix"),
    "MEDIAPIPE_LOG_FORMAT": ("log_format", "text", "json"),
    "MEDIAPIPE_QUIET": ("quiet", False, "true"),
    "MEDIAPIPE_TZ": ("tz", "UTC", "America/Denver"),
}


def at(settings, path):
    for part in path.split("."):
        settings = getattr(settings, part)
    return settings.get_secret_value() if isinstance(settings, SecretStr) else settings


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_variable_has_its_setting_and_default(name):
    path, default, value = PUBLISHED[name]
    assert at(Settings(), path) == default
    loaded = load_settings(None, {}, {name: value})
    assert not loaded.warnings
    changed = at(loaded.settings, path)
    expected = {"MEDIAPIPE_WORKERS": 3, "MEDIAPIPE_QUIET": True}.get(name, value)
    assert changed == (("a.example", "*.b.example") if name == "CONVIRZA_RECORDING_HOSTS" else expected)


def test_every_setting_has_one_variable_and_a_description():
    fields = sources.fields_of(Settings)
    names = [sources.variable_of(path) for path in fields]
    assert len(set(names)) == len(names)
    assert not [path for path, field in fields.items() if not field.description]
    assert sources.variable_of(("archive", "lookback")) == "MEDIAPIPE_ARCHIVE_LOOKBACK"
    assert sources.variable_of(("convirza", "password_command")) == "CONVIRZA_PASSWORD_COMMAND"


def test_durations_sizes_lists_and_tables_from_the_environment():
    environ = {
        "MEDIAPIPE_ARCHIVE_WINDOW": "6h",
        "MEDIAPIPE_PACE_RETRY_TOTAL": "10m",
        "MEDIAPIPE_ARCHIVE_SPOOL_MEMORY": "1MiB",
        "MEDIAPIPE_STORE_TAGS": "team=ops, kind=recording",
        "MEDIAPIPE_STORE_STORAGE_CLASS": "STANDARD_IA",
        "MEDIAPIPE_LOG_LEVEL": "debug",
        "CONVIRZA_PASSWORD_COMMAND": "pass show 'my login'",
    }
    settings = load_settings(None, {}, environ).settings
    assert settings.archive.window == timedelta(hours=6)
    assert settings.pace.retry_total == 600.0
    assert settings.archive.spool_memory == 2**20
    assert settings.store.tags == {"team": "ops", "kind": "recording"}
    assert settings.store.storage_class == "STANDARD_IA"
    assert settings.log_level == "DEBUG"
    assert settings.convirza.password_command == ("pass", "show", "my login")


def test_an_unknown_variable_is_a_warning_without_its_value():
    environ = {
        "MEDIAPIPE_WORKER": SECRET,
        "CONVIRZA_PASWORD": SECRET,
        "MEDIAPIPE_ARCHIVE_DEST": "x",
        "HOME": "/",
    }
    loaded = load_settings(None, {}, environ)
    assert loaded.settings == Settings()
    assert len(loaded.warnings) == 3
    assert SECRET not in " ".join(loaded.warnings)
    assert any("MEDIAPIPE_WORKER " in w and "did you mean MEDIAPIPE_WORKERS?" in w for w in loaded.warnings)
    assert any("did you mean CONVIRZA_PASSWORD?" in w for w in loaded.warnings)
    assert any("MEDIAPIPE_ARCHIVE_DEST" in w and "did you mean MEDIAPIPE_DEST?" in w for w in loaded.warnings)


# ── what is wrong is said in one line ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workrs = 3", ["workrs: unknown key", "did you mean workers?", "allowed: convirza, pace"]),
        (
            '[archive]\nlookbak = "1d"',
            ["archive.lookbak: unknown key", "did you mean lookback?", "page_size"],
        ),
        ("[store]\nclass = 1", ["store.class: unknown key", "storage_class"]),
        ("[archve]\nx = 1", ["archve: unknown key", "did you mean archive?"]),
        ("archive = 3", ["archive is a section", "[archive]"]),
        ("workers = 'many'", ["workers: must be a valid integer", "'many'"]),
        ("workers = 65", ["workers: must be less than or equal to 64", "'65'"]),
        ("log_format = 'xml'", ["log_format: must be 'text' or 'json'", "'xml'"]),
        ("[archive]\nwindow = '2d'", ["archive.window: must be less than or equal to 1 day"]),
        ("[archive]\nlookback = '1 fortnight'", ["archive.lookback", "10d, 15m"]),
        ("[archive]\nlookback = true", ["archive.lookback", "10d, 15m"]),
        ("[pace]\nlogins_per_minute = 0", ["pace.logins_per_minute: must be greater than 0"]),
        ("[convirza]\nv3_url = 'ftp://x'", ["convirza.v3_url: must be an https:// or http:// address"]),
        ("[convirza]\naccount = 'a/b'", ["convirza.account: must be a name without"]),
        ("tz = 'Mars/Phobos'", ["tz: must be a time zone"]),
        ("[store]\nkms_key_id = 'k'", ["store: kms_key_id is only used with sse"]),
        ("a = [", ["not valid TOML"]),
        ("workers = 0\nquiet = 'perhaps'", ["workers:", "(and 1 more)"]),
    ],
)
def test_a_wrong_profile_names_file_key_fault_and_cure(profile, text, words):
    file = profile(text)
    message = refused(file)
    assert message.startswith(f"profile {file}: ")
    assert all(word in message for word in words), message


def test_a_wrong_variable_is_named():
    assert refused(environ={"MEDIAPIPE_WORKERS": "lots"}).startswith(
        "environment variable MEDIAPIPE_WORKERS: workers: "
    )
    assert "MEDIAPIPE_STORE_KMS_KEY_ID" in refused(environ={"MEDIAPIPE_STORE_KMS_KEY_ID": "k"})


def test_a_wrong_flag_is_named():
    assert refused(flags={"workers": 0}).startswith("flag --workers: workers: ")
    assert refused(flags={"archive.lookbak": "1d"}).startswith(
        "flag --lookbak: archive.lookbak: unknown key; did"
    )
    assert "unknown key" in refused(flags={"a.b.c": 1})


def test_the_layer_that_wins_is_blamed(profile):
    assert refused(profile("workers = 3"), {}, {"MEDIAPIPE_WORKERS": "x"}).startswith("environment variable")


@pytest.mark.parametrize(
    "layout",
    [
        "recordings/{call_id}",
        "recordings/{recording_id}",
        "{call_id}{recording_id}",
        "{year}{call_id}-{recording_id}",
        "{call_id}-{recording_id}-{secret}",
        "{call_id:>9}-{recording_id}",
        "{call_id!r}-{recording_id}",
        "{call_id.real}-{recording_id}",
        "/{call_id}-{recording_id}",
        "../{call_id}-{recording_id}",
        "a//{call_id}-{recording_id}",
        "catalogue/{call_id}-{recording_id}",
        "{call_id}-{recording_id",
    ],
)
def test_a_layout_that_could_mix_recordings_up_is_refused(layout):
    assert "archive.layout: m" in refused(flags={"archive.layout": layout})


@pytest.mark.parametrize(
    "layout", ["{call_id}/{recording_id}", "{year}{month}{day}/{hour}/{call_id}_{recording_id}"]
)
def test_other_layouts_are_fine(layout):
    assert load_settings(None, {"archive.layout": layout}, {}).settings.archive.layout == layout


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["password", "client_secret", "v3_token", "v2_token"])
def test_a_secret_in_a_profile_is_refused_unquoted(profile, key):
    message = refused(profile(f'[convirza]\n{key} = "{SECRET}"'), {}, {f"CONVIRZA_{key.upper()}": "x"})
    assert "a profile holds no secrets" in message
    assert f"CONVIRZA_{key.upper()}" in message
    assert SECRET not in message


def test_no_form_of_the_settings_shows_a_secret():
    environ = {name: SECRET for name, (_, _, value) in PUBLISHED.items() if value == SECRET}
    environ["MEDIAPIPE_LEDGER"] = f"postgresql://user:{SECRET}@@host/db?password={SECRET}"
    loaded = load_settings(None, {}, environ)
    shown = (
        repr(loaded),
        str(loaded),
        repr(loaded.settings),
        str(loaded.settings),
        loaded.settings.model_dump_json(),
    )
    assert not [text for text in shown if SECRET in text]
    assert json.loads(loaded.settings.model_dump_json())["ledger"].startswith("postgresql://user:***@")
    assert loaded.settings.ledger_dsn == environ["MEDIAPIPE_LEDGER"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVIRZA_V3_URL", f"https://user:{SECRET}@host/v3"),
        ("CONVIRZA_V3_URL", f"https://user:{SECRET}"),
        ("CONVIRZA_V3_URL", f"https://[{SECRET}]/v3"),
        ("CONVIRZA_V3_URL", SECRET),
        ("CONVIRZA_ACCOUNT", f"|{SECRET}"),
        ("CONVIRZA_PASSWORD_COMMAND", f"echo '{SECRET}"),
        ("MEDIAPIPE_TZ", SECRET),
        ("MEDIAPIPE_ARCHIVE_LAYOUT", SECRET),
    ],
)
def test_an_error_does_not_quote_what_may_be_secret(name, value):
    assert SECRET not in refused(environ={name: value})


def python(code):
    return (sys.executable, "-c", code)


def resolve(name="password", **places):
    return sources.resolve_secret(name, **{"value": None, **places}).get_secret_value()


def failing(*command, seconds=20.0):
    with pytest.raises(CredentialsError) as caught:
        resolve(command=command, seconds=seconds)
    assert caught.value.code == "secret_command"
    assert caught.value.exit_code is ExitCode.CREDENTIALS
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_command_gives_its_first_line():
    assert resolve(command=python(f"print('{SECRET} \\r'); print('second')")) == f"{SECRET} "


def test_a_value_wins_over_a_command():
    assert resolve(value=SecretStr("given"), command=("no-such-program",)) == "given"


def test_a_failing_command_is_reported_without_its_words():
    code = f"import sys; print('{SECRET}'); print('{SECRET}', file=sys.stderr); sys.exit(3)"
    assert "exit code 3" in failing(*python(code))


def test_a_silent_command_is_reported():
    assert "printed nothing" in failing(*python("pass"))
    assert "printed nothing" in failing(*python(f"print(); print('{SECRET}')"))


def test_a_missing_command_is_reported():
    assert "cannot be started" in failing("no-such-program", SECRET)


def test_a_command_that_hangs_is_ended_even_when_its_child_holds_the_pipe():
    child = shlex.join(python("import time; time.sleep(20)"))
    began = time.monotonic()
    assert "did not end within 0.5 s" in failing("sh", "-c", f"{child} & wait", seconds=0.5)
    assert time.monotonic() - began < 10


class FakeKeyring(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self, entries=(), error=None):
        super().__init__()
        self.entries, self.error = dict(entries), error

    def get_password(self, service, username):
        if self.error:
            raise self.error
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        raise NotImplementedError


@pytest.fixture
def use_keyring():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_the_keyring_is_asked_last(use_keyring):
    use_keyring(FakeKeyring({("svc", "ops@example.com"): SECRET}))
    places = {"keyring_service": "svc", "keyring_user": "ops@example.com"}
    assert resolve(**places) == SECRET
    assert resolve(**places, value=SecretStr("given")) == "given"
    assert resolve(**places, command=python("print('said')")) == "said"


@pytest.mark.parametrize(
    "error", [None, keyring.errors.NoKeyringError(SECRET), keyring.errors.InitError(SECRET)]
)
@pytest.mark.parametrize("name", ["password", "client_secret"])
def test_a_missing_secret_names_what_to_set(use_keyring, error, name):
    use_keyring(FakeKeyring(error=error))
    with pytest.raises(CredentialsError) as caught:
        resolve(name, keyring_service="svc", keyring_user="me")
    assert f"CONVIRZA_{name.upper()} or CONVIRZA_{name.upper()}_COMMAND" in str(caught.value)
    assert caught.value.code == "no_secret"


def test_a_locked_keyring_is_reported(use_keyring):
    use_keyring(FakeKeyring(error=keyring.errors.KeyringLocked(SECRET)))
    with pytest.raises(CredentialsError, match="KeyringLocked") as caught:
        resolve(keyring_service="svc", keyring_user="me")
    assert SECRET not in str(caught.value)


def test_without_the_keyring_package_nothing_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(CredentialsError, match="no password"):
        resolve(keyring_service="svc", keyring_user="me")


# ── places ──────────────────────────────────────────────────────────────────────────────────────


def test_the_default_ledger_stands_in_the_state_folder(tmp_path):
    settings = load_settings(None, {}, {"MEDIAPIPE_STATE_DIR": str(tmp_path)}).settings
    assert settings.ledger_dsn == f"sqlite:///{tmp_path}/ledger.db"
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.tokens_dir == tmp_path / "tokens"
    assert Settings().state_dir.is_absolute()
    assert isinstance(settings.state_dir, Path)


def test_the_public_part_reads_back_from_json():
    settings = load_settings(None, {"workers": 3, "archive.lookback": "1h30m"}, {}).settings
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
