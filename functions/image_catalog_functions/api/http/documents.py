"""What the OpenAPI document says of every call: answers, problems, bodies."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from image_catalog.models import CatalogImage
from image_catalog.models.kubernetes import KubernetesModel, Time
from image_catalog.models.reasons import UnpublishedReason
from image_catalog_functions.api.http.problems import PROBLEM_JSON, ProblemDocument
from image_catalog_functions.api.http.reasons import REASONS

__all__ = [
    "BODIES",
    "REFUSALS",
    "REGISTRY",
    "REGISTRY_IN_QUERY",
    "RIGHTS",
    "SHAPES",
    "Build",
    "BuildEntry",
    "BuildList",
    "ImageList",
    "ListMetadata",
    "ObjectName",
    "Registry",
    "RegistryAvailability",
    "RegistryList",
    "body_of",
    "needs",
    "problems",
    "refusals",
    "schema_of",
]

_SAID_BY_STATUS: Final[dict[int, str]] = {
    304: "The client has this state already (`If-None-Match`).",
    400: "A parameter, a name or the body is not possible; `details` says which and what is allowed.",
    401: "No bearer token, or one that is not valid.",
    403: "The caller may not do this there.",
    404: "There is no such object.",
    405: "The path takes another method; `Allow` says which.",
    406: "The client takes no media type that the call answers with.",
    408: "The body did not come whole in time.",
    409: "Something is in the way: another entry, or a newer state.",
    410: "What the call is to go on from is gone: a continue token after a day, an event that the history lacks.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not of a media type that the call takes.",
    422: "The registry, or the catalog's rules, refuse it; `reason` says why.",
    500: "A fault of the API itself; its log says more.",
    501: "No database is configured, so no history is kept; `details.setting` names what to set.",
    502: "A function answered what the API did not expect.",
    503: "Somebody who is needed does not answer just now; ask again after `Retry-After`.",
    504: "A function takes longer than the API waits. What it does goes on, so look at the entry before asking again.",
}

_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {
        "WWW-Authenticate": {
            "description": 'The challenge: `Bearer realm="image-catalog"`, with `error` if a token was sent.',
            "schema": {"type": "string"},
        }
    },
    415: {"Accept-Post": {"description": "The media types that the call takes.", "schema": {"type": "string"}}},
    503: {
        "Retry-After": {
            "description": "Seconds to wait before asking again.",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the declarations of a call's other answers than success.

    Parameters
    ----------
    statuses
        Their status codes.
    """
    declared: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        answer: dict[str, Any] = {"description": _SAID_BY_STATUS[status]}
        if status >= HTTPStatus.BAD_REQUEST:
            answer["content"] = {PROBLEM_JSON: {"schema": schema_of(ProblemDocument)}}
        if status in _HEADERS:
            answer["headers"] = _HEADERS[status]
        declared[status] = answer
    return declared


def refusals() -> list[dict[str, Any]]:
    """Return what every status of a problem means, and with which reasons it comes."""
    return [
        {"status": status, "description": _SAID_BY_STATUS[status], "reasons": [reason.value for reason in reasons]}
        for status, reasons in REASONS.items()
    ]


