"""What is written about the package is true: README, changelog, wheel, container image, tracked files."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

import mediapipe
from mediapipe.errors import EXIT_CODE_MEANINGS
from mediapipe.settings import Settings
from mediapipe.sources import OTHER_VARIABLES, fields_of, variable_of
from tests.cli.command import Command, serving
from tests.cli.tree import COMMANDS, FLAGS
from tests.lacking import lacking

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROFILES = sorted((ROOT / "profiles").glob("*.toml"))
VARIABLES = {variable_of(path) for path in fields_of(Settings)} | OTHER_VARIABLES


def table(text: str, *head: str) -> list[list[str]]:
    """Return the rows of the Markdown table with this head, cells stripped of their marks."""
    rows: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if inside and not cells:
            break
        if inside and set(cells[0]) != {"-"}:
            rows.append(cells)
        inside = inside or cells == list(head)
    assert rows, f"there is no table {head}"
    return rows


def variables_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:CONVIRZA|MEDIAPIPE)_[A-Z0-9_]*[A-Z0-9]\b", text))


# ── README, changelog, profiles ─────────────────────────────────────────────────────────────


def test_the_readme_lists_exactly_the_commands_there_are() -> None:
    listed = []
    for cell, what in table(README, "command", "what it does"):
        words = cell.strip("`").split()
        assert words[0] == "mediapipe"
        path = tuple(word for word in words[1:] if re.fullmatch("[a-z]+", word))
        listed.append(path)
        assert what
        assert set(re.findall(r"--[a-z-]+", cell)) <= FLAGS[path], f"{cell} names a flag that is not there"
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "mediapipe/architecture.md"])
def test_every_flag_that_a_page_mentions_exists(page: str) -> None:
    known = set().union(*FLAGS.values()) | {"--help"}
    # One in another program's line is none of ours.
    theirs = re.compile(r"pip |^docker |^aws |^  --(array|container)")
    lines = [line for line in (ROOT / page).read_text().splitlines() if not theirs.search(line)]
    mentioned = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", line)}
    assert mentioned - known == set()


@pytest.mark.parametrize("page", ["CHANGELOG.md", "mediapipe/architecture.md"])
def test_every_command_is_written_about(page: str) -> None:
    text = (ROOT / page).read_text()
    missing = [" ".join(path) for path in COMMANDS if " ".join(path) not in text]
    assert not missing


def test_the_readme_s_commands_exist() -> None:
    for line in re.findall(r"^mediapipe ([a-z].*)$", README, re.MULTILINE):
        words = tuple(word for word in line.split() if re.fullmatch("[a-z]+", word))
        path = words[:2] if words[:2] in FLAGS else words[:1]
        assert path in COMMANDS, line
        assert set(re.findall(r"--[a-z-]+", line)) <= FLAGS[path] | {"--help"}, line


def test_the_readme_s_five_minutes_work_as_they_are_written(tmp_path: Path) -> None:
    tour = README.split("## Five minutes")[1].split("\n## ")[0]
    first, *rest = [shlex.split(line) for line in re.findall(r"^(mediapipe .*)$", tour, re.MULTILINE)]
    assert first[1:3] == ["sandbox", "serve"]
    assert len(rest) == 4
    command = Command(tmp_path)
    with serving(command, *first[3:]) as (_, environ):
        for words in rest:
            ended = command.inside(*words[1:], env=environ)
            assert ended.code == 0, (words, ended.err)
    assert re.search(r"archive/recordings/year=\d{4}/month=\d\d/day=\d\d/\d+-\d+\.mp3", tour)
    assert list(tmp_path.glob("archive/recordings/year=*/month=*/day=*/*-*.mp3"))


def test_the_readme_s_exit_codes_are_the_ones_there_are() -> None:
    listed = {int(code): meaning for code, meaning in table(README, "exit code", "meaning")}
    assert listed == {code.value: meaning for code, meaning in EXIT_CODE_MEANINGS.items()}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "Dockerfile", *PROFILES], ids=lambda p: p.name
)
def test_every_variable_that_a_page_names_exists(page: Path) -> None:
    assert variables_in(page.read_text()) - VARIABLES == set()


def test_the_readme_names_every_variable_of_the_login() -> None:
    wanted = {
        name
        for name in VARIABLES
        if re.fullmatch(r"CONVIRZA_(V\d_\w+|EMAIL|PASSWORD|CLIENT_\w+|ACCOUNT)", name)
    }
    assert wanted - {"CONVIRZA_CLIENT_SECRET_COMMAND"} <= variables_in(README)


def test_the_readme_names_every_shipped_profile() -> None:
    assert {path.stem for path in PROFILES} == {path.stem for path in PROFILES if f"`{path.stem}`" in README}


def test_the_changelog_speaks_of_this_version() -> None:
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert mediapipe.__version__ in heads


def test_the_files_that_the_readme_names_exist() -> None:
    for name in re.findall(r"`((?:mediapipe|profiles|tests|bench|\.ci)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


# ── tracked files ───────────────────────────────────────────────────────────────────────────


def tracked() -> list[Path]:
    """Return the project's own files: what git tracks, or would if it were told."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        lacking("not a git work tree")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


