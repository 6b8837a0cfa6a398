"""The house rules that a reader relies on: layers, package owners, size of rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mediapipe"

# Longest prefix wins. A module imports only from lower layers, or from its own folder.
LAYERS: dict[str, float] = {
    "errors": 0,
    "items": 0,
    "redact": 0,
    "durations": 0,
    "spans": 0,
    "layout": 0,
    "stores.interface": 0,
    "stores.options": 0,
    "ledger.interface": 0,
    "pacing": 0.5,
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
    "pipeline": 2,
    "transfer": 2,
    "listing": 2,
    "services": 3,
    "jobs": 4,
    "cli": 6,
    "__main__": 7,
    "": 0,  # the package itself: its version
}

# A third-party package may be imported only here.
OWNERS: dict[str, set[str]] = {
    "httpx": {"convirza.session", "convirza.signed"},
    "boto3": {"stores"},
    "botocore": {"stores"},
    "mutagen": {"audio"},
    "pydub": {"audio"},
    "av": {"audio"},
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
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[tuple[int, str]]:
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


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_lower_layers_or_its_own_folder(module: str) -> None:
    wrong = []
    for line, name in imports(MODULES[module]):
        if not name.startswith("mediapipe"):
            continue
        target = name.removeprefix("mediapipe").removeprefix(".")
        if target not in MODULES:
            continue  # a name inside a module, checked as the module
        same_folder = target.partition(".")[0] == module.partition(".")[0]
        if not same_folder and layer(target) >= layer(module):
            wrong.append(f"line {line}: {name}")
    assert not wrong, f"{module} (layer {layer(module)}) imports upwards or sideways: {wrong}"


def test_jobs_do_not_import_each_other() -> None:
    for module, path in MODULES.items():
        if module.startswith("jobs."):
            assert not [name for _, name in imports(path) if name.startswith("mediapipe.jobs")], module


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_is_imported_only_by_its_owner(package: str) -> None:
    allowed = OWNERS[package]
    strangers = [
        f"{module}:{line}"
        for module, path in MODULES.items()
        for line, name in imports(path)
        if name.partition(".")[0] == package
        and not any(module == owner or module.startswith(owner + ".") for owner in allowed)
    ]
    assert not strangers, f"{package} belongs to {sorted(allowed)}"


def test_task_groups_belong_to_the_pipeline() -> None:
    users = [module for module, path in MODULES.items() if "create_task_group" in path.read_text()]
    assert users == ["pipeline"]


def test_no_file_is_a_heap() -> None:
    large = {module: n for module, path in MODULES.items() if (n := len(path.read_text().splitlines())) > 400}
    assert not large
    assert "utils" not in {path.stem for path in MODULES.values()}


def test_every_module_says_what_it_is_for() -> None:
    silent = [module for module, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def test_every_module_stands_in_the_architecture_page() -> None:
    page = (PACKAGE / "architecture.md").read_text()
    missing = [
        module
        for module, path in MODULES.items()
        if path.name not in {"__init__.py", "__main__.py"} and f"{path.stem}.py" not in page
    ]
    assert not missing
