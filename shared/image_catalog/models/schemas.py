"""What pydantic's JSON Schemas of models lack, and what they have too much of."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["describe", "models_of", "without_titles"]


def models_of(*models: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return models and every model that their fields use, by name."""
    found: dict[str, type[BaseModel]] = {}
    waiting = list(models)
    while waiting:
        current = waiting.pop()
        if current.__name__ in found:
            continue
        found[current.__name__] = current
        for field in current.model_fields.values():
            waiting.extend(_models_in(field.annotation))
    return found


def describe(schema: dict[str, Any], texts: Mapping[str, str]) -> None:
    """Say in an object's schema what its properties mean.

    Parameters
    ----------
    schema
        The schema; it is changed.
    texts
        What each property means, by name; others are passed over.
    """
    properties = schema.get("properties", {})
    for name, text in texts.items():
        if name in properties:
            properties[name]["description"] = text


def without_titles(node: Any) -> None:
    """Drop the titles that pydantic makes from field names: they say nothing that the name does not.

    Parameters
    ----------
    node
        A schema, which is changed; a property of the name `title` and what stands in examples are left alone.
    """
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for name, value in node.items():
            if name not in {"example", "examples"}:
                without_titles(value)
    elif isinstance(node, list):
        for value in node:
            without_titles(value)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
