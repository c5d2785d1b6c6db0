"""Who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "models": {"models", "numpy"},
    "service": {
        "service",
        "models",
        "numpy",
        "fastapi",
        "httptools",
        "markdown_it",
        "mimeparse",
        "prometheus_client",
        "pyarrow",
        "pydantic",
        "pydantic_core",
        "pydantic_settings",
        "simdjson",
        "starlette",
        "typing_extensions",
        "uvicorn",
    },
    "scoring": {
        "scoring",
        "models",
        "numpy",
        "cloudpickle",
        "dask",
        "distributed",
        "fsspec",
        "pyarrow",
        "rich",
    },
    "training": {
        "training",
        "models",
        "numpy",
        "httpx",
        "keras",
        "matplotlib",
        "platformdirs",
        "rich",
        "scipy",
        "sklearn",
        "tensorflow",
        "yaml",
    },
}
WITHIN_MODELS = {
    "features.py": set(),
    "origin.py": {"models.features"},
    "predictors.py": {"models.features"},
    "bundle.py": {"models.features", "models.origin", "models.predictors"},
    "archive.py": {"models.bundle", "models.features", "models.predictors"},
    "pieces.py": {"models.bundle", "models.features", "models.predictors"},
}


def imported_modules(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield str(node.module)


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package: str) -> None:
    allowed = ALLOWED[package] | set(sys.stdlib_module_names)
    for path in (ROOT / package).rglob("*.py"):
        imported = {name.partition(".")[0] for name in imported_modules(str(path.relative_to(ROOT)))}
        assert imported <= allowed, path


def test_models_import_each_other_in_one_direction() -> None:
    for name, allowed in WITHIN_MODELS.items():
        assert {module for module in imported_modules(f"models/{name}") if module.startswith("models")} <= allowed


def test_only_networks_imports_keras_and_tensorflow() -> None:
    for path in (ROOT / "training").rglob("*.py"):
        imported = {name.partition(".")[0] for name in imported_modules(str(path.relative_to(ROOT)))}
        assert path.name == "networks.py" or not imported & {"keras", "tensorflow"}, path


def test_package_files_hold_a_docstring_and_nothing_else() -> None:
    for package in ALLOWED:
        statements = ast.parse((ROOT / package / "__init__.py").read_text()).body
        assert len(statements) == 1
        assert ast.get_docstring(ast.Module(statements, []))


def test_importing_the_service_loads_nothing_of_training() -> None:
    code = "import sys, service.app; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"service", "models", "numpy"} <= loaded
    assert not loaded & {"tensorflow", "keras", "sklearn", "matplotlib", "training", "httpx", "rich", "pyarrow"}
    assert not loaded & {"scoring", "dask", "distributed", "fsspec"}
