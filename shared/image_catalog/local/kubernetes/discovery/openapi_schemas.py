"""Schemas that every OpenAPI document shares: object metadata, lists, status answers.

The texts under ``apiVersion``, ``kind`` and ``metadata`` are the API server's, because
``kubectl explain`` prints them at the top of every kind.
"""

from __future__ import annotations

from typing import Any

__all__ = ["KIND_PROPERTIES", "LIST_META", "OBJECT_META", "SHARED_SCHEMAS", "reference"]

_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"

OBJECT_META = f"{_META}.ObjectMeta"
"""Name of the schema of ``metadata``."""

LIST_META = f"{_META}.ListMeta"
"""Name of the schema of a list's ``metadata``."""


def reference(name: str) -> dict[str, str]:
    """Point to a schema of the same document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


KIND_PROPERTIES: dict[str, dict[str, Any]] = {
    "apiVersion": {
        "description": "APIVersion defines the versioned schema of this representation of an object. Servers should "
        "convert recognized schemas to the latest internal value, and may reject unrecognized values. "
        f"More info: {_CONVENTIONS}#resources",
        "type": "string",
    },
    "kind": {
        "description": "Kind is a string value representing the REST resource this object represents. Servers may "
        "infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. "
        f"More info: {_CONVENTIONS}#types-kinds",
        "type": "string",
    },
    "metadata": {
        "description": f"Standard object's metadata. More info: {_CONVENTIONS}#metadata",
        "allOf": [reference(OBJECT_META)],
    },
}
"""What every object has beside its own fields."""


def _field(description: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"description": description, "type": kind, **more}


def _object(description: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": description, "type": "object", "properties": properties}
    return schema | {"required": list(required)} if required else schema


def _time(description: str) -> dict[str, Any]:
    return _field(description, format="date-time")


def _integer(description: str) -> dict[str, Any]:
    return _field(description, "integer", format="int64")


def _texts(description: str) -> dict[str, Any]:
    return _field(description, "object", additionalProperties={"type": "string"})


def _list_of(description: str, name: str) -> dict[str, Any]:
    return _field(description, "array", items=reference(f"{_META}.{name}"))


SHARED_SCHEMAS: dict[str, dict[str, Any]] = {
    OBJECT_META: _object(
        "Metadata that all stored objects have: name, labels, versions, owners.",
        {
            "annotations": _texts("Texts that tools attach to the object; not queryable."),
            "creationTimestamp": _time("When the object was created, set by the server."),
            "deletionGracePeriodSeconds": _integer("Seconds until a deletion takes effect, set by the server."),
            "deletionTimestamp": _time("When the deletion was asked for; the object goes with its last finalizer."),
            "finalizers": _field(
                "Names of those who must act before the object is removed.",
                "array",
                items={"type": "string"},
                **{"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"},
            ),
            "generateName": _field("Prefix of a name that the server makes unique."),
            "generation": _integer("Grows with every change of the desired state, set by the server."),
            "labels": _texts("Texts that objects are selected by."),
            "managedFields": _list_of("Who manages which fields, set by the server.", "ManagedFieldsEntry"),
            "name": _field("Unique among the objects of the kind in the namespace; cannot be changed."),
            "namespace": _field("The namespace within which the name is unique; cannot be changed."),
            "ownerReferences": _list_of("Objects that this one depends on: it goes with the last.", "OwnerReference")
            | {
                "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-list-type": "map",
                "x-kubernetes-patch-merge-key": "uid",
                "x-kubernetes-patch-strategy": "merge",
            },
            "resourceVersion": _field("Opaque version of the stored object; a stale one makes a write a conflict."),
            "selfLink": _field("Deprecated, never set."),
            "uid": _field("Unique over time and space, set by the server."),
        },
    ),
    LIST_META: _object(
        "Metadata of a list.",
        {
            "continue": _field("Opaque; asks for the next page."),
            "remainingItemCount": _integer("How many objects the later pages hold."),
            "resourceVersion": _field("Version of the store that the list shows; a watch can start there."),
            "selfLink": _field("Deprecated, never set."),
        },
    ),
    f"{_META}.FieldsV1": {"description": "A set of fields, as a trie in JSON.", "type": "object"},
    f"{_META}.ManagedFieldsEntry": _object(
        "The fields that one manager set.",
        {
            "apiVersion": _field("Version of the object that the set of fields applies to."),
            "fieldsType": _field("FieldsV1, always."),
            "fieldsV1": {"description": "The set of fields.", "allOf": [reference(f"{_META}.FieldsV1")]},
            "manager": _field("Who manages the fields."),
            "operation": _field("Apply or Update."),
            "subresource": _field("The subresource that was written, if any."),
            "time": _time("When the set of fields changed last."),
        },
    ),
    f"{_META}.OwnerReference": _object(
        "An object that this one depends on, in the same namespace or cluster-scoped.",
        {
            "apiVersion": _field("API version of the owner."),
            "blockOwnerDeletion": _field("Whether foreground deletion of the owner waits for this object.", "boolean"),
            "controller": _field("Whether the owner is the managing controller.", "boolean"),
            "kind": _field("Kind of the owner."),
            "name": _field("Name of the owner."),
            "uid": _field("UID of the owner."),
        },
        ("apiVersion", "kind", "name", "uid"),
    ),
    f"{_META}.Patch": {"description": "A change of an object, in one of the patch formats.", "type": "object"},
}
"""By name; each document carries all of them."""
