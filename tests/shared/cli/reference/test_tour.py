"""Every name and file on the pages that lead through the code is there, and so is each of the picture."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from image_catalog.cli.reference.picture import EDGE, STEPS

ROOT = Path(__file__).resolve().parents[4]
PACKAGE, FUNCTIONS = "image_catalog", "image_catalog_functions"
PAGES = ("tour.md", "contributing.md", "architecture.md")

CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[a-z_]+(?:\.[A-Za-z_]+)+")
FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]*")
SUFFIXES = (".py", ".md", ".toml", ".yaml", ".json", ".txt", ".svg")
OTHERS = ("status.", "spec.", "metadata.", "image.", "publish.", "verification.", "test.", "delivery.", "limits.")
"""What dots stand in, too: fields of resources, and types of events."""


def said(page: str) -> list[str]:
    """Return what stands in backticks on a page, outside of blocks of code."""
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    return CODE.findall(text)


def dotted(page: str) -> list[str]:
    return sorted({word for word in said(page) if DOTTED.fullmatch(word) and not word.startswith(OTHERS)})


def resolve(name: str) -> Any:
    """Import what a dotted name names: a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_page_is_there(page: str) -> None:
    missing = []
    for name in dotted(page):
        if name.endswith(SUFFIXES):
            continue
        try:
            resolve(name if name.startswith((PACKAGE, FUNCTIONS)) else f"{PACKAGE}.{name}")
        except (AssertionError, AttributeError):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_page_is_there(page: str) -> None:
    files = {word for word in said(page) if FILE.fullmatch(word) and "*" not in word}
    roots = (ROOT, ROOT / "docs", ROOT / "shared" / PACKAGE, ROOT / "shared", ROOT / "functions" / FUNCTIONS)
    made = {word for word in files if word.startswith("build/")}
    assert sorted(word for word in files - made if not any((root / word).exists() for root in roots)) == []


def test_the_tour_names_many() -> None:
    assert len(dotted("tour.md")) > 50


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.said)
def test_every_step_of_the_picture_is_there(step: Any) -> None:
    for name in (step.name, step.through):
        assert name is None or resolve(name)
    assert step.layer == "policy" or step.outside is not None


def test_every_module_of_the_function_in_the_picture_is_there() -> None:
    for module in EDGE:
        assert resolve(f"{FUNCTIONS}.publish.{module}")


def test_the_steps_come_on_the_tour_in_their_order() -> None:
    page = (ROOT / "docs" / "tour.md").read_text()
    numbers = [int(n) for found in re.findall(r"^\*\*([\d, ]+) ·", page, re.MULTILINE) for n in found.split(",")]
    assert numbers == list(range(1, len(STEPS) + 1))
