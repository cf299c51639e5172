"""What a module calls public is there, and stands in order."""

from __future__ import annotations

import importlib
import pkgutil

import image_catalog
import image_catalog_functions


def _order(name: str) -> tuple[int, str]:
    """Sort constants before classes before functions, as ruff does."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def _names() -> list[str]:
    return [
        info.name
        for package in (image_catalog, image_catalog_functions)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not info.name.endswith(".__main__")
    ]


def _wrong(name: str) -> str | None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", None)
    if public is None:
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == name]
        return "says not what is public of it" if own and not name.endswith(".main") else None
    if list(public) != sorted(public, key=_order):
        return "is not sorted"
    missing = [each for each in public if not hasattr(module, each)]
    return f"has no {missing}" if missing else None


def test_the_public_names_of_every_module_are_there_and_sorted() -> None:
    names = _names()
    assert len(names) > 500, "the modules are elsewhere now"
    assert {name: wrong for name in names if (wrong := _wrong(name))} == {}
