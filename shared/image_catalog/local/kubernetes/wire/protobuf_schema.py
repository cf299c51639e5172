"""Field numbers of the messages that ``kubectl`` sends in protobuf, as data.

They are those of the ``generated.proto`` files beside the Go types, for example
https://github.com/kubernetes/api/blob/master/core/v1/generated.proto. A number, once
given, never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["ENVELOPE", "KINDS", "Field", "FieldType", "Message"]


class FieldType(Enum):
    """How a field's bytes are read."""

    STRING = "a text"
    BYTES = "bytes"
    BOOL = "a truth value"
    INTEGER = "an integer"
    TIME = "a time"
    STRING_MAP = "a map of texts"
    BYTES_MAP = "a map of bytes"
    MESSAGE = "a message"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes
    ----------
    name
        Its name in JSON.
    repeated
        Whether it is a list.
    keep
        Whether its zero value means something: pointers in Go, and fields whose JSON is never omitted.
    message
        The schema of a nested message.
    """

    name: str
    type: FieldType = FieldType.STRING
    repeated: bool = False
    keep: bool = False
    message: Mapping[int, Field] = field(default_factory=dict)


Message = Mapping[int, Field]
"""The fields of a message by number."""


def _text(name: str, *, keep: bool = False) -> Field:
    return Field(name, keep=keep)


def _texts(name: str) -> Field:
    return Field(name, repeated=True)


def _pointer(name: str, kind: FieldType) -> Field:
    return Field(name, kind, keep=True)


def _one(name: str, message: Message) -> Field:
    return Field(name, FieldType.MESSAGE, keep=True, message=message)


def _many(name: str, message: Message) -> Field:
    return Field(name, FieldType.MESSAGE, repeated=True, message=message)


ENVELOPE: Message = {
    1: _one("typeMeta", {1: _text("apiVersion"), 2: _text("kind")}),
    2: Field("raw", FieldType.BYTES),
    3: _text("contentEncoding"),
    4: _text("contentType"),
}
"""``runtime.Unknown``, which wraps every object; it follows the four bytes ``k8s\\0``."""

_OWNER_REFERENCE: Message = {
    1: _text("kind"),
    3: _text("name"),
    4: _text("uid"),
    5: _text("apiVersion"),
    6: _pointer("controller", FieldType.BOOL),
    7: _pointer("blockOwnerDeletion", FieldType.BOOL),
}
# managedFields (17) is left out: the server keeps its own.
_OBJECT_META: Message = {
    1: _text("name"),
    2: _text("generateName"),
    3: _text("namespace"),
    4: _text("selfLink"),
    5: _text("uid"),
    6: _text("resourceVersion"),
    7: Field("generation", FieldType.INTEGER),
    8: Field("creationTimestamp", FieldType.TIME),
    9: Field("deletionTimestamp", FieldType.TIME),
    10: _pointer("deletionGracePeriodSeconds", FieldType.INTEGER),
    11: Field("labels", FieldType.STRING_MAP),
    12: Field("annotations", FieldType.STRING_MAP),
    13: _many("ownerReferences", _OWNER_REFERENCE),
    14: _texts("finalizers"),
}
_METADATA = _one("metadata", _OBJECT_META)
_OBJECT_REFERENCE: Message = {
    1: _text("kind"),
    2: _text("namespace"),
    3: _text("name"),
    4: _text("uid"),
    5: _text("apiVersion"),
    6: _text("resourceVersion"),
    7: _text("fieldPath"),
}
_POLICY_RULE: Message = {
    1: _texts("verbs"),
    2: _texts("apiGroups"),
    3: _texts("resources"),
    4: _texts("resourceNames"),
    5: _texts("nonResourceURLs"),
}
_LABEL_SELECTOR: Message = {
    1: Field("matchLabels", FieldType.STRING_MAP),
    2: _many("matchExpressions", {1: _text("key"), 2: _text("operator"), 3: _texts("values")}),
}
_SUBJECT: Message = {1: _text("kind"), 2: _text("apiGroup"), 3: _text("name"), 4: _text("namespace")}
_ROLE: Message = {1: _METADATA, 2: _many("rules", _POLICY_RULE)}
_BINDING: Message = {
    1: _METADATA,
    2: _many("subjects", _SUBJECT),
    3: _one("roleRef", {1: _text("apiGroup"), 2: _text("kind"), 3: _text("name")}),
}
_RESOURCE_ATTRIBUTES: Message = {
    1: _text("namespace"),
    2: _text("verb"),
    3: _text("group"),
    4: _text("version"),
    5: _text("resource"),
    6: _text("subresource"),
    7: _text("name"),
}
_ACCESS_REVIEW: Message = {
    1: _METADATA,
    2: _one(
        "spec",
        {
            1: _one("resourceAttributes", _RESOURCE_ATTRIBUTES),
            2: _one("nonResourceAttributes", {1: _text("path"), 2: _text("verb")}),
        },
    ),
    3: _one("status", {1: _pointer("allowed", FieldType.BOOL)}),
}
_TOKEN_REQUEST: Message = {
    1: _METADATA,
    2: _one(
        "spec",
        {
            1: _texts("audiences"),
            3: _one("boundObjectRef", {1: _text("kind"), 2: _text("apiVersion"), 3: _text("name"), 4: _text("uid")}),
            4: _pointer("expirationSeconds", FieldType.INTEGER),
        },
    ),
    3: _one("status", {1: _text("token"), 2: Field("expirationTimestamp", FieldType.TIME)}),
}
_DELETE_OPTIONS: Message = {
    1: _pointer("gracePeriodSeconds", FieldType.INTEGER),
    2: _one(
        "preconditions",
        {1: _pointer("uid", FieldType.STRING), 2: _pointer("resourceVersion", FieldType.STRING)},
    ),
    3: _pointer("orphanDependents", FieldType.BOOL),
    4: _pointer("propagationPolicy", FieldType.STRING),
    5: _texts("dryRun"),
}

_RBAC = "rbac.authorization.k8s.io/v1"
_AUTHORIZATION = "authorization.k8s.io/v1"
_AUTHENTICATION = "authentication.k8s.io/v1"

KINDS: Mapping[tuple[str, str], Message] = {
    ("v1", "Namespace"): {
        1: _METADATA,
        2: _one("spec", {1: _texts("finalizers")}),
        3: _one("status", {1: _text("phase")}),
    },
    ("v1", "Secret"): {
        1: _METADATA,
        2: Field("data", FieldType.BYTES_MAP),
        3: _text("type"),
        4: Field("stringData", FieldType.STRING_MAP),
        5: _pointer("immutable", FieldType.BOOL),
    },
    ("v1", "ConfigMap"): {
        1: _METADATA,
        2: Field("data", FieldType.STRING_MAP),
        3: Field("binaryData", FieldType.BYTES_MAP),
        4: _pointer("immutable", FieldType.BOOL),
    },
    ("v1", "ServiceAccount"): {
        1: _METADATA,
        2: _many("secrets", _OBJECT_REFERENCE),
        3: _many("imagePullSecrets", {1: _text("name")}),
        4: _pointer("automountServiceAccountToken", FieldType.BOOL),
    },
    ("v1", "DeleteOptions"): _DELETE_OPTIONS,
    ("meta.k8s.io/v1", "DeleteOptions"): _DELETE_OPTIONS,
    (_AUTHENTICATION, "TokenRequest"): _TOKEN_REQUEST,
    (_AUTHENTICATION, "SelfSubjectReview"): {
        1: _METADATA,
        2: _one("status", {1: _one("userInfo", {1: _text("username"), 2: _text("uid"), 3: _texts("groups")})}),
    },
    (_RBAC, "Role"): _ROLE,
    (_RBAC, "ClusterRole"): {
        **_ROLE,
        3: _one("aggregationRule", {1: _many("clusterRoleSelectors", _LABEL_SELECTOR)}),
    },
    (_RBAC, "RoleBinding"): _BINDING,
    (_RBAC, "ClusterRoleBinding"): _BINDING,
    (_AUTHORIZATION, "SelfSubjectAccessReview"): _ACCESS_REVIEW,
    (_AUTHORIZATION, "SelfSubjectRulesReview"): {
        1: _METADATA,
        2: _one("spec", {1: _text("namespace")}),
        3: _one("status", {3: _pointer("incomplete", FieldType.BOOL)}),
    },
}
"""The messages that are read, by apiVersion and kind."""
