import re
import tomllib
from pathlib import Path

import pytest

from mediapipe import sources
from mediapipe.errors import UsageError
from mediapipe.settings import Settings, load_settings

SHIPPED = Path(__file__).parent.parent / "profiles"
NAMES = ["historical-import", "nightly-archive", "prompt-library", "sandbox"]


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "profiles").mkdir()
    return {"MEDIAPIPE_CONFIG_DIR": str(tmp_path)}


def own(environ, name, text):
    file = Path(environ["MEDIAPIPE_CONFIG_DIR"]) / "profiles" / f"{name}.toml"
    file.write_text(text, "utf-8")
    return file


def test_these_profiles_are_shipped():
    assert sorted(file.stem for file in SHIPPED.glob("*.toml")) == NAMES
    assert sorted(file.name for file in SHIPPED.iterdir() if file.suffix != ".toml") == ["rendering"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_loads_and_knows_every_key(environ, name):
    loaded = load_settings(name, {}, environ)
    assert loaded.profile_path == SHIPPED / f"{name}.toml"
    assert loaded.settings != Settings()
    known = {".".join(path) for path in sources.fields_of(Settings)}
    content = tomllib.loads(loaded.profile_path.read_text())
    used = {
        f"{k}.{i}" if isinstance(v, dict) else k
        for k, v in content.items()
        for i in (v if isinstance(v, dict) else [""])
    }
    assert used <= known


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_explains_itself_and_holds_no_secret(name):
    text = (SHIPPED / f"{name}.toml").read_text()
    assert text.startswith(f"# {name}: ")
    assert "Secrets" in text or "secrets" in text
    assert not re.search(r"(?m)^\s*(password|client_secret|v[23]_token)\s*=", text)
    for variable in re.findall(r"\b(?:CONVIRZA|MEDIAPIPE)_[A-Z0-9_]+", text):
        known = {sources.variable_of(path) for path in sources.fields_of(Settings)} | sources.OTHER_VARIABLES
        assert variable in known


def test_the_sandbox_profile_fits_the_sandbox(environ):
    from mediapipe.sandbox.config import SandboxConfig

    addresses = SandboxConfig().environment("http://127.0.0.1:8765")
    convirza = load_settings("sandbox", {}, environ).settings.convirza
    for key in ("v3_url", "v3_oauth_url", "v2_url", "v2_oauth_url"):
        assert getattr(convirza, key) == addresses[f"CONVIRZA_{key.upper()}"]


def test_an_own_profile_wins_over_a_shipped_one(environ):
    file = own(environ, "sandbox", "workers = 5")
    loaded = load_settings("sandbox", {}, environ)
    assert (loaded.profile_path, loaded.settings.workers) == (file, 5)


def test_the_environment_names_a_profile_and_the_flag_wins(environ):
    own(environ, "one", "workers = 1")
    own(environ, "two", "workers = 2")
    environ["MEDIAPIPE_PROFILE"] = "one"
    assert load_settings(None, {}, environ).settings.workers == 1
    assert load_settings("two", {}, environ).settings.workers == 2


def test_a_profile_may_be_a_file_anywhere(environ, tmp_path):
    file = tmp_path / "elsewhere.toml"
    file.write_bytes(b"\xef\xbb\xbfworkers = 6\r\n")
    assert load_settings(str(file), {}, environ).settings.workers == 6


def test_an_unknown_name_lists_what_there_is(environ):
    own(environ, "mine", "")
    with pytest.raises(UsageError) as caught:
        load_settings("nightly-archiv", {}, environ)
    message = str(caught.value)
    assert "did you mean nightly-archive?" in message
    assert f"available: {', '.join(sorted([*NAMES, 'mine']))}" in message
    assert environ["MEDIAPIPE_CONFIG_DIR"] in message


@pytest.mark.parametrize("name", ["missing.toml", "./missing", "../sandbox"])
def test_a_missing_file_is_said_so(environ, name):
    with pytest.raises(UsageError, match="no such file"):
        load_settings(name, {}, environ)


def test_a_file_that_is_no_text_is_refused(environ):
    file = own(environ, "bad", "")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_settings("bad", {}, environ)


def test_an_unreadable_profile_is_refused(environ, tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        sources.read_toml(tmp_path)
