"""A function fits on one screen each side."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import image_catalog_functions
from image_catalog.testing.pipeline import PipelineFunction

_ROOT = Path(image_catalog_functions.__path__[0])
_API = "api"
"""Answers people over HTTP and has packages of its own; the rest of the house is event functions."""

_FOLDERS = sorted(path.parent for path in _ROOT.glob("*/main.py") if path.parent.name != _API)

each_function = pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)


@each_function
def test_main_only_wires(folder: Path) -> None:
    body = ast.parse((folder / "main.py").read_text()).body
    assert not [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)]


@each_function
def test_the_card_says_what_it_listens_to_does_emits_and_how_it_fails(folder: Path) -> None:
    card = importlib.import_module(f"image_catalog_functions.{folder.name}").__doc__ or ""
    title, empty, *lines = card.strip().splitlines()
    assert title.startswith(f"{folder.name.capitalize()}: ")
    assert empty == ""
    assert [line.partition(":")[0] for line in lines] == ["Trigger", "Does", "Emits", "Fails"]


@each_function
def test_what_a_function_may_emit_stands_on_the_map_of_the_house(
    folder: Path, functions: tuple[PipelineFunction, ...]
) -> None:
    (function,) = (function for function in functions if function.name == folder.name)
    house = image_catalog_functions.__doc__ or ""
    assert function.name in house
    # "the phase it led to" stands for three types.
    phases = {"image.available", "image.unavailable", "image.failed"}
    assert not [event for event in function.emits if event.short not in phases and f"``{event.short}``" not in house]
