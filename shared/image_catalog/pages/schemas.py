"""JSON Schemas in a few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from image_catalog.pages.blocks import anchor_of

__all__ = ["Field", "fields_of", "type_of"]

_FORMATS: Final = {"date-time": "time (RFC 3339)"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object.

    Attributes
    ----------
    path
        Its name behind the names of the objects that it is in, ``steps[].name`` for example.
    schema
        What it can be, without references.
    required
        Whether its object always has it.
    """

    path: str
    schema: dict[str, Any]
    required: bool

    @property
    def objects(self) -> dict[str, Any] | None:
        """The schema of the object that it is, or of those that it is a list of; `None` for everything else."""
        inner = self.schema.get("items", self.schema)
        return inner if "properties" in inner else None

    @property
    def inside(self) -> str:
        """What stands before the names of the fields of those objects."""
        return f"{self.path}[]" if "items" in self.schema else self.path


def fields_of(schema: dict[str, Any], definitions: Mapping[str, Any] | None = None) -> Iterator[Field]:
    """Return the fields of an object, without those of the objects in it.

    Parameters
    ----------
    schema
        Schema of the object.
    definitions
        Schemas that it refers to, by name.
    """
    required = schema.get("required", ())
    for name, value in schema.get("properties", {}).items():
        yield Field(name, _resolved(value, definitions or {}), name in required)


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


def _resolved(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which nothing is referred to, and null stands for nothing."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        others = {key: value for key, value in schema.items() if key != "anyOf"}
        return _resolved(choices[0] | others, definitions)
    if (target := schema.get("$ref", "").rpartition("/")[2]) in definitions:
        others = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolved(definitions[target] | others, definitions)
    found = dict(schema)
    if "properties" in schema:
        found["properties"] = {name: _resolved(value, definitions) for name, value in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        found["items"] = _resolved(schema["items"], definitions)
    return found


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
