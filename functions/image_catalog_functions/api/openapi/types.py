"""JSON Schemas in a few words."""

from __future__ import annotations

from typing import Any, Final

import orjson

from image_catalog_functions.api.openapi.blocks import anchor_of

__all__ = ["type_of"]

_FORMATS: Final = {"date-time": "time (RFC 3339)"}


def type_of(schema: dict[str, Any]) -> str:
    """Return what a value can be, with links to the objects that it is made of.

    Parameters
    ----------
    schema
        The schema; a null, which stands for what is absent, is not told.
    """
    said = _kind(schema) + _range(schema)
    default = schema.get("default")
    return f"{said}, default `{orjson.dumps(default).decode()}`" if default not in (None, [], {}, "") else said


def _kind(schema: dict[str, Any]) -> str:  # noqa: PLR0911 - a case for each form that a schema has
    match schema:
        case {"$ref": str(target)}:
            name = target.rpartition("/")[2]
            return f"[{name}](#{anchor_of(name)})"
        case {"const": value}:
            return f"`{value}`"
        case {"enum": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": list(choices)} | {"oneOf": list(choices)} if "properties" not in schema:
            return " or ".join(type_of(choice) for choice in choices if choice.get("type") != "null")
        case {"type": "array", "items": dict(items)}:
            return f"list of {type_of(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map of {type_of(values)}"
        case {"type": "string", "format": str(form)} if form in _FORMATS:
            return _FORMATS[form]
        case {"type": str(kind)}:
            return kind
        case _:
            return "anything"


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low:g}…{high:g}"
    if low is not None:
        return f", at least {low:g}"
    for most, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "fields")):
        if most in schema:
            return f", up to {schema[most]} {unit}"
    return ""