# Split or escaped, so that this file does not find itself.
UNWANTED = {
    "a machine's path": "|".join(
        [r"/(?:home|Users)/[a-z]\w*/", r"/ro" r"ot/"]
        # A short one, such as a container's /src, would be found in honest places.
        + [re.escape(f"{path}/") for path in (ROOT, Path.home()) if len(path.parts) > 2]
    ),
    "a registry's host": r"pypi\.org|pythonhosted\.org",
    "work left over": r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b",
}


@pytest.mark.parametrize("kind", UNWANTED)
def test_tracked_files_are_free_of(kind: str) -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in re.finditer(UNWANTED[kind], text)]
    assert found == []


# ── the image ───────────────────────────────────────────────────────────────────────────────

UID = 10001


@dataclass(frozen=True)
class Instruction:
    """One instruction of the Dockerfile, continued lines joined."""

    word: str
    rest: str


def stages() -> list[list[Instruction]]:
    """Return the Dockerfile's stages."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in text.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append([])
        if word:
            found[-1].append(Instruction(word, " ".join(rest.split())))
    return found


def environment_of(stage: list[Instruction]) -> dict[str, str]:
    """Return what a stage's ENV sets."""
    lines = (shlex.split(one.rest) for one in stage if one.word == "ENV")
    return {name: value for line in lines for name, _, value in (pair.partition("=") for pair in line)}


