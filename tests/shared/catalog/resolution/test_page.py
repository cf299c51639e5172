"""The page about resolution says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from image_catalog.models.reasons import ResolutionReason
from image_catalog_functions.api.resolving.queries import ResolveQuery

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "resolution.md").read_text()


def first_cells(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]


def test_the_rules_stand_there_in_the_order_in_which_they_are_asked() -> None:
    assert first_cells("The rules, in their order") == list(ResolutionReason)


def test_every_parameter_is_explained() -> None:
    named = {field.alias or name for name, field in ResolveQuery.model_fields.items()}
    assert set(first_cells("What can be asked for")) == named
