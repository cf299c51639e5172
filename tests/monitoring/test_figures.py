"""docs/metrics.md lists what the code declares, and what is declared keeps to Prometheus's conventions."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import image_catalog
import image_catalog_functions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "metrics.md"

_UNITS = ("_seconds", "_bytes", "_ratio")
_DECLARED = re.compile(r'\b(?:Counter|Gauge|Histogram)\(\s*"(image_catalog_\w+)"')
_FORBIDDEN = {"image", "name", "namespace", "entry", "user", "actor", "path", "url", "digest", "repository", "tag"}


def _declaring_modules() -> list[str]:
    """Return the modules that declare figures; the others need not be imported."""
    found = []
    for package in (image_catalog, image_catalog_functions):
        root = Path(package.__path__[0])
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            file = root.joinpath(*module.name.split(".")[1:])
            source = (file / "__init__.py" if module.ispkg else file.with_suffix(".py")).read_text()
            if _DECLARED.search(source):
                found.append(module.name)
    return found


def declared() -> dict[str, MetricWrapperBase]:
    """Return every figure of the catalog, by the name that Prometheus knows it by."""
    for module in _declaring_modules():
        importlib.import_module(module)
    figures = {}
    for collector in set(REGISTRY._collector_to_names):
        if isinstance(collector, MetricWrapperBase) and collector._name.startswith("image_catalog_"):
            suffix = "_total" if collector._type == "counter" else ""
            figures[collector._name + suffix] = collector
    return figures


FIGURES = declared()


def test_the_page_lists_what_the_code_declares() -> None:
    row = re.compile(r"^\| `(image_catalog_\w+)` \| (\w+) \| (.+?) \| .+? \| (.+) \|$", re.MULTILINE)
    shown = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), said)
        for name, kind, labels, said in row.findall(PAGE.read_text())
    }
    assert shown == {
        name: (figure._type, tuple(figure._labelnames), figure._documentation) for name, figure in FIGURES.items()
    }


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_keeps_to_the_conventions(name: str) -> None:
    figure = FIGURES[name]
    kind, labels = figure._type, set(figure._labelnames)
    assert name.endswith("_total") == (kind == "counter")
    assert kind != "histogram" or name.endswith(_UNITS)
    assert not re.search(r"milli|minutes|hours|percent|kilo|mega", name)
    assert not labels & _FORBIDDEN
    assert figure._documentation[:1].isupper()
    assert figure._documentation.endswith(".")
