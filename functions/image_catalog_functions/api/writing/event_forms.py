"""The three forms in which events are taken, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.documents import BODIES, schema_of

__all__ = ["MEDIA_TYPES", "forms_of"]

BINARY: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

MEDIA_TYPES: Final = (BINARY, STRUCTURED, BATCH)

_ATTRIBUTES: Final = {
    "ce-specversion": ("`1.0`.", "1.0"),
    "ce-id": ("Id of the event. One that was taken under this id from this source is not taken again.", "run-4711"),
    "ce-source": ("Who sends it, as a URI reference.", "/ci/nightly"),
    "ce-type": ("What is asked for; the types are those of the structured mode.", None),
    "ce-time": ("When it was asked for (RFC 3339), by which publications are ordered; absent: now.", None),
}
"""Attributes in binary mode.

Required only in that mode, and looked at only in that mode: a condition that
OpenAPI has no words for, which is why none of them is declared as required.
"""


def forms_of(payloads: Mapping[str, type[BaseModel]], *, most: int) -> dict[str, Any]:
    """Return the declaration of headers and body of a call that takes events, for ``openapi_extra``.

    Parameters
    ----------
    payloads
        What the data of each type is read as.
    most
        How many events a batch holds at most.
    """
    BODIES.update({model.__name__: model for model in payloads.values()})
    event, example = _event_schema(payloads), examples.STRUCTURED
    content = {
        STRUCTURED: {"schema": event, "example": example},
        BINARY: {"schema": {"oneOf": [schema_of(model) for model in payloads.values()]}, "example": example["data"]},
        BATCH: {"schema": {"type": "array", "maxItems": most, "items": event}, "example": examples.batch()},
    }
    description = (
        f"Structured mode (`{STRUCTURED}`): one event with its data. Binary mode (`{BINARY}`): the data alone, "
        "with the event's attributes in the `ce-` header fields. "
        f"Batch (`{BATCH}`): up to {most} events in structured mode; each is told of in its place."
    )
    return {
        "parameters": [_header(name, *said) for name, said in _ATTRIBUTES.items()],
        "requestBody": {"required": True, "description": description, "content": content},
    }


def _event_schema(payloads: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"enum": list(payloads)},
            "time": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
        "oneOf": [
            {"properties": {"type": {"const": event_type}, "data": schema_of(model)}}
            for event_type, model in payloads.items()
        ],
    }


def _header(name: str, text: str, example: str | None) -> dict[str, Any]:
    declared = {
        "name": name,
        "in": "header",
        "required": False,
        "description": f"Binary mode: {text[0].lower()}{text[1:]}",
        "schema": {"type": "string"},
    }
    return declared if example is None else {**declared, "example": example}
