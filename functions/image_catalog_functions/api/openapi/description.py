"""What the OpenAPI document says once, for every call."""

from __future__ import annotations

from typing import Any, Final

from image_catalog_functions.api.http.documents import REGISTRY, REGISTRY_IN_QUERY

__all__ = ["BEARER", "INTRODUCTION", "SCHEMES", "SUMMARY", "TAGS"]

SUMMARY: Final = "Automotive OS images: published from builds, kept true against their registries."

INTRODUCTION: Final = """\
Objects are shaped as in Kubernetes (`metadata`, `spec`, `status`) and travel as JSON. No call that reads waits for
the API server: the answer comes from an index that a watch keeps filled. While the watch is broken, the header field
`Age` tells for how long changes may have been missed.

Every answer that says no is a problem document (RFC 9457, `application/problem+json`) whose `reason` is a word from a
closed set; a fault of the API itself is a 500 with the reason `InternalError`. A parameter that a call does not know,
or that has an impossible value, is refused with 400 and never passed over, and so is an unknown field of a body.

A list comes in pages: ask again with `continue` set to `metadata.continue` until that is empty. Every read has an
`ETag`, and with `If-None-Match` the answer to what has not changed is an empty 304. `Accept-Encoding: gzip` is
honoured. `HEAD` is answered wherever `GET` is, and `OPTIONS` tells what a path takes."""

_AUTHENTICATION: Final = """\
A token that the Kubernetes API server accepts, sent as `Authorization: Bearer <token>`: a person's (`oc whoami -t`)
or a ServiceAccount's (`kubectl create token <name>`). The API server is asked whose it is, and whether they may do
this in the namespace that the call is about; its answer is believed for seconds. Each call says which rights it
needs: a verb and a resource, as RBAC names them."""

_OF_REGISTRIES: Final = """\
The token of a registry that tells of pushes, from the Secret that `spec.notifications` of its CatalogRegistry names:
as `Bearer <token>`, as the password of `Basic`, or by itself, as Harbor sends it. It opens this call and no other."""

_IN_QUERY: Final = "The same, for Quay and Docker Hub, which send no header field that anybody could choose."

BEARER: Final = "bearer"

SCHEMES: Final[dict[str, dict[str, Any]]] = {
    BEARER: {"type": "http", "scheme": "bearer", "description": _AUTHENTICATION},
    REGISTRY: {"type": "apiKey", "in": "header", "name": "Authorization", "description": _OF_REGISTRIES},
    REGISTRY_IN_QUERY: {"type": "apiKey", "in": "query", "name": "token", "description": _IN_QUERY},
}
"""How callers prove who they are."""

TAGS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "images", "description": "Entries of the catalog."},
    {"name": "history", "description": "What was: who did what, and which versions an entry had."},
    {"name": "builds", "description": "What can be published."},
    {"name": "registries", "description": "Where the images are."},
    {
        "name": "events",
        "description": "The same for whoever speaks CloudEvents: CI systems and registries.",
    },
    {"name": "notifications", "description": "What registries tell of themselves."},
    {
        "name": "flat",
        "x-displayName": "Flat form",
        "description": "The same catalog in one level of fields, as clients of its first API contract expect it.",
    },
    {"name": "probes", "description": "For whoever keeps the process running."},
)
