"""The JSON Schema of each type's data, generated from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from image_catalog.events.types import EVENT_DATA, PUBLIC_TYPES, EventType
from image_catalog.models.docstrings import field_docs, plain_text
from image_catalog.models.schemas import describe, models_of, without_titles
from image_catalog.pages.files import write_changed

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
    for name, used in models_of(model).items():
        describe(schema if used is model else definitions.get(name, {}), field_docs(used))
    without_titles(schema)
    summary = plain_text(model.__doc__)
    return {"$schema": _DIALECT, "title": event_type.value} | schema | {"description": summary}


def write_schemas(folder: Path = SCHEMAS_FOLDER) -> list[Path]:
    """Write the schema of every type, and remove what belongs to none.

    Returns
    -------
    list of Path
        The files that changed.
    """
    wanted = {
        folder / schema_file(t): json.dumps(event_schema(t), indent=2, ensure_ascii=False) + "\n" for t in PUBLIC_TYPES
    }
    changed = write_changed(wanted)
    stale = sorted(set(folder.glob("*.json")) - wanted.keys())
    for path in stale:
        path.unlink()
    return [*changed, *stale]
