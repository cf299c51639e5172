"""What is imported is what pyproject.toml names, so that neither list can fall behind the other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OWN = {"image_catalog", "image_catalog_functions"}
ON_A_MACHINE = tuple(ROOT / "shared" / "image_catalog" / part for part in ("cli", "local", "models/crds.py"))
"""What needs more than a function's pod has."""
LOOKED_FOR = {"sniffio"}
"""What only a library imports, that is slow where it is not there."""
IN_TESTS = (ROOT / "shared" / "image_catalog" / "testing",)
"""What only tests use."""
DISTRIBUTIONS = {**packages_distributions(), "pydantic_core": ["pydantic"]}
"""The distributions that bring a top-level module, by its name; pydantic pins its core to the one version that fits."""

PARTS = {
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.proto": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-sdk",
}
"""Which distribution brings a part of a package that several share; these two pin those that they are made of."""


def third_party(path: Path) -> Iterator[str]:
    """Yield the distribution of every import that is neither ours nor Python's."""
    for node in ast.walk(ast.parse(path.read_text())):
        modules = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for module in modules:
            name = module.partition(".")[0]
            if name in OWN or name in sys.stdlib_module_names:
                continue
            part = next((part for part in PARTS if f"{module}.".startswith(f"{part}.")), None)
            yield PARTS[part] if part else normalized(DISTRIBUTIONS[name][0])


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: list[str]) -> set[str]:
    return {normalized(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def imported(*, by: tuple[Path, ...], besides: tuple[Path, ...] = ()) -> set[str]:
    return {
        distribution
        for part in by
        for path in ([part] if part.is_file() else part.rglob("*.py"))
        if not any(path.is_relative_to(other) for other in besides)
        for distribution in third_party(path)
    }


RUNTIME = named(PROJECT["project"]["dependencies"])
LOCAL = named(PROJECT["project"]["optional-dependencies"]["local"])


def test_a_functions_pod_has_what_the_functions_import_and_no_more() -> None:
    by = (ROOT / "shared", ROOT / "functions")
    assert imported(by=by, besides=(*ON_A_MACHINE, *IN_TESTS)) | LOOKED_FOR == RUNTIME


def test_the_local_extra_has_what_the_command_lines_and_the_local_stack_import_besides() -> None:
    assert imported(by=ON_A_MACHINE) - RUNTIME == LOCAL


def test_what_tests_share_needs_no_more_than_a_developer_has() -> None:
    assert imported(by=IN_TESTS) - RUNTIME - LOCAL <= named(PROJECT["dependency-groups"]["dev"])
