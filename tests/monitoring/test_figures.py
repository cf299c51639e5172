"""docs/metrics.md lists what the code declares, and what is declared keeps to Prometheus's conventions."""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

import image_catalog
import image_catalog_functions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "metrics.md"

_UNITS = ("_seconds", "_bytes", "_ratio")
_DECLARED = re.compile(r'\b(?:Counter|Gauge|Histogram|GaugeMetricFamily)\(\s*"(image_catalog_\w+)"')
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


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as the code declares it."""

    kind: str
    labels: tuple[str, ...]
    said: str


@cache
def declared() -> dict[str, Figure]:
    """Return every figure of the catalog, by the name that Prometheus knows it by."""
    for module in _declaring_modules():
        importlib.import_module(module)
    figures = {}
    for collector in set(REGISTRY._collector_to_names):
        # What is counted beside the work tells of itself; what is made when somebody asks makes families of samples.
        told = [collector] if isinstance(collector, MetricWrapperBase) else collector.collect()
        for figure in told:
            if isinstance(figure, MetricWrapperBase):
                name, found = figure._name, Figure(str(figure._type), tuple(figure._labelnames), figure._documentation)
            else:
                labels = tuple(getattr(figure, "_labelnames", ()))
                name, found = figure.name, Figure(figure.type, labels, figure.documentation)
            if name.startswith("image_catalog_"):
                figures[name + ("_total" if found.kind == "counter" else "")] = found
    return figures


def test_the_page_lists_what_the_code_declares() -> None:
    row = re.compile(r"^\| `(image_catalog_\w+)` \| (\w+) \| (.+?) \| .+? \| (.+) \|$", re.MULTILINE)
    shown = {
        name: Figure(kind, tuple(re.findall(r"`(\w+)`", labels)), said)
        for name, kind, labels, said in row.findall(PAGE.read_text())
    }
    assert shown == declared()


def test_every_figure_keeps_to_the_conventions() -> None:
    assert declared()
    assert [name for name, figure in declared().items() if not _keeps_to_the_conventions(name, figure)] == []


def _keeps_to_the_conventions(name: str, figure: Figure) -> bool:
    return (
        name.endswith("_total") == (figure.kind == "counter")
        and (figure.kind != "histogram" or name.endswith(_UNITS))
        and not re.search(r"milli|minutes|hours|percent|kilo|mega", name)
        and not _FORBIDDEN & set(figure.labels)
        and figure.said[:1].isupper()
        and figure.said.endswith(".")
    )
