"""The dashboard can be imported anywhere, and says of each panel what it shows and in which unit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from image_catalog.testing.promql import parse, selectors

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "knative" / "monitoring" / "dashboard.json").read_text()
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_panels_have_places_and_numbers_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + column, place["y"] + line) for column in range(place["w"]) for line in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert max(column for column, _ in cells) < 24
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_row_is_a_question_and_has_panels() -> None:
    kinds = [panel["type"] for panel in DASHBOARD["panels"]]
    assert kinds[0] == "row"
    assert "row row" not in " ".join(kinds)
    assert all(panel["title"].endswith("?") for panel in DASHBOARD["panels"] if panel["type"] == "row")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    # Whoever imports it chooses where the figures are.
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_as_prometheus_advises(panel: dict[str, Any]) -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    for target in panel["targets"]:
        expression = target["expr"]
        assert set(re.findall(r"\$([a-z]+)", expression)) <= variables
        assert list(selectors(parse(expression)))
        # What is counted is shown as a rate: the count itself falls to zero whenever a process starts.
        counted = {
            selector.name for selector in selectors(parse(expression)) if (selector.name or "").endswith("_total")
        }
        ranged = set(re.findall(r"(?:rate|increase)\((\w+)", expression))
        assert counted <= ranged
        # Each line has a name that tells it from the others of its panel.
        assert target["legendFormat"]
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= _kept(expression)


def _kept(expression: str) -> set[str]:
    """Return the labels that the outermost aggregation keeps."""
    return {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
