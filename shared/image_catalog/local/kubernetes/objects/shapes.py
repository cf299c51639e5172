"""The JSON types of the fields of built-in kinds, and the check that a body has them.

Custom resources have schemas; for the few built-in kinds a shape is enough. It
says what the API server's decoding into Go types says: a value of another type
is a bad request, an unknown field inside is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

__all__ = ["DELETE_OPTIONS", "METADATA", "SHAPES", "TOKEN_REQUEST", "Shape", "misfit"]

Shape: TypeAlias = Any
"""A type; ``[shape]`` for a list; ``{name: shape}`` for an object; ``{"*": shape}`` for a map."""

_STRINGS: Final = {"*": str}
_LABEL_SELECTOR: Final = {"matchLabels": _STRINGS, "matchExpressions": [dict]}
_REFERENCE: Final = {
    "apiVersion": str,
    "fieldPath": str,
    "kind": str,
    "name": str,
    "namespace": str,
    "resourceVersion": str,
    "uid": str,
}
_RULE: Final = {
    "verbs": [str],
    "apiGroups": [str],
    "resources": [str],
    "resourceNames": [str],
    "nonResourceURLs": [str],
}
_ROLE: Final = {"rules": [_RULE], "aggregationRule": {"clusterRoleSelectors": [_LABEL_SELECTOR]}}
_SUBJECT: Final = {"apiGroup": str, "kind": str, "name": str, "namespace": str}
_BINDING: Final = {"subjects": [_SUBJECT], "roleRef": {"apiGroup": str, "kind": str, "name": str}}
_RESOURCE_ATTRIBUTES: Final = {
    "group": str,
    "name": str,
    "namespace": str,
    "resource": str,
    "subresource": str,
    "verb": str,
    "version": str,
}
_ACCESS_REVIEW: Final = {
    "spec": {
        "groups": [str],
        "nonResourceAttributes": {"path": str, "verb": str},
        "resourceAttributes": _RESOURCE_ATTRIBUTES,
        "uid": str,
        "user": str,
    }
}
_EVENT: Final = {
    "action": str,
    "count": int,
    "eventTime": str,
    "firstTimestamp": str,
    "involvedObject": _REFERENCE,
    "lastTimestamp": str,
    "message": str,
    "reason": str,
    "related": _REFERENCE,
    "reportingComponent": str,
    "reportingInstance": str,
    "series": {"count": int, "lastObservedTime": str},
    "source": {"component": str, "host": str},
    "type": str,
}
_NEW_EVENT_NAMES: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_CRD_VERSION: Final = {
    "additionalPrinterColumns": [
        {"description": str, "format": str, "jsonPath": str, "name": str, "priority": int, "type": str}
    ],
    "name": str,
    "schema": {"openAPIV3Schema": dict},
    "selectableFields": [{"jsonPath": str}],
    "served": bool,
    "storage": bool,
    "subresources": {"status": dict},
}
_CRD: Final = {
    "spec": {
        "conversion": {"strategy": str},
        "group": str,
        "names": {
            "categories": [str],
            "kind": str,
            "listKind": str,
            "plural": str,
            "shortNames": [str],
            "singular": str,
        },
        "scope": str,
        "versions": [_CRD_VERSION],
    },
    "status": {"conditions": [dict], "acceptedNames": dict, "storedVersions": [str]},
}

SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "namespaces": {"spec": {"finalizers": [str]}, "status": {"phase": str, "conditions": [dict]}},
    "secrets": {"data": _STRINGS, "stringData": _STRINGS, "type": str, "immutable": bool},
    "configmaps": {"data": _STRINGS, "binaryData": _STRINGS, "immutable": bool},
    "serviceaccounts": {
        "secrets": [_REFERENCE],
        "imagePullSecrets": [{"name": str}],
        "automountServiceAccountToken": bool,
    },
    "events": _EVENT,
    "events.events.k8s.io": {_NEW_EVENT_NAMES.get(name, name): shape for name, shape in _EVENT.items()},
    "leases.coordination.k8s.io": {
        "spec": {
            "acquireTime": str,
            "holderIdentity": str,
            "leaseDurationSeconds": int,
            "leaseTransitions": int,
            "preferredHolder": str,
            "renewTime": str,
            "strategy": str,
        }
    },
    "customresourcedefinitions.apiextensions.k8s.io": _CRD,
    "roles.rbac.authorization.k8s.io": _ROLE,
    "clusterroles.rbac.authorization.k8s.io": _ROLE,
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "tokenreviews.authentication.k8s.io": {"spec": {"token": str, "audiences": [str]}},
    "selfsubjectreviews.authentication.k8s.io": {},
    "subjectaccessreviews.authorization.k8s.io": _ACCESS_REVIEW,
    "localsubjectaccessreviews.authorization.k8s.io": _ACCESS_REVIEW,
    "selfsubjectaccessreviews.authorization.k8s.io": _ACCESS_REVIEW,
    "selfsubjectrulesreviews.authorization.k8s.io": {"spec": {"namespace": str}},
}
"""The fields of each built-in kind beside ``apiVersion``, ``kind`` and ``metadata``, by group resource."""

METADATA: Mapping[str, Shape] = {
    "annotations": _STRINGS,
    "creationTimestamp": str,
    "deletionGracePeriodSeconds": int,
    "deletionTimestamp": str,
    "finalizers": [str],
    "generateName": str,
    "generation": int,
    "labels": _STRINGS,
    "managedFields": [dict],
    "name": str,
    "namespace": str,
    "ownerReferences": [
        {"apiVersion": str, "blockOwnerDeletion": bool, "controller": bool, "kind": str, "name": str, "uid": str}
    ],
    "resourceVersion": str,
    "selfLink": str,
    "uid": str,
}
"""The fields of every object's metadata."""

TOKEN_REQUEST: Mapping[str, Shape] = {
    "spec": {"audiences": [str], "expirationSeconds": int, "boundObjectRef": _REFERENCE}
}
"""The fields of a TokenRequest."""

DELETE_OPTIONS: Mapping[str, Shape] = {
    "dryRun": [str],
    "gracePeriodSeconds": int,
    "preconditions": {"resourceVersion": str, "uid": str},
    "propagationPolicy": str,
}
"""The fields of DeleteOptions."""


def misfit(value: Any, shape: Shape, path: str = "") -> str | None:
    """Return the path of the first value that has another type than its shape says.

    Parameters
    ----------
    value
        A field's value. Null fits everywhere but in a list: Go reads it as absent.
    """
    if isinstance(shape, list):
        return _misfit_item(value, shape[0], path) if isinstance(value, list) else path
    if isinstance(shape, Mapping):
        return _misfit_member(value, shape, path) if isinstance(value, Mapping) else path
    fits = isinstance(value, shape) and not (shape is int and isinstance(value, bool))
    return None if fits else path


def _misfit_item(items: list[Any], shape: Shape, path: str) -> str | None:
    for i, item in enumerate(items):
        if (found := misfit(item, shape, f"{path}[{i}]")) is not None:
            return found
    return None


def _misfit_member(members: Mapping[str, Any], shape: Mapping[str, Shape], path: str) -> str | None:
    anything = shape.get("*")
    for name, member in members.items():
        wanted = shape.get(name, anything)
        # What is of the right kind is most of it, and needs no path.
        if member is None or wanted is None or type(member) is wanted:
            continue
        if (found := misfit(member, wanted, f"{path}.{name}" if path else name)) is not None:
            return found
    return None
