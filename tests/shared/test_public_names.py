"""What a module calls public is there, and stands in order."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import image_catalog
import image_catalog_functions

pytestmark = pytest.mark.story

_NAMES = sorted(
    info.name
    for package in (image_catalog, image_catalog_functions)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not info.name.endswith(".__main__")
)


def _order(name: str) -> tuple[int, str]:
    """Sort constants before classes before functions, as ruff does."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", _NAMES)
def test_the_public_names_of_a_module_are_there_and_sorted(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", None)
    if public is None:
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == name]
        assert name.endswith(".main") or not own, "a module that others import says what is public"
        return
    assert list(public) == sorted(public, key=_order)
    assert not [missing for missing in public if not hasattr(module, missing)]