def clean_environ() -> dict[str, str]:
    """Return this environment without what belongs to the project or to this virtual environment."""
    ours = ("MEDIAPIPE_", "CONVIRZA_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "COV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@dataclass(frozen=True)
class Image:
    """The Dockerfile's build stage, replayed below ``root``."""

    root: Path

    @property
    def prefix(self) -> Path:
        """The virtual environment that the image carries."""
        return self.root / "opt" / "mediapipe"

    @property
    def wheels(self) -> Path:
        """Where the wheel stands."""
        return self.root / "wheels"

    def run(
        self, *args: object, cwd: Path, env: dict[str, str] | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the image."""
        return subprocess.run(
            [*before, str(self.prefix / "bin" / str(args[0])), *map(str, args[1:])],
            cwd=cwd,
            env={**clean_environ(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )


def build(root: Path) -> None:
    """Replay the build stage: COPY and RUN with ``root`` as the file system."""
    source = root / "src"
    source.mkdir()
    env = {**clean_environ(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    prefix = Image(root).prefix
    for one in stages()[0]:
        if one.word == "COPY":
            *names, target = one.rest.split()
            for name in names:
                copy(name, source / target)
        elif one.word == "RUN":
            pip(one.rest.replace("/opt/mediapipe", str(prefix)), source, env)
    pip(f"{prefix}/bin/pip wheel -q --no-deps -w {root / 'wheels'} .", source, env)


def copy(name: str, target: Path) -> None:
    """Copy what COPY would, less what .dockerignore keeps back."""
    assert (ROOT / name).exists(), f"COPY {name}: there is no such file"
    assert not ignored(name), f"COPY {name}: .dockerignore keeps it back"
    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, target)


def ignored(name: str) -> bool:
    """Tell whether .dockerignore keeps a path back."""
    return any(fnmatch.fnmatch(name, line.strip()) for line in (ROOT / ".dockerignore").read_text().split())


def pip(command: str, cwd: Path, env: dict[str, str]) -> None:
    """Run an install step; without an index to install from it can only be skipped, but never in CI."""
    ended = subprocess.run(["/bin/sh", "-ec", command], cwd=cwd, env=env, capture_output=True, text=True)
    said = ended.stdout + ended.stderr
    offline = "NewConnectionError" in said or "Temporary failure in name resolution" in said
    if ended.returncode and offline and not os.environ.get("CI"):
        pytest.skip("no package index can be reached")
    assert ended.returncode == 0, said[-4000:]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built once for all test processes; the last one out removes it.

    Not below pytest's own folder: that one is closed to the image's user.
    """
    base = tmp_path_factory.getbasetemp()
    note = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "image.json"
    lock = FileLock(f"{note}.lock")
    with lock:
        if note.exists():
            root, users = json.loads(note.read_text())
        else:
            root, users = tempfile.mkdtemp(prefix="mediapipe-image-"), 0
            try:
                Path(root).chmod(0o755)
                build(Path(root))
            except BaseException:
                shutil.rmtree(root)
                raise
        note.write_text(json.dumps([root, users + 1]))
    yield Image(Path(root))
    with lock:
        root, users = json.loads(note.read_text())
        if users > 1:
            note.write_text(json.dumps([root, users - 1]))
        else:
            note.unlink()
            shutil.rmtree(root)


def test_the_image_s_instructions_name_what_exists() -> None:
    _, stage = stages()
    said = {
        word: [one.rest for one in stage if one.word == word]
        for word in ("ENTRYPOINT", "USER", "VOLUME", "CMD")
    }
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,) = json.loads(said["ENTRYPOINT"][0])
    assert entry in scripts
    assert json.loads(said["CMD"][0]) == ["--help"]
    assert said["USER"] == [str(UID)]
    assert any(f"--uid {UID}" in one.rest for one in stage if one.word == "RUN")
    env = environment_of(stage)
    assert {name for name in env if name.startswith(("MEDIAPIPE_", "CONVIRZA_"))} <= VARIABLES
    assert json.loads(said["VOLUME"][0]) == [env["MEDIAPIPE_STATE_DIR"]]


@pytest.mark.timeout(900)
def test_the_image_s_user_runs_the_demo_and_the_help(image: Image, tmp_path: Path) -> None:
    before = as_the_user(image)
    state = image.root / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(state, UID, UID)
    env = {**environment_of(stages()[1]), "MEDIAPIPE_STATE_DIR": str(state), "HOME": "/nonexistent"}
    env["PATH"] = f"{image.prefix / 'bin'}:/usr/bin:/bin"

    helped = image.run("mediapipe", *json.loads('["--help"]'), cwd=state, env=env, before=before)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Exit codes:" in helped.stdout

    ended = image.run("mediapipe", "demo", cwd=state, env=env, before=before)
    assert ended.returncode == 0, ended.stderr
    assert list((state / "mediapipe-demo" / "archive").rglob("*.mp3"))

    status = image.run("mediapipe", "status", "--json", cwd=state, env=env, before=before)
    assert json.loads(status.stdout)["ledger"] == f"sqlite:///{state / 'ledger.db'}"
    ledger = state / "mediapipe-demo" / "state" / "ledger.db"
    assert ledger.stat().st_uid == (UID if os.geteuid() == 0 else os.geteuid())


def as_the_user(image: Image) -> tuple[str, ...]:
    """Return what to put before a command to run it as the image's user, when this one is root."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        lacking("setpriv is needed to run as the image's user")
    drop = (setpriv, f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
    # The second form may read everything but write only what the user may: for an interpreter in root's home.
    reading = (*drop, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    # Its worker processes have to start as well, when what setpriv could still read is out of reach.
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    for before in (drop, reading):
        tried = [*before, str(image.prefix / "bin" / "python"), "-c", child]
        if subprocess.run(tried, cwd="/", capture_output=True).returncode == 0:
            return before
    return lacking("this interpreter cannot be run by another user")


@pytest.mark.timeout(900)
def test_a_fresh_environment_without_extras_runs_the_demo(image: Image, tmp_path: Path) -> None:
    """The README's first command: what only an extra brings must not be needed."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['psycopg', 'keyring', 'pytest', 'moto'], None))\n"
        "from mediapipe.cli.app import main\n"
        "sys.argv[1:] = ['demo']\n"
        "main()\n"
    )
    ended = image.run("python", "-I", "-c", code, cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr
    assert "Look around" in ended.stdout
    assert (tmp_path / "mediapipe-demo" / "archive" / "recordings").is_dir()


@pytest.mark.timeout(900)
def test_an_installed_package_finds_its_profiles_by_name(image: Image, tmp_path: Path) -> None:
    for profile in PROFILES:
        args = ("archive", "run", "--from", "-1d", "--profile", profile.stem)
        ended = image.run("mediapipe", *args, cwd=tmp_path, env={"HOME": str(tmp_path)})
        # It got as far as the destination: the profile was found and is valid.
        assert (ended.returncode, "no destination" in ended.stderr) == (2, True), ended.stderr
    wrong = image.run("mediapipe", "archive", "run", "--profile", "nope", cwd=tmp_path)
    assert f"available: {', '.join(path.stem for path in PROFILES)}" in wrong.stderr


@pytest.mark.timeout(900)
def test_the_wheel_holds_the_package_and_nothing_else(image: Image) -> None:
    (wheel,) = image.wheels.glob("*.whl")
    assert wheel.name.startswith(f"convirza_mediapipe-{mediapipe.__version__}-py3-none-any")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = {path for path in (image.root / "src" / "mediapipe").rglob("*") if path.is_file()}
    wanted = {path.relative_to(image.root / "src").as_posix() for path in kept}
    wanted = {name for name in wanted if "__pycache__" not in name}
    profiles = (ROOT / "profiles").rglob("*.toml")
    assert names == wanted | {f"mediapipe/{path.relative_to(ROOT)}" for path in profiles}
    assert "mediapipe/py.typed" in names
