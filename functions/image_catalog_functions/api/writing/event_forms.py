"""The three forms in which events are taken, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from image_catalog_functions.api.http import examples
from image_catalog_functions.api.http.documents import BODIES, SHAPES, schema_of

__all__ = ["MEDIA_TYPES", "forms_of"]

BINARY: Final = "application/json"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

MEDIA_TYPES: Final = (BINARY, STRUCTURED, BATCH)

_ATTRIBUTES: Final = {
    "ce-specversion": ("`1.0`.", "1.0"),
    "ce-id": ("Id of the event. One that was taken under this id from this source is not taken again.", "run-4711"),
    "ce-source": ("Who sends it, as a URI reference.", "/ci/nightly"),
    "ce-type": ("What is asked for: a `type` as in `Event`.", examples.STRUCTURED["type"]),
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
    SHAPES["Event"] = _event_schema(payloads)
    event, example = {"$ref": "#/components/schemas/Event"}, examples.STRUCTURED
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


_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}


def _event_schema(payloads: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A CloudEvent 1.0 in the JSON format.",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0", "description": "Version of CloudEvents."},
            "id": _TEXT | {"description": "A second delivery of an id from the same source changes nothing."},
            "source": _TEXT | {"description": "Who sends it, as a URI reference."},
            "type": {"enum": list(payloads), "description": "What is asked for."},
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "When it was asked for, by which publications are ordered; absent: now.",
            },
            "data": {"anyOf": [schema_of(model) for model in payloads.values()], "description": "By `type`."},
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
