"""The JSON Schema of each type's data, generated from the models."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from image_catalog.events.types import EVENT_DATA, EventType
from image_catalog.models.docstrings import field_docs, plain_text

__all__ = ["SCHEMAS_FOLDER", "event_schema", "schema_file", "write_schemas"]

SCHEMAS_FOLDER = Path(__file__).parent / "schemas"
"""Where the committed schemas lie, as data of the package."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_file(event_type: EventType) -> str:
    """Return the name of a type's schema file, ``image.published.json`` for example."""
    return f"{event_type.short}.json"


def event_schema(event_type: EventType) -> dict[str, Any]:
    """Return the JSON Schema of a type's data.

    Parameters
    ----------
    event_type
        Type of the event.
    """
    model = EVENT_DATA[event_type]
    # What others send is read, so defaults may be left out; what the catalog sends is written as it is.
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for name, used in _models_of(model).items():
        _describe(schema if used is model else definitions.get(name, {}), used)
    _without_titles(schema)
    summary = plain_text(model.__doc__)
    return {"$schema": _DIALECT, "title": event_type.value} | schema | {"description": summary}


def write_schemas(folder: Path = SCHEMAS_FOLDER) -> list[Path]:
    """Write the schema of every type, and remove what belongs to none.

    Returns
    -------
    list of Path
        The files that changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        folder / schema_file(t): json.dumps(event_schema(t), indent=2, ensure_ascii=False) + "\n" for t in EventType
    }
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        path.write_text(wanted[path], encoding="utf-8")
    stale = sorted(set(folder.glob("*.json")) - wanted.keys())
    for path in stale:
        path.unlink()
    return [*changed, *stale]


def _models_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return a model and every model that its fields use, by name."""
    found: dict[str, type[BaseModel]] = {}
    waiting = [model]
    while waiting:
        current = waiting.pop()
        if current.__name__ in found:
            continue
        found[current.__name__] = current
        for field in current.model_fields.values():
            waiting.extend(_models_in(field.annotation))
    return found


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    properties = schema.get("properties", {})
    for name, text in field_docs(model).items():
        if name in properties:
            properties[name]["description"] = text


def _without_titles(node: Any) -> None:
    """Drop the titles that pydantic makes from field names: they say nothing that the name does not."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for value in node.values():
            _without_titles(value)
    elif isinstance(node, list):
        for value in node:
            _without_titles(value)