def body_of(model: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declaration of a body that the call reads itself, for ``openapi_extra``.

    Parameters
    ----------
    model
        What the body is read as; the document takes its schema up.
    example
        A body that is taken.
    """
    BODIES[model.__name__] = model
    content = {"schema": schema_of(model), "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the reference to a model's schema."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def needs(*rights: str) -> dict[str, Any]:
    """Return the declaration of the rights that a call's caller needs, for ``openapi_extra``.

    Parameters
    ----------
    rights
        Each as a verb and a resource: ``list catalogimages``.
    """
    return {RIGHTS: list(rights)}


RIGHTS: Final = "x-rights"
"""Where the document says what Kubernetes must allow a caller."""

REFUSALS: Final = "x-refusals"
"""Where the document says once what each status of a problem means."""

REGISTRY: Final = "registry"
REGISTRY_IN_QUERY: Final = "registryInQuery"
"""How registries prove themselves that tell of pushes."""

BODIES: Final[dict[str, type[BaseModel]]] = {}
"""Models of bodies that calls read themselves, by name: FastAPI does not see them."""

SHAPES: Final[dict[str, dict[str, Any]]] = {}
"""Schemas of what no model reads, by name."""


class ListMetadata(KubernetesModel):
    """How a list goes on."""

    continue_: str = Field(alias="continue")
    """For the parameter `continue` of the next call; empty on the last page."""
    remaining_item_count: int = Field(ge=0)
    """How many items follow after this page."""
    resource_version: str
    """The state of the cluster that the answer shows; empty for a state of the past."""
    as_of: Time | None = None
    """The moment that the answer shows; absent where that is now."""
    note: str | None = None
    """What the answer lacks, and why, as a sentence for people."""


class ImageList(KubernetesModel):
    """A page of entries."""

    items: list[CatalogImage]
    """The entries."""
    metadata: ListMetadata
    """How the list goes on."""


class ObjectName(KubernetesModel):
    """Which entry, in which state."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    resource_version: str
    """Version of the entry that the answer shows."""


class BuildEntry(KubernetesModel):
    """The entry that a build was published as."""

    name: str
    """Name of the entry."""
    namespace: str
    """Namespace of the entry."""
    phase: str
    """Its phase."""


class Unpublished(KubernetesModel):
    """Why a completed build made no entry's current version."""

    reason: UnpublishedReason
    """Why."""
    message: str
    """Why, as a sentence for people."""


class Build(KubernetesModel):
    """A completed build that can be published."""

    name: str
    """Name of the ImageBuild."""
    namespace: str
    """Namespace of the ImageBuild."""
    uid: str = ""
    """Its unique id."""
    completion_time: Time | None = None
    """When it was completed."""
    registry_url: str
    """Reference of what it pushed."""
    architecture: str | None = None
    """Processor architecture that it built for."""
    distro: str | None = None
    """Distribution that it built."""
    target: str | None = None
    """Board that it built for."""
    mode: str | None = None
    """How automotive-image-builder built it."""
    export_format: str | None = None
    """Format of its disk image."""
    schedule: str | None = None
    """Schedule that started it."""
    entry: BuildEntry | None = None
    """The entry whose current version it made; null while it made none."""
    unpublished: Unpublished | None = None
    """Why it made none, where builds and entries show it; null otherwise."""


class RegistryAvailability(KubernetesModel):
    """For which share of time a registry answered, and had the images that entries stand for."""

    last24h: Annotated[float | None, Field(ge=0, le=1, alias="last24h")] = None
    """Share of known time of the last 24 hours in which it answered; absent while nothing is known."""
    last30d: Annotated[float | None, Field(ge=0, le=1, alias="last30d")] = None
    """The same of the last 30 days."""
    images24h: Annotated[float | None, Field(ge=0, le=1, alias="images24h")] = None
    """Share of known time of the last 24 hours in which the entries' images were there."""
    images30d: Annotated[float | None, Field(ge=0, le=1, alias="images30d")] = None
    """The same of the last 30 days."""
    known24h: Annotated[float, Field(ge=0, le=1, alias="known24h")] = 0
    """Share of the last 24 hours that is known at all."""
    known30d: Annotated[float, Field(ge=0, le=1, alias="known30d")] = 0
    """Share of the last 30 days that is known at all."""


class Registry(KubernetesModel):
    """A registry that entries name."""

    host: str
    """Host, as references name it."""
    entries: int = Field(ge=0)
    """How many entries have their image there."""
    availability: RegistryAvailability
    """What these say together, each as of its last check and with the same weight."""


class RegistryList(KubernetesModel):
    """A page of registries, by host."""

    items: list[Registry]
    """The registries."""
    metadata: ListMetadata
    """How the list goes on."""


class BuildList(KubernetesModel):
    """A page of builds, the last completed first."""

    items: list[Build]
    """The builds."""
    metadata: ListMetadata
    """How the list goes on."""
