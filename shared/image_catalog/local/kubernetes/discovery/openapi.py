"""OpenAPI v3 of what is served: field validation and ``kubectl explain`` live on it.

An index tells a URL with a hash per group version; the document behind a URL can be
cached for ever, because another document has another hash.
See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from image_catalog.local.kubernetes.discovery.openapi_schemas import (
    KIND_PROPERTIES,
    LIST_META,
    SHARED_SCHEMAS,
    reference,
)
from image_catalog.local.kubernetes.resources import Resource, ResourceRegistry

__all__ = ["OpenAPI", "OpenAPIAnswer"]

_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json")
_WRITE_PARAMETERS = {
    "dryRun": "All: go through every check, store nothing.",
    "fieldManager": "Name of the client that makes the change.",
    "fieldValidation": "What happens to fields that the schema does not know: Ignore, Warn or Strict.",
}
_LIST_PARAMETERS = {
    "continue": "Token of the page before.",
    "fieldSelector": "Selects by fields.",
    "labelSelector": "Selects by labels.",
    "limit": "Objects on a page.",
    "resourceVersion": "From where a watch starts.",
    "watch": "Stream the changes that follow.",
}


@dataclass(frozen=True, slots=True)
class OpenAPIAnswer:
    """One OpenAPI document, ready to be sent.

    Attributes
    ----------
    etag
        Quoted; the hash of the body. Empty for the index, which no client should cache.
    immutable
        Whether the URL's hash was that of the document, so that it may be cached for ever.
    """

    body: bytes
    media_type: str = "application/json"
    etag: str = ""
    immutable: bool = False


class OpenAPI:
    """The OpenAPI documents of a registry, built once for every change of it.

    Parameters
    ----------
    registry
        What is served.
    """

    def __init__(self, registry: ResourceRegistry) -> None:
        self._registry = registry
        self._built: tuple[int, dict[str, bytes]] | None = None

    def answer(self, path: str, *, query_hash: str = "", accept: str = "") -> OpenAPIAnswer | None:
        """Answer ``/openapi/v2``, ``/openapi/v3`` and ``/openapi/v3/apis/G/V``.

        Parameters
        ----------
        path
            The request's path, without the query.
        query_hash
            Its query parameter ``hash``.
        accept
            Its ``Accept`` header; v2 has a protobuf form and an empty JSON form.

        Returns
        -------
        OpenAPIAnswer | None
            None when there is no such document.
        """
        if path == "/openapi/v2":
            return _v2(accept)
        documents = self._documents()
        if path == "/openapi/v3":
            index = {name: {"serverRelativeURL": _url(name, body)} for name, body in documents.items()}
            # A real API server calls its index plain text; clients rely on neither.
            return OpenAPIAnswer(orjson.dumps({"paths": index}), "text/plain; charset=utf-8")
        body = documents.get(path.removeprefix("/openapi/v3/"))
        if body is None:
            return None
        digest = _hash(body)
        return OpenAPIAnswer(body, etag=f'"{digest}"', immutable=query_hash == digest)

    def _documents(self) -> dict[str, bytes]:
        if self._built is None or self._built[0] != self._registry.generation:
            built = {
                _document_name(group, version): orjson.dumps(_document(self._registry.in_version(group, version)))
                for group, versions in self._registry.groups().items()
                for version in versions
            }
            self._built = (self._registry.generation, built)
        return self._built[1]


def _v2(accept: str) -> OpenAPIAnswer:
    """Tell that v2 has nothing: an empty protobuf message is what kubectl takes for that."""
    if "protobuf" in accept:
        return OpenAPIAnswer(b"", _V2_PROTOBUF)
    info = {"title": "Kubernetes", "version": "unversioned"}
    return OpenAPIAnswer(orjson.dumps({"swagger": "2.0", "info": info, "paths": {}}))


def _document_name(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _url(name: str, body: bytes) -> str:
    return f"/openapi/v3/{name}?hash={_hash(body)}"


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest().upper()


def _document(resources: tuple[Resource, ...]) -> dict[str, Any]:
    schemas = dict(SHARED_SCHEMAS)
    paths: dict[str, Any] = {}
    for resource in resources:
        if resource.stored:
            paths |= _paths(resource)
        schemas |= _schemas(resource)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Image Catalog embedded Kubernetes API", "version": "v0.1.0"},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _paths(resource: Resource) -> dict[str, Any]:
    collection = resource.path("{namespace}" if resource.namespaced else None)
    one, many = _schema_name(resource), _schema_name(resource, resource.list_kind)
    on_one = {
        "get": _operation(resource, "get", one),
        "put": _operation(resource, "put", one, body=("application/json",)),
        "patch": _operation(resource, "patch", one, body=_PATCH_TYPES),
    }
    paths = {
        collection: {
            "get": _operation(resource, "list", many, parameters=_LIST_PARAMETERS),
            "post": _operation(resource, "post", one, body=("application/json",)),
        },
        f"{collection}/{{name}}": {**on_one, "delete": _operation(resource, "delete", one)},
    }
    if resource.has_status:
        paths[f"{collection}/{{name}}/status"] = on_one
    return {path: operations | {"parameters": _in_path(path)} for path, operations in paths.items()}


def _operation(
    resource: Resource,
    action: str,
    answer: str,
    *,
    parameters: dict[str, str] | None = None,
    body: tuple[str, ...] = (),
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "description": f"{action} {resource.kind}",
        "parameters": _in_query(_WRITE_PARAMETERS if body else parameters or {}),
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": reference(answer)}}},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _kind(resource, resource.kind),
    }
    if body:
        content = {media_type: {"schema": {"type": "object"}} for media_type in body}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _in_query(parameters: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "description": description, "schema": {"type": "string", "uniqueItems": True}}
        for name, description in parameters.items()
    ]


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "uniqueItems": True}}
        for name in ("namespace", "name")
        if f"{{{name}}}" in path
    ]


def _schemas(resource: Resource) -> dict[str, Any]:
    # The texts of a built-in kind's own fields are not kept here: explain shows what every object has.
    own = dict(resource.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    own["properties"] = dict(sorted((dict(own.get("properties") or {}) | KIND_PROPERTIES).items()))
    own["x-kubernetes-group-version-kind"] = [_kind(resource, resource.kind)]
    if resource.custom and resource.selectable_fields:
        own["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in resource.selectable_fields]
    name = _schema_name(resource)
    if not resource.stored:
        return {name: own}
    listed: dict[str, Any] = {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": KIND_PROPERTIES["apiVersion"],
            "items": {"description": f"List of {resource.plural}.", "type": "array", "items": reference(name)},
            "kind": KIND_PROPERTIES["kind"],
            "metadata": {"description": "Standard list metadata.", "allOf": [reference(LIST_META)]},
        },
        "x-kubernetes-group-version-kind": [_kind(resource, resource.list_kind)],
    }
    return {name: own, _schema_name(resource, resource.list_kind): listed}


def _kind(resource: Resource, kind: str) -> dict[str, str]:
    return {"group": resource.group, "kind": kind, "version": resource.version}


def _schema_name(resource: Resource, kind: str | None = None) -> str:
    """Name a schema as the API server does: the group backwards, or the Go package of a built-in kind."""
    if resource.custom:
        package = ".".join(reversed(resource.group.split(".")))
    else:
        package = "io.k8s.api." + (resource.group.split(".")[0] or "core")
    return f"{package}.{resource.version}.{kind or resource.kind}"
