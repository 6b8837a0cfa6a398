"""The house rules that a reader relies on: layers, package owners, size of rooms."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mediapipe"

# Longest prefix wins. A module imports only from lower layers, or from its own folder.
LAYERS: dict[str, float] = {
    "errors": 0,
    "items": 0,
    "redact": 0,
    "durations": 0,
    "library.words": 0.1,
    "library.names": 0.1,
    "library.options": 0.25,
    "library": 2.2,
    "spans": 0.25,
    "layout": 0.25,
    "stores.interface": 0.25,
    "stores.options": 0.25,
    "manifest": 0.25,
    "audio.facts": 0.25,
    "audio.options": 0.25,
    "audio.targets": 0.25,
    "audio.requests": 0.25,
    "audio.rendering": 0.25,
    "audio.mastering": 0.25,
    "audio.limits": 0.25,
    "audio.wording": 0.25,
    "audio.plan": 0.25,
    "audio.channels": 0.25,
    "audio.rules": 0.25,
    "ledger.interface": 0.25,
    "shards": 0.25,
    "pacing": 0.5,
    "wire": 0.5,
    "http1": 0.4,
    "incoming": 0.3,
    "liveness": 0.5,
    "settings": 0.7,
    "sources": 0.6,
    "convirza": 1,
    "audio": 1,
    "stores": 1,
    "ledger": 1,
    "report": 1,
    "sandbox": 1,
    "existing": 2,
    "line": 1.9,
    "running": 1.95,
    "pipeline": 2,
    "survey": 2,
    "verdicts": 1.8,
    "estimate": 1.9,
    "groups": 1.9,
    "listening": 1.9,
    "originals": 1.9,
    "relist": 1.9,
    "audiofiles": 1.9,
    "exclusive": 1.9,
    "renderings": 1.9,
    "imports": 2.2,
    "transfer": 2,
    "listing": 2,
    "covering": 1.8,
    "frames": 0.1,
    "nursery": 2.4,
    "crew": 2.5,
    "transfer_services": 2.9,
    "services": 3,
    "call_services": 3,
    "crew_member": 3.5,
    "import_services": 3.1,
    "prompt_services": 3.1,
    "jobs": 4,
    "engines": 5,
    "cli": 6,
    "__main__": 7,
    "": 0,  # the package itself: its version
}

# A third-party package may be imported only here.
OWNERS: dict[str, set[str]] = {
    "httpx": {
        *("convirza.session", "convirza.signed", "convirza.posts", "convirza.outside"),
        *("convirza.clients", "convirza.wired"),
    },
    "ray": {"engines"},
    "boto3": {"stores"},
    "botocore": {"stores"},
    "mutagen": {"audio"},
    "av": {"audio"},
    "phonenumbers": {"manifest.phones"},
    "pydub": {"audio.edges"},
    "lameenc": {"audio", "sandbox"},
    "numpy": {"audio", "sandbox"},
    "tqdm": {"report"},
    "sqlalchemy": {"ledger"},
    "psycopg": {"ledger"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "jinja2": {"report"},
    "stamina": {"pacing"},
    "filelock": {"liveness", "convirza.tokens"},
    "keyring": {"sources"},
    "pydantic_settings": {"settings", "sources"},
    "platformdirs": {"settings", "sources"},
    "typer": {"cli"},
    "urllib3": {"stores.s3"},
    "mypy_boto3_s3": {"stores"},
}

# These are words that every module may use.
COMMON = {"anyio", "pydantic", "pydantic_core"}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            assert node.module
            yield node.lineno, node.module
            if node.module.startswith("mediapipe"):
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def layer(module: str) -> float:
    while module not in LAYERS:
        assert module, "no layer"
        module = module.rpartition(".")[0]
    return LAYERS[module]


MODULES = dict(modules(PACKAGE))


def upward(module: str, modules: Mapping[str, Path]) -> list[str]:
    """Return the imports of a module that its layer forbids."""
    wrong = []
    for line, name in imports(modules[module]):
        if not name.startswith("mediapipe"):
            continue
        target = name.removeprefix("mediapipe").removeprefix(".")
        if target not in modules:
            continue  # a name inside a module, checked as the module
        same_folder = target.partition(".")[0] == module.partition(".")[0]
        if not same_folder and layer(target) >= layer(module):
            wrong.append(f"line {line}: {name}")
    return wrong


def strangers(package: str, modules: Mapping[str, Path]) -> list[str]:
    """Return who imports a package without owning it."""
    return [
        f"{module}:{line}"
        for module, path in modules.items()
        for line, name in imports(path)
        if name.partition(".")[0] == package
        and not any(module == owner or module.startswith(owner + ".") for owner in OWNERS[package])
    ]


def siblings(modules: Mapping[str, Path]) -> list[str]:
    """Return the jobs that import another job."""
    return [
        module
        for module, path in modules.items()
        if module.startswith("jobs.") and any(name.startswith("mediapipe.jobs") for _, name in imports(path))
    ]


def unlisted(page: str, modules: Mapping[str, Path], package: Path) -> set[str]:
    """Return the modules that the page leaves out, and those that it makes up."""
    files = {path.relative_to(package).as_posix() for path in modules.values()}
    files = {name for name in files if not name.endswith(("__init__.py", "__main__.py"))}
    rows = [line for line in page.splitlines() if re.match(r"\| [0-9¼½]+ \| `", line)]
    return files ^ {name for row in rows for name in re.findall(r"`([a-z0-9_/]+\.py)`", row)}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_lower_layers_or_its_own_folder(module: str) -> None:
    assert upward(module, MODULES) == [], f"{module} (layer {layer(module)}) imports upwards or sideways"


def test_jobs_do_not_import_each_other() -> None:
    assert siblings(MODULES) == []


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_is_imported_only_by_its_owner(package: str) -> None:
    assert strangers(package, MODULES) == [], f"{package} belongs to {sorted(OWNERS[package])}"


def test_every_package_that_is_imported_has_an_owner_or_belongs_to_all() -> None:
    ours = sys.stdlib_module_names | {"mediapipe"}
    used = {name.partition(".")[0] for path in MODULES.values() for _, name in imports(path)} - ours
    assert used - OWNERS.keys() - COMMON == set()


def test_task_groups_belong_to_the_engines() -> None:
    users = {module for module, path in MODULES.items() if "create_task_group" in path.read_text()}
    assert users == {"pipeline", "survey"}


def test_no_file_is_a_heap() -> None:
    large = {module: n for module, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 400}
    assert not large
    assert "utils" not in {path.stem for path in MODULES.values()}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        module for module, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_the_architecture_page_lists_exactly_the_modules_there_are() -> None:
    page = (PACKAGE / "architecture.md").read_text()
    assert unlisted(page, MODULES, PACKAGE) == set()
    assert len(page.splitlines()) <= 330


@pytest.mark.parametrize("package", OWNERS)
def test_the_architecture_page_names_every_owned_package(package: str) -> None:
    page = (PACKAGE / "architecture.md").read_text()
    spoken = {
        "botocore": "boto3",
        "mypy_boto3_s3": "boto3",
        "urllib3": "boto3",
        "pydantic_settings": "pydantic-settings",
    }
    assert f"`{spoken.get(package, package)}`" in page


def test_these_rules_can_fail(tmp_path: Path) -> None:
    """A small package that breaks each of them."""
    for name, text in {
        "__init__.py": "",
        "errors.py": "from mediapipe.items import Verdict",
        "items.py": "def late():\n    import httpx",
        "jobs/one.py": "from mediapipe.jobs import two",
        "jobs/two.py": "from mediapipe.cli.app import main",
        "audio/magic.py": "from mediapipe.stores.folder import FolderStore",
        "stores/folder.py": "from mediapipe import pipeline",
        "pipeline.py": "",
        "cli/app.py": "from mediapipe.jobs import one",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    bad = dict(modules(tmp_path))
    assert {module for module in bad if upward(module, bad)} == {
        "errors", "jobs.two", "audio.magic", "stores.folder"
    }  # fmt: skip
    assert strangers("httpx", bad) == ["items:2"]
    assert siblings(bad) == ["jobs.one"]
    page = "| 0 | `errors.py` | |\n| 4 | `jobs/gone.py` | |"
    assert unlisted(page, bad, tmp_path) == {"jobs/gone.py"} | {
        path.relative_to(tmp_path).as_posix() for name, path in bad.items() if name not in ("", "errors")
    }
